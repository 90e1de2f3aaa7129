use std::time::Duration;

use super::super::air::Presence;
use super::super::node::{Kind, Node};
use super::*;

struct Bench {
    znp: Znp,
    air: Air,
    now: Duration,
}

impl Bench {
    fn new() -> Self {
        let mut air = Air::new(Ieee(9), 1);
        air.add(Node::new(Kind::Plug, Ieee(1)).still(), Presence::Waiting);
        air.add(Node::new(Kind::Climate, Ieee(2)).still(), Presence::Member);
        let mut bench = Self { znp: Znp::new(Ieee(9)), air, now: Duration::ZERO };
        bench.znp.start(bench.now, Start::Power, &mut bench.air);
        bench.said();
        bench
    }

    fn said(&mut self) -> Vec<Command> {
        cut(&mut self.znp.says().concat())
    }

    fn ask(&mut self, kind: u8, id: u8, data: Out) -> Vec<Command> {
        let frame = Command::new(kind, id, data.done()).frame();
        self.znp.hear(self.now, &frame, &mut self.air);
        self.said()
    }

    /// The answer alone.
    fn answer(&mut self, kind: u8, id: u8, data: Out) -> Vec<u8> {
        let first = self.ask(kind, id, data).remove(0);
        assert_eq!((first.kind, first.id), (kind | 0x40, id));
        first.data
    }

    fn pass(&mut self, ms: u64) -> Vec<Command> {
        for _ in 0..ms / 10 {
            self.now += Duration::from_millis(10);
            let told = self.air.run(self.now);
            self.znp.run(self.now, told, &mut self.air);
        }
        self.said()
    }

    fn form(&mut self) -> Vec<Command> {
        assert_eq!(self.answer(0x2f, 0x05, Out::new().u8(4)), [0]);
        self.pass(500)
    }
}

fn has(all: &[Command], kind: u8, id: u8) -> bool {
    all.iter().any(|command| (command.kind, command.id) == (kind, id))
}

#[test]
fn items_are_made_read_in_parts_and_deleted() {
    let mut bench = Bench::new();
    assert_eq!(bench.answer(0x21, 0x13, Out::new().u16(0x005f)), [0, 0]);
    assert_eq!(bench.answer(0x21, 0x07, Out::new().u16(0x005f).u16(3).counted(&[1])), [0x09]);
    assert_eq!(bench.answer(0x21, 0x1d, Out::new().u16(0x005f).u16(1).u16(2).bytes(&[5, 6])), [0]);
    assert_eq!(bench.answer(0x21, 0x1d, Out::new().u16(0x005f).u16(2).u16(2).bytes(&[5, 6])), [0x0c]);
    assert_eq!(bench.answer(0x21, 0x1c, Out::new().u16(0x005f).u16(1)), [0, 2, 5, 6]);
    assert_eq!(bench.answer(0x21, 0x12, Out::new().u16(0x005f).u16(2)), [0x0c]);
    assert_eq!(bench.answer(0x21, 0x12, Out::new().u16(0x005f).u16(3)), [0]);
    assert_eq!(bench.answer(0x21, 0x1c, Out::new().u16(0x005f).u16(0)), [2, 0]);
    // The NIB of a CC26x2 has 116 bytes, and the tables are of 3.30.
    assert_eq!(bench.answer(0x21, 0x13, Out::new().u16(0x0021)), [116, 0]);
    assert_eq!(bench.answer(0x21, 0x32, Out::new().u8(1).u16(4).u16(0)), [20, 0, 0, 0]);
    assert_eq!(bench.answer(0x27, 0x49, Out::new().u8(0)).len(), 36);
}

#[test]
fn what_is_unknown_or_too_short_is_refused() {
    let mut bench = Bench::new();
    let refused = |said: Vec<Command>| (said[0].kind, said[0].id, said[0].data.clone());
    assert_eq!(refused(bench.ask(0x21, 0x99, Out::new())), (0x60, 0, vec![2, 0x21, 0x99]));
    assert_eq!(refused(bench.ask(0x29, 0x01, Out::new())), (0x60, 0, vec![1, 0x29, 0x01]));
    assert_eq!(refused(bench.ask(0x21, 0x13, Out::new().u8(1))), (0x60, 0, vec![4, 0x21, 0x13]));
}

