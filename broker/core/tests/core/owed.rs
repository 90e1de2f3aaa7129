//! What a Persistent Subscription with NotifRetry owes its Controller outlives a restart, and wears no flash.

use usp_core::input::{ConnId, Input};

use crate::bench::World;
use crate::bench::disk::Mood;
use crate::bench::peer::set;

const NORTH: &str = "Device.X_Lamp.Zone.[Name==\"north\"].";
const OWED: &str = "v: ValueChange Device.X_Lamp.Zone.1.Level=11";
const NAME: &str = "Device.DeviceInfo.FriendlyName";
const INFO: &str = "Device.DeviceInfo.";

/// A Controller to be told of two Parameters and of other Controllers, and one that changes them.
fn world(more: &[&str]) -> (World, ConnId, ConnId) {
    let mut w = World::new();
    let (told, admin) = (w.controller("self::told"), w.controller("self::admin"));
    let settings: Vec<&str> = ["Persistent=true", "NotifRetry=true"].iter().chain(more).copied().collect();
    w.subscribe_with(told, "v", "ValueChange", INFO, &settings);
    w.subscribe_with(told, "new", "ObjectCreation", "Device.LocalAgent.Controller.", &settings);
    w.subscribe_with(told, "lost", "ValueChange", INFO, &["NotifRetry=true"]);
    (w, told, admin)
}

fn change(w: &mut World, admin: ConnId, value: &str) {
    w.set(admin, INFO, &[&format!("FriendlyName={value}")]);
}

fn make(w: &mut World, admin: ConnId) {
    w.add(admin, "Device.LocalAgent.Controller.", &["EndpointID=self::new"]);
}

fn back(w: World) -> (World, ConnId) {
    let mut w = w.restart_after(20, true);
    let told = w.controller("self::told");
    (w, told)
}

#[test]
fn it_is_told_after_a_crash() {
    // R-NOT.1, R-NOT.2
    let (mut w, told, admin) = world(&[]);
    w.disconnect(told);
    change(&mut w, admin, "x");
    make(&mut w, admin);
    w.wait(1);
    let (mut w, told) = back(w);
    let notes = w.take_notifies(told);
    let texts: Vec<String> = notes.iter().map(|(_, note)| crate::bench::text::notify(note)).collect();
    let made = "new: ObjectCreation Device.LocalAgent.Controller.3. Alias=cpe-3 EndpointID=self::new";
    assert_eq!(texts, [format!("v: ValueChange {NAME}=x"), made.to_owned()]);
    // R-NOT.4: the count of tries begins anew.
    w.wait(10);
    assert_eq!(w.notes(told).len(), 2, "sent again until it is confirmed");
    notes.iter().for_each(|(msg_id, _)| w.confirm(told, msg_id));
    w.wait(1);
    let (mut w, told) = back(w);
    assert!(w.notes(told).is_empty(), "delivered once");
}

#[test]
fn a_stop_keeps_all_of_it_at_once() {
    let (mut w, told, admin) = world(&[]);
    w.disconnect(told);
    change(&mut w, admin, "x");
    w.input(Input::Shutdown);
    let (mut w, told) = back(w);
    assert_eq!(w.notes(told), [format!("v: ValueChange {NAME}=x")]);
}

#[test]
fn what_is_confirmed_at_once_is_never_written() {
    let (mut w, told, admin) = world(&[]);
    for value in ["a", "b", "c"] {
        change(&mut w, admin, value);
        for (msg_id, _) in w.take_notifies(told) {
            w.confirm(told, &msg_id);
        }
        let written = w.disk.batches;
        w.wait(100);
        assert_eq!(w.disk.batches, written);
    }
    assert!(w.disk.snapshot.notifications.is_empty());
}

