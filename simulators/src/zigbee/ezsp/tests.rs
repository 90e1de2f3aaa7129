use std::time::Duration;

use super::super::air::Presence;
use super::super::node::{Kind, Node};
use super::*;

struct Bench {
    ezsp: Ezsp,
    air: Air,
    now: Duration,
    sequence: u8,
}

impl Bench {
    fn new(version: u8) -> Self {
        let mut air = Air::new(Ieee(9), 1);
        air.add(Node::new(Kind::Plug, Ieee(1)).still(), Presence::Waiting);
        let mut bench = Self { ezsp: Ezsp::new(version, Ieee(9)), air, now: Duration::ZERO, sequence: 0 };
        bench.ezsp.start(bench.now, Start::Host, &mut bench.air);
        bench
    }

    fn raw(&mut self, data: &[u8]) -> Vec<Vec<u8>> {
        self.ezsp.frame(self.now, data, &mut self.air);
        self.ezsp.ash.waiting()
    }

    /// The parameters of the answer; what came unasked follows.
    fn ask(&mut self, id: u16, parameters: Out) -> (u16, Vec<u8>, Vec<Vec<u8>>) {
        self.sequence += 1;
        let data = Out::new().u8(self.sequence).u8(0).u8(1).u16(id).bytes(&parameters.done()).done();
        let mut all = self.raw(&data);
        let answer = all.remove(0);
        assert_eq!(answer[..3], [self.sequence, 0x80, 0x01]);
        (u16::from_le_bytes([answer[3], answer[4]]), answer[5..].to_vec(), all)
    }

    fn agree(&mut self) {
        let version = self.ezsp.version;
        self.raw(&[0, 0, 1, 0, 0, version]);
    }

    fn form(&mut self) {
        let security = Out::new().u16(0x1a84).bytes(&[7; 16]).bytes(&[0x42; 16]).u8(0).u64(0);
        assert_eq!(self.ask(0x0068, security).1, [0]);
        let network = Out::new().u64(5).u16(0x1a62).u8(8).u8(15).u8(0).u16(0).u8(0).u32(0x8000);
        let (_, answer, told) = self.ask(0x001e, network);
        assert_eq!(answer, [0]);
        assert_eq!(told[0][1..], [0x90, 0x01, 0x19, 0x00, 0x90]);
    }

    fn pass(&mut self, ms: u64) -> Vec<Vec<u8>> {
        for _ in 0..ms / 10 {
            self.now += Duration::from_millis(10);
            let told = self.air.run(self.now);
            told.into_iter().for_each(|told| self.ezsp.tell(self.now, told, &self.air));
            self.ezsp.trust(self.now, &mut self.air);
        }
        self.ezsp.ash.waiting()
    }
}

#[test]
fn the_version_is_agreed_upon_first() {
    let mut bench = Bench::new(13);
    let refused = bench.raw(&[9, 0, 1, 0x18, 0x00]);
    assert_eq!(refused, [[9, 0x80, 1, 0x58, 0x00, 0x30]]);
    // In the form of old, whatever the version.
    assert_eq!(bench.raw(&[0, 0, 0, 4]), [[0, 0x80, 0, 13, 2, 0x40, 0x74]]);
    assert_eq!(bench.raw(&[1, 0, 1, 0, 0, 13]), [[1, 0x80, 1, 0, 0, 13, 2, 0x40, 0x74]]);
    assert_eq!(bench.ask(0x0018, Out::new()).1, [0]);
    let (id, why, _) = bench.ask(0x0999, Out::new());
    assert_eq!((id, why), (0x0058, vec![0x31]));
}

#[test]
fn each_version_has_its_own_commands() {
    for (version, there, gone) in [(8, 0x006a, 0x0114), (13, 0x0116, 0x006a)] {
        let mut bench = Bench::new(version);
        bench.agree();
        bench.form();
        assert_eq!(bench.ask(there, Out::new().u8(3)).0, there);
        assert_eq!(bench.ask(gone, Out::new().u8(3)).0, 0x0058, "version {version}");
    }
}

#[test]
fn a_network_outlives_a_reset_and_counts_on() {
    let mut bench = Bench::new(13);
    bench.agree();
    assert_eq!(bench.ask(0x0017, Out::new().u16(0)).1, [0x93]);
    bench.form();
    bench.air.counter = 500;
    bench.ezsp.start(bench.now, Start::Host, &mut bench.air);
    bench.agree();
    assert_eq!(bench.ask(0x0018, Out::new()).1, [0]);
    assert_eq!(bench.ask(0x0017, Out::new().u16(0)).1, [0]);
    let (_, key, _) = bench.ask(0x0114, Out::new().u8(1).bytes(&[0; 17]));
    assert_eq!(key[..16], [0x42; 16]);
    assert_eq!(bench.ask(0x0116, Out::new()).1[8..], [0xf4, 1, 0, 0]);
    assert_eq!(bench.ask(0x0020, Out::new()).1, [0]);
    assert!(bench.ezsp.remembers().is_none());
}

#[test]
fn devices_are_let_in_with_a_key_and_a_policy() {
    let mut bench = Bench::new(13);
    bench.agree();
    bench.form();
    let open = |bench: &mut Bench| assert_eq!(bench.ask(0x0022, Out::new().u8(60)).1, [0]);
    let joined = |told: &[Vec<u8>]| {
        let join = told.iter().find(|told| told[3..5] == [0x24, 0x00]);
        join.map(|told| (told[15], told[16]))
    };
    open(&mut bench);
    let told = bench.pass(1000);
    assert_eq!(joined(&told), Some((1, 2)), "denied");
    assert_eq!(bench.ask(0x0055, Out::new().u8(0).u8(3)).1, [0]);
    let key = Out::new().u64(u64::MAX).bytes(b"ZigBeeAlliance09").u8(0);
    assert_eq!(bench.ask(0x0111, key).1, [0; 4]);
    open(&mut bench);
    let told = bench.pass(1000);
    assert_eq!(joined(&told), Some((1, 0)), "let in");
    assert!(told.iter().any(|told| told[3..5] == [0x45, 0x00]), "it announces itself");
}

#[test]
fn a_message_is_answered_before_it_is_delivered() {
    let mut bench = Bench::new(8);
    bench.agree();
    let endpoint = Out::new().u8(1).u16(0x0104).u16(5).u8(0).u8(0).u8(0);
    assert_eq!(bench.ask(0x0002, endpoint).1, [0]);
    bench.form();
    // To itself: which endpoints there are.
    let aps = Out::new().u16(0).u16(0x0005).u8(0).u8(0).u16(0).u16(0).u8(0);
    let message = Out::new().u8(0).u16(0).bytes(&aps.done()).u8(77).counted(&[3, 0, 0]);
    let (_, answer, told) = bench.ask(0x0034, message);
    assert_eq!(answer[0], 0);
    assert_eq!(told[0][3..5], [0x3f, 0x00]);
    assert_eq!(told[1][3..5], [0x45, 0x00]);
    assert!(told[1].ends_with(&[6, 3, 0, 0, 0, 1, 1]));
    // To nobody.
    let aps = Out::new().u16(0x0104).u16(6).u8(1).u8(1).u16(0x40).u16(0).u8(0);
    let message = Out::new().u8(0).u16(0x7777).bytes(&aps.done()).u8(78).counted(&[0, 0, 0]);
    assert_eq!(bench.ask(0x0034, message).1[0], 0);
    let told = bench.pass(1000);
    assert_eq!(told[0][3..5], [0x3f, 0x00]);
    assert!(told[0].ends_with(&[78, status::DELIVERY_FAILED, 0]));
}
