//! DTLS 1.2 with a pre-shared key (RFC 4279, RFC 6655: TLS_PSK_WITH_AES_128_CCM_8, as RFC 7252, 9.1.3.1 demands). Pure: datagrams
//! and time go in, datagrams and plain messages come out. The cryptography is dimpl's.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, Error, Output, PskResolver, SecurityError};

/// How long a handshake may take: the device computes little, but packets get lost.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Largest record that is sent: one block with its headers, below what every link carries.
const MTU: usize = 1280;

/// Records that wait at most.
const QUEUE: usize = 64;

/// Why the conversation is over.
const TIME_OUT: &str = "the DTLS handshake was not completed: it does not answer, does not know the identity, or has another key";

/// A key. It is shown nowhere.
#[derive(Clone)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// What a file or variable says: hexadecimal digits after `hex:`, otherwise the bytes as they are. Errors: there is
    /// none; the text of the error says nothing of it.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let key = match text.strip_prefix(b"hex:") {
            Some(digits) => {
                digits_of(digits.trim_ascii()).ok_or("there is no hexadecimal number behind `hex:`")?
            }
            None => text.to_vec(),
        };
        if key.is_empty() { Err("it is empty") } else { Ok(Self(key)) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

fn digits_of(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

/// Gives the key to whoever asks: the identity is ours.
struct Only(Key);

impl PskResolver for Only {
    fn resolve(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(self.0.0.clone())
    }
}

/// Our end of a secure conversation.
pub(crate) struct Secure {
    dtls: Dtls,
    buffer: Vec<u8>,
    connected: bool,
    wake: Option<Instant>,
    transmit: VecDeque<Vec<u8>>,
    plain: VecDeque<Vec<u8>>,
    over: Option<String>,
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("connected", &self.connected).field("over", &self.over).finish()
    }
}

impl Secure {
    /// Begins the handshake.
    pub(crate) fn connect(now: Instant, identity: &str, key: Key) -> Result<Self, String> {
        let config = Config::builder()
            .mtu(MTU)
            .handshake_timeout(HANDSHAKE)
            .max_queue_rx(QUEUE)
            .max_queue_tx(QUEUE)
            .with_psk_client(identity.as_bytes().to_vec(), Arc::new(Only(key)))
            .build()
            .map_err(|error| words(&error))?;
        let mut dtls = Dtls::new_12_psk(Arc::new(config), now);
        dtls.set_active(true);
        let (transmit, plain) = (VecDeque::new(), VecDeque::new());
        let buffer = vec![0; MTU + 256];
        let mut secure = Self { dtls, buffer, connected: false, wake: None, transmit, plain, over: None };
        secure.handle_timeout(now);
        Ok(secure)
    }

    /// Whether the handshake is done.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected && self.over.is_none()
    }

    /// Why nothing can be said any more.
    pub(crate) fn over(&self) -> Option<&str> {
        self.over.as_deref()
    }

    /// When to call [`Secure::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.wake
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front()
    }

    /// The next message of the device.
    pub(crate) fn poll_plain(&mut self) -> Option<Vec<u8>> {
        self.plain.pop_front()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let result = self.dtls.handle_timeout(now);
        self.after(result);
    }

    /// Takes a datagram in.
    pub(crate) fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        let result = self.dtls.handle_timeout(now).and_then(|()| self.dtls.handle_packet(bytes));
        self.after(result);
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, now: Instant, plain: &[u8]) {
        let result = self.dtls.handle_timeout(now).and_then(|()| self.dtls.send_application_data(plain));
        self.after(result.map(|_| ()));
    }

    /// Takes leave.
    pub(crate) fn close(&mut self) {
        if self.is_connected() {
            let result = self.dtls.close();
            self.after(result);
        }
    }

    fn after(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.over.get_or_insert_with(|| words(&error));
            self.wake = None;
        }
        if self.over.is_none() {
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            match self.dtls.poll_output(&mut self.buffer) {
                Output::Packet(packet) if self.transmit.len() < QUEUE => {
                    self.transmit.push_back(packet.to_vec())
                }
                Output::ApplicationData(data) if self.plain.len() < QUEUE => {
                    self.plain.push_back(data.to_vec())
                }
                Output::Connected => self.connected = true,
                Output::BufferTooSmall { needed } if needed <= 1 << 16 => self.buffer.resize(needed, 0),
                Output::CloseNotify | Output::BufferTooSmall { .. } => {
                    self.over.get_or_insert_with(|| "the device has ended the DTLS session".to_owned());
                    return;
                }
                Output::Timeout(at) => {
                    self.wake = Some(at);
                    return;
                }
                _ => {}
            }
        }
    }
}

/// What went wrong, for whoever set the device up.
fn words(error: &Error) -> String {
    match error {
        Error::SecurityError(SecurityError::ExtendedMasterSecretNotNegotiated) => {
            "the device does not know the Extended Master Secret (RFC 7627) that DTLS is only safe with: its software is too old"
                .to_owned()
        }
        Error::SecurityError(SecurityError::FatalAlert { description, .. }) => alert(*description),
        Error::Timeout(_) => TIME_OUT.to_owned(),
        Error::ConnectionClosed => "the DTLS session is over".to_owned(),
        other => format!("DTLS: {other}"),
    }
}

