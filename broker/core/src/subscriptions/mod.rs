//! Subscriptions: the compiled form of `Device.LocalAgent.Subscription.`, and who is told what.

pub mod effects;
mod farewell;
pub(crate) mod flood;
pub(crate) mod leads;
mod matching;
pub mod notices;
mod restoring;
mod revoking;
pub(crate) mod saving;
pub(crate) mod told;
pub mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_proto::err_code::ErrCode;
use usp_proto::path::{Leaf, Name, Path};
use usp_proto::tr106;
use usp_proto::usp::notify::{self, Notification};

use crate::Broker;
use crate::access::{Act, Kind, Rights};
use crate::agent::triggers::TriggerAction;
use crate::dm::compute::UNKNOWN_TIME;
use crate::dm::covers::Element;
use crate::dm::resolve::follows;
use crate::dm::rows::ObjRef;
use crate::time::Mono;
use crate::timers::Timer;

/// `NotifType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotifKind {
    /// ValueChange.
    ValueChange,
    /// ObjectCreation.
    ObjectCreation,
    /// ObjectDeletion.
    ObjectDeletion,
    /// OperationComplete.
    OperationComplete,
    /// Event.
    Event,
}

impl NotifKind {
    const ALL: [Self; 5] =
        [Self::ValueChange, Self::ObjectCreation, Self::ObjectDeletion, Self::OperationComplete, Self::Event];

    /// As the data model spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ValueChange => "ValueChange",
            Self::ObjectCreation => "ObjectCreation",
            Self::ObjectDeletion => "ObjectDeletion",
            Self::OperationComplete => "OperationComplete",
            Self::Event => "Event",
        }
    }

    /// What a notification is; `None` for one that no Subscription brings.
    pub(crate) fn of(notification: &Notification) -> Option<Self> {
        match notification {
            Notification::ValueChange(_) => Some(Self::ValueChange),
            Notification::ObjCreation(_) => Some(Self::ObjectCreation),
            Notification::ObjDeletion(_) => Some(Self::ObjectDeletion),
            Notification::OperComplete(_) => Some(Self::OperationComplete),
            Notification::Event(_) => Some(Self::Event),
            Notification::OnBoardReq(_) => None,
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == text)
    }

    /// Whether a registered path can bring notifications of this kind when an object above it is subscribed.
    pub fn takes(self, registered: &str) -> bool {
        match self {
            Self::ValueChange => registered.ends_with('.') || !registered.ends_with([')', '!']),
            Self::ObjectCreation | Self::ObjectDeletion => registered.ends_with('.'),
            Self::OperationComplete => registered.ends_with('.') || registered.ends_with("()"),
            Self::Event => registered.ends_with('.') || registered.ends_with('!'),
        }
    }

    /// The right that its recipient needs.
    fn right(self) -> Kind {
        match self {
            Self::ValueChange => Kind::Param,
            Self::ObjectCreation => Kind::Obj,
            Self::ObjectDeletion => Kind::InstantiatedObj,
            Self::OperationComplete | Self::Event => Kind::CommandEvent,
        }
    }
}

/// One Subscription, ready for matching.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Number of the recipient's row.
    pub controller: u32,
    /// `ID`.
    pub id: String,
    /// `NotifType`.
    pub kind: NotifKind,
    /// `TriggerAction`.
    pub action: TriggerAction,
    /// `ReferenceList`.
    pub references: Vec<Path>,
    /// Where those lead that Services have to be asked for, as it was found out last.
    pub(crate) led: Vec<Path>,
    /// As far as each of these is nothing but names: outside of that it means nothing at Services.
    pub(crate) stems: BTreeSet<String>,
    /// `Enable`.
    pub enabled: bool,
    /// `NotifRetry`.
    pub retry: bool,
    /// `NotifExpiration`; `None`: never.
    pub expiration: Option<Duration>,
    /// `Persistent`.
    pub persistent: bool,
    /// When TimeToLive ends.
    pub ends: Option<Mono>,
}

/// All of them, by the number of their row.
#[derive(Debug, Default)]
pub struct Subscriptions(BTreeMap<u32, Subscription>);

impl Subscriptions {
    /// The one with this number.
    pub fn get(&self, number: u32) -> Option<&Subscription> {
        self.0.get(&number)
    }

