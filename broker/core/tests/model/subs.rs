//! Subscriptions as the reference has them, and what is owed to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_core::input::ConnId;
use usp_proto::message;
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::notify::Notification;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{self, Notify};

use super::apply::TABLES;
use super::history::{End, Owner};
use super::services::about;
use super::town::{TOPS, Town};

/// What Controllers want to know.
pub(crate) const WISHES: [(&str, &str); 19] = [
    ("ValueChange", "Device.DeviceInfo.FriendlyName"),
    ("ValueChange", "Device.DeviceInfo."),
    ("ValueChange", "Device."),
    ("ValueChange", "Device.X_A."),
    ("ValueChange", "Device.X_B.Colour"),
    ("ValueChange", "Device.X_A.,Device.X_A.Colour"),
    ("ValueChange", "Device.X_C.Zone.*.Level"),
    ("ValueChange", "Device.ProxiedDevice.1.IoTCapability.1.LevelSensor.Value"),
    ("ValueChange", "Device.ProxiedDevice.*.IoTCapability.*.LevelSensor.Value,Device.X_B."),
    ("ObjectCreation", "Device."),
    ("ObjectCreation", "Device.LocalAgent.ControllerTrust.Role."),
    ("ObjectCreation", "Device.X_A.Zone.,Device.X_B."),
    ("ObjectDeletion", "Device."),
    ("ObjectDeletion", "Device.LocalAgent.ControllerTrust.Role.*."),
    ("ObjectDeletion", "Device.X_C.Zone.,Device.X_B.Zone.*."),
    ("OperationComplete", "Device."),
    ("OperationComplete", "Device.X_A.Fade()"),
    ("OperationComplete", "Device.X_B."),
    ("OperationComplete", "Device.X_C.Fade(),Device.X_C."),
];

/// Whether what a reference means includes this.
pub(crate) fn covers(reference: &str, path: &str) -> bool {
    let (written, broad) = reference.strip_suffix('.').map_or((reference, false), |w| (w, true));
    let mut parts = path.trim_end_matches('.').split('.');
    let fit = written
        .split('.')
        .all(|w| parts.next().is_some_and(|p| p == w || (w == "*" && p.parse::<u32>().is_ok())));
    fit && (broad || parts.next().is_none())
}

/// One of them.
pub(crate) struct Sub {
    pub(crate) id: String,
    pub(crate) by: usize,
    pub(crate) kind: &'static str,
    pub(crate) references: Vec<&'static str>,
    pub(crate) persistent: bool,
    pub(crate) retry: bool,
    /// End of its TimeToLive, by the world's clock.
    pub(crate) ends: Option<Duration>,
    pub(crate) path: Option<String>,
    pub(crate) added: End,
    pub(crate) deleted: Option<End>,
    /// When it was gone for certain.
    pub(crate) gone: u64,
    /// When it was there for certain.
    pub(crate) since: u64,
    /// From when on everything has reached its Controller, or will: connected, or waited for.
    pub(crate) sure: Option<u64>,
    /// What waits for its Controller in a calm time; of a Parameter's changes the newest.
    kept: Vec<(Option<String>, String)>,
    seen: BTreeSet<String>,
    once: BTreeSet<(String, String)>,
    /// What it was told last, by Parameter.
    pub(crate) told: BTreeMap<String, String>,
    pub(crate) completions: BTreeMap<String, u32>,
}

impl Sub {
    pub(crate) fn wish(wish: usize, by: usize, serial: u32) -> Self {
        let (kind, references) = WISHES[wish % WISHES.len()];
        Self {
            id: format!("s{serial}"),
            by,
            kind,
            references: references.split(',').collect(),
            persistent: false,
            retry: false,
            ends: None,
            path: None,
            added: End::Open,
            deleted: None,
            gone: u64::MAX,
            since: u64::MAX,
            sure: None,
            kept: Vec::new(),
            seen: BTreeSet::new(),
            once: BTreeSet::new(),
            told: BTreeMap::new(),
            completions: BTreeMap::new(),
        }
    }

    pub(crate) fn is_live(&self, now: Duration) -> bool {
        self.added == End::Done && self.deleted.is_none() && self.ends.is_none_or(|at| now < at)
    }

    pub(crate) fn wants(&self, kind: &str, path: &str) -> bool {
        self.kind == kind && self.references.iter().any(|r| covers(r, path))
    }

    /// Everything is delivered and known.
    pub(crate) fn settle(&mut self, now: u64) {
        self.sure = Some(now);
        self.kept.clear();
        self.once.clear();
        self.completions.clear();
    }
}

impl Town {
    /// Something that Subscriptions can be about has happened for certain.
    pub(crate) fn happens(&mut self, kind: &'static str, path: &str, value: &str) {
        if !self.calm {
            return;
        }
        let now = self.w.now();
        for sub in self.subs.iter_mut().filter(|s| s.is_live(now) && s.wants(kind, path)) {
            let text = format!("{}: {kind} {path}{value}", sub.id);
            if self.controllers[sub.by].is_some() {
                self.expected[sub.by].push(text);
            } else if sub.retry {
                let newest = (kind == "ValueChange").then(|| path.to_owned());
                sub.kept.retain(|(of, _)| of.is_none() || *of != newest);
                sub.kept.push((newest, text));
            }
        }
    }