/// RFC 5246, 7.2.2 and RFC 4279, 2.
fn alert(description: u8) -> String {
    match description {
        115 => "the device does not know this identity (DTLS alert unknown_psk_identity)".to_owned(),
        20 | 51 => "the device has another key for this identity (DTLS alert)".to_owned(),
        40 | 47 | 71 => {
            let words = "the device refuses the DTLS handshake: it knows no TLS_PSK_WITH_AES_128_CCM_8, or has another key";
            format!("{words} (alert {description})")
        }
        other => format!("the device ends the DTLS session with alert {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that knows identity `me`.
    struct Device {
        dtls: Dtls,
        buffer: Vec<u8>,
    }

    struct Known(&'static [u8]);

    impl PskResolver for Known {
        fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
            (identity == b"me").then(|| self.0.to_vec())
        }
    }

    impl Device {
        fn new(now: Instant, key: &'static [u8]) -> Self {
            let config = Config::builder().with_psk_server(None, Arc::new(Known(key))).build().unwrap();
            Self { dtls: Dtls::new_12_psk(Arc::new(config), now), buffer: vec![0; 2048] }
        }

        /// What it sends, and what it is told.
        fn outputs(&mut self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
            let (mut packets, mut told) = (Vec::new(), Vec::new());
            loop {
                match self.dtls.poll_output(&mut self.buffer) {
                    Output::Packet(packet) => packets.push(packet.to_vec()),
                    Output::ApplicationData(data) => told.push(data.to_vec()),
                    Output::Timeout(_) => return (packets, told),
                    _ => {}
                }
            }
        }
    }

    /// Carries datagrams to and fro until nobody has any; what the device was told.
    fn carry(now: Instant, ours: &mut Secure, device: &mut Device) -> Vec<Vec<u8>> {
        let mut told = Vec::new();
        loop {
            let sent: Vec<_> = std::iter::from_fn(|| ours.poll_transmit()).collect();
            for packet in &sent {
                device.dtls.handle_timeout(now).ok();
                device.dtls.handle_packet(packet).ok();
            }
            let (packets, heard) = device.outputs();
            told.extend(heard);
            if sent.is_empty() && packets.is_empty() {
                return told;
            }
            packets.iter().for_each(|packet| ours.handle_datagram(now, packet));
        }
    }

    fn key(text: &[u8]) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn messages_go_both_ways_once_the_keys_agree() {
        let now = Instant::now();
        let mut ours = Secure::connect(now, "me", key(b"hex:00ff10")).unwrap();
        let mut device = Device::new(now, &[0, 0xff, 0x10]);
        carry(now, &mut ours, &mut device);
        assert!(ours.is_connected());
        ours.send(now, b"hello");
        let told = carry(now, &mut ours, &mut device);
        assert_eq!(told, [b"hello".to_vec()]);
        device.dtls.send_application_data(b"world").unwrap();
        carry(now, &mut ours, &mut device);
        assert_eq!(ours.poll_plain().as_deref(), Some(&b"world"[..]));
        device.dtls.close().unwrap();
        carry(now, &mut ours, &mut device);
        assert!(ours.over().unwrap().contains("ended"));
    }

    #[test]
    fn another_key_ends_in_words_and_not_in_a_connection() {
        for (identity, device_key) in [("me", &b"another"[..]), ("you", b"secret")] {
            let start = Instant::now();
            let mut ours = Secure::connect(start, identity, key(b"secret")).unwrap();
            let mut device = Device::new(start, device_key);
            let mut now = start;
            while ours.over().is_none() {
                carry(now, &mut ours, &mut device);
                now = ours.poll_timeout().unwrap_or(now + Duration::from_secs(1)).max(now);
                assert!(now - start <= 2 * HANDSHAKE, "{identity}: it has an end");
                ours.handle_timeout(now);
            }
            assert!(!ours.is_connected());
            let words = ours.over().unwrap();
            assert!(words.contains("identity") || words.contains("key"), "{words}");
            assert!(!words.contains("secret"));
        }
    }

    #[test]
    fn noise_does_not_end_a_session() {
        let now = Instant::now();
        let mut ours = Secure::connect(now, "me", key(b"secret")).unwrap();
        let mut device = Device::new(now, b"secret");
        ours.handle_datagram(now, b"\xffno record at all");
        carry(now, &mut ours, &mut device);
        ours.handle_datagram(now, &[0x17, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 3, 1, 2, 3]);
        assert!(ours.is_connected(), "{ours:?}");
    }

    #[test]
    fn keys_are_read_and_never_shown() {
        assert_eq!(key(b"hex: 0aFF ").0, [0x0a, 0xff]);
        assert_eq!(key(b"plain text").0, b"plain text");
        for wrong in [&b""[..], b"hex:", b"hex:1", b"hex:xy"] {
            assert!(Key::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(format!("{:?}", key(b"geheim")), "Key(…)");
        let secure = Secure::connect(Instant::now(), "me", key(b"geheim")).unwrap();
        assert!(!format!("{secure:?}").contains("geheim"));
    }

    #[test]
    fn an_old_device_is_called_so() {
        let error = Error::SecurityError(SecurityError::ExtendedMasterSecretNotNegotiated);
        assert!(words(&error).contains("Extended Master Secret"));
    }
}
