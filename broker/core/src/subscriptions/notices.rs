//! Notifications on their way: sent, sent again until they are confirmed, kept for a Controller that is away.
//!
//! Only the broker retries towards Controllers (R-NOT.1, R-NOT.2, R-NOT.3, R-NOT.4). What a Persistent Subscription owes goes to disk
//! (`saving.rs`, `restoring.rs`); Boot! is made anew at each start; everything else that waits, waits in memory.

use std::time::Duration;

use usp_proto::message;
use usp_proto::usp::notify::{Notification, OnBoardRequest};
use usp_proto::usp::{self, body::MsgBody, request::ReqType, response::RespType};

use super::waiting::Notice;
use super::{Subscription, resend_key};
use crate::access::Kind;
use crate::dm::rows::ObjRef;
use crate::input::ConnId;
use crate::timers::Timer;
use crate::{Broker, Phase};

/// Bytes of undelivered notifications that are kept for one Controller.
const MAX_BYTES: usize = 8 << 20;

/// What waited for a Controller is sent in bursts: at most so many, or so many bytes unless one alone has more, and the
/// next after this pause.
const BURST: usize = 64;
const BURST_BYTES: usize = 1 << 20;
const BURST_PAUSE: Duration = Duration::from_secs(1);

impl Broker {
    /// Sends a notification for a Subscription, and keeps it if it must arrive.
    pub(crate) fn post(&mut self, number: u32, notification: Notification, merge: Option<u64>) {
        let Some(subscription) = self.subs.get(number).cloned() else { return };
        let connected = self.controller_conn(subscription.controller);
        // At the start nobody is connected yet: what the start itself tells waits, even without NotifRetry.
        let of_start = self.phase == Phase::Starting && matches!(notification, Notification::OperComplete(_));
        let waits = (is_boot(&notification) || of_start) && connected.is_none();
        if !subscription.retry && !waits {
            if let Some(conn) = connected {
                let msg_id = self.next_msg_id();
                let msg = notify_message(&msg_id, &subscription.id, false, notification);
                self.send_message(conn, msg, merge);
            }
            return;
        }
        self.keep(number, &subscription, notification, merge, connected);
    }

    fn keep(
        &mut self,
        number: u32,
        subscription: &Subscription,
        notification: Notification,
        merge: Option<u64>,
        connected: Option<ConnId>,
    ) {
        let size = message_size(&subscription.id, &notification);
        self.make_room(subscription.controller, merge, size, connected.is_some());
        let id = self.notices.next();
        let notice = Notice {
            controller: subscription.controller,
            subscription: Some(number),
            subscription_id: subscription.id.clone(),
            msg_id: self.next_msg_id(),
            notification,
            retry: subscription.retry,
            kept: false,
            size,
            tries: 0,
            put_off: false,
            due: None,
            expires: subscription.expiration.map(|after| self.model.now.monotonic + after),
            merge,
        };
        if let Some(at) = notice.expires {
            self.timers.set(at, Timer::Notice(id));
        }
        self.notices.insert(id, notice);
        if subscription.persistent {
            self.save_notice(id);
        }
        if let Some(conn) = connected {
            self.send_notice(id, conn);
        }
    }

    /// Sends an OnBoardRequest: it is sent again until it is confirmed and never expires (R-NOT.6, R-NOT.6a). No
    /// Subscription stands for it, so it names none (R-NOT.7).
    pub(crate) fn post_on_board(&mut self, controller: u32, request: OnBoardRequest) {
        self.forget_on_board(controller);
        let id = self.notices.next();
        let notification = Notification::OnBoardReq(request);
        let notice = Notice {
            controller,
            subscription: None,
            subscription_id: String::new(),
            msg_id: self.next_msg_id(),
            size: message_size("", &notification),
            notification,
            retry: true,
            kept: false,
            tries: 0,
            put_off: false,
            due: None,
            expires: None,
            merge: None,
        };
        self.notices.insert(id, notice);
        if let Some(conn) = self.controller_conn(controller) {
            self.send_notice(id, conn);
        }
    }

    /// The Controller needs no OnBoardRequest any more.
    pub(crate) fn forget_on_board(&mut self, controller: u32) {
        let found = self.notices.of(controller).find(|(_, n)| n.is_on_board()).map(|(id, _)| id);
        if let Some(id) = found {
            self.forget_notice(id);
        }
    }