#[test]
fn the_time_for_it_goes_on_meanwhile() {
    for (away, there) in [(45, true), (55, false)] {
        let (mut w, told, admin) = world(&["NotifExpiration=60"]);
        w.disconnect(told);
        change(&mut w, admin, "x");
        w.wait(10);
        let mut w = w.restart_after(away, true);
        let told = w.controller("self::told");
        assert_eq!(w.notes(told).len(), usize::from(there), "{away}");
        w.wait(20);
        w.take_notifies(told);
        w.wait(1000);
        assert!(w.notes(told).is_empty(), "it has expired");
        assert!(w.disk.snapshot.notifications.is_empty());
    }
}

/// The hub learns the time from the network, and has none yet.
#[test]
fn a_stop_keeps_how_long_it_is_still_owed() {
    for (wait, there) in [(5, true), (15, false)] {
        let (mut w, told, admin) = world(&["NotifExpiration=60"]);
        w.disconnect(told);
        change(&mut w, admin, "x");
        w.wait(50);
        w.input(Input::Shutdown);
        let mut w = w.restart_after(0, false);
        w.wait(wait);
        let told = w.controller("self::told");
        assert_eq!(w.notes(told).len(), usize::from(there), "{wait}");
    }
}

/// A change every ten seconds; how many batches went to disk beside the changes themselves.
fn flood(w: &mut World, admin: ConnId, changes: u64) -> u64 {
    let before = w.disk.batches as u64;
    for n in 1..=changes {
        change(w, admin, &format!("{}-{n}", w.now().as_secs()));
        w.wait(10);
    }
    w.disk.batches as u64 - before - changes
}

#[test]
fn a_flood_for_somebody_who_is_away_is_written_ever_less() {
    let (mut w, told, admin) = world(&[]);
    w.disconnect(told);
    let first = flood(&mut w, admin, 360);
    assert!((8..13).contains(&first), "{first} in the first hour");
    assert!((5..9).contains(&flood(&mut w, admin, 6 * 360)), "and once in each of the next");
    let kept = w.disk.snapshot.notifications.len();
    assert_eq!(kept, 1, "the newest value that was there then");
    let newest = w.get(admin, NAME);
    w.input(Input::Shutdown);
    let (mut w, told) = back(w);
    assert_eq!(w.notes(told), [format!("v: ValueChange {newest}")]);
}

/// Pauses are each Subscription's own.
#[test]
fn a_flood_of_one_subscription_puts_off_what_another_owes_by_nothing() {
    let (mut w, told, admin) = world(&[]);
    w.disconnect(told);
    flood(&mut w, admin, 2 * 360);
    make(&mut w, admin);
    w.wait(1);
    let (mut w, told) = back(w);
    let notes = w.notes(told);
    assert!(notes.iter().any(|note| note.starts_with("new: ObjectCreation")), "{notes:?}");
}

/// Pauses are each Controller's own.
#[test]
fn a_flood_for_one_puts_off_what_another_is_owed_by_nothing() {
    let (mut w, told, admin) = world(&[]);
    let settings = ["Persistent=true", "NotifRetry=true"];
    let other = w.controller("self::other");
    w.subscribe_with(other, "o", "ObjectCreation", "Device.LocalAgent.Controller.", &settings);
    w.disconnect(told);
    flood(&mut w, admin, 2 * 360);
    w.disconnect(other);
    make(&mut w, admin);
    w.wait(1);
    let mut w = w.restart_after(20, true);
    let other = w.controller("self::other");
    assert_eq!(w.notes(other).len(), 1, "a second later it was on disk");
}

#[test]
fn whoever_confirms_again_is_written_for_soon_again() {
    let (mut w, told, admin) = world(&[]);
    w.disconnect(told);
    flood(&mut w, admin, 3 * 360);
    let told = w.controller("self::told");
    for (msg_id, _) in w.take_notifies(told) {
        w.confirm(told, &msg_id);
    }
    w.disconnect(told);
    change(&mut w, admin, "last");
    w.wait(64);
    let (mut w, told) = back(w);
    assert_eq!(w.notes(told), [format!("v: ValueChange {NAME}=last")]);
}