    /// Those that are enabled.
    pub fn enabled(&self) -> impl Iterator<Item = (u32, &Subscription)> {
        self.0.iter().filter(|(_, s)| s.enabled).map(|(n, s)| (*n, s))
    }

    /// Whether anybody is to be told anything of this kind.
    pub fn watches(&self, kind: NotifKind) -> bool {
        self.enabled().any(|(_, s)| s.kind == kind)
    }

    /// Whether a Controller has any.
    pub fn any_of(&self, controller: u32) -> bool {
        self.0.values().any(|s| s.controller == controller)
    }
}

/// Something that Subscriptions can be about.
pub(crate) struct Happening<'a> {
    pub(crate) kind: NotifKind,
    /// Concrete path of the object, Parameter, Command or Event.
    pub(crate) path: &'a Path,
    /// The object, if it is one of ours that still exists.
    pub(crate) at: Option<&'a ObjRef>,
    pub(crate) notification: Notification,
}

impl Broker {
    /// Brings one Subscription in line with its row.
    pub(crate) fn refresh_subscription(&mut self, number: u32) {
        let Some(table) = self.model.table("Device.LocalAgent.Subscription.") else { return };
        let row = ObjRef::new(table, &[number]);
        let before = self.subs.0.remove(&number);
        if let Some(old) = before.as_ref().and_then(|s| s.ends) {
            self.timers.clear(old, Timer::Subscription(number));
        }
        match self.read_subscription(&row) {
            Some(mut subscription) => {
                let same = |s: &Subscription| {
                    (s.controller, &s.references) == (subscription.controller, &subscription.references)
                };
                let before = before.filter(same);
                if let Some(before) = &before {
                    (subscription.led, subscription.stems) = (before.led.clone(), before.stems.clone());
                }
                let is_new = before.is_none();
                if !subscription.enabled {
                    self.drop_notices_of(number);
                }
                if let Some(at) = subscription.ends {
                    self.timers.set(at, Timer::Subscription(number));
                }
                self.subs.0.insert(number, subscription);
                if is_new {
                    self.forget_lead(number);
                }
            }
            None => {
                self.drop_notices_of(number);
                self.forget_lead(number);
            }
        }
    }

    fn read_subscription(&self, row: &ObjRef) -> Option<Subscription> {
        if !self.model.rows.contains(row) {
            return None;
        }
        let text = |name: &str| self.model.text(row, name).unwrap_or_default();
        let seconds = |name: &str| text(name).parse::<u64>().ok().filter(|s| *s > 0).map(Duration::from_secs);
        let references = text("ReferenceList");
        let references: Vec<Path> = tr106::split_list(&references).flat_map(parse_reference).collect();
        Some(Subscription {
            controller: self.model.locate(&text("Recipient"))?.number(),
            id: text("ID"),
            kind: NotifKind::parse(&text("NotifType"))?,
            action: TriggerAction::parse(&text("TriggerAction")),
            led: Vec::new(),
            stems: matching::stems(references.iter().filter(|path| !follows(path))),
            references,
            enabled: text("Enable") == "true",
            retry: text("NotifRetry") == "true",
            expiration: seconds("NotifExpiration"),
            persistent: text("Persistent") == "true",
            ends: seconds("TimeToLive").map(|ttl| self.end_of_life(&text("CreationDate"), ttl)),
        })
    }

    /// TimeToLive counts from CreationDate (N-SUB.4).
    fn end_of_life(&self, created: &str, ttl: Duration) -> Mono {
        // While one of the two times is not known, the Subscription counts as new.
        let known = created != UNKNOWN_TIME && self.model.now.wall_is_true;
        let created = tr106::parse_datetime(created).filter(|_| known);
        let age = created.map_or(0, |ms| self.model.now.wall.0.saturating_sub(ms).max(0));
        let age = Duration::from_millis(age.unsigned_abs());
        self.model.now.monotonic + ttl.saturating_sub(age)
    }

    /// A Subscription's time to live has ended.
    pub(crate) fn expire_subscription(&mut self, number: u32) {
        let due = self.subs.get(number).and_then(|s| s.ends).is_some_and(|at| at <= self.model.now.monotonic);
        if !due {
            return;
        }
        if let Some(table) = self.model.table("Device.LocalAgent.Subscription.") {
            self.remove_row(&ObjRef::new(table, &[number]));
            self.commit(None);
        }
    }

