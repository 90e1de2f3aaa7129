//! The device as it is served, seen by a client that writes packets by hand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::oma::{light, temperature, with_large};
use super::packet::{ACK, CON, GET, NON, PUT, Packet, RST, code, option};
use super::serve::{Out, State};
use crate::mischief::CoapFault;
use crate::value::SimValue;

struct Bench {
    now: Instant,
    state: State,
    id: u16,
}

fn peer() -> SocketAddr {
    ([127, 0, 0, 1], 9).into()
}

impl Bench {
    fn new(state: fn(Instant) -> State) -> Self {
        let now = Instant::now();
        Self { now, state: state(now), id: 100 }
    }

    fn light() -> Self {
        Self::new(|_| State::new(with_large(light(1, "Lamp"), 2000), None))
    }

    fn request(&mut self, code: u8, path: &str) -> Packet {
        self.id += 1;
        let mut packet = Packet { kind: CON, code, id: self.id, token: vec![7, 7], ..Packet::default() };
        packet.options = path.split('/').map(|part| (option::URI_PATH, part.as_bytes().to_vec())).collect();
        packet
    }

    fn ask(&mut self, packet: &Packet) -> Vec<Packet> {
        packets(&self.state.hear(self.now, peer(), &packet.bytes()))
    }

    fn get(&mut self, path: &str) -> Packet {
        let request = self.request(GET, path);
        self.ask(&request).remove(0)
    }

    fn put(&mut self, path: &str, body: &str) -> Vec<Packet> {
        let request = Packet { payload: body.as_bytes().to_vec(), ..self.request(PUT, path) };
        self.ask(&request)
    }

    fn observe(&mut self, path: &str) -> Packet {
        let mut request = self.request(GET, path);
        request.set(option::OBSERVE, 0);
        self.ask(&request).remove(0)
    }

    fn tell(&mut self) -> Vec<Packet> {
        packets(&self.state.tell(self.now, true))
    }

    fn on(&self) -> Option<SimValue> {
        self.state.device.get("on")
    }
}

fn packets(outs: &[Out]) -> Vec<Packet> {
    outs.iter().filter_map(|out| Packet::parse(&out.bytes)).collect()
}

#[test]
fn a_request_is_answered_once_however_often_it_comes() {
    let mut bench = Bench::light();
    let request = Packet { payload: b"1".to_vec(), ..bench.request(PUT, "3311/0/5850") };
    let first = bench.ask(&request);
    assert_eq!((first[0].kind, first[0].code, first[0].id), (ACK, code(2, 4), request.id));
    assert_eq!(bench.on(), Some(SimValue::Bool(true)));
    bench.state.device.set("on", &SimValue::Bool(false)).unwrap();
    assert_eq!(bench.ask(&request), first);
    assert_eq!(bench.on(), Some(SimValue::Bool(false)), "a copy does nothing");
    assert_eq!(bench.state.asked, 1);
}

#[test]
fn pings_and_unknown_critical_options_are_answered_as_they_should() {
    let mut bench = Bench::light();
    assert_eq!(bench.ask(&Packet { kind: CON, id: 3, ..Packet::default() })[0].kind, RST);
    let mut request = bench.request(GET, "3311/0/5850");
    request.options.push((9, vec![1]));
    assert_eq!(bench.ask(&request)[0].code, code(4, 2));
    request.id += 1;
    request.options.pop();
    request.kind = NON;
    assert_eq!(bench.ask(&request)[0].kind, NON);
}

#[test]
fn who_observes_is_told_until_it_says_no() {
    let mut bench = Bench::light();
    let first = bench.observe("3311/0/5850");
    assert!(bench.tell().is_empty());
    bench.put("3311/0/5850", "1");
    let told = bench.tell();
    assert_eq!((told.len(), told[0].payload.as_slice(), told[0].kind), (1, &b"1"[..], CON));
    assert!(told[0].number(option::OBSERVE) > first.number(option::OBSERVE));
    bench.now += Duration::from_secs(2);
    assert_eq!(bench.tell()[0].id, told[0].id, "not acknowledged: again");
    bench.ask(&Packet { kind: RST, id: told[0].id, ..Packet::default() });
    assert_eq!(bench.state.observers(), 0);
}