    /// A Parameter has changed for certain.
    pub(crate) fn changed(&mut self, path: &str, value: &str) {
        self.happens("ValueChange", path, &format!("={value}"));
    }

    /// A Controller has come or gone.
    pub(crate) fn presence_changes(&mut self, index: usize) {
        let (here, now, clock) = (self.controllers[index].is_some(), self.tick, self.w.now());
        for sub in self.subs.iter_mut().filter(|s| s.by == index) {
            if !sub.retry {
                sub.sure = here.then_some(now);
            }
            let kept = std::mem::take(&mut sub.kept);
            if here && self.calm && sub.is_live(clock) {
                self.expected[index].extend(kept.into_iter().map(|(_, text)| text));
            } else {
                sub.kept = kept;
            }
        }
    }

    pub(crate) fn subs_over_restart(&mut self) {
        let now = self.tick;
        for sub in &mut self.subs {
            if !sub.persistent {
                (sub.deleted, sub.gone) = (Some(End::Done), now);
            }
            sub.sure = sub.retry.then_some(now);
        }
    }

    /// A Controller reads a Notify.
    pub(crate) fn notified(&mut self, index: usize, conn: ConnId, msg: usp::Msg) {
        let msg_id = message::msg_id(&msg).to_owned();
        let Some(MsgBody::Request(usp::Request { req_type: Some(ReqType::Notify(notify)) })) =
            msg.body.and_then(|b| b.msg_body)
        else {
            return self.fault("a Controller is asked something");
        };
        if notify.send_resp {
            self.w.confirm(conn, &msg_id);
        }
        let text = crate::bench::text::notify(&notify);
        if let Err(fault) = self.take_note(index, msg_id, notify) {
            self.fault(format!("{text}: {fault}"));
        }
    }

    fn take_note(&mut self, index: usize, msg_id: String, notify: Notify) -> Result<(), String> {
        let now = self.w.now();
        let sub = self.subs.iter_mut().find(|s| s.id == notify.subscription_id && s.by == index);
        let sub = sub.ok_or("there was never such a Subscription of this Controller")?;
        if !sub.seen.insert(msg_id) {
            return if sub.retry { Ok(()) } else { Err("sent again".to_owned()) };
        }
        // What came together with the word that it is gone may have been sent before.
        if sub.gone < self.tick {
            return Err("its Subscription is gone".to_owned());
        }
        if sub.ends.is_some_and(|at| now > at + Duration::from_secs(3)) {
            return Err("its time to live is over".to_owned());
        }
        let what = notify.notification.ok_or("it says nothing")?;
        let (kind, path) = about(&what);
        if !sub.wants(kind, &path) {
            return Err("it was not asked for".to_owned());
        }
        let value = match &what {
            Notification::ValueChange(change) => {
                let Some(cell) = self.cells.get(&path) else { return Ok(()) };
                if path.ends_with("LevelControl.Value") {
                    return Ok(());
                }
                if cell.owner == Owner::Broker && !cell.history.can_be_told(&change.param_value) {
                    return Err(format!("it does not hold: {:?}", cell.history));
                }
                if !sub.once.insert((path.clone(), change.param_value.clone())) && !cell.torn {
                    return Err("told twice".to_owned());
                }
                sub.told.insert(path.clone(), change.param_value.clone());
                format!("={}", change.param_value)
            }
            Notification::OperComplete(done) => {
                let told = sub.completions.entry(done.command_key.clone()).or_default();
                *told += 1;
                // What a disk refused to forget, the next start finds again.
                if *told > 1 && !self.forgetful {
                    return Err("told twice".to_owned());
                }
                if !self.commands.contains_key(&done.command_key) {
                    return Err("nobody asked for that".to_owned());
                }
                String::new()
            }
            _ => {
                if !TABLES.iter().any(|(table, ..)| path.starts_with(table)) {
                    return Ok(());
                }
                if !sub.once.insert((path.clone(), kind.to_owned())) {
                    return Err("told twice".to_owned());
                }
                String::new()
            }
        };
        self.got[index].push(format!("{}: {kind} {path}{value}", sub.id));
        Ok(())
    }

    /// In a calm time everything owed has come, and nothing else.
    pub(crate) fn compare_notes(&mut self) {
        for index in 0..self.expected.len() {
            let mut expected = std::mem::take(&mut self.expected[index]);
            let mut got = std::mem::take(&mut self.got[index]);
            expected.sort();
            got.sort();
            if self.calm && expected != got {
                self.fault(format!("self::c{index} is owed {expected:?} and got {got:?}"));
            }
        }
    }

    /// Path of a Service's command.
    pub(crate) fn fade(service: usize) -> String {
        format!("{}Fade()", TOPS[service % TOPS.len()])
    }
}
