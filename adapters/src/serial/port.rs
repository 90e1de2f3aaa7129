//! A serial port: opened for this process alone, and in words that say what to do when that fails.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::termios::{self, InputModes, OptionalActions};
use serial2::{CharSize, FlowControl, KeepSettings, Parity as SerialParity, SerialPort, Settings, StopBits};
use usp_mapping::mapping::{Parity, SerialLine};

/// How long a request may take to be handed over.
const WRITE: Duration = Duration::from_secs(2);

/// Where Linux shows adapters by names that stay the same.
const STABLE_NAMES: &str = "/dev/serial/by-id";

/// Most other ports that a message names.
const OTHERS: usize = 4;

/// An open port that no other program uses.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) serial: SerialPort,
    /// Held as long as the port.
    _lock: File,
    /// Given back when the port is closed.
    _claim: Option<Claim>,
}

/// How long a thread that has lost its bus may take to close its port: as long as an exchange, as a rule.
const HANDOVER: Duration = Duration::from_secs(10);

/// The ports that this process has open, by device number.
static OURS: (Mutex<BTreeSet<u64>>, Condvar) = (Mutex::new(BTreeSet::new()), Condvar::new());

/// A port of this process. A bus that is set anew, to another speed, waits here until its predecessor has closed it.
#[derive(Debug)]
struct Claim(u64);

