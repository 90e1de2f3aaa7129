//! Networks of a coordinator: brought up, made, taken over, kept and left. What there is of one is in its memory, and is used
//! after a reset.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::bytes::Write;
use super::super::link::Failure;
use super::super::types::LONGEST_PERMIT;
use super::super::{
    Backup, HOME_AUTOMATION, HOST_ENDPOINT, IN_CLUSTERS, Ieee, Key, NcpFault, NcpKind, Network, NewNetwork,
    OUT_CLUSTERS, TcSeed, random,
};
use super::keys::best_seed;
use super::nib::Nib;
use super::nv::{
    ACTIVE_KEY, ALTERNATE_KEY, APS_EXTENDED_PAN_ID, CHANNELS, EXTADDR, EXTENDED_PAN_ID, NIB, ON_A_NETWORK,
    PAN_ID, PRECONFIGURED_KEY, PRECONFIGURED_KEYS, STARTUP_OPTION, TC_LINK_KEY_SEED,
};
use super::status::Status;
use super::word::UP;
use super::{Command, Znp, expect};

const AF_REGISTER: Command = (0x2400, "take our endpoint");
const PERMIT_JOIN: Command = (0x2536, "let devices join");
const ZDO_CALLBACKS: Command = (0x253e, "tell of ZDO messages");
const DEVICE_INFO: Command = (0x2700, "say how far it is");
const BDB_START: Command = (0x2f05, "start its network");
const BDB_CHANNEL: Command = (0x2f08, "take a channel");

/// How long a network may take to be up.
const START: Duration = Duration::from_secs(60);

/// How often it is asked meanwhile whether it is.
const LOOK: Duration = Duration::from_secs(5);

/// What it is before it starts: not started by itself, and ready.
const IDLE: u32 = 0;
const READY: u32 = 1;

/// How often its memory is looked at until it has the network, and the pauses between.
const SETTLE: (u32, Duration) = (15, Duration::from_secs(1));

/// Coordinators behave so, from their next reset on: item and value.
const SETTINGS: [(u16, u8); 8] = [
    // A coordinator.
    (0x0087, 0),
    // Tells routes to it every two minutes, and remembers those that it learns.
    (0x0032, 1),
    (0x0033, 120),
    (0x0036, 1),
    (0x0038, 255),
    // Forgets no child because it was silent.
    (0x003e, 0),
    // Broadcasts are remembered for 3 s.
    (0x0030, 30),
    // Shows us ZDO messages.
    (0x008f, 1),
];

/// STARTUP_OPTION: what there was is forgotten with the next reset.
const FORGET: u8 = 0x03;

/// The key with which devices join that have no other one. It is built into the firmware.
const WELL_KNOWN: Key = Key(*b"ZigBeeAlliance09");

impl Znp {
    async fn nib(&self) -> Result<Option<Nib>, NcpFault> {
        let Some(bytes) = self.asker().item(NIB).await? else { return Ok(None) };
        Nib::new(bytes).map(Some).ok_or_else(|| {
            NcpFault::Unsupported(
                "the coordinator keeps its network in a form that is not known here".to_owned(),
            )
        })
    }

    /// The network that is in its memory.
    async fn network(&self) -> Result<Option<Network>, NcpFault> {
        let is_on = self.asker().item(ON_A_NETWORK).await?;
        if is_on.is_none_or(|on| on.first() != Some(&1)) {
            return Ok(None);
        }
        Ok(self.nib().await?.and_then(|nib| nib.network()))
    }

    /// Brings up the network that the coordinator remembers.
    pub(super) async fn bring_up(&self) -> Result<Option<Network>, NcpFault> {
        let Some(network) = self.network().await? else { return Ok(None) };
        if self.set_up().await? {
            self.restart().await?;
        }
        self.start().await?;
        match self.network().await? {
            Some(now) if now.ext_pan_id == network.ext_pan_id => Ok(Some(now)),
            _ => Err(NcpFault::NoNetwork("the coordinator started another network than it had".to_owned())),
        }
    }

    /// Whether it is to be reset, because something was set otherwise.
    async fn set_up(&self) -> Result<bool, NcpFault> {
        let mut changed = false;
        for (item, value) in SETTINGS {
            if self.asker().item(item).await?.as_deref() != Some(&[value]) {
                changed = true;
                self.asker().set_item(item, &[value]).await?;
            }
        }
        Ok(changed)
    }

    /// Starts what is in its memory, or forms what it says, and takes our endpoint.
    async fn start(&self) -> Result<(), NcpFault> {
        let (mut listener, end) = (self.hub.listen(), Instant::now() + START);
        let mut has_begun = self.begin().await?;
        // What it tells of that may get lost, as anything.
        while listener.until(LOOK, |state| state == UP).await.is_none() {
            match self.state().await? {
                Some(UP) => break,
                _ if Instant::now() >= end => return Err(not_started(has_begun)),
                Some(IDLE | READY) if !has_begun => has_begun = self.begin().await?,
                _ => {}
            }
        }
        self.register().await
    }