    /// A newer value replaces an older one of the same Parameter; beyond the limits the oldest give way.
    fn make_room(&mut self, controller: u32, merge: Option<u64>, size: usize, is_there: bool) {
        if let Some(id) = merge.and_then(|key| self.notices.merging(controller, key)) {
            self.forget_notice(id);
        }
        let most = self.config.limits.max_notifications_per_controller;
        let most = self.notices.most(controller, most, is_there);
        loop {
            let (count, bytes) = self.notices.load(controller);
            if count < most && bytes.saturating_add(size) <= MAX_BYTES {
                return;
            }
            let oldest = self.notices.of(controller).find(|(_, n)| !n.is_on_board()).map(|(id, _)| id);
            let Some(oldest) = oldest else { return };
            if self.notices.note_dropped(controller) {
                tracing::warn!(controller, "too many undelivered notifications: the oldest are dropped");
            }
            self.forget_notice(oldest);
        }
    }

    fn send_notice(&mut self, id: u64, conn: ConnId) {
        let Some(notice) = self.notices.get_mut(id) else { return };
        let msg = notify_message(
            &notice.msg_id,
            &notice.subscription_id,
            notice.retry,
            notice.notification.clone(),
        );
        notice.tries += 1;
        notice.put_off = false;
        let (retry, controller, tries, merge) = (notice.retry, notice.controller, notice.tries, notice.merge);
        self.send_message(conn, msg, merge.or_else(|| retry.then(|| resend_key(id))));
        if !retry {
            self.forget_notice(id);
            return;
        }
        let due = self.model.now.monotonic + self.retry_wait(controller, tries);
        if let Some(notice) = self.notices.get_mut(id)
            && let Some(old) = notice.due.replace(due)
        {
            self.timers.clear(old, Timer::Notice(id));
        }
        self.timers.set(due, Timer::Notice(id));
    }

    /// Random in m·(k/1000)^(n-1) … m·(k/1000)^n seconds; from the tenth try the range stays (R-NOT.1, R-NOT.2).
    fn retry_wait(&mut self, controller: u32, tries: u32) -> Duration {
        let row = self.controller_row(controller);
        let number = |name: &str, default: u64| {
            row.as_ref()
                .and_then(|r| self.model.text(r, name))
                .and_then(|t| t.parse().ok())
                .unwrap_or(default)
        };
        let minimum = number("USPNotifRetryMinimumWaitInterval", 5).saturating_mul(1000);
        let multiplier = number("USPNotifRetryIntervalMultiplier", 2000);
        let grow = |from: u64| (0..from).fold(minimum, |ms, _| ms.saturating_mul(multiplier) / 1000);
        let n = u64::from(tries.clamp(1, 10));
        let (low, high) = (grow(n - 1), grow(n));
        Duration::from_millis(self.rng.between(low, high))
    }

    /// A notification is due again, or has expired.
    pub(crate) fn handle_notice_timer(&mut self, id: u64) {
        let now = self.model.now.monotonic;
        let Some(notice) = self.notices.get(id) else { return };
        if notice.expires.is_some_and(|at| at <= now) {
            return self.forget_notice(id);
        }
        if notice.due.is_some_and(|at| at <= now)
            && let Some(conn) = self.controller_conn(notice.controller)
        {
            self.send_notice(id, conn);
        }
    }

    /// A Controller is here: what waited for it is sent, oldest first. All at once could be more than a connection holds
    /// for it, which would end it, each time anew: so only some goes at once, and more with each confirmation, or
    /// after a while.
    pub(crate) fn deliver_waiting(&mut self, controller: u32, conn: ConnId) {
        let waiting: Vec<(u64, usize)> = self.notices.of(controller).map(|(id, n)| (id, n.size)).collect();
        let (mut burst, mut count, mut bytes) = (0, 0, 0);
        for (id, size) in waiting {
            if count > 0 && (count >= BURST || bytes + size > BURST_BYTES) {
                (burst, count, bytes) = (burst + 1, 0, 0);
            }
            (count, bytes) = (count + 1, bytes + size);
            match burst {
                0 => self.send_notice(id, conn),
                _ => self.put_off(id, BURST_PAUSE * burst),
            }
        }
    }

    fn put_off(&mut self, id: u64, wait: Duration) {
        let due = self.model.now.monotonic + wait;
        let Some(notice) = self.notices.get_mut(id) else { return };
        notice.put_off = true;
        if let Some(old) = notice.due.replace(due) {
            self.timers.clear(old, Timer::Notice(id));
        }
        self.timers.set(due, Timer::Notice(id));
    }