#[test]
fn a_subscription_that_is_gone_owes_nothing() {
    let (mut w, told, admin) = world(&[]);
    w.disconnect(told);
    change(&mut w, admin, "x");
    w.wait(1);
    assert_eq!(w.disk.snapshot.notifications.len(), 1);
    w.delete(admin, &["Device.LocalAgent.Subscription.1."]);
    let (mut w, told) = back(w);
    assert!(w.notes(told).is_empty());
    w.wait(1);
    assert!(w.disk.snapshot.notifications.is_empty());
}

/// Whatever may not be told any more is not told after a power cut either.
#[test]
fn what_was_taken_back_is_off_the_disk_at_once() {
    type TakeBack = fn(&mut World, ConnId);
    let disable: TakeBack = |w, admin| {
        w.set(admin, "Device.LocalAgent.Subscription.1.", &["Enable=false"]);
    };
    let delete: TakeBack = |w, admin| {
        w.delete(admin, &["Device.LocalAgent.Subscription.1."]);
    };
    let forbid: TakeBack = |w, admin| {
        w.set(admin, "Device.LocalAgent.Controller.1.", &["AssignedRole="]);
    };
    for take_back in [disable, delete, forbid] {
        let (mut w, told, admin) = world(&[]);
        w.disconnect(told);
        for value in ["x", "y"] {
            change(&mut w, admin, value);
            w.wait(1);
        }
        assert!(!w.disk.snapshot.notifications.is_empty());
        take_back(&mut w, admin);
        assert!(w.disk.snapshot.notifications.is_empty());
        let (mut w, told) = back(w);
        assert!(w.notes(told).is_empty());
    }
}

/// The power may go right after the change is on disk.
#[test]
fn what_was_taken_back_goes_off_the_disk_with_the_change() {
    let changes = [
        ("Device.LocalAgent.Subscription.1.", "Enable=false"),
        ("Device.LocalAgent.Controller.1.", "AssignedRole="),
        ("Device.LocalAgent.Controller.1.", "ProvisioningCode=me"),
    ];
    for (object, setting) in changes {
        let (mut w, told, admin) = world(&[]);
        w.disconnect(told);
        change(&mut w, admin, "x");
        w.wait(1);
        w.disk.mood = Mood::Slow;
        w.begin(admin, set(false, &[(object, &[setting])]));
        let (_, ops) = w.disk.open.pop().unwrap();
        w.disk.apply(ops);
        assert_eq!(
            w.disk.snapshot.notifications.len(),
            usize::from(setting == "ProvisioningCode=me"),
            "{setting}"
        );
    }
    let (mut w, told, admin) = world(&[]);
    w.disconnect(told);
    change(&mut w, admin, "x");
    w.wait(1);
    w.disk.mood = Mood::Full("full".to_owned());
    assert!(w.set(admin, "Device.LocalAgent.Subscription.1.", &["Enable=false"]).starts_with("Error 7005"));
    assert_eq!(w.disk.snapshot.notifications.len(), 1, "what was not done takes nothing");
}

/// A store may hold what was taken back just before the power went.
#[test]
fn what_is_on_disk_is_told_by_the_rights_of_the_start() {
    type Change = fn(&mut World, ConnId);
    let disable: Change = |w, admin| {
        w.set(admin, "Device.LocalAgent.Subscription.1.", &["Enable=false"]);
    };
    let forbid: Change = |w, admin| {
        w.set(admin, "Device.LocalAgent.Controller.1.", &["AssignedRole="]);
    };
    let rename: Change = |w, admin| {
        w.set(admin, "Device.LocalAgent.Controller.1.", &["Alias=me"]);
    };
    for (what, told_of) in [(disable, false), (forbid, false), (rename, true)] {
        let (mut w, told, admin) = world(&[]);
        w.disconnect(told);
        change(&mut w, admin, "x");
        w.wait(1);
        let kept = w.disk.snapshot.notifications.clone();
        what(&mut w, admin);
        w.disk.snapshot.notifications = kept;
        let (mut w, told) = back(w);
        assert_eq!(w.notes(told).len(), usize::from(told_of));
        w.wait(1);
        assert_eq!(w.disk.snapshot.notifications.len(), usize::from(told_of));
    }
}

