//! Networks of a coordinator: brought up, made, taken over, kept and left.

use std::time::Duration;

use super::super::bytes::{Read, Write};
use super::super::types::LONGEST_PERMIT;
use super::super::{
    Aps, Backup, Ieee, Key, NcpFault, NcpKind, Network, NewNetwork, TcSeed, To, Undelivered, ZDO, random,
};
use super::keys::{self, WELL_KNOWN};
use super::status::Status;
use super::{Asker, Command, Ezsp, expect, short};

const SET_CONCENTRATOR: Command = (0x0010, "become a concentrator");
const NETWORK_INIT: Command = (0x0017, "bring its network up");
const NETWORK_STATE: Command = (0x0018, "say whether it has a network");
const FORM_NETWORK: Command = (0x001e, "form a network");
const LEAVE_NETWORK: Command = (0x0020, "leave its network");
const PERMIT_JOINING: Command = (0x0022, "let devices join");
const NETWORK_PARAMETERS: Command = (0x0028, "tell of its network");
const SET_POLICY: Command = (0x0055, "follow a policy");
const SOURCE_ROUTE_DISCOVERY: Command = (0x005a, "look for source routes");
const SET_SECURITY: Command = (0x0068, "take the keys of a network");
const GET_SECURITY: Command = (0x0069, "tell of the security of its network");
const TOKEN_FACTORY_RESET: Command = (0x0077, "forget its network");
const SET_VALUE: Command = (0x00ab, "take the frame counter");
const CLEAR_KEY_TABLE: Command = (0x00b1, "forget its link keys");
const GET_TOKEN: Command = (0x0102, "say whether its address can be changed");
const SET_TOKEN: Command = (0x0103, "take another address");

/// How long a network may take to be up or down.
const CHANGE: Duration = Duration::from_secs(12);

/// EZSP_VALUE_NWK_FRAME_COUNTER, and EZSP_VALUE_APS_FRAME_COUNTER of the trust centre.
const FRAME_COUNTERS: [u8; 2] = [0x23, 0x24];

/// Where an address that is not the chip's own is kept (NVM3), in firmware on the chip and on a host.
const RESTORED_EUI64: [u32; 2] = [0xe12a, 0x1_e12a];

/// What is done when devices ask (EzspPolicyId, EzspDecisionId).
const POLICIES: [(u8, u8); 5] = [
    (TRUST_CENTRE, REJOINS),
    // Bindings of ours are only changed where they can be true.
    (0x01, 0x12),
    // What was sent is told without its contents.
    (0x04, 0x40),
    // Whoever asks for the trust centre's key gets it, as Zigbee 3.0 wants; keys between devices are not given.
    (0x05, 0x51),
    (0x06, 0x60),
];
const TRUST_CENTRE: u8 = 0x00;
/// Who was here before may come back.
const REJOINS: u8 = 0x02;
/// New devices too.
const JOINS: u8 = 0x03;

/// `EmberInitialSecurityBitmask`: link keys are made from a seed, the network key is sent encrypted, both are given, and
/// counters are not reset.
const SECURITY: u16 = 0x0084 | 0x0800 | 0x0100 | 0x0200 | 0x1000;

/// `EmberCurrentSecurityBitmask`: link keys are made from a seed.
const HASHED: u16 = 0x0084;

impl Ezsp {
    /// Brings up the network that the coordinator remembers.
    pub(super) async fn bring_up(&self) -> Result<Option<Network>, NcpFault> {
        if !self.ensure_up().await? {
            return Ok(None);
        }
        let network = self.parameters().await?;
        self.behave().await?;
        Ok(Some(network))
    }

    /// Whether there is a network; it is up then.
    async fn ensure_up(&self) -> Result<bool, NcpFault> {
        const JOINED: u8 = 2;
        let state = self.asker().ask(NETWORK_STATE, Write::new()).await?;
        if Read(&state).u8() == Some(JOINED) {
            return Ok(true);
        }
        let mut listener = self.hub.listen();
        match self.asker().status(NETWORK_INIT, Write::new().u16(0)).await? {
            Status::NOT_JOINED => return Ok(false),
            status => expect(NETWORK_INIT, status)?,
        }
        let up = listener.until(CHANGE, |state| Status(state) == Status::NETWORK_UP).await;
        up.map(|_| true).ok_or(NcpFault::TooLate(NETWORK_INIT.1))
    }

