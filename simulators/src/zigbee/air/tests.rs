use super::super::node::{HOME, Kind};
use super::*;

const START: Duration = Duration::from_secs(1);

fn network(key: u8) -> Network {
    Network { pan: 0x1a62, extended: 7, channel: 15, key: [key; 16], key_sequence: 0 }
}

/// A network with a plug and a climate sensor that polls every two seconds.
fn air() -> Air {
    let mut air = Air::new(Ieee(9), 1);
    air.add(Node::new(Kind::Plug, Ieee(1)).still(), Presence::Member);
    let climate = Node::new(Kind::Climate, Ieee(2)).still().polling(Duration::from_secs(2));
    air.add(climate, Presence::Member);
    air.add(Node::new(Kind::Light, Ieee(3)).still(), Presence::Waiting);
    air.up(START, network(1), 0);
    air
}

/// Reads On/Off or Temperature.
fn read(air: &Air, tag: u64, ieee: Ieee, cluster: u16) -> Sending {
    let payload = Out::new().u8(0).u8(1).u8(0).u16(0).done();
    let heard = Heard { profile: HOME, cluster, from_endpoint: 1, endpoint: 1, broadcast: false, payload };
    Sending { tag, to: air.address(ieee).unwrap_or(0xfffe), group: None, heard }
}

/// Lets so many milliseconds pass; what was told, with its time.
fn pass(air: &mut Air, from: Duration, ms: u64) -> Vec<(u64, Told)> {
    let told = |at: u64| {
        let now = from + Duration::from_millis(at);
        air.run(now).into_iter().map(move |told| (at, told)).collect::<Vec<_>>()
    };
    (0..=ms).step_by(5).flat_map(told).collect()
}

fn delivery(told: &[(u64, Told)], wanted: u64) -> Option<(u64, Delivery)> {
    told.iter().find_map(|(at, told)| match told {
        Told::Sent { tag, delivery } if *tag == wanted => Some((*at, *delivery)),
        _ => None,
    })
}

/// Messages to the coordinator alone.
fn messages(told: &[(u64, Told)]) -> usize {
    let to_it = |told: &Told| matches!(told, Told::Message(message) if !message.said.broadcast);
    told.iter().filter(|(_, told)| to_it(told)).count()
}

#[test]
fn routers_hear_at_once_and_sleepy_devices_at_their_polls() {
    let mut air = air();
    pass(&mut air, START, 1100);
    let now = START + Duration::from_millis(1100);
    let (plug, climate) = (read(&air, 1, Ieee(1), 0x0006), read(&air, 2, Ieee(2), 0x0402));
    air.send(now, plug);
    air.send(now, climate);
    let told = pass(&mut air, now, 3000);
    let (plug, climate) = (delivery(&told, 1).unwrap(), delivery(&told, 2).unwrap());
    assert!(plug.1 == Delivery::Done && plug.0 < 20, "{plug:?}");
    assert!(climate.1 == Delivery::Done && climate.0 > 100, "{climate:?}");
    assert_eq!(messages(&told), 2);
}

#[test]
fn what_a_sleepy_device_does_not_ask_for_in_time_expires() {
    let mut air = air();
    air.hold = Duration::from_millis(500);
    pass(&mut air, START, 1100);
    let now = START + Duration::from_millis(1100);
    air.node_mut("climate").unwrap().faults.start(ZigbeeFault::Gone.into());
    let sending = read(&air, 1, Ieee(2), 0x0402);
    air.send(now, sending);
    assert_eq!(delivery(&pass(&mut air, now, 4000), 1), Some((500, Delivery::Expired)));
}

#[test]
fn nobody_hears_another_key_or_what_was_counted_before() {
    let mut air = air();
    let sending = read(&air, 1, Ieee(1), 0x0006);
    air.send(START, sending.clone());
    assert_eq!(delivery(&pass(&mut air, START, 100), 1).unwrap().1, Delivery::Done);
    // A coordinator that has forgotten how far it had counted.
    air.up(START, network(1), 0);
    air.send(START, sending.clone());
    let told = pass(&mut air, START, 1000);
    assert_eq!((delivery(&told, 1).unwrap().1, messages(&told)), (Delivery::Unacknowledged, 0));
    air.up(START, network(2), 100);
    air.send(START, sending);
    let told = pass(&mut air, START, 1000);
    assert_eq!((delivery(&told, 1).unwrap().1, messages(&told)), (Delivery::Unacknowledged, 0));
}

