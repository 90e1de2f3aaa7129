//! What a host and a coordinator say to each other.

use std::fmt;
use std::time::Duration;

use usp_mapping::mapping::BusAddress;

/// Where a coordinator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NcpPort {
    pub(crate) way: Way,
    /// Of which kind it is, if that is known.
    pub(crate) kind: Option<NcpKind>,
}

/// How a coordinator is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Over a serial port.
    Serial {
        /// Device file, such as `/dev/serial/by-id/usb-ITead_Sonoff_Zigbee_3.0_USB_Dongle_Plus-if00-port0`.
        path: String,
        /// Bits a second; 115200 with nearly all.
        baud: u32,
        flow: PortFlow,
    },
    /// Over TCP: a stick at a serial device server, or a coordinator on the network.
    Tcp(BusAddress),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { path, .. } => f.write_str(path),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// How a serial port holds up its other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PortFlow {
    #[default]
    None,
    /// RTS and CTS.
    Hardware,
    /// XON and XOFF; of EZSP alone.
    Software,
}

/// What a coordinator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NcpKind {
    /// Silicon Labs' EZSP.
    Ezsp,
    /// Texas Instruments' ZNP.
    Znp,
}

impl NcpKind {
    /// As the site file has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ezsp => "ezsp",
            Self::Znp => "znp",
        }
    }
}

/// An IEEE address (EUI-64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ieee(pub(crate) u64);

impl fmt::Display for Ieee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:016x}", self.0)
    }
}

/// A key of 128 bits. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) [u8; 16]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Who a coordinator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NcpInfo {
    pub(crate) kind: NcpKind,
    pub(crate) ieee: Ieee,
    /// For people: `EmberZNet 7.4.3.0 (EZSP 13)`, `Z-Stack 3.x.0 20230507`.
    pub(crate) firmware: String,
}

/// A network that is up. The coordinator has the address 0 in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) pan_id: u16,
    pub(crate) ext_pan_id: Ieee,
    /// 11 to 26.
    pub(crate) channel: u8,
    /// How often the network has been changed (nwkUpdateId).
    pub(crate) update_id: u8,
}

/// A network that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewNetwork {
    /// 11 to 26.
    pub(crate) channel: u8,
    pub(crate) pan_id: u16,
    pub(crate) ext_pan_id: Ieee,
    pub(crate) key: Key,
}

/// A network with all its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backup {
    /// Of the coordinator: devices know their trust centre by it.
    pub(crate) ieee: Ieee,
    pub(crate) network: Network,
    pub(crate) key: Key,
    pub(crate) key_sequence: u8,
    /// Of the network key: no frame with a lower one is believed by any device.
    pub(crate) frame_counter: u32,
    /// With which devices join.
    pub(crate) tc_link_key: Key,
    /// From which the trust centre makes a link key for each device, if it does so.
    pub(crate) tc_seed: Option<TcSeed>,
    /// Those that devices have agreed with the trust centre, as far as the coordinator tells them: EZSP all that do not follow from
    /// the seed (before protocol 13 it takes them back without counters), ZNP those that do.
    pub(crate) link_keys: Vec<LinkKey>,
}

/// How a trust centre makes link keys: each kind has a way of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcSeed {
    pub(crate) kind: NcpKind,
    pub(crate) seed: Key,
}

/// A link key between a device and the trust centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkKey {
    pub(crate) ieee: Ieee,
    pub(crate) key: Key,
    pub(crate) frame_counter: u32,
    pub(crate) peer_frame_counter: u32,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// A device, by its network address.
    Device(u16),
    /// A group.
    #[allow(dead_code, reason = "each device is written to by itself, so that it can confirm it")]
    Group(u16),
    /// All routers (0xfffc), all that are awake (0xfffd), or all devices (0xffff).
    Broadcast(u16),
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aps {
    pub(crate) to: To,
    /// [`HOME_AUTOMATION`](super::HOME_AUTOMATION), or [`ZDO`](super::ZDO).
    pub(crate) profile: u16,
    pub(crate) cluster: u16,
    pub(crate) src_endpoint: u8,
    pub(crate) dst_endpoint: u8,
    /// The number of the transaction. A ZDO message has it as its first byte too.
    pub(crate) sequence: u8,
    pub(crate) payload: Vec<u8>,
    /// Whether the device is to acknowledge it.
    pub(crate) ack: bool,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) from: u16,
    /// If the coordinator says so.
    pub(crate) ieee: Option<Ieee>,
    pub(crate) profile: u16,
    pub(crate) cluster: u16,
    pub(crate) src_endpoint: u8,
    pub(crate) dst_endpoint: u8,
    /// To which it was sent, if to one.
    pub(crate) group: Option<u16>,
    /// Whether it was for everybody.
    pub(crate) broadcast: bool,
    /// ZDO messages begin with the number of their transaction.
    pub(crate) payload: Vec<u8>,
    /// Of the last hop.
    pub(crate) lqi: u8,
    /// Of the last hop, dBm.
    pub(crate) rssi: Option<i8>,
}

/// What happens in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NcpEvent {
    /// A device joined. It has the network key from now on.
    Joined {
        ieee: Ieee,
        nwk: u16,
        /// Through whom, if that is known.
        parent: Option<u16>,
    },
    /// A device that had been there before came back, perhaps with another address.
    Rejoined {
        ieee: Ieee,
        nwk: u16,
        /// Through whom, if that is known.
        parent: Option<u16>,
    },
    /// A device said that it leaves.
    Left { ieee: Ieee, nwk: Option<u16> },
    /// A device said something. Device announcements are ZDO messages (cluster 0x0013) with both kinds.
    Message(Box<Message>),
    /// The network is not there any more, or there again: the coordinator's word for it.
    Network { up: bool, why: String },
    /// Something between the coordinator and the hub got lost, or was not understood.
    Damaged(Damage),
    /// The last event: why the coordinator is not there any more.
    Down(String),
}

/// What got lost, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Frames on the line that could not be understood; of those that follow each other at once one.
    pub(crate) garbled: u64,
    /// Messages that the coordinator or the hub dropped, because there were too many.
    pub(crate) dropped: u64,
    /// How what devices said may have got lost with it; `None`: all that was said is sent again until it has come.
    pub(crate) lost: Option<Loss>,
}

/// How words of devices may have got lost between the coordinator and the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// They were damaged on the line.
    Damaged,
    /// There was no room for them.
    Dropped,
    /// The one or the other.
    Either,
}

impl Loss {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Either }
    }

    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Damaged => "a message was damaged between the coordinator and the hub",
            Self::Dropped => "the coordinator or the hub had no room for a message",
            Self::Either => {
                "messages were damaged between the coordinator and the hub, or found no room there"
            }
        }
    }
}

impl std::ops::AddAssign for Damage {
    fn add_assign(&mut self, other: Self) {
        self.garbled += other.garbled;
        self.dropped += other.dropped;
        let both = self.lost.zip(other.lost).map(|(one, other)| one.and(other));
        self.lost = both.or(self.lost).or(other.lost);
    }
}

/// Most of what `permit_join` can be told.
pub(crate) const LONGEST_PERMIT: Duration = Duration::from_secs(254);
