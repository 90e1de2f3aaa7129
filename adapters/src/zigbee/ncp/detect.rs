//! Finds out what kind of coordinator is at the other end, if any.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::serial::wire::Wire;

use super::ash::Ash;
use super::framing::{Event, Framing};
use super::link::now;
use super::mt::Mt;
use super::port::{self, Lost, Opened};
use super::{NcpFault, NcpKind, NcpPort, PortFlow, Way};

/// SYS_PING, and how its answer begins.
const PING: [u8; 2] = [0x21, 0x01];
const PONG: [u8; 2] = [0x61, 0x01];

/// How long an EZSP coordinator may take to say that it has been reset: when it is not known to be one, and when it is said to be.
const RESET: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(9));

/// How long a ZNP coordinator may take to answer at all, and after its bootloader was passed over.
const ANSWER: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(6));

/// How often it is asked.
const PINGS: Duration = Duration::from_millis(500);

/// How long the lines that some adapters have at reset and bootloader are held.
const PIN: Duration = Duration::from_millis(150);

/// Makes the bootloader of a CC2531 start what is behind it. That many set its speed right too.
const SKIP: [u8; 256] = [0xef; 256];

/// How a bootloader of Silicon Labs asks what to do, and what to answer so that it starts what is behind it.
const GECKO: (&[u8], &[u8]) = (b"BL >", b"2");

/// What was found.
pub(super) enum Detected {
    Ezsp(Opened<Ash>),
    Znp(Opened<Mt>),
}

/// Finds out which kind of coordinator there is.
///
/// Errors: the port cannot be opened; there is another kind than was said; nothing is there that is known.
pub(super) async fn detect(port: &NcpPort) -> Result<Detected, NcpFault> {
    let (wire, lost) = port::open(port).await?;
    detect_on(wire, lost, port).await
}

/// The same on a way that is open.
pub(super) async fn detect_on(wire: Wire, lost: Lost, port: &NcpPort) -> Result<Detected, NcpFault> {
    let mut search = Search { wire, lost, tail: Vec::new(), heard: 0 };
    match port.kind {
        Some(NcpKind::Ezsp) => match search.ezsp(RESET.1).await? {
            Some(framing) => Ok(search.found_ezsp(framing)),
            None => Err(search.other(port, NcpKind::Ezsp).await),
        },
        Some(NcpKind::Znp) => match search.znp(port).await? {
            Some(framing) => Ok(search.found_znp(framing)),
            None => Err(search.other(port, NcpKind::Znp).await),
        },
        None => {
            // One that runs answers at once; to the other kind this is noise, and a reset ends that.
            if let Some(framing) = search.pinged(PINGS).await? {
                return Ok(search.found_znp(framing));
            }
            if let Some(framing) = search.ezsp(RESET.0).await? {
                return Ok(search.found_ezsp(framing));
            }
            match search.znp(port).await? {
                Some(framing) => Ok(search.found_znp(framing)),
                None => Err(search.nothing(port)),
            }
        }
    }
}

struct Search {
    wire: Wire,
    lost: Lost,
    /// The last bytes that came.
    tail: Vec<u8>,
    /// How many there were.
    heard: usize,
}

impl Search {
    fn found_ezsp(self, framing: Ash) -> Detected {
        Detected::Ezsp(Opened { wire: self.wire, framing, lost: self.lost })
    }

    fn found_znp(self, framing: Mt) -> Detected {
        Detected::Znp(Opened { wire: self.wire, framing, lost: self.lost })
    }

    /// Whether there is an EZSP coordinator, which has been reset then.
    async fn ezsp(&mut self, within: Duration) -> Result<Option<Ash>, NcpFault> {
        let mut ash = Ash::new(now());
        ash.reset(now());
        let mut until = Instant::now() + within;
        let mut woken = false;
        loop {
            match self.event(&mut ash, until).await? {
                Some(Event::Ready) => return Ok(Some(ash)),
                Some(Event::Gone(why)) if why.contains("ASH") => return Err(NcpFault::Unsupported(why)),
                Some(_) => {}
                None if !woken && self.is_in_bootloader() => {
                    woken = true;
                    self.write(GECKO.1).await?;
                    ash.reset(now());
                    until = Instant::now() + RESET.1;
                }
                None => return Ok(None),
            }
        }
    }

