//! The files with cases, read into steps.
//!
//! A case begins with its number and title; what follows is indented:
//!
//! ```text
//! 1.36 Get: one Parameter
//!   fault omit GetResp               what a broken Agent would do; the case must then fail (see fault.rs)
//!   for R-GET.2                      requirements of TR-369 that it proves
//!   > get Device.LocalAgent.EndpointID          a request of the first Controller; `2>`: of the second one
//!   < GetResp                                   its answer line by line (see show.rs and pattern.rs), and nothing else;
//!   <+ $row Enable=true ..                      once or more; `<2+` twice or more; `<...` any lines; `<!` no such line
//!   notify Notify n1 ValueChange .. @0.9..2.2   the next notification, and seconds since what came before it
//!   quiet 0.3                                   no notification for so many seconds
//! ```
//!
//! Further steps: `mute` and `unmute` (notifications are not answered), `2 mute`, `reboot` (the broker ends and is started
//! again), `let NAME VALUE`, `differ ONE OTHER`, `as ID` (who is the first Controller from now on), `gather SECONDS PATTERN`,
//! `record from=ID to=ID PATH` (a Get in a Record with these addresses), `bytes HEX`, `silence` (nothing
//! answers the last two), `finally REQUEST` (cleans up).
//! On raw WebSocket connections: `socket [bare|extension]`, `refused [bare]`, `frames NUMBER PATH`, `text WORD`, `binary|ping|pong HEX`,
//! `close CODE`, `came [#NUMBER] PATTERN`.
//! With a hand in the MQTT server, after `server [bare]` (bare: the Agent has no topic): `hears PATTERN [@FROM..TO]`, `still SECONDS`,
//! `does ACT` (see `server.rs`), `deliver qN REPLY-TOPIC CONTENT-TYPE PATH` (a Get). `slow` puts a case on a broker of its own, `on uds ws mqtt` limits it;
//! `over mqtt STEP` is for this transport alone.

use std::fmt;

use crate::link::websocket;
use crate::pattern::{Expected, Times};

/// The number of a case, as in `1.36`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub u16, pub u16);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl std::str::FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        parts.map(|(a, b)| Self(a, b)).ok_or_else(|| format!("{text:?} is no number of a case"))
    }
}

/// One step of a case.
#[derive(Clone, Debug)]
pub enum Step {
    /// A Controller (0 or 1) sends a request; its answer is compared.
    Ask { who: usize, request: String, expected: Vec<Expected> },
    /// The next notification, and how long after what came before it.
    Notify { who: usize, expected: String, within: Option<(f64, f64)> },
    /// No notification for so long.
    Quiet { who: usize, seconds: f64 },
    /// Whether notifications are answered.
    Mute { who: usize, mute: bool },
    /// The broker ends by itself and is started again.
    Reboot,
    /// Binds a name.
    Let { name: String, value: String },
    /// A Get in a Record with these addresses.
    Record { from: String, to: String, path: String },
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// Nothing answers.
    Silence,
    /// These must not be the same.
    Differ(String, String),
    /// From now on another Endpoint ID acts.
    As { who: usize, id: String },
    /// Takes in what is told for so many seconds; all of it has to fit.
    Gather { who: usize, seconds: f64, expected: String },
    /// A raw WebSocket connection is opened.
    Socket(String),
    /// A raw WebSocket connection is refused.
    Refused(String),
    /// A Get over the newest raw connection, in so many frames.
    Frames { frames: usize, path: String },
    /// One frame over the newest raw connection.
    Frame { opcode: u8, payload: Vec<u8> },
    /// The next thing that comes over a raw connection; the newest unless told otherwise.
    Came { socket: Option<usize>, expected: String },
    /// The next packet from the Agent, and how long after what came before it.
    Hears { expected: String, within: Option<(f64, f64)> },
    /// No packet from the Agent for so long.
    Still { seconds: f64 },
    /// The MQTT server does something.
    Does(String),
    /// The MQTT server delivers a Get.
    Deliver { qos: u8, reply: String, kind: String, path: String },
    /// Carried out at the end, whatever happened.
    Finally(String),
}

