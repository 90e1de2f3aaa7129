//! Frames of TI's Monitor and Test API (Z-Stack Monitor and Test API, chapter 2): a start, a length, two bytes of command, and
//! a checksum.

const START: u8 = 0xfe;

/// Most bytes of data.
const LONGEST: usize = 250;

/// Kinds of commands, in the three upper bits of the first byte.
pub(super) const REQUEST: u8 = 0x20;
pub(super) const NOTICE: u8 = 0x40;
pub(super) const ANSWER: u8 = 0x60;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// Kind and subsystem.
    pub(super) kind: u8,
    pub(super) id: u8,
    pub(super) data: Vec<u8>,
}

impl Command {
    pub(super) fn new(kind: u8, id: u8, data: Vec<u8>) -> Self {
        Self { kind, id, data }
    }

    pub(super) fn frame(&self) -> Vec<u8> {
        let mut frame = vec![START, self.data.len().min(LONGEST) as u8, self.kind, self.id];
        frame.extend(self.data.iter().take(LONGEST));
        frame.push(checksum(frame.get(1..).unwrap_or_default()));
        frame
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// Commands out of bytes. What is no frame is passed over.
pub(super) fn cut(heard: &mut Vec<u8>) -> Vec<Command> {
    let mut found = Vec::new();
    loop {
        let start = heard.iter().position(|byte| *byte == START).unwrap_or(heard.len());
        heard.drain(..start);
        let Some(length) = heard.get(1).map(|length| usize::from(*length)) else { return found };
        if length > LONGEST {
            heard.remove(0);
            continue;
        }
        let Some(frame) = heard.get(1..length + 5) else { return found };
        let (content, check) = frame.split_at(length + 3);
        if check != [checksum(content)] {
            heard.remove(0);
            continue;
        }
        if let [_, kind, id, data @ ..] = content {
            found.push(Command::new(*kind, *id, data.to_vec()));
        }
        heard.drain(..length + 5);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYS_PING and its answer, as TI's document has them.
    #[test]
    fn frames_are_those_of_the_document() {
        let ping = Command::new(0x21, 0x01, Vec::new());
        assert_eq!(ping.frame(), [0xfe, 0x00, 0x21, 0x01, 0x20]);
        let answer = Command::new(0x61, 0x01, vec![0x79, 0x01]);
        assert_eq!(answer.frame(), [0xfe, 0x02, 0x61, 0x01, 0x79, 0x01, 0x1a]);
        let mut heard = [vec![0xef, 0xfe, 0x03], ping.frame(), vec![0xfe, 0x02, 0x61]].concat();
        assert_eq!(cut(&mut heard), [ping]);
        heard.extend([0x01, 0x79, 0x01, 0x1a]);
        assert_eq!(cut(&mut heard), [answer]);
        assert!(heard.is_empty());
    }
}