    /// One was confirmed: there is room for the next that was put off.
    fn send_next(&mut self, controller: u32) {
        let next = self.notices.of(controller).find(|(_, n)| n.put_off).map(|(id, _)| id);
        if let (Some(id), Some(conn)) = (next, self.controller_conn(controller)) {
            self.send_notice(id, conn);
        }
    }

    /// An answer to a notification came in. Only a NotifyResp confirms it: after anything else it is sent again, as if
    /// nothing had come (R-NOT.6a). R-NOT.9: its subscription_id does not matter. One that nobody asked for changes
    /// nothing (R-NOT.8). `false`: it answers no notification.
    pub(crate) fn handle_notify_answer(
        &mut self,
        controller: Option<u32>,
        msg_id: &str,
        answer: &usp::Msg,
    ) -> bool {
        let of_controller = controller.into_iter().flat_map(|number| self.notices.of(number));
        let found = of_controller.filter(|(_, n)| n.msg_id == msg_id).map(|(id, _)| id).next();
        if let Some(id) = found {
            if !is_confirmation(answer) {
                tracing::debug!(
                    ?controller,
                    msg_id,
                    "a notification is not confirmed by this: it is sent again"
                );
                return true;
            }
            let on_boarded = self.notices.get(id).filter(|n| n.is_on_board()).map(|n| n.controller);
            self.forget_notice(id);
            if let Some(controller) = on_boarded {
                self.on_board_confirmed(controller);
            }
            if let Some(controller) = controller {
                self.save_sooner(controller);
                self.send_next(controller);
            }
        }
        found.is_some()
    }

    /// A notification cannot be sent on the way to its Controller, whenever that is tried. What is retried without end
    /// (R-NOT.6a) stays.
    pub(crate) fn drop_notice(&mut self, controller: u32, msg_id: &str) {
        let meant = |notice: &Notice| notice.msg_id == msg_id && !notice.is_on_board();
        let found = self.notices.of(controller).find(|(_, notice)| meant(notice)).map(|(id, _)| id);
        if let Some(id) = found {
            tracing::warn!(controller, msg_id, "a notification that can never be sent is dropped");
            self.forget_notice(id);
            self.send_next(controller);
        }
    }

    fn forget_notice(&mut self, id: u64) {
        if let Some(notice) = self.take_notice(id) {
            self.unsave_notice(id, &notice);
        }
    }

    pub(super) fn take_notice(&mut self, id: u64) -> Option<Notice> {
        let notice = self.notices.remove(id)?;
        for at in [notice.due, notice.expires].into_iter().flatten() {
            self.timers.clear(at, Timer::Notice(id));
        }
        Some(notice)
    }

    /// The row of a Controller.
    pub(crate) fn controller_row(&self, number: u32) -> Option<ObjRef> {
        Some(ObjRef::new(self.model.table("Device.LocalAgent.Controller.")?, &[number]))
    }
}

/// What a notification is about, and which right it takes to be told; nothing for one that needs none.
pub(super) fn subject_of(notification: &Notification) -> Option<(Kind, String)> {
    Some(match notification {
        Notification::ValueChange(change) => (Kind::Param, change.param_path.clone()),
        Notification::ObjCreation(made) => (Kind::Obj, made.obj_path.clone()),
        Notification::ObjDeletion(gone) => (Kind::InstantiatedObj, gone.obj_path.clone()),
        Notification::OperComplete(done) => {
            (Kind::CommandEvent, format!("{}{}", done.obj_path, done.command_name))
        }
        Notification::Event(event) => {
            (Kind::CommandEvent, format!("{}{}!", event.obj_path, event.event_name.trim_end_matches('!')))
        }
        Notification::OnBoardReq(_) => return None,
    })
}

fn is_confirmation(answer: &usp::Msg) -> bool {
    let Some(MsgBody::Response(response)) = message::body(answer) else { return false };
    matches!(response.resp_type, Some(RespType::NotifyResp(_)))
}

pub(super) fn is_boot(notification: &Notification) -> bool {
    matches!(notification, Notification::Event(e) if e.obj_path == "Device." && e.event_name == "Boot!")
}

/// How large a Notify Message is, but for its msg_id.
pub(super) fn message_size(subscription_id: &str, notification: &Notification) -> usize {
    message::encode(&notify_message("", subscription_id, true, notification.clone())).len()
}

pub(super) fn notify_message(
    msg_id: &str,
    subscription_id: &str,
    send_resp: bool,
    notification: Notification,
) -> usp::Msg {
    let notify = usp::Notify {
        subscription_id: subscription_id.to_owned(),
        send_resp,
        notification: Some(notification),
    };
    message::request(msg_id, ReqType::Notify(notify))
}