    /// Tells everybody whose Subscription covers what happened: at once, nothing is polled (R-NOT.0a).
    pub(crate) fn emit(&mut self, happening: &Happening<'_>) {
        let interested = self.interested(happening);
        self.emit_to(interested, happening);
    }

    fn emit_to(&mut self, interested: Vec<u32>, happening: &Happening<'_>) {
        for number in interested {
            if self.is_own_creation(number, happening) {
                continue;
            }
            self.notify(number, happening.path, happening.at, happening.notification.clone());
        }
    }

    /// A Subscription on its own table was not there yet when it was made (TP-469 1.57).
    fn is_own_creation(&self, number: u32, happening: &Happening<'_>) -> bool {
        let table = self.model.table("Device.LocalAgent.Subscription.");
        let is_it = |at: &ObjRef| Some(at.object) == table && at.number() == number;
        matches!(happening.kind, NotifKind::ObjectCreation) && happening.at.is_some_and(is_it)
    }

    /// Sends one notification for one Subscription, if its recipient may have it.
    pub(crate) fn notify(
        &mut self,
        number: u32,
        path: &Path,
        at: Option<&ObjRef>,
        notification: Notification,
    ) {
        let Some(subscription) = self.subs.get(number).filter(|s| s.enabled) else { return };
        if self.told.is_over(subscription.controller) {
            return;
        }
        let rights = self.rights_to_hear(subscription.controller);
        let kind = subscription.kind.right();
        let allowed = match at {
            Some(at) => rights.allow(&self.model, kind, Act::Notify, at, &path.leaf),
            None => rights.allow_path(kind, Act::Notify, path),
        };
        if allowed {
            self.tell(number, path, at, notification);
        }
    }

    /// Whether the recipient of a Subscription may hear that a Service's row is gone, by what is known of it.
    fn may_mourn(&self, subscription: &Subscription, row: &Path) -> bool {
        let rights = self.rights_of_controller(subscription.controller).knowing(&self.model.targets);
        rights.allow_path(subscription.kind.right(), Act::Notify, row)
    }

    /// What a Controller may be told, by what Services said last of what its Permissions mean.
    fn rights_to_hear(&self, controller: u32) -> Rights {
        self.rights_of_controller(controller).hearing(&self.model.targets)
    }

    /// The same for a recipient that is known to have the right.
    fn tell(&mut self, number: u32, path: &Path, at: Option<&ObjRef>, notification: Notification) {
        let Some(subscription) = self.subs.get(number) else { return };
        let (action, controller) = (subscription.action, subscription.controller);
        if action.configures {
            self.trigger(number);
        }
        if !action.notifies {
            return;
        }
        let rights = self.rights_to_hear(controller);
        let notification = self.shown_to(&rights, at, path, notification);
        if !self.may_still_tell(controller, &notification) {
            return;
        }
        let merge = match &notification {
            Notification::ValueChange(change) => Some(merge_key(number, &change.param_path)),
            _ => None,
        };
        self.post(number, notification, merge);
    }

    /// What of a notification its recipient may see: a secured Parameter's value, the keys of a new row.
    fn shown_to(
        &self,
        rights: &Rights,
        at: Option<&ObjRef>,
        path: &Path,
        told: Notification,
    ) -> Notification {
        match (told, at, &path.leaf) {
            (Notification::ValueChange(change), Some(at), Leaf::Parameter(name)) => {
                let shown = self.model.secret(at, name).and_then(|_| rights.shown(&self.model, at, name));
                let param_value = shown.unwrap_or(change.param_value);
                Notification::ValueChange(notify::ValueChange { param_value, ..change })
            }
            (Notification::ObjCreation(mut made), _, _) if !rights.is_all() => {
                made.unique_keys.retain(|name, _| match (at, Name::new(name)) {
                    (Some(at), Ok(name)) => rights.may_read(&self.model, at, &name),
                    _ => rights.allow_text(Kind::Param, Act::Read, &format!("{path}{name}")),
                });
                Notification::ObjCreation(made)
            }
            (told, _, _) => told,
        }
    }

    /// A Parameter of ours has a new value.
    pub(crate) fn emit_change(&mut self, at: &ObjRef, name: &str) {
        self.emit_param(at, name, |broker| broker.model.text(at, name));
    }