    async fn parameters(&self) -> Result<Network, NcpFault> {
        const COORDINATOR: u8 = 1;
        let answer = self.asker().ask(NETWORK_PARAMETERS, Write::new()).await?;
        let mut read = Read(&answer);
        let status = self.asker().read_status(&mut read).ok_or_else(|| short(NETWORK_PARAMETERS))?;
        expect(NETWORK_PARAMETERS, status)?;
        let (role, network) = network(read).ok_or_else(|| short(NETWORK_PARAMETERS))?;
        if role == COORDINATOR {
            return Ok(network);
        }
        Err(NcpFault::NoNetwork("the stick is a router or a device in somebody else's network".to_owned()))
    }

    /// Policies and routes, which a coordinator does not remember.
    async fn behave(&self) -> Result<(), NcpFault> {
        for (policy, decision) in POLICIES {
            self.policy(policy, decision).await?;
        }
        // With much memory; routes are made known every 10 to 60 s, and anew after 3 errors or a failure (UG100).
        let concentrator = Write::new().u8(1).u16(0xfff9).u16(10).u16(60).u8(3).u8(1).u8(0);
        self.asker().done(SET_CONCENTRATOR, concentrator).await?;
        // Its answer is a time.
        self.asker().ask(SOURCE_ROUTE_DISCOVERY, Write::new().u8(1)).await.map(drop)
    }

    async fn policy(&self, policy: u8, decision: u8) -> Result<(), NcpFault> {
        let status = self.asker().status(SET_POLICY, Write::new().u8(policy).u8(decision)).await?;
        if policy == TRUST_CENTRE {
            return expect(SET_POLICY, status);
        }
        if status != Status::OK {
            tracing::debug!(policy, status = status.words(), "a coordinator does not follow a policy");
        }
        Ok(())
    }

    /// Makes a new network.
    pub(super) async fn make(&self, new: &NewNetwork) -> Result<Network, NcpFault> {
        self.forget_network().await?;
        let network =
            Network { pan_id: new.pan_id, ext_pan_id: new.ext_pan_id, channel: new.channel, update_id: 0 };
        self.take_keys(&Keys { network: &new.key, sequence: 0, seed: &random()? }).await?;
        self.begin(&network).await
    }

    /// Takes over a network.
    pub(super) async fn take_over(&self, backup: &Backup) -> Result<Network, NcpFault> {
        self.forget_network().await?;
        self.take_address(backup.ieee).await?;
        self.take_counters(backup.frame_counter).await?;
        let seed = match &backup.tc_seed {
            Some(TcSeed { kind: NcpKind::Ezsp, seed }) => seed.clone(),
            // Link keys of the other kind do not follow from a seed here; those are in the list.
            Some(TcSeed { kind: NcpKind::Znp, .. }) | None => random()?,
        };
        self.take_keys(&Keys { network: &backup.key, sequence: backup.key_sequence, seed: &seed }).await?;
        keys::take_link_keys(self.asker(), &backup.link_keys).await?;
        self.begin(&backup.network).await
    }

    /// No frame of before is to be repeated. Each that the trust centre encrypts for a device goes in one of the network, so that
    /// the network's number is no lower than the trust centre's own.
    async fn take_counters(&self, counter: u32) -> Result<(), NcpFault> {
        for id in FRAME_COUNTERS {
            self.asker().done(SET_VALUE, Write::new().u8(id).counted(&counter.to_le_bytes())).await?;
        }
        Ok(())
    }

    async fn take_keys(&self, keys: &Keys<'_>) -> Result<(), NcpFault> {
        let security =
            Write::new().u16(SECURITY).key(keys.seed).key(keys.network).u8(keys.sequence).ieee(Ieee(0));
        self.asker().done(SET_SECURITY, security).await
    }