/// A step, and where it stands.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The step.
    pub step: Step,
    /// `file:line`.
    pub place: String,
    /// The transport that it is for; empty: all.
    pub over: String,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number in TP-469.
    pub number: Number,
    /// What it is about.
    pub title: String,
    /// Transports that it is for; empty: all.
    pub only: Vec<String>,
    /// Whether it takes seconds.
    pub slow: bool,
    /// Whether it has a hand in the MQTT server, and how the Agent's client is configured.
    pub server: Option<String>,
    /// What must make it fail, one after another.
    pub faults: Vec<String>,
    /// What is done.
    pub steps: Vec<Placed>,
}

/// All cases of a file. A mistake in it is told with its line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", index + 1);
        let wrong = |problem: String| format!("{place}: {problem}");
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            cases.push(heading(line).map_err(wrong)?);
            continue;
        }
        let case = cases.last_mut().ok_or_else(|| wrong("a step before any case".to_owned()))?;
        add_line(case, line.trim(), &place).map_err(wrong)?;
    }
    Ok(cases)
}

fn heading(line: &str) -> Result<Case, String> {
    let (number, title) = line.split_once(' ').ok_or("NUMBER TITLE")?;
    Ok(Case {
        number: number.parse()?,
        title: title.to_owned(),
        only: Vec::new(),
        slow: false,
        server: None,
        faults: Vec::new(),
        steps: Vec::new(),
    })
}