    /// A Parameter of ours has this new value.
    pub(crate) fn emit_value(&mut self, at: &ObjRef, name: &str, value: String) {
        self.emit_param(at, name, |_| Some(value));
    }

    /// Most changes interest nobody: their values and paths are never written out.
    fn emit_param(&mut self, at: &ObjRef, name: &str, value: impl FnOnce(&Self) -> Option<String>) {
        let kind = NotifKind::ValueChange;
        if !self.subs.watches(kind) {
            return;
        }
        let object = self.model.schema.get(at.object);
        let Some((name, param)) = object.and_then(|o| o.params.get_key_value(name)) else { return };
        if param.quiet {
            return;
        }
        let (name, secured) = (name.clone(), param.secured);
        let element = Element::of(&self.model, at, Leaf::Parameter(name.clone()));
        let interested = self.interested_in(kind, element, Some(at));
        if interested.is_empty() {
            return;
        }
        let Some(value) = value(self) else { return };
        let param_value = if secured { String::new() } else { value };
        let param_path = format!("{}{name}", self.model.path(at));
        let Ok(path) = Path::parse(&param_path) else { return };
        let change = notify::ValueChange { param_path, param_value };
        let notification = Notification::ValueChange(change);
        self.emit_to(interested, &Happening { kind, path: &path, at: Some(at), notification });
    }

    /// A command is complete: its Request row goes, and once that is on disk its subscribers are told. Told earlier, a
    /// power cut could make the next start tell the same command again as interrupted; written later, a notification
    /// that must arrive could be lost. So both are written together, and what is sent waits for that.
    pub(crate) fn complete_command(
        &mut self,
        row: u32,
        command: &str,
        key: &str,
        outcome: notify::operation_complete::OperationResp,
    ) {
        let Ok(path) = Path::parse(command) else { return self.remove_request(row) };
        let Leaf::Command(name) = &path.leaf else { return self.remove_request(row) };
        self.held = Some(Vec::new());
        self.tell_request_end(row, &outcome);
        // Nothing is told of the row after its end.
        let last = self.held.replace(Vec::new()).unwrap_or_default();
        self.remove_request(row);
        self.send_first(last);
        let obj_path = Path { segments: path.segments.clone(), leaf: Leaf::Object }.to_string();
        let at = self.model.locate(&obj_path);
        let done = notify::OperationComplete {
            obj_path,
            command_name: format!("{name}()"),
            command_key: key.to_owned(),
            operation_resp: Some(outcome),
        };
        let notification = Notification::OperComplete(done);
        let kind = NotifKind::OperationComplete;
        self.emit(&Happening { kind, path: &path, at: at.as_ref(), notification });
        let held = self.held.take().unwrap_or_default();
        self.commit_sends(held);
    }

    /// A Request row says how its command ended before it goes.
    fn tell_request_end(&mut self, row: u32, outcome: &notify::operation_complete::OperationResp) {
        if let Some(at) = self.request_row(row) {
            self.put_param(&at, "Status", end_status(outcome).to_owned());
            self.emit_change(&at, "Status");
        }
    }
}

/// The Status with which a Request ends.
fn end_status(outcome: &notify::operation_complete::OperationResp) -> &'static str {
    use notify::operation_complete::OperationResp::{CmdFailure, ReqOutputArgs};
    match outcome {
        ReqOutputArgs(_) => "Success",
        CmdFailure(failure) if failure.err_code == ErrCode::COMMAND_CANCELED.0 => "Canceled",
        CmdFailure(_) => "Error",
    }
}

/// Only the newest value of one Parameter matters to one Subscription.
fn merge_key(number: u32, path: &str) -> u64 {
    hash(number, path.as_bytes())
}

/// A notification that is sent again while it still waits to be sent takes its own place. No Subscription has this number.
fn resend_key(notice: u64) -> u64 {
    hash(0, &notice.to_be_bytes())
}

/// FNV-1a.
pub(crate) fn hash(number: u32, bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(number);
    bytes.iter().fold(start, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

/// A reference may lack its final dot; it is then an object or a Parameter.
pub(crate) fn parse_reference(text: &str) -> Vec<Path> {
    let mut paths: Vec<Path> = Path::parse(text).into_iter().collect();
    if !text.ends_with(['.', ')', '!']) {
        paths.extend(Path::parse(&format!("{text}.")));
    }
    paths
}
