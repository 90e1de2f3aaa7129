//! What a Persistent Subscription with NotifRetry owes its Controller outlives a restart, and wears no flash.

use usp_core::input::{ConnId, Input};

use crate::bench::World;

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

#[test]
fn a_flood_for_somebody_who_is_away_is_written_seldom() {
    let (mut w, told, admin) = world(&[]);
    w.disconnect(told);
    let before = w.disk.batches;
    for n in 0..1200 {
        change(&mut w, admin, &format!("n{n}"));
        w.wait(1);
    }
    let written = w.disk.batches - before - 1200;
    assert!((10..40).contains(&written), "{written} in twenty minutes, beside the changes themselves");
    w.wait(64);
    assert_eq!(w.disk.snapshot.notifications.len(), 1, "the newest value");
    let (mut w, told) = back(w);
    assert_eq!(w.notes(told), [format!("v: ValueChange {NAME}=n1199")]);
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