    /// Whether there is a ZNP coordinator.
    async fn znp(&mut self, port: &NcpPort) -> Result<Option<Mt>, NcpFault> {
        if let Some(mt) = self.pinged(ANSWER.0).await? {
            return Ok(Some(mt));
        }
        // Held up by these lines is who has them for that.
        if !matches!(&port.way, Way::Serial { flow: PortFlow::Hardware, .. }) {
            for rts in [false, true, false] {
                self.wire.pins(false, rts);
                sleep(PIN).await;
            }
        }
        self.write(&SKIP).await?;
        self.pinged(ANSWER.1).await
    }

    async fn pinged(&mut self, within: Duration) -> Result<Option<Mt>, NcpFault> {
        let mut mt = Mt::default();
        let until = Instant::now() + within;
        while Instant::now() < until {
            mt.say(now(), PING.to_vec());
            let soon = until.min(Instant::now() + PINGS);
            // That it has been reset is told by a coordinator that has just got its power.
            while let Some(event) = self.event(&mut mt, soon).await? {
                if matches!(&event, Event::Frame(frame) if frame.starts_with(&PONG)) {
                    return Ok(Some(mt));
                }
            }
        }
        Ok(None)
    }

    /// What happens next. `None`: nothing does until then.
    async fn event(&mut self, framing: &mut impl Framing, until: Instant) -> Result<Option<Event>, NcpFault> {
        let mut buffer = [0; 256];
        loop {
            self.write(&framing.output()).await?;
            if let Some(event) = framing.event() {
                return Ok(Some(event));
            }
            let wake = framing.wake().map_or(until, |wake| until.min(Instant::from_std(wake)));
            tokio::select! {
                read = self.wire.read(&mut buffer) => {
                    let count = read.map_err(|error| NcpFault::Gone(self.lost.words(&error)))?;
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.remember(bytes);
                    framing.hear(now(), bytes);
                }
                () = sleep_until(wake) => {
                    if until <= Instant::now() {
                        return Ok(None);
                    }
                    framing.tick(now());
                }
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), NcpFault> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.wire.write(bytes).await.map_err(|error| NcpFault::Gone(self.lost.words(&error)))
    }

    fn remember(&mut self, bytes: &[u8]) {
        const TAIL: usize = 64;
        self.heard += bytes.len();
        self.tail.extend_from_slice(bytes);
        let before = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..before);
    }

    fn is_in_bootloader(&self) -> bool {
        self.tail.windows(GECKO.0.len()).any(|bytes| bytes == GECKO.0)
    }

    /// It is not what was said; perhaps it is the other kind.
    async fn other(mut self, port: &NcpPort, said: NcpKind) -> NcpFault {
        let (other, found) = match said {
            NcpKind::Ezsp => (NcpKind::Znp, self.pinged(ANSWER.0).await.map(|mt| mt.is_some())),
            NcpKind::Znp => (NcpKind::Ezsp, self.ezsp(RESET.0).await.map(|ash| ash.is_some())),
        };
        match found {
            Ok(true) => NcpFault::NotThere(format!(
                "the coordinator at {} does not speak {}, but {}: write `ncp: {}`, or leave `ncp` out",
                port.way,
                name(said),
                name(other),
                other.word(),
            )),
            Ok(false) => self.nothing(port),
            Err(fault) => fault,
        }
    }

    fn nothing(&self, port: &NcpPort) -> NcpFault {
        let way = &port.way;
        let kind = port.kind.map_or("a Zigbee coordinator".to_owned(), |kind| {
            format!("a Zigbee coordinator that speaks {}", name(kind))
        });
        let why = match (way, self.heard) {
            (Way::Serial { baud, .. }, 1..) => format!(
                "what comes from there is not understood; is its speed another one than {baud} (`baud`), or is it something else?"
            ),
            (Way::Serial { .. }, 0) => {
                "nothing comes from there; has it firmware of a coordinator, and not of a router or for Thread?".to_owned()
            }
            (Way::Tcp(_), 1..) => "what comes from there is not understood; is it something else?".to_owned(),
            (Way::Tcp(_), 0) => "nothing comes from there; is another program connected to it?".to_owned(),
        };
        NcpFault::NotThere(format!("there is no answer as of {kind} at {way}: {why}"))
    }
}

/// For people.
fn name(kind: NcpKind) -> &'static str {
    match kind {
        NcpKind::Ezsp => "EZSP (Silicon Labs)",
        NcpKind::Znp => "ZNP (Texas Instruments)",
    }
}