#[test]
fn who_waits_joins_when_it_may_and_announces_itself() {
    let mut air = air();
    air.lets_in = false;
    air.open(START, Duration::from_secs(2));
    let told = pass(&mut air, START, 1000);
    assert!(
        told.iter().any(|(_, told)| matches!(told, Told::Joined { ieee: Ieee(3), how: Join::Denied, .. }))
    );
    assert_eq!(air.address(Ieee(3)), None);
    air.lets_in = true;
    let now = START + Duration::from_secs(1);
    air.open(now, Duration::from_secs(2));
    let told = pass(&mut air, now, 3000);
    let address = air.address(Ieee(3)).unwrap();
    assert!(told.iter().any(|(_, told)| *told == Told::Joined { ieee: Ieee(3), address, how: Join::New }));
    let announced = |told: &Told| match told {
        Told::Message(message) => message.said.broadcast && message.said.cluster == 0x0013,
        _ => false,
    };
    assert!(told.iter().any(|(_, told)| announced(told)));
    assert_eq!(told.iter().filter(|(_, told)| *told == Told::Closed).count(), 1);
    // It comes back with another address, and leaves.
    let now = now + Duration::from_secs(3);
    air.rejoin(now, Ieee(3));
    pass(&mut air, now, 200);
    assert_ne!(air.address(Ieee(3)), Some(address));
    air.leave(now + Duration::from_secs(1), Ieee(3));
    pass(&mut air, now + Duration::from_secs(1), 200);
    assert_eq!(air.address(Ieee(3)), None);
}

/// One that is told to leave can be let in again; one that its owner takes away looks for nothing.
#[test]
fn who_is_told_to_leave_looks_for_a_network_again() {
    let mut air = air();
    pass(&mut air, START, 100);
    let now = START + Duration::from_secs(1);
    let payload = Out::new().u8(1).u64(0).u8(0).done();
    let heard =
        Heard { profile: 0, cluster: 0x0034, from_endpoint: 0, endpoint: 0, broadcast: false, payload };
    let to = air.address(Ieee(1)).unwrap();
    air.send(now, Sending { tag: 1, to, group: None, heard });
    air.leave(now, Ieee(2));
    let told = pass(&mut air, now, 1000);
    let left = |told: &Told| matches!(told, Told::Left { rejoins: false, .. });
    assert_eq!(told.iter().filter(|(_, told)| left(told)).count(), 2);
    assert_eq!((air.address(Ieee(1)), air.address(Ieee(2))), (None, None));
    let now = now + Duration::from_secs(1);
    air.open(now, Duration::from_secs(2));
    pass(&mut air, now, 1500);
    assert!(air.address(Ieee(1)).is_some());
    assert_eq!(air.address(Ieee(2)), None);
}

#[test]
fn faults_of_delivery_are_what_they_say() {
    let mut air = air();
    let send = |air: &mut Air, tag: u64, fault: ZigbeeFault| {
        air.node_mut("plug").unwrap().faults.clear();
        air.node_mut("plug").unwrap().faults.start(fault.into());
        let sending = read(air, tag, Ieee(1), 0x0006);
        air.send(START, sending);
        let told = pass(air, START, 1500);
        (delivery(&told, tag).unwrap().1, messages(&told))
    };
    assert_eq!(send(&mut air, 1, ZigbeeFault::Undelivered), (Delivery::Unacknowledged, 0));
    assert_eq!(send(&mut air, 2, ZigbeeFault::Unacknowledged), (Delivery::Unacknowledged, 1));
    assert_eq!(send(&mut air, 3, ZigbeeFault::Silent), (Delivery::Done, 0));
    assert_eq!(send(&mut air, 4, ZigbeeFault::Duplicate), (Delivery::Done, 2));
    assert_eq!(send(&mut air, 5, ZigbeeFault::Late(Duration::from_secs(1))), (Delivery::Done, 1));
    assert_eq!(send(&mut air, 6, ZigbeeFault::Gone), (Delivery::Unacknowledged, 0));
}
