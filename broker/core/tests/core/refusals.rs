//! What a Service refuses, and what the broker itself could not ask, is tried again.

use usp_core::input::ConnId;
use usp_proto::usp::operate_resp::operation_result::OperationResp;

use crate::bench::peer::get;
use crate::bench::service::{Manner, lamp};
use crate::bench::{World, config};

/// A world in which a Service is asked one thing at a time.
fn narrow() -> World {
    let mut config = config();
    config.limits.max_pending_per_service = 1;
    World::with(config)
}

/// Controllers ask a Service that does not answer until there is no room for anybody.
fn crowd(w: &mut World, s: ConnId) {
    w.manner(s, Manner::Silent);
    for n in 0..4 {
        let c = w.controller(&format!("self::crowd-{n}"));
        for _ in 0..5 {
            w.begin(c, get(&["Device.X_Lamp.Colour"], 0));
        }
    }
}

fn holds(w: &World, s: ConnId, kind: &str, path: &str) -> bool {
    w.services[&s].subscriptions().contains_key(&(kind.to_owned(), path.to_owned()))
}

#[test]
fn one_message_that_a_service_refuses_ends_nothing() {
    for changes in [true, false] {
        let mut w = World::new();
        let c = w.controller("self::c");
        let s = w.lamp("self::lamp", "Device.X_Lamp.");
        w.manner(s, Manner::Refuses(7005));
        w.subscribe(c, "a", "ValueChange", "Device.X_Lamp.Colour");
        w.manner(s, Manner::Good);
        match changes {
            true => drop(w.subscribe(c, "b", "ObjectCreation", "Device.X_Lamp.Zone.")),
            false => w.wait(31),
        }
        assert!(holds(&w, s, "ValueChange", "Device.X_Lamp.Colour"), "{:?}", w.services[&s].subscriptions());
        assert!(holds(&w, s, "OperationComplete", "Device.X_Lamp."));
        assert_eq!(holds(&w, s, "ObjectCreation", "Device.X_Lamp.Zone."), changes);
        let asked = w.services[&s].asked.len();
        w.wait(7200);
        assert_eq!(w.services[&s].asked.len(), asked, "and that is all");
    }
}

/// What the broker says in a Service's place tells nothing of the Service.
#[test]
fn a_service_that_is_crowded_has_refused_nothing() {
    let mut w = narrow();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    crowd(&mut w, s);
    w.subscribe(c, "a", "ValueChange", "Device.X_Lamp.Colour");
    w.manner(s, Manner::Good);
    w.wait(40);
    assert!(holds(&w, s, "ValueChange", "Device.X_Lamp.Colour"), "{:?}", w.services[&s].subscriptions());
}

/// A Delete that could not be sent: what stays there would stand in the way of the same row later.
#[test]
fn what_could_not_be_deleted_for_the_crowd_is_deleted_later() {
    let mut w = narrow();
    let c = w.controller("self::c");
    let s = w.lamp("self::lamp", "Device.X_Lamp.");
    let row = w.subscribe(c, "a", "ValueChange", "Device.X_Lamp.Colour");
    crowd(&mut w, s);
    w.delete(c, &[row.split(' ').next().unwrap()]);
    w.manner(s, Manner::Good);
    assert!(holds(&w, s, "ValueChange", "Device.X_Lamp.Colour"), "it stays for now");
    w.wait(40);
    assert_eq!(w.services[&s].subscriptions().len(), 1);
}

/// Ever more seldom, but always, and at once when something else is wanted.
#[test]
fn a_service_that_holds_no_subscriptions_is_asked_again_all_the_same() {
    let mut w = World::new();
    let c = w.controller("self::c");
    let s = w.service_link("self::lamp", lamp("Device.X_Lamp."));
    w.register(s, false, &["Device.X_Lamp."]);
    w.manner(s, Manner::Refuses(7004));
    w.subscribe(c, "a", "ValueChange", "Device.X_Lamp.Colour");
    let tries = |w: &World| w.services[&s].count("Get") + w.services[&s].count("Add");
    let at_first = tries(&w);
    w.wait(24 * 3600);
    let in_a_day = tries(&w) - at_first;
    assert!((24..40).contains(&in_a_day), "{in_a_day}");
    w.subscribe(c, "b", "ObjectCreation", "Device.X_Lamp.Zone.");
    assert_eq!(tries(&w) - at_first, in_a_day + 1, "with each change");
    w.manner(s, Manner::Good);
    w.wait(2 * 3600);
    assert!(holds(&w, s, "ValueChange", "Device.X_Lamp.Colour"));
    assert!(holds(&w, s, "ObjectCreation", "Device.X_Lamp.Zone."));
}

/// Commands of a Service that tells no completions are looked for there; that nobody could look says nothing of them.
#[test]
fn commands_do_not_end_because_a_service_is_crowded_or_has_no_room() {
    for refuses in [None, Some(7005)] {
        let mut w = narrow();
        let c = w.controller("self::c");
        let mut service = lamp("Device.X_Lamp.");
        service.full.insert("Device.LocalAgent.Subscription.".to_owned(), 7004);
        let running = "Device.LocalAgent.Request.7.";
        service.outcomes.push_back(OperationResp::ReqObjPath(running.to_owned()));
        service.values.insert(format!("{running}Command"), "Device.X_Lamp.Fade()".to_owned());
        let s = w.service_link("self::lamp", service);
        w.register(s, false, &["Device.X_Lamp."]);
        w.subscribe(c, "done", "OperationComplete", "Device.X_Lamp.");
        assert!(w.operate(c, "Device.X_Lamp.Fade()", "k", &[]).ends_with("Device.LocalAgent.Request.1."));
        w.wait(4);
        match refuses {
            Some(code) => w.manner(s, Manner::Refuses(code)),
            None => crowd(&mut w, s),
        }
        w.wait(2);
        assert_eq!(w.notes(c), [""; 0], "{refuses:?}: it runs");
        w.manner(s, Manner::Good);
        w.wait(60);
        assert_eq!(w.notes(c), [""; 0], "{refuses:?}: it runs still");
        w.services.get_mut(&s).unwrap().values.remove(&format!("{running}Command"));
        w.wait(400);
        let notes = w.notes(c);
        assert!(notes.len() == 1 && notes[0].contains("7022"), "{notes:?}");
    }
}