#[test]
fn long_bodies_go_in_blocks_both_ways() {
    let mut bench = Bench::light();
    let first = bench.get("large");
    assert_eq!((first.payload.len(), first.number(option::BLOCK2)), (1024, Some(8 | 6)));
    let mut request = bench.request(GET, "large");
    request.set(option::BLOCK2, 1 << 4 | 6);
    let second = bench.ask(&request).remove(0);
    assert_eq!((second.payload.len(), second.number(option::BLOCK2)), (976, Some(1 << 4 | 6)));
    for (number, more, body) in [(0, true, "x".repeat(64)), (1, false, "y".repeat(5))] {
        let mut request = Packet { payload: body.into_bytes(), ..bench.request(PUT, "large") };
        request.set(option::BLOCK1, number << 4 | u32::from(more) << 3 | 2);
        let answer = bench.ask(&request).remove(0);
        assert_eq!(answer.code, if more { code(2, 31) } else { code(2, 4) });
    }
    let text = bench.state.device.get("large").unwrap().to_string();
    assert_eq!(text, "x".repeat(64) + "yyyyy");
}

#[test]
fn faults_do_what_they_are_called() {
    let mut bench = Bench::light();
    bench.state.mischief.start(CoapFault::Silent.into());
    assert!(bench.put("3311/0/5850", "1").is_empty());
    bench.state.mischief.clear();
    bench.state.mischief.start(CoapFault::Unconfirmed.into());
    assert_eq!(bench.put("3311/0/5850", "1")[0].code, 0, "an empty acknowledgement");
    bench.state.mischief.clear();
    bench.state.mischief.start(CoapFault::Frozen.into());
    assert_eq!(bench.put("3311/0/5850", "0")[0].code, code(2, 4));
    assert_eq!(bench.on(), Some(SimValue::Bool(true)));
    bench.state.mischief.clear();
    bench.state.mischief.start(CoapFault::Refuse(code(4, 4)).into());
    assert_eq!(bench.get("3311/0/5850").code, code(4, 4));
    bench.state.mischief.clear();
    bench.state.mischief.start(CoapFault::Slow(Duration::from_secs(1)).into());
    let request = bench.request(GET, "3311/0/5850");
    let outs = bench.state.hear(bench.now, peer(), &request.bytes());
    let said = packets(&outs);
    assert_eq!((said[0].code, said[1].kind, said[1].token.as_slice()), (0, CON, &[7, 7][..]));
    assert_eq!(outs[1].at - bench.now, Duration::from_secs(1));
    bench.state.mischief.clear();
    bench.observe("3311/0/5850");
    bench.state.reboot();
    assert_eq!((bench.state.observers(), bench.on()), (0, Some(SimValue::Bool(false))));
}

#[test]
fn of_two_notifications_the_second_comes_first() {
    let mut bench = Bench::light();
    bench.observe("3311/0/5850");
    bench.state.mischief.start(CoapFault::Reordered.into());
    bench.put("3311/0/5850", "1");
    assert!(bench.tell().is_empty());
    bench.put("3311/0/5850", "0");
    let told = bench.tell();
    assert!(told[0].number(option::OBSERVE) > told[1].number(option::OBSERVE));
}

#[test]
fn a_world_that_moves_is_told_of_by_and_by() {
    let mut bench = Bench::new(|now| State::new(temperature(1), Some(now)));
    bench.observe("3303/0/5700");
    let mut told = 0;
    for _ in 0..600 {
        bench.now += Duration::from_millis(100);
        for packet in packets(&bench.state.tell(bench.now, false)) {
            told += 1;
            bench.ask(&Packet { kind: ACK, id: packet.id, ..Packet::default() });
        }
    }
    assert!((2..=60).contains(&told), "{told}: at most once a second");
}
