//! Bytes that nobody chose, for the two framings: tests with a fuzzer, and those that replay what it found.

use std::time::Instant;

use super::ash::Ash;
use super::framing::{Event, Framing};
use super::mt::Mt;

/// A coordinator that says that it was reset (UG101).
const RSTACK: [u8; 6] = [0xc1, 0x02, 0x0b, 0x0a, 0x52, 0x7e];

/// Bytes of a coordinator that speaks EZSP over ASH, in one piece and in pieces of the size that the first byte tells: the same
/// frames and the same acknowledgements come of it.
pub fn ash(data: &[u8]) {
    agree(data, |now| {
        let mut ash = Ash::new(now);
        ash.reset(now);
        ash.hear(now, &RSTACK);
        ash
    });
}

/// The same for one that speaks ZNP.
pub fn mt(data: &[u8]) {
    agree(data, |_| Mt::default());
}

fn agree<F: Framing>(data: &[u8], new: impl Fn(Instant) -> F) {
    let Some((size, stream)) = data.split_first() else { return };
    let now = Instant::now();
    let whole = heard(&mut new(now), now, [stream].into_iter());
    let pieces = heard(&mut new(now), now, stream.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces);
}

fn heard<'a>(
    framing: &mut impl Framing,
    now: Instant,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Event>, Vec<u8>) {
    // What it has to say of its reset is of no concern.
    drop(framing.output());
    let mut events = Vec::new();
    let mut said = Vec::new();
    for piece in pieces {
        framing.hear(now, piece);
        said.extend(framing.output());
        while let Some(event) = framing.event() {
            events.push(event);
        }
    }
    if let Some(wake) = framing.wake() {
        framing.tick(wake);
    }
    (events, said)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    type Target = fn(&[u8]);

    /// What a fuzzer is given to begin with, and found.
    #[test]
    fn no_bytes_of_the_corpus_do_harm() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
        for (name, target) in [("zigbee_ash", super::ash as Target), ("zigbee_mt", super::mt)] {
            let files: Vec<_> =
                fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(files.len() >= 5, "{name} has hardly a corpus");
            for file in files {
                target(&fs::read(file).unwrap());
            }
        }
    }
}