    /// Has it start. Whether it has begun for sure: begun twice it would be refused, so that it is asked for only once.
    async fn begin(&self) -> Result<bool, NcpFault> {
        const FORMATION: u8 = 0x04;
        match self.asker().ask_once(BDB_START, Write::new().u8(FORMATION)).await {
            Ok(answer) => {
                expect(BDB_START, Status(answer.first().copied().unwrap_or_default())).map(|()| true)
            }
            Err(Failure::TooLate) => Ok(false),
            Err(failure) => Err(failure.of(BDB_START.1)),
        }
    }

    /// How far it is; `None`: it does not say.
    async fn state(&self) -> Result<Option<u32>, NcpFault> {
        match self.asker().try_ask(DEVICE_INFO, Write::new()).await {
            // A status, both its addresses, and what it can be stand before it.
            Ok(answer) => Ok(answer.get(12).map(|state| u32::from(*state))),
            Err(Failure::Unknown | Failure::TooLate) => Ok(None),
            Err(failure) => Err(failure.of(DEVICE_INFO.1)),
        }
    }

    async fn register(&self) -> Result<(), NcpFault> {
        /// Home gateway.
        const DEVICE: u16 = 0x0050;
        let count = |clusters: &[u16]| u8::try_from(clusters.len()).unwrap_or_default();
        let body = Write::new()
            .u8(HOST_ENDPOINT)
            .u16(HOME_AUTOMATION)
            .u16(DEVICE)
            // Version, and no wish about latency.
            .u16(0)
            .u8(count(&IN_CLUSTERS))
            .u16s(&IN_CLUSTERS)
            .u8(count(&OUT_CLUSTERS))
            .u16s(&OUT_CLUSTERS);
        match self.asker().status(AF_REGISTER, body).await? {
            Status::DUPLICATE => {}
            status => expect(AF_REGISTER, status)?,
        }
        self.asker().done(ZDO_CALLBACKS, Write::new().u16(0xffff)).await
    }

    /// Makes a new network.
    pub(super) async fn make(&self, new: &NewNetwork) -> Result<Network, NcpFault> {
        self.forget_network().await?;
        let wanted =
            Network { pan_id: new.pan_id, ext_pan_id: new.ext_pan_id, channel: new.channel, update_id: 0 };
        self.write(&wanted, &new.key).await?;
        self.form(&wanted).await?;
        let formed = self.settled().await?;
        if formed == wanted {
            return Ok(formed);
        }
        Err(NcpFault::Refused(
            "form a network",
            format!(
                "there is another one with the PAN ID 0x{:04x} on channel {}; choose another PAN ID or channel",
                wanted.pan_id, wanted.channel
            ),
        ))
    }

    /// What a network is formed from.
    async fn write(&self, network: &Network, key: &Key) -> Result<(), NcpFault> {
        let ext_pan_id = network.ext_pan_id.0.to_le_bytes();
        let asker = self.asker();
        asker.set_item(PAN_ID, &network.pan_id.to_le_bytes()).await?;
        asker.set_item(CHANNELS, &channels(network.channel).to_le_bytes()).await?;
        asker.set_item(EXTENDED_PAN_ID, &ext_pan_id).await?;
        asker.set_item(APS_EXTENDED_PAN_ID, &ext_pan_id).await?;
        asker.set_item(PRECONFIGURED_KEY, &key.0).await?;
        // It is given to devices that join.
        asker.set_item(PRECONFIGURED_KEYS, &[0]).await
    }

    async fn form(&self, network: &Network) -> Result<(), NcpFault> {
        self.set_up().await?;
        self.asker().done(BDB_CHANNEL, Write::new().u8(1).u32(channels(network.channel))).await?;
        self.asker().done(BDB_CHANNEL, Write::new().u8(0).u32(0)).await?;
        self.start().await
    }

    /// The network, once it is in the memory: that takes a moment.
    async fn settled(&self) -> Result<Network, NcpFault> {
        for _ in 0..SETTLE.0 {
            if let Some(network) = self.network().await? {
                return Ok(network);
            }
            sleep(SETTLE.1).await;
        }
        Err(NcpFault::TooLate("keep its network"))
    }