/// A Controller that is owed a change of a lamp's first zone by a Target with an expression, and an administrator; the role, and
/// the lamp.
fn owed_by_an_expression() -> (World, ConnId, String, ConnId) {
    let mut w = World::new();
    let (admin, told) = (w.controller("self::admin"), w.controller("self::told"));
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let role = w.add(admin, "Device.LocalAgent.ControllerTrust.Role.", &["Name=L", "Enable=true"]);
    let role = role.split(' ').next().unwrap().to_owned();
    let settings = ["Enable=true", "Order=5", &format!("Targets={NORTH}"), "Param=r--n"];
    w.add(admin, &format!("{role}Permission."), &settings);
    let settings = ["Persistent=true", "NotifRetry=true"];
    w.subscribe_with(told, "v", "ValueChange", "Device.X_Lamp.", &settings);
    w.set(admin, "Device.LocalAgent.Controller.2.", &[&format!("AssignedRole={role}")]);
    w.disconnect(told);
    let changed = usp_proto::usp::notify::ValueChange {
        param_path: "Device.X_Lamp.Zone.1.Level".to_owned(),
        param_value: "11".to_owned(),
    };
    let changed = usp_proto::usp::notify::Notification::ValueChange(changed);
    w.service_notify(s, "ValueChange", "Device.X_Lamp.", changed);
    w.wait(1);
    assert_eq!(w.disk.snapshot.notifications.len(), 1);
    (w, admin, role, s)
}

/// What Services and devices know is not known at the start.
#[test]
fn what_a_target_with_an_expression_gives_is_kept_until_it_is_known() {
    let (w, ..) = owed_by_an_expression();
    let (mut w, told) = back(w);
    assert_eq!(w.notes(told), [OWED]);
}

/// While a Service is away it is not known what a Target means: who has had a right of which nothing is taken keeps what came of it.
#[test]
fn what_hangs_on_a_target_outlives_changes_that_take_nothing_of_it() {
    let deny = |targets| vec!["Enable=true", "Order=6", targets, "Param=----"];
    let give = |targets| vec!["Enable=true", "Order=6", targets, "Param=r--n"];
    for (settings, stays) in [
        (deny("Targets=Device.DeviceInfo."), true),
        (give("Targets=Device.X_Lamp.Zone.[Name==\"south\"]."), true),
        (deny("Targets=Device.X_Lamp.Zone.*.Level"), false),
        (deny("Targets=Device.X_Lamp.Zone.[Name==\"south\"]."), false),
    ] {
        for starts_anew in [false, true] {
            let (mut w, mut admin, role, lamp) = owed_by_an_expression();
            w.disconnect(lamp);
            if starts_anew {
                w = w.restart_after(20, true);
                admin = w.controller("self::admin");
            }
            w.add(admin, &format!("{role}Permission."), &settings);
            assert_eq!(w.disk.snapshot.notifications.len(), usize::from(stays), "{settings:?}");
            let told = w.controller("self::told");
            assert_eq!(w.notes(told).len(), usize::from(stays), "{settings:?}");
        }
    }
    // By another Target in its place.
    let (mut w, admin, role, lamp) = owed_by_an_expression();
    w.disconnect(lamp);
    let south = "Targets=Device.X_Lamp.Zone.[Name==\"south\"].";
    w.set(admin, &format!("{role}Permission.1."), &[south]);
    assert!(w.disk.snapshot.notifications.is_empty());
}