    async fn begin(&self, network: &Network) -> Result<Network, NcpFault> {
        let mut listener = self.hub.listen();
        self.asker().done(FORM_NETWORK, parameters(network)).await?;
        let up = listener.until(CHANGE, |state| Status(state) == Status::NETWORK_UP).await;
        up.ok_or(NcpFault::TooLate(FORM_NETWORK.1))?;
        self.behave().await?;
        self.parameters().await
    }

    /// Takes over the address of another coordinator, which devices know their trust centre by.
    async fn take_address(&self, ieee: Ieee) -> Result<(), NcpFault> {
        if ieee == self.address().await? {
            return Ok(());
        }
        let Some(token) = self.address_token().await? else {
            return Err(NcpFault::Unsupported(format!(
                "this network belongs to the coordinator {ieee}, whose address this one cannot take over with its firmware; \
                 use that one, update the firmware of this one, or form a new network"
            )));
        };
        let body = Write::new().u32(token).u32(0).u32(8).ieee(ieee);
        self.asker().done(SET_TOKEN, body).await?;
        self.restart().await?;
        if ieee == self.address().await? {
            return Ok(());
        }
        Err(NcpFault::Refused(SET_TOKEN.1, "it keeps to its own".to_owned()))
    }

    async fn address(&self) -> Result<Ieee, NcpFault> {
        const GET_EUI64: Command = (0x0026, "say its address");
        let answer = self.asker().ask(GET_EUI64, Write::new()).await?;
        Read(&answer).ieee().ok_or_else(|| short(GET_EUI64))
    }

    /// Where the firmware keeps another address, if it can.
    async fn address_token(&self) -> Result<Option<u32>, NcpFault> {
        for token in RESTORED_EUI64 {
            let asked = self.asker().try_ask(GET_TOKEN, Write::new().u32(token).u32(0)).await;
            let answer = match asked {
                Ok(answer) => answer,
                Err(super::Failure::Unknown) => return Ok(None),
                Err(failure) => return Err(failure.of(GET_TOKEN.1)),
            };
            if self.asker().read_status(&mut Read(&answer)) == Some(Status::OK) {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// All that is needed to restore the network.
    pub(super) async fn keep(&self) -> Result<Backup, NcpFault> {
        let asker = self.asker();
        let network = self.parameters().await?;
        let keys::NetworkKey { key, sequence, frame_counter } = keys::network_key(asker).await?;
        let trust_centre = keys::trust_centre_key(asker).await?;
        let hashed = hashed(asker).await?;
        Ok(Backup {
            ieee: self.address().await?,
            network,
            key,
            key_sequence: sequence,
            frame_counter,
            tc_link_key: if hashed { WELL_KNOWN } else { trust_centre.clone() },
            tc_seed: hashed.then_some(TcSeed { kind: NcpKind::Ezsp, seed: trust_centre }),
            link_keys: keys::link_keys(asker).await?,
        })
    }

    /// Leaves the network and forgets it.
    pub(super) async fn forget_network(&self) -> Result<(), NcpFault> {
        self.replace_closing(None);
        if self.ensure_up().await? {
            let mut listener = self.hub.listen();
            let options = if self.version.get() < 14 { Write::new() } else { Write::new().u8(0) };
            self.asker().done(LEAVE_NETWORK, options).await?;
            let down = listener.until(CHANGE, |state| Status(state) == Status::NETWORK_DOWN).await;
            down.ok_or(NcpFault::TooLate(LEAVE_NETWORK.1))?;
        }
        self.asker().status(CLEAR_KEY_TABLE, Write::new()).await?;
        if self.version.get() >= 13 {
            match self.asker().try_ask(TOKEN_FACTORY_RESET, Write::new().u8(0).u8(0)).await {
                Ok(_) => self.restart().await?,
                Err(super::Failure::Unknown) => {}
                Err(failure) => return Err(failure.of(TOKEN_FACTORY_RESET.1)),
            }
        }
        Ok(())
    }

    /// Lets devices join for some time.
    pub(super) async fn permit(&self, within: Duration) -> Result<(), NcpFault> {
        let within = within.min(LONGEST_PERMIT);
        let seconds = u8::try_from(within.as_secs()).unwrap_or(u8::MAX);
        self.replace_closing(None);
        if seconds == 0 {
            return self.close().await;
        }
        let opened = self.open(seconds).await;
        match opened {
            Ok(()) => self.close_after(within),
            // Nobody knows that it is open, in parts.
            Err(_) => self
                .close()
                .await
                .unwrap_or_else(|error| tracing::debug!(%error, "a Zigbee network was not closed")),
        }
        opened
    }

    async fn open(&self, seconds: u8) -> Result<(), NcpFault> {
        keys::allow_joins(self.asker()).await?;
        self.policy(TRUST_CENTRE, JOINS).await?;
        self.asker().done(PERMIT_JOINING, Write::new().u8(seconds)).await?;
        self.tell_routers(seconds).await
    }

    /// Each part of it, whatever becomes of the others.
    async fn close(&self) -> Result<(), NcpFault> {
        let here = self.asker().done(PERMIT_JOINING, Write::new().u8(0)).await;
        let policy = self.policy(TRUST_CENTRE, REJOINS).await;
        let routers = self.tell_routers(0).await;
        here.and(policy).and(routers)
    }

    /// Routers let devices join too, or not any more (Mgmt_Permit_Joining_req).
    async fn tell_routers(&self, seconds: u8) -> Result<(), NcpFault> {
        let message = Aps {
            to: To::Broadcast(0xfffc),
            profile: ZDO,
            cluster: 0x0036,
            src_endpoint: 0,
            dst_endpoint: 0,
            sequence: 0,
            // With the trust centre's word.
            payload: vec![0, seconds, 1],
            ack: false,
        };
        self.deliver(message, None).await.map_err(|undelivered| match undelivered {
            Undelivered::Coordinator(fault) => fault,
            other => NcpFault::Refused("tell the routers", other.to_string()),
        })
    }

    /// The trust centre takes in nobody new any more once the time is over, whoever lets devices join.
    fn close_after(&self, within: Duration) {
        let own = self.own.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(within + Duration::from_secs(2)).await;
            if let Some(own) = own.upgrade()
                && let Err(error) = own.policy(TRUST_CENTRE, REJOINS).await
            {
                tracing::debug!(%error, "a Zigbee network was not closed");
            }
        });
        self.replace_closing(Some(task.abort_handle()));
    }

    pub(super) fn replace_closing(&self, task: Option<tokio::task::AbortHandle>) {
        let mut closing = self.closing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(before) = std::mem::replace(&mut *closing, task) {
            before.abort();
        }
    }

    /// Forgets the link key of a device.
    pub(super) async fn forget_key(&self, ieee: Ieee) -> Result<(), NcpFault> {
        keys::forget(self.asker(), ieee).await
    }
}

/// The keys of a network.
struct Keys<'a> {
    network: &'a Key,
    sequence: u8,
    /// What link keys are made from.
    seed: &'a Key,
}