#[test]
fn a_network_is_formed_once_and_then_restored() {
    let mut bench = Bench::new();
    bench.answer(0x21, 0x1d, Out::new().u16(0x0062).u16(0).u16(16).bytes(&[0x42; 16]));
    bench.answer(0x21, 0x1d, Out::new().u16(0x0083).u16(0).u16(2).u16(0x1a62));
    bench.answer(0x2f, 0x08, Out::new().u8(1).u32(1 << 20));
    let said = bench.form();
    let states: Vec<u8> =
        said.iter().filter(|one| (one.kind, one.id) == (0x45, 0xc0)).map(|one| one.data[0]).collect();
    assert_eq!(states, [9]);
    let commissioned = said.iter().rfind(|one| (one.kind, one.id) == (0x4f, 0x80)).unwrap();
    assert_eq!(commissioned.data, [0, 4, 0]);
    let network = bench.znp.remembers().unwrap();
    assert_eq!((network.pan, network.channel, network.key), (0x1a62, 20, [0x42; 16]));
    let reset = bench.ask(0x41, 0x00, Out::new().u8(1));
    assert_eq!((reset[0].kind, reset[0].id, reset[0].data[0]), (0x41, 0x80, 1));
    assert!(bench.air.network().is_none());
    assert_eq!(bench.answer(0x25, 0x40, Out::new().u16(100)), [0]);
    assert!(has(&bench.pass(500), 0x45, 0xc0));
    assert_eq!(bench.air.network().map(|network| network.pan), Some(0x1a62));
    // No counter is used twice.
    assert_eq!(bench.air.counter, 2 * 1250);
    bench.answer(0x21, 0x1d, Out::new().u16(0x0003).u16(0).u16(1).u8(3));
    bench.ask(0x41, 0x00, Out::new().u8(1));
    assert!(bench.znp.remembers().is_none());
}

#[test]
fn a_device_joins_is_asked_and_leaves() {
    let mut bench = Bench::new();
    bench.answer(0x21, 0x1d, Out::new().u16(0x008f).u16(0).u16(1).u8(1));
    bench.form();
    let said = bench.ask(0x25, 0x36, Out::new().u8(0x0f).u16(0xfffc).u8(60).u8(0));
    assert!(has(&said, 0x45, 0xcb) && has(&said, 0x45, 0xb6));
    let said = bench.pass(1000);
    assert!(has(&said, 0x45, 0xca) && has(&said, 0x45, 0xc1), "{said:?}");
    let address = bench.air.address(Ieee(1)).unwrap();
    assert_eq!(bench.answer(0x25, 0x05, Out::new().u16(address).u16(address)), [0]);
    let said = bench.pass(100);
    let endpoints = said.iter().find(|one| (one.kind, one.id) == (0x45, 0x85)).unwrap();
    assert_eq!(endpoints.data, Out::new().u16(address).u8(0).u16(address).u8(1).u8(1).done());
    // The coordinator itself knows where its sleepy children are.
    let said = bench.ask(0x25, 0x00, Out::new().u64(2).u8(0).u8(0));
    assert!(has(&said, 0x45, 0x80), "{said:?}");
    bench.answer(0x25, 0x34, Out::new().u16(address).u64(1).u8(0));
    let said = bench.pass(300);
    assert!(has(&said, 0x45, 0xb4) && has(&said, 0x45, 0xc9), "{said:?}");
}

#[test]
fn messages_need_an_endpoint_and_are_confirmed() {
    let mut bench = Bench::new();
    bench.form();
    let read = |to: u16| {
        let out = Out::new().u16(to).u8(1).u8(1).u16(0x0402).u8(9).u8(0x30).u8(30);
        out.counted(&[0, 1, 0, 0, 0])
    };
    let climate = bench.air.address(Ieee(2)).unwrap();
    assert_eq!(bench.answer(0x24, 0x01, read(climate)), [status::INVALID_PARAMETER]);
    bench.answer(0x24, 0x00, Out::new().u8(1).u16(0x0104).u16(5).u8(0).u8(0).u8(0).u8(0));
    assert_eq!(bench.answer(0x24, 0x01, read(climate)), [0]);
    assert_eq!(bench.answer(0x24, 0x01, read(0x7777)), [0]);
    let said = bench.pass(9000);
    let confirmed: Vec<u8> =
        said.iter().filter(|one| (one.kind, one.id) == (0x44, 0x80)).map(|one| one.data[0]).collect();
    assert_eq!(confirmed.iter().filter(|code| **code == 0).count(), 1, "{confirmed:?}");
    assert!(confirmed.contains(&status::NO_ROUTE));
    assert!(has(&said, 0x44, 0x81));
}
