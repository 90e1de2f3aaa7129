//! What Persistent Subscriptions owed at the end of the process before is taken back (R-NOT.1, R-NOT.2), as far as its Controller
//! may still have it.

use std::time::Duration;

use usp_proto::message;
use usp_proto::path::Path;
use usp_proto::usp::notify::Notification;
use usp_proto::usp::{self, body::MsgBody, request::ReqType};

use super::Subscription;
use super::notices::{message_size, subject_of};
use super::saving::{FORMAT, NEVER, NO_CLOCK, WITHOUT_END};
use super::waiting::Notice;
use crate::Broker;
use crate::access::{Act, Rights};
use crate::output::StoreOp;
use crate::time::{Now, Wall};
use crate::timers::Timer;

/// One as it was on disk.
struct Kept {
    controller: u32,
    subscription_id: String,
    /// It is to be confirmed.
    retry: bool,
    notification: Notification,
    /// How long it is still to be tried; `None`: nothing is known, `Some(None)`: without end.
    left: Option<Option<Duration>>,
}

impl Broker {
    /// The Subscription of one that was on disk, and how long it may last, if it may still be told.
    fn still_owed(&self, kept: &Kept) -> Option<(u32, Option<Duration>)> {
        self.controller_row(kept.controller).filter(|row| self.model.rows.contains(row))?;
        let of_row = |s: &Subscription| s.controller == kept.controller && s.id == kept.subscription_id;
        let (number, subscription) = self.subs.enabled().find(|(_, s)| of_row(s))?;
        let rights = self.rights_of_controller(kept.controller);
        let may = self.may_have(&rights, &kept.notification) || hangs_on_others(&rights, &kept.notification);
        may.then_some((number, subscription.expiration))
    }

    /// Takes back what was on disk at the start.
    pub(crate) fn restore_notices(&mut self, kept: Vec<(u64, Vec<u8>)>) {
        for (id, bytes) in kept {
            self.notices.note(id);
            let kept = decode_kept(&bytes, self.model.now);
            let restored = kept.and_then(|kept| self.still_owed(&kept).map(|owed| (kept, owed)));
            let Some((kept, (number, expiration))) = restored else {
                self.extra_ops.push(StoreOp::DeleteNotification { id });
                continue;
            };
            let Kept { controller, subscription_id, retry, notification, left } = kept;
            let left = left.unwrap_or(expiration);
            let expires = left.map(|left| self.model.now.monotonic + left);
            if let Some(at) = expires {
                self.timers.set(at, Timer::Notice(id));
            }
            let size = message_size(&subscription_id, &notification);
            let notice = Notice {
                controller,
                size,
                subscription: Some(number),
                subscription_id,
                msg_id: self.next_msg_id(),
                notification,
                retry,
                kept: true,
                tries: 0,
                put_off: false,
                due: None,
                expires,
                merge: None,
            };
            self.notices.insert(id, notice);
        }
    }
}

/// At the start neither devices nor Services are there: what a Target with an expression or a reference gives is not known. It
/// was known when this went to disk, and what was taken since is not there any more (`revoking.rs`).
fn hangs_on_others(rights: &Rights, notification: &Notification) -> bool {
    let path = subject_of(notification).and_then(|(kind, text)| Some((kind, Path::parse(&text).ok()?)));
    path.is_some_and(|(kind, path)| rights.could_allow_path(kind, Act::Notify, &path))
}

/// Takes back one. `None`: it cannot be understood, or its time is over.
fn decode_kept(bytes: &[u8], now: Now) -> Option<Kept> {
    let (format, rest) = bytes.split_first()?;
    let (controller, rest) = rest.split_first_chunk::<4>()?;
    let (left, msg) = match *format {
        WITHOUT_END => (None, rest),
        FORMAT => {
            let (left, rest) = rest.split_first_chunk::<8>()?;
            let (written, rest) = rest.split_first_chunk::<8>()?;
            let left = still_left(u64::from_be_bytes(*left), i64::from_be_bytes(*written), now);
            if left == Some(Duration::ZERO) {
                return None;
            }
            (Some(left), rest)
        }
        _ => return None,
    };
    match message::decode(msg)?.body?.msg_body? {
        MsgBody::Request(usp::Request { req_type: Some(ReqType::Notify(notify)) }) => Some(Kept {
            controller: u32::from_be_bytes(*controller),
            subscription_id: notify.subscription_id,
            retry: notify.send_resp,
            notification: notify.notification?,
            left,
        }),
        _ => None,
    }
}

/// The time that the process was not there counts, where a clock can tell it.
fn still_left(left: u64, written: i64, now: Now) -> Option<Duration> {
    let left = Some(left).filter(|left| *left != NEVER).map(Duration::from_millis)?;
    let written = Some(Wall(written)).filter(|wall| wall.0 != NO_CLOCK);
    let away = now.known_wall().zip(written).map_or(0, |(now, written)| now.0.saturating_sub(written.0));
    Some(left.saturating_sub(Duration::from_millis(u64::try_from(away).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_away_counts_where_a_clock_tells_it() {
        let at = |wall, wall_is_true| Now { wall: Wall(wall), wall_is_true, ..Now::default() };
        let left = |left, written, now| still_left(left, written, now).map(|left| left.as_millis());
        assert_eq!(left(5000, 10_000, at(12_000, true)), Some(3000));
        assert_eq!(left(5000, 10_000, at(99_000, true)), Some(0));
        assert_eq!(left(5000, 10_000, at(99_000, false)), Some(5000), "not known yet");
        assert_eq!(left(5000, NO_CLOCK, at(99_000, true)), Some(5000), "not known then");
        assert_eq!(left(5000, 10_000, at(8000, true)), Some(5000), "it went back");
        assert_eq!(left(NEVER, 10_000, at(99_000, true)), None);
    }
}