async fn hashed(asker: Asker<'_>) -> Result<bool, NcpFault> {
    let answer = asker.ask(GET_SECURITY, Write::new()).await?;
    let mut read = Read(&answer);
    let status = asker.read_status(&mut read).ok_or_else(|| short(GET_SECURITY))?;
    expect(GET_SECURITY, status)?;
    Ok(read.u16().ok_or_else(|| short(GET_SECURITY))? & HASHED == HASHED)
}

/// `EmberNetworkParameters`.
fn parameters(network: &Network) -> Write {
    /// dBm.
    const POWER: u8 = 8;
    Write::new()
        .ieee(network.ext_pan_id)
        .u16(network.pan_id)
        .u8(POWER)
        .u8(network.channel)
        // How to join, the network's manager.
        .u8(0)
        .u16(0)
        .u8(network.update_id)
        .u32(1_u32.checked_shl(network.channel.into()).unwrap_or_default())
}

/// The role in a network, and the network.
fn network(mut read: Read<'_>) -> Option<(u8, Network)> {
    let (role, ext_pan_id, pan_id) = (read.u8()?, read.ieee()?, read.u16()?);
    let (_power, channel, _join) = (read.u8()?, read.u8()?, read.u8()?);
    let (_manager, update_id) = (read.u16()?, read.u8()?);
    Some((role, Network { pan_id, ext_pan_id, channel, update_id }))
}
