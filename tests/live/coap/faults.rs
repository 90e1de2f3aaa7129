//! Every fault of the simulator: no wrong value, no false success, no hang; recovery by itself; others do not wait.

use std::time::{Duration, Instant};

use usp_simulators::coap::oma::{light, with_large};
use usp_simulators::coap::{CoapHandle, CoapServer};
use usp_simulators::mischief::CoapFault;
use usp_tests::cli::Cli;
use usp_tests::place::Place;
use usp_tests::process::Process;

use super::{becomes, online, path, site, value};
use crate::ACTOR;

const MAPPING: &str = "uspmap: 1
profile: test.lamp
version: 1.0.0
device: {type: Light}
coap: {timeout: 2s}
poll: {all: 1s}
online: {down: {fails: 2}, backoff: [200ms, 1s]}
capabilities:
  switch:
    class: BinaryControl
    type: Switch
    read: {path: /3311/0/5850, map: {\"0\": false, \"1\": true}, observe: true}
    poll: all
    write: {verify: 1s}
  level:
    class: LevelControl
    type: Brightness
    unit: \"%\"
    min: 0
    max: 100
    step: 1
    read: {path: /3311/0, tlv: 5851, as: int, accept: tlv, observe: true}
    poll: all
    write: {path: /3311/0/5851, verify: 1s}
  note: {class: BlobSensor, type: text, read: {path: /large}, poll: all}
";

/// Two lamps; one goes wrong.
struct Bench {
    bad: CoapServer,
    good: CoapServer,
    _broker: Process,
    place: Place,
}

impl Bench {
    async fn start() -> Self {
        let lamp = || with_large(light(1, "Lamp"), 3000);
        let bad = CoapServer::bind_still(([127, 0, 0, 1], 0).into(), lamp(), None).await.unwrap();
        let good = CoapServer::bind_still(([127, 0, 0, 1], 0).into(), lamp(), None).await.unwrap();
        let place = Place::new(ACTOR, "");
        place.write("lamp.yaml", MAPPING);
        site(
            &place,
            &[
                ("bad", "file: lamp.yaml", bad.local_addr(), ""),
                ("good", "file: lamp.yaml", good.local_addr(), ""),
            ],
        );
        let broker = place.start();
        let bench = Self { bad, good, _broker: broker, place };
        for name in ["bad", "good"] {
            becomes(&bench.cli(), name, "switch", "BinaryControl", "false");
            becomes(&bench.cli(), name, "level", "LevelControl", "100");
        }
        bench
    }

    fn cli(&self) -> Cli {
        self.place.cli()
    }

    fn bad(&self) -> CoapHandle {
        self.bad.handle()
    }

    /// The neighbour is read and set as if nothing were wrong, and tells by itself.
    fn others_do_not_wait(&self) {
        let cli = self.cli();
        for on in ["true", "false"] {
            cli.ok(&["set", &format!("{}={on}", path("good", "switch", "BinaryControl"))]);
        }
        self.good.handle().set("level", 42.0).unwrap();
        becomes(&cli, "good", "level", "LevelControl", "42");
        self.good.handle().set("level", 43.0).unwrap();
        becomes(&cli, "good", "level", "LevelControl", "43");
    }

    /// Once the fault is gone, everything is as it should be, without anybody's help.
    fn recovers(&self) {
        let cli = self.cli();
        self.bad().clear_faults();
        online(&cli, "bad", true);
        for level in [11.0, 12.0] {
            self.bad().set("level", level).unwrap();
            becomes(&cli, "bad", "level", "LevelControl", &level.to_string());
        }
        self.bad().release("on").unwrap();
        for on in ["true", "false"] {
            cli.ok(&["set", &format!("{}={on}", path("bad", "switch", "BinaryControl"))]);
        }
    }

    /// A Set while a fault is on: it says whether it succeeded, within a bounded time, and only if the lamp did it.
    fn set_is_honest(&self) {
        let before = self.bad().get("on").unwrap().to_string();
        let wanted = if before == "true" { "false" } else { "true" };
        let began = Instant::now();
        let ended = self.cli().run(&["set", &format!("{}={wanted}", path("bad", "switch", "BinaryControl"))]);
        assert!(began.elapsed() < Duration::from_secs(50), "it hangs");
        if ended.code == 0 {
            assert_eq!(self.bad().get("on").unwrap().to_string(), wanted, "a false success: {ended:#?}");
        }
    }

    /// What is shown as good is what the lamp has, or has had.
    fn nothing_wrong_is_shown(&self, possible: &[&str]) {
        let shown = value(&self.cli(), "bad", "level", "LevelControl");
        assert!(shown.as_deref().is_none_or(|shown| possible.contains(&shown)), "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_cost_no_value_no_truth_and_no_time_of_others() {
    let bench = Bench::start().await;
    for fault in [
        CoapFault::Silent,
        CoapFault::Slow(Duration::from_millis(700)),
        CoapFault::Late(Duration::from_millis(2500)),
        CoapFault::Garbled,
        CoapFault::Duplicate,
        CoapFault::Reordered,
        CoapFault::WrongToken,
        CoapFault::ObserveLost,
        CoapFault::NoObserve,
        CoapFault::BlockMissing,
        CoapFault::Frozen,
        CoapFault::Unconfirmed,
        CoapFault::Refuse(0x84),
    ] {
        bench.bad().set("level", 60.0).unwrap();
        becomes(&bench.cli(), "bad", "level", "LevelControl", "60");
        bench.bad().fault(fault.clone());
        bench.bad().set("level", 70.0).unwrap();
        bench.others_do_not_wait();
        bench.set_is_honest();
        bench.nothing_wrong_is_shown(&["60", "70"]);
        bench.recovers();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lamp_that_restarts_is_observed_again() {
    let bench = Bench::start().await;
    let cli = bench.cli();
    for round in 1..=3 {
        bench.bad().fault(CoapFault::Reboot);
        let level = f64::from(round);
        bench.bad().set("level", level).unwrap();
        becomes(&cli, "bad", "level", "LevelControl", &level.to_string());
        usp_tests::wait::eventually("an observer", || (bench.bad().observers() > 0).then_some(()));
    }
    bench.recovers();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_the_lamp_does_not_do_fails() {
    let bench = Bench::start().await;
    bench.bad().fault(CoapFault::Frozen);
    let told = bench.cli().fails(1, &["set", &format!("{}=true", path("bad", "switch", "BinaryControl"))]);
    assert!(told.contains("not confirmed"), "{told}");
    bench.bad().clear_faults();
    // It is done and never answered: what the lamp shows is what counts.
    bench.bad().fault(CoapFault::Unconfirmed);
    bench.cli().ok(&["set", &format!("{}=true", path("bad", "switch", "BinaryControl"))]);
}