    /// Takes over a network: one by chance is formed, and what the memory has of it is replaced.
    pub(super) async fn take_over(&self, backup: &Backup) -> Result<Network, NcpFault> {
        self.forget_network().await?;
        let key = random()?;
        let [a, b, c, d, e, f, g, h, i, j, ..] = random()?.0;
        let chance = Network {
            pan_id: u16::from_le_bytes([a, b]) & 0x3fff | 1,
            ext_pan_id: Ieee(u64::from_le_bytes([c, d, e, f, g, h, i, j])),
            ..backup.network.clone()
        };
        self.write(&chance, &key).await?;
        self.form(&chance).await?;
        self.settled().await?;
        self.restart().await?;
        self.replace(backup).await?;
        self.restart().await?;
        self.start().await?;
        match self.settled().await? {
            network if network.pan_id == backup.network.pan_id => Ok(network),
            _ => Err(NcpFault::Refused("take over a network", "it started another one".to_owned())),
        }
    }

    async fn replace(&self, backup: &Backup) -> Result<(), NcpFault> {
        let Some(mut nib) = self.nib().await? else { return Err(NcpFault::TooLate("keep its network")) };
        nib.set(&backup.network);
        tracing::debug!(packed = nib.is_packed(), "a Zigbee network is taken over");
        let asker = self.asker();
        asker.set_item(NIB, nib.bytes()).await?;
        self.write(&backup.network, &backup.key).await?;
        let active = Write::new().u8(backup.key_sequence).key(&backup.key).done();
        asker.set_item(ACTIVE_KEY, &active).await?;
        asker.set_item(ALTERNATE_KEY, &active).await?;
        // Devices know their trust centre by its address.
        asker.set_item(EXTADDR, &backup.ieee.0.to_le_bytes()).await?;
        let given = match &backup.tc_seed {
            Some(TcSeed { kind: NcpKind::Znp, seed }) => seed.clone(),
            Some(TcSeed { kind: NcpKind::Ezsp, .. }) | None => random()?,
        };
        let seed = best_seed(&backup.link_keys, given);
        asker.set_item(TC_LINK_KEY_SEED, &seed.0).await?;
        self.set_link_keys(&backup.link_keys, &seed).await?;
        self.set_frame_counter(backup.network.ext_pan_id, backup.frame_counter).await
    }

    /// All that is needed to restore the network.
    pub(super) async fn keep(&self) -> Result<Backup, NcpFault> {
        let none = || NcpFault::NoNetwork("the coordinator has no network".to_owned());
        let network = self.network().await?.ok_or_else(none)?;
        let (key, key_sequence) = self.network_key().await?;
        let seed = self.asker().item(TC_LINK_KEY_SEED).await?;
        let seed = seed.and_then(|seed| seed.first_chunk().copied()).map(Key);
        let link_keys = match &seed {
            Some(seed) => self.link_keys(seed).await?,
            None => Vec::new(),
        };
        Ok(Backup {
            ieee: self.asker().address().await?,
            frame_counter: self.frame_counter_of(network.ext_pan_id).await?,
            network,
            key,
            key_sequence,
            tc_link_key: WELL_KNOWN,
            tc_seed: seed.map(|seed| TcSeed { kind: NcpKind::Znp, seed }),
            link_keys,
        })
    }

    /// Leaves the network and forgets it.
    pub(super) async fn forget_network(&self) -> Result<(), NcpFault> {
        self.asker().delete_item(ON_A_NETWORK).await?;
        self.asker().set_item(STARTUP_OPTION, &[FORGET]).await?;
        self.restart().await?;
        self.asker().set_item(STARTUP_OPTION, &[0]).await
    }

    /// Lets devices join for some time, here and at all routers.
    pub(super) async fn permit(&self, within: Duration) -> Result<(), NcpFault> {
        let seconds = u8::try_from(within.min(LONGEST_PERMIT).as_secs()).unwrap_or(u8::MAX);
        let opened = self.permit_for(seconds).await;
        if opened.is_err() && seconds > 0 {
            // Nobody knows that it is open, in parts.
            let closed = self.permit_for(0).await;
            tracing::debug!(?closed, "a Zigbee network that was not opened is closed");
        }
        opened
    }

    async fn permit_for(&self, seconds: u8) -> Result<(), NcpFault> {
        /// By address, to all.
        const MODES: [(u8, u16); 2] = [(0x02, 0x0000), (0x0f, 0xfffc)];
        let mut told = Ok(());
        for (mode, to) in MODES {
            // With the trust centre's word. Closing goes on whatever becomes of a part.
            let part = self.asker().done(PERMIT_JOIN, Write::new().u8(mode).u16(to).u8(seconds).u8(1)).await;
            told = told.and(part);
        }
        told
    }
}

fn channels(channel: u8) -> u32 {
    1_u32.checked_shl(channel.into()).unwrap_or_default()
}

/// It is not up after all its time.
fn not_started(has_begun: bool) -> NcpFault {
    let why = match has_begun {
        true => "it found no free channel; keep it away from other radios, disks and USB 3.0, on a cable",
        false => "it was told to again and again, and does not begin",
    };
    NcpFault::Refused(BDB_START.1, why.to_owned())
}