impl Claim {
    /// `Ok(None)`: there is no such port.
    fn take(port: &str, within: Duration) -> Result<Option<Self>, Problem> {
        let Ok(number) = fs::metadata(port).map(|data| data.rdev()) else { return Ok(None) };
        let (ours, given_back) = &OURS;
        let waited = given_back.wait_timeout_while(known(ours), within, |ours| ours.contains(&number));
        let (mut ours, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if ours.insert(number) { Ok(Some(Self(number))) } else { Err(Problem::Ours) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        known(&OURS.0).remove(&self.0);
        OURS.1.notify_all();
    }
}

fn known(ours: &Mutex<BTreeSet<u64>>) -> MutexGuard<'_, BTreeSet<u64>> {
    ours.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a port cannot be used.
#[derive(Debug)]
enum Problem {
    /// Another bus of this program has it.
    Ours,
    Locked(Option<u32>),
    Io(io::Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens a port. Two programs on one line would take each other's replies for their own: it is locked (flock), and on a
/// real port others are kept out that know of no locks (TIOCEXCL).
///
/// Errors: a sentence that names the port and says what to do.
pub(crate) fn open(line: &SerialLine, flow: FlowControl) -> Result<Port, String> {
    try_open(line, flow).map_err(|problem| words(&line.port, &problem))
}

fn try_open(line: &SerialLine, flow: FlowControl) -> Result<Port, Problem> {
    let claim = Claim::take(&line.port, HANDOVER)?;
    let pseudo = is_pseudo_terminal(&line.port);
    // Whoever has the port goes on with the speed that it has.
    let mut serial = SerialPort::open(&line.port, KeepSettings)?;
    let lock = File::from(serial.as_fd().try_clone_to_owned()?);
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Problem::Locked(owner(&lock))),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    // That of a pseudo-terminal would outlast us for as long as its other side is open.
    if !pseudo {
        termios::ioctl_tiocexcl(&lock).map_err(io::Error::from)?;
    }
    let settings = set(serial.get_configuration()?, line, flow, pseudo)?;
    serial.set_configuration(&settings)?;
    check_parity(&lock, line.parity != Parity::None)?;
    serial.set_write_timeout(WRITE)?;
    serial.discard_buffers()?;
    Ok(Port { serial, _lock: lock, _claim: claim })
}

fn set(mut settings: Settings, line: &SerialLine, flow: FlowControl, pseudo: bool) -> io::Result<Settings> {
    settings.set_raw();
    settings.set_baud_rate(line.baud)?;
    settings.set_char_size(CharSize::Bits8);
    // A pseudo-terminal has no parity to be set, and Linux says so.
    if !pseudo {
        if line.data_bits == 7 {
            settings.set_char_size(CharSize::Bits7);
        }
        settings.set_parity(match line.parity {
            Parity::None => SerialParity::None,
            Parity::Even => SerialParity::Even,
            Parity::Odd => SerialParity::Odd,
        });
        settings.set_stop_bits(if line.stop_bits == 2 { StopBits::Two } else { StopBits::One });
    }
    // Nor has it wires by which it could be held up.
    settings.set_flow_control(if pseudo { FlowControl::None } else { flow });
    Ok(settings)
}

/// A character whose parity bit is wrong becomes NUL, which is no part of any value, and of no frame with the right checksum.
/// Unless it is told so, Linux takes such a character for good; and were it left out, what remains could look whole.
/// Where there is no parity, characters are taken as they come, whoever had the port before.
fn check_parity(port: &File, check: bool) -> io::Result<()> {
    let mut settings = termios::tcgetattr(port)?;
    settings.input_modes.remove(InputModes::PARMRK);
    settings.input_modes.set(InputModes::INPCK, check);
    settings.input_modes.set(InputModes::IGNPAR, !check);
    Ok(termios::tcsetattr(port, OptionalActions::Now, &settings)?)
}

/// A simulator's.
fn is_pseudo_terminal(port: &str) -> bool {
    fs::canonicalize(port).is_ok_and(|path| path.starts_with("/dev/pts"))
}

/// The process that has locked a file.
fn owner(file: &File) -> Option<u32> {
    let (device, inode) = file.metadata().map(|data| (data.dev(), data.ino())).ok()?;
    // As makedev(3) has it.
    let major = (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000);
    let minor = (device & 0xff) | (device >> 12 & 0xffff_ff00);
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_flock = words.next() == Some("FLOCK");
        let owner = words.nth(2)?;
        (is_flock && words.next() == Some(place.as_str())).then(|| owner.parse().ok())?
    })
}

fn words(port: &str, problem: &Problem) -> String {
    let why = match problem {
        Problem::Ours => "another bus of this program uses it; one port is one bus".to_owned(),
        Problem::Locked(Some(owner)) => {
            format!("another program uses it ({}process {owner}); end that one first", name(*owner))
        }
        Problem::Locked(None) => "another program uses it; end that one first".to_owned(),
        Problem::Io(error) => match error.kind() {
            io::ErrorKind::NotFound => {
                format!("there is no such port; is the adapter plugged in?{}", others(Path::new(STABLE_NAMES)))
            }
            io::ErrorKind::PermissionDenied => {
                "no permission; add the user of this program to the group `dialout` and log in again (sudo usermod -aG \
                 dialout USER)"
                    .to_owned()
            }
            io::ErrorKind::ResourceBusy => "another program uses it; end that one first".to_owned(),
            _ if is_no_terminal(error) => format!(
                "it is no serial port; write the path of one, best that in {STABLE_NAMES}/{}",
                others(Path::new(STABLE_NAMES))
            ),
            _ => error.to_string(),
        },
    };
    format!("cannot open {port}: {why}")
}

/// What a process is called: `usp-broker, `.
fn name(process: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    if name.trim().is_empty() { String::new() } else { format!("{}, ", name.trim()) }
}

/// Whether there is a file, a folder or a device of another kind.
fn is_no_terminal(error: &io::Error) -> bool {
    let errors = [Errno::NOTTY, Errno::ISDIR, Errno::INVAL, Errno::NXIO];
    Errno::from_io_error(error).is_some_and(|error| errors.contains(&error))
}

/// The ports that there are instead.
fn others(dir: &Path) -> String {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.path().display().to_string()).collect();
    names.sort();
    names.truncate(OTHERS);
    if names.is_empty() { String::new() } else { format!(" There is {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    fn line(port: &str) -> SerialLine {
        SerialLine { port: port.to_owned(), baud: 9600, parity: Parity::Even, data_bits: 8, stop_bits: 1 }
    }

    #[test]
    fn a_line_belongs_to_one_program() {
        let (_ours, terminal) = SerialPort::pair().unwrap();
        let path = fs::read_link(format!("/proc/self/fd/{}", terminal.as_raw_fd())).unwrap();
        let line = line(path.to_str().unwrap());
        let before = terminal.get_configuration().unwrap().get_baud_rate().unwrap();
        assert_ne!(before, line.baud);
        let first = File::open(&line.port).unwrap();
        first.try_lock().unwrap();
        let refusal = open(&line, FlowControl::None).unwrap_err();
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        let (own, process) = (own.trim(), std::process::id());
        let expected =
            format!("cannot open {}: another program uses it ({own}, process {process})", line.port);
        assert!(refusal.starts_with(&expected), "{refusal}");
        // Whoever has it is not disturbed.
        let settings = terminal.get_configuration().unwrap();
        assert_eq!(settings.get_baud_rate().unwrap(), before);
        drop(first);
        let own = open(&line, FlowControl::None).unwrap();
        let refusal = words(&line.port, &Claim::take(&line.port, Duration::ZERO).unwrap_err());
        assert!(refusal.ends_with("another bus of this program uses it; one port is one bus"), "{refusal}");
        drop(own);
        open(&line, FlowControl::None).unwrap();
    }

    /// A pseudo-terminal has no parity, but keeps what is to be done with a wrong one.
    #[test]
    fn a_wrong_parity_is_looked_for_where_there_is_one() {
        let (_ours, terminal) = SerialPort::pair().unwrap();
        let path = fs::read_link(format!("/proc/self/fd/{}", terminal.as_raw_fd())).unwrap();
        for parity in [Parity::Even, Parity::Odd, Parity::None] {
            let line = SerialLine { parity, ..line(path.to_str().unwrap()) };
            let port = open(&line, FlowControl::None).unwrap();
            let settings = termios::tcgetattr(&port.serial).unwrap();
            let modes = settings.input_modes & (InputModes::INPCK | InputModes::IGNPAR | InputModes::PARMRK);
            let checked = parity != Parity::None;
            let expected = if checked { InputModes::INPCK } else { InputModes::IGNPAR };
            assert_eq!((modes, settings.input_speed()), (expected, 9600), "{parity:?}");
        }
    }

    #[test]
    fn a_port_that_cannot_be_opened_is_named_with_what_to_do() {
        let missing = open(&line("/dev/serial/by-id/usb-none"), FlowControl::None).unwrap_err();
        assert!(
            missing.contains("/dev/serial/by-id/usb-none: there is no such port; is the adapter plugged in?"),
            "{missing}"
        );
        let denied = words("/dev/ttyUSB0", &Problem::Io(io::ErrorKind::PermissionDenied.into()));
        assert!(denied.starts_with("cannot open /dev/ttyUSB0") && denied.contains("dialout"), "{denied}");
        for other in ["/dev/null", "/proc/self/status", "/tmp"] {
            let refusal = open(&line(other), FlowControl::None).unwrap_err();
            assert!(refusal.starts_with(&format!("cannot open {other}: it is no serial port")), "{refusal}");
        }
        assert_eq!(others(Path::new("/proc/self/no-such-folder")), "");
    }
}