fn add_line(case: &mut Case, line: &str, place: &str) -> Result<(), String> {
    let (over, line) = match line.strip_prefix("over ") {
        Some(rest) => rest.split_once(' ').ok_or("over TRANSPORT STEP")?,
        None => ("", line),
    };
    if let Some(line) = line.strip_prefix('<') {
        return expect(case, line);
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (who, word, rest) = match word {
        "2" => rest.split_once(' ').map_or((1, rest, ""), |(word, rest)| (1, word, rest)),
        "2>" => (1, ">", rest),
        _ => (0, word, rest),
    };
    let rest = rest.trim();
    let step = match word {
        "fault" => {
            case.faults.push(rest.to_owned());
            return Ok(());
        }
        // Requirements of TR-369 that it proves: for whoever looks for them (tests/house).
        "for" => return Ok(()),
        "on" => {
            case.only = rest.split_whitespace().map(str::to_owned).collect();
            return Ok(());
        }
        "slow" => {
            case.slow = true;
            return Ok(());
        }
        "server" => {
            (case.slow, case.server) = (true, Some(rest.to_owned()));
            return Ok(());
        }
        "hears" => match notify(who, rest)? {
            Step::Notify { expected, within, .. } => Step::Hears { expected, within },
            other => other,
        },
        "still" => Step::Still { seconds: number(rest)? },
        "does" => Step::Does(rest.to_owned()),
        "deliver" => deliver(rest)?,
        ">" => Step::Ask { who, request: rest.to_owned(), expected: Vec::new() },
        "notify" => notify(who, rest)?,
        "quiet" => Step::Quiet { who, seconds: number(rest)? },
        "mute" => Step::Mute { who, mute: true },
        "unmute" => Step::Mute { who, mute: false },
        "reboot" => Step::Reboot,
        "let" => {
            let (name, value) = rest.split_once(' ').ok_or("let NAME VALUE")?;
            Step::Let { name: name.to_owned(), value: value.to_owned() }
        }
        "differ" => {
            let (one, two) = rest.split_once(' ').ok_or("differ ONE OTHER")?;
            Step::Differ(one.to_owned(), two.to_owned())
        }
        "as" => Step::As { who, id: rest.to_owned() },
        "gather" => {
            let (seconds, expected) = rest.split_once(' ').ok_or("gather SECONDS PATTERN")?;
            Step::Gather { who, seconds: number(seconds)?, expected: expected.to_owned() }
        }
        "refused" => Step::Refused(rest.to_owned()),
        "socket" => Step::Socket(rest.to_owned()),
        "frames" => {
            let (frames, path) = rest.split_once(' ').ok_or("frames NUMBER PATH")?;
            Step::Frames { frames: frames.parse().map_err(|_| "a number of frames")?, path: path.to_owned() }
        }
        "text" => Step::Frame { opcode: websocket::TEXT, payload: rest.into() },
        "binary" => Step::Frame { opcode: websocket::BINARY, payload: hex(rest)? },
        "ping" => Step::Frame { opcode: websocket::PING, payload: hex(rest)? },
        "pong" => Step::Frame { opcode: websocket::PONG, payload: hex(rest)? },
        "close" => {
            let code: u16 = rest.parse().map_err(|_| "close CODE")?;
            Step::Frame { opcode: websocket::CLOSE, payload: code.to_be_bytes().to_vec() }
        }
        "came" => {
            let numbered = rest.strip_prefix('#').and_then(|rest| rest.split_once(' '));
            let (socket, expected) = match numbered {
                Some((socket, expected)) => (Some(socket.parse().map_err(|_| "#NUMBER")?), expected),
                None => (None, rest),
            };
            Step::Came { socket, expected: expected.to_owned() }
        }
        "record" => record(rest)?,
        "bytes" => Step::Bytes(hex(rest)?),
        "silence" => Step::Silence,
        "finally" => Step::Finally(rest.to_owned()),
        other => return Err(format!("{other:?} is no step")),
    };
    case.steps.push(Placed { step, place: place.to_owned(), over: over.to_owned() });
    Ok(())
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn expect(case: &mut Case, line: &str) -> Result<(), String> {
    let Some(Placed { step: Step::Ask { expected, .. }, .. }) = case.steps.last_mut() else {
        return Err("an answer without a request".to_owned());
    };
    let (mark, text) = line.split_once(' ').unwrap_or((line, ""));
    let times = match mark {
        "" => Times::Once,
        "!" => Times::Never,
        "..." => Times::Rest,
        "+" => Times::AtLeast(1),
        other => Times::AtLeast(
            other.strip_suffix('+').and_then(|n| n.parse().ok()).ok_or_else(|| format!("<{other}"))?,
        ),
    };
    expected.push(Expected { times, text: text.to_owned() });
    Ok(())
}

fn notify(who: usize, rest: &str) -> Result<Step, String> {
    let (text, within) = match rest.rsplit_once(" @") {
        Some((text, range)) => {
            let (from, to) = range.split_once("..").ok_or("@FROM..TO")?;
            (text, Some((number(from)?, number(to)?)))
        }
        None => (rest, None),
    };
    Ok(Step::Notify { who, expected: text.to_owned(), within })
}

fn deliver(rest: &str) -> Result<Step, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [qos, reply, kind, path] = words[..] else { return Err("deliver qN TOPIC TYPE PATH".to_owned()) };
    let qos = qos.strip_prefix('q').and_then(|qos| qos.parse().ok()).ok_or("q0 or q1")?;
    Ok(Step::Deliver { qos, reply: reply.to_owned(), kind: kind.to_owned(), path: path.to_owned() })
}

fn record(rest: &str) -> Result<Step, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [from, to, path] = words[..] else { return Err("record from=ID to=ID PATH".to_owned()) };
    let after = |word: &str, prefix: &str| word.strip_prefix(prefix).map(str::to_owned);
    let (from, to) = (after(from, "from="), after(to, "to="));
    let (from, to) = from.zip(to).ok_or("record from=ID to=ID PATH")?;
    Ok(Step::Record { from, to, path: path.to_owned() })
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    text.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).map_err(|_| format!("{byte:?}")))
        .collect()
}
