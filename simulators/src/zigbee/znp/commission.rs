//! Forming and starting the network.

use std::time::Duration;

use super::super::air::Air;
use super::super::bytes::{Out, Reader};
use super::super::network::Network;
use super::{STARTS, State, UNKNOWN_COMMAND, Znp, of, status};

/// Commissioning of the network (bdbCommissioning modes), and what came of it.
const FORMATION: u8 = 0x04;
const FORMED: u8 = 0x00;
const IN_PROGRESS: u8 = 0x01;
const FORMATION_FAILED: u8 = 0x08;

/// States that ZDO_STATE_CHANGE_IND tells.
const STARTING: u8 = 0x08;
const STARTED: u8 = 0x09;

/// What an unset PAN ID becomes.
const SOME_PAN: u16 = 0x4b1d;

impl Znp {
    /// APP_CNF: commissioning and its settings.
    pub(super) fn configure(
        &mut self,
        now: Duration,
        id: u8,
        reader: &mut Reader,
        air: &Air,
    ) -> Result<Option<Vec<u8>>, u8> {
        let code = match id {
            0x05 => reader.u8().map(|mode| self.commission(now, mode, air)),
            0x08 => reader.u8().and_then(|primary| {
                let channels = reader.u32()?;
                self.channels = if primary == 0 { self.channels } else { channels };
                Some(status::SUCCESS)
            }),
            0x01..=0x04 | 0x06 | 0x07 | 0x09 | 0x0a => Some(status::SUCCESS),
            0xff => reader.u32().map(|counter| {
                self.items.count(counter);
                status::SUCCESS
            }),
            _ => return Err(UNKNOWN_COMMAND),
        };
        Ok(code.map(|code| vec![code]))
    }

    fn commission(&mut self, now: Duration, mode: u8, _air: &Air) -> u8 {
        if mode & FORMATION == 0 {
            return status::SUCCESS;
        }
        // Who is in a network forms none: it starts the one it has, and says so in this way.
        let known = self.items.network().is_some();
        self.commissioning = Some(if known { FORMATION_FAILED } else { FORMED });
        self.begin(now);
        status::SUCCESS
    }

    fn begin(&mut self, now: Duration) {
        if self.state == State::Started {
            self.announce_start();
        } else {
            self.notify(of::ZDO, 0xc0, vec![STARTING]);
            self.tell_commissioning(IN_PROGRESS, FORMATION);
            self.state = State::Starting(now + STARTS);
        }
    }

    fn tell_commissioning(&mut self, status: u8, remaining: u8) {
        if self.commissioning.is_some() {
            let data = Out::new().u8(status).u8(FORMATION).u8(remaining).done();
            self.notify(of::APP_CONFIG, 0x80, data);
        }
    }

    fn announce_start(&mut self) {
        self.notify(of::ZDO, 0xc0, vec![STARTED]);
        let outcome = self.commissioning.unwrap_or(FORMED);
        self.tell_commissioning(outcome, 0);
        self.commissioning = None;
    }

    /// ZDO_STARTUP_FROM_APP: whether the network is restored, new, or not started.
    pub(super) fn start_up(&mut self, now: Duration) -> u8 {
        let known = self.items.network().is_some();
        self.begin(now);
        u8::from(!known)
    }

    /// The network comes up when its time has come.
    pub(super) fn go_on_starting(&mut self, now: Duration, air: &mut Air) {
        let State::Starting(at) = self.state else { return };
        if now < at {
            return;
        }
        if self.items.network().is_none() {
            let network = self.formed();
            self.items.keep_network(&network, 0);
        }
        if let Some(network) = self.items.network() {
            let counter = self.items.counter();
            self.items.count(counter);
            air.hold = Duration::from_millis(7680);
            air.lets_in = true;
            air.up(now, network, counter);
        }
        self.state = State::Started;
        self.announce_start();
    }

    fn formed(&self) -> Network {
        let (pan, extended, key, listed) = self.items.wanted();
        let channels = if self.channels == 0 { listed } else { self.channels };
        let channel = (11..=26).find(|channel| channels >> channel & 1 == 1).unwrap_or(11);
        let pan = if pan == 0xffff { SOME_PAN } else { pan };
        Network { pan, extended, channel, key, key_sequence: 0 }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Started
    }
}
