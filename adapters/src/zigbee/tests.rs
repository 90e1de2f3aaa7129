//! The whole host on a virtual clock, with a coordinator that is none: it holds a network, and devices that answer.

mod commands;
mod first;
mod losses;
pub(in crate::zigbee) mod points;
mod sleepers;
mod stick;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::site::Use;
use usp_mapping::mapping::{BusKind, Site};
use usp_mapping::port::{
    Action, AdapterCall, AdapterReply, AdapterReport, BusAction, BusCall, BusCallId, BusReport, CallId,
    DeviceFault, DeviceId, JoinStage, Newcomer, PointId, RadioAddress, Readings,
};
use usp_mapping::site::{NotFound, compile_site};
use usp_mapping::value::Value;

use self::stick::{PLUG, SENSOR, Stick, StickBox};
use super::board::{self, Board, Question, Unanswered};
use super::link::ZigbeeLink;
use super::members::{Known, Member, Members};
use super::ncp::{Ieee, NcpEvent, NcpPort, Way};
use super::zdo::{Node, Role};
use crate::FromAdapter;
use crate::bus::outlet::Outlet;
use crate::bus::statistics::BusCounters;
use crate::keeper::{Keeper, Memory};
use crate::site::{BusHandle, plans};

/// Long enough for everything here; the clock is a virtual one.
const PATIENCE: Duration = Duration::from_secs(7200);

const SECOND: Duration = Duration::from_secs(1);

/// A plug that is awake, and a sensor that sleeps and can be set; the same that is given the usual time for its answers.
const MAPPINGS: [(&str, &str); 3] = [
    (
        "plug.yaml",
        "uspmap: 1\nprofile: acme.plug\nversion: 1.0.0\ndevice: {type: PowerStrip}\n\
         zigbee: {manufacturer: ACME, model: P1, timeout: 5s}\npoll: {slow: 1h}\n\
         capabilities:\n  power:\n    class: BinaryControl\n    type: Switch\n\
         \x20   read: {cluster: on_off, attribute: on_off, report: {min: 1s, max: 10m}}\n    write: {}\n",
    ),
    (
        "sensor.yaml",
        "uspmap: 1\nprofile: acme.sensor\nversion: 1.0.0\ndevice: {type: Sensor}\n\
         zigbee: {manufacturer: ACME, model: T1, sleepy: true, checkin: 10m, timeout: 5s, ttl: 20m}\npoll: {slow: 12h}\n\
         capabilities:\n  offset:\n    class: LevelControl\n    type: Temperature\n    unit: degC\n    min: -5\n    max: 5\n\
         \x20   step: 1\n    read: {cluster: 0x0402, attribute: 0x0010, as: int16, report: {min: 1s, max: 10m, change: 1}}\n\
         \x20   write: {}\n",
    ),
    (
        "slow.yaml",
        "uspmap: 1\nprofile: acme.sensor\nversion: 1.0.0\ndevice: {type: Sensor}\n\
         zigbee: {manufacturer: ACME, model: T1, sleepy: true, checkin: 10m, ttl: 20m}\npoll: {slow: 12h}\n\
         capabilities:\n  offset:\n    class: LevelControl\n    type: Temperature\n    unit: degC\n    min: -5\n    max: 5\n\
         \x20   step: 1\n    read: {cluster: 0x0402, attribute: 0x0010, as: int16, report: {min: 1s, max: 10m, change: 1}}\n\
         \x20   write: {}\n",
    ),
];

fn site(options: &str, devices: &str) -> Site {
    let text = format!(
        "site: 1\nbuses: {{mesh: {{zigbee_tcp: \"127.0.0.1:1\", ncp: znp{options}}}}}\ndevices: {{{devices}}}\n"
    );
    let (site, found) = compile_site(&SourceFile::new("site.yaml", &text), &|wanted| match wanted {
        Use::File(path) => {
            let text = MAPPINGS.iter().find(|(name, _)| path == name);
            Ok(SourceFile::new(text.unwrap().0, text.unwrap().1))
        }
        Use::Profile { .. } => Err(NotFound::Profile { known: Vec::new() }),
    });
    site.unwrap_or_else(|| panic!("{found:?}"))
}

fn both() -> Site {
    let devices = format!(
        "plug: {{file: plug.yaml, bus: mesh, ieee: \"{PLUG}\"}}, sensor: {{file: sensor.yaml, bus: mesh, ieee: \"{SENSOR}\"}}"
    );
    site("", &devices)
}

/// A host with what it says.
struct World {
    handle: Option<BusHandle>,
    way: Outlet,
    from: mpsc::Receiver<FromAdapter>,
    stick: Arc<StickBox>,
    keeper: Arc<Memory>,
    calls: u64,
    /// What came in that nobody has asked for yet.
    heard: Vec<FromAdapter>,
}

impl World {
    fn start(site: &Site, stick: &Arc<StickBox>, keeper: &Arc<Memory>) -> Self {
        let (to_core, from) = mpsc::channel(1024);
        let way = Outlet::new(to_core, Handle::current());
        let plan = plans(site).remove(0);
        let BusKind::Zigbee(zigbee) = plan.bus.kind.clone() else { panic!() };
        let (counters, keeps) = (Arc::<BusCounters>::default(), Arc::clone(keeper) as Arc<dyn Keeper>);
        let open = stick::opener(stick);
        let runtime = Handle::current();
        let ends = ((&counters, &way), (&runtime, &keeps));
        let link = ZigbeeLink::start_with(open, zigbee, &plan.bus, ends.0, ends.1, false);
        let handle = BusHandle::on_link(plan, counters, Box::new(link), &way, &runtime);
        let (stick, keeper) = (Arc::clone(stick), Arc::clone(keeper));
        Self { handle: Some(handle), way, from, stick, keeper, calls: 0, heard: Vec::new() }
    }

    fn handle(&self) -> &BusHandle {
        self.handle.as_ref().unwrap()
    }

    async fn next(&mut self) -> FromAdapter {
        timeout(PATIENCE, self.from.recv()).await.expect("something is said").expect("it runs")
    }

    /// The first thing that is this, of what came and comes.
    async fn until<T>(&mut self, is: impl Fn(&FromAdapter) -> Option<T>) -> T {
        if let Some(place) = self.heard.iter().position(|known| is(known).is_some()) {
            return is(&self.heard.remove(place)).unwrap();
        }
        // Something is said again and again: each word alone is waited for in vain for ever.
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = timeout_at(end, self.next()).await.expect("it is said in time");
            match is(&next) {
                Some(found) => return found,
                None => self.heard.push(next),
            }
        }
    }

    async fn online(&mut self, device: &str) -> Result<(), DeviceFault> {
        self.until(|said| match said {
            FromAdapter::Report(AdapterReport::Online { device: of, online }) if &*of.0 == device => {
                Some(online.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits until a device passes for being there.
    async fn believed(&mut self, device: &str) {
        self.until(|said| match said {
            FromAdapter::Report(AdapterReport::Believed { device: of }) => (&*of.0 == device).then_some(()),
            _ => None,
        })
        .await;
    }

    async fn reading(&mut self, device: &str) -> Value {
        self.until(|said| match said {
            FromAdapter::Report(AdapterReport::Readings { device: of, readings, .. }) if &*of.0 == device => {
                readings.iter().find_map(|reading| reading.result.clone().ok())
            }
            _ => None,
        })
        .await
    }

    fn call(&mut self, device: &str, action: Action, within: Duration) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        let call =
            AdapterCall { id, device: DeviceId(device.into()), within, behind: Duration::ZERO, action };
        self.handle().call(call, tokio::time::Instant::now().into_std(), &self.way);
        id
    }

    async fn reply(&mut self, id: CallId) -> Result<Readings, DeviceFault> {
        self.until(|said| match said {
            FromAdapter::Reply(AdapterReply { id: of, outcome }) if *of == id => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    async fn write(&mut self, device: &str, value: Value, within: Duration) -> Result<Value, DeviceFault> {
        let id = self.call(device, Action::Write(vec![(PointId(0), value)]), within);
        self.reply(id).await?.remove(0).result
    }

    fn bus_call(&mut self, action: BusAction) -> BusCallId {
        self.calls += 1;
        let id = BusCallId(self.calls);
        self.handle().bus_call(BusCall { id, bus: "mesh".into(), action }, &self.way);
        id
    }

    async fn done(&mut self, id: BusCallId) -> Result<Vec<Newcomer>, String> {
        self.until(|said| match said {
            FromAdapter::Bus(BusReport::Done { id: of, outcome }) if *of == id => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    async fn stage(&mut self, ieee: Ieee, stage: JoinStage) -> Newcomer {
        self.until(|said| match said {
            FromAdapter::Bus(BusReport::Newcomer { newcomer, .. })
                if newcomer.address == RadioAddress(ieee.0) && newcomer.stage == stage =>
            {
                Some(newcomer.clone())
            }
            _ => None,
        })
        .await
    }

    /// What came of a device: whether it is there, in what is told first, and how far it is in joining.
    fn told(&mut self, ieee: Ieee, device: &str) -> Vec<String> {
        self.heard.extend(std::iter::from_fn(|| self.from.try_recv().ok()));
        let mut told: Vec<_> = self
            .heard
            .drain(..)
            .filter_map(|said| match said {
                FromAdapter::Report(AdapterReport::Online { device: of, online }) if &*of.0 == device => {
                    Some(online.map_or_else(|why| format!("offline: {why}"), |()| "online".to_owned()))
                }
                FromAdapter::Bus(BusReport::Newcomer { newcomer, .. })
                    if newcomer.address == RadioAddress(ieee.0) =>
                {
                    Some(format!("{}: {}", newcomer.stage.name(), newcomer.detail))
                }
                _ => None,
            })
            .collect();
        told.sort_unstable();
        told
    }

    /// Both devices join, and are ready.
    async fn join_all(&mut self) {
        self.stick.wait_up().await;
        for ieee in [PLUG, SENSOR] {
            self.stick.joins(ieee);
            self.stage(ieee, JoinStage::Ready).await;
        }
        for device in ["plug", "sensor"] {
            self.comes(device).await;
        }
        self.heard.clear();
    }

    /// Waits until a device is there.
    async fn comes(&mut self, device: &str) {
        self.until(|said| match said {
            FromAdapter::Report(AdapterReport::Online { device: of, online: Ok(()) }) => {
                (&*of.0 == device).then_some(())
            }
            _ => None,
        })
        .await;
    }

    async fn stop(mut self) {
        self.handle.take().unwrap().stop().await;
    }
}

fn started(site: &Site) -> World {
    World::start(site, &StickBox::with(Stick::blank()), &Arc::default())
}

#[tokio::test(start_paused = true)]
async fn a_network_is_formed_kept_and_resumed() {
    let (stick, keeper) = (StickBox::with(Stick::blank()), Arc::<Memory>::default());
    let world = World::start(&both(), &stick, &keeper);
    stick.wait_up().await;
    world.stop().await;
    let first = stick.stick().held.clone().unwrap();
    assert_eq!(stick.stick().done, ["resume", "form", "backup"]);
    let world = World::start(&both(), &stick, &keeper);
    stick.wait_up().await;
    world.stop().await;
    assert_eq!(stick.stick().held.as_ref().unwrap().key, first.key);
    assert_eq!(stick.stick().done[3..], ["resume", "backup"]);
    let kept = keeper.all("mesh");
    assert_eq!(kept.iter().filter(|(key, _)| key == "network").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_coordinator_gets_the_network_with_a_counter_that_is_ahead() {
    let (stick, keeper) = (StickBox::with(Stick::blank()), Arc::<Memory>::default());
    let world = World::start(&both(), &stick, &keeper);
    stick.wait_up().await;
    world.stop().await;
    let old = stick.stick().held.clone().unwrap();
    let new = StickBox::with(Stick::blank());
    let world = World::start(&both(), &new, &keeper);
    new.wait_up().await;
    world.stop().await;
    let restored = new.stick().held.clone().unwrap();
    assert_eq!((restored.key.clone(), restored.network.clone()), (old.key.clone(), old.network.clone()));
    assert!(restored.frame_counter > old.frame_counter + 100_000, "{}", restored.frame_counter);
    assert_eq!(new.stick().done[..2], ["resume", "restore"]);
}

#[tokio::test(start_paused = true)]
async fn another_network_is_refused_and_left_as_it_is() {
    let (stick, keeper) = (StickBox::with(Stick::blank()), Arc::<Memory>::default());
    let world = World::start(&both(), &stick, &keeper);
    stick.wait_up().await;
    world.stop().await;
    let (other, kept) = (StickBox::with(Stick::with_network(7)), keeper.all("mesh"));
    let mut world = World::start(&both(), &other, &keeper);
    let why = world.online("plug").await.unwrap_err().to_string();
    assert!(why.contains("another network") && why.contains("127.0.0.1:1"), "{why}");
    let id = world.bus_call(BusAction::PermitJoin(60 * SECOND));
    assert!(world.done(id).await.unwrap_err().contains("another network"));
    world.stop().await;
    assert!(other.stick().done.iter().all(|done| ["resume", "backup"].contains(done)));
    assert_eq!(keeper.all("mesh"), kept);
}

#[tokio::test(start_paused = true)]
async fn devices_join_are_interviewed_and_set_up() {
    let mut world = started(&both());
    world.stick.wait_up().await;
    let id = world.bus_call(BusAction::PermitJoin(60 * SECOND));
    world.stick.wait_open().await;
    // Each question is lost once.
    world.stick.stick().loses = 1;
    world.stick.joins(PLUG);
    world.stage(PLUG, JoinStage::Found).await;
    let ready = world.stage(PLUG, JoinStage::Ready).await;
    assert_eq!((ready.manufacturer.as_str(), ready.model.as_str()), ("ACME", "P1"));
    assert_eq!(world.done(id).await.unwrap(), [ready]);
    let set_up = world.stick.stick().set_up(PLUG);
    assert_eq!(set_up, ["bind 1/0006", "report 1/0006"]);
    assert_eq!(world.reading("plug").await, Value::Bool(false));
    // After a restart nothing of that is done again.
    let (stick, keeper) = (Arc::clone(&world.stick), Arc::clone(&world.keeper));
    world.stop().await;
    let mut world = World::start(&both(), &stick, &keeper);
    world.comes("plug").await;
    assert_eq!(stick.stick().set_up(PLUG), set_up);
    // One that has joined anew may have forgotten it: it is told as ready only after that.
    stick.stick().loses = 0;
    world.bus_call(BusAction::PermitJoin(60 * SECOND));
    stick.wait_open().await;
    stick.joins(PLUG);
    world.stage(PLUG, JoinStage::Interviewing).await;
    world.stage(PLUG, JoinStage::Ready).await;
    assert_eq!(stick.stick().set_up(PLUG).len(), 4);
    assert_eq!(world.write("plug", Value::Bool(true), 30 * SECOND).await, Ok(Value::Bool(true)));
}

/// It is read when it joins, and is to report only once it is set up: what changes in between is reported by nobody.
#[tokio::test(start_paused = true)]
async fn what_changes_before_a_device_is_set_up_is_seen() {
    let mut world = started(&both());
    world.stick.wait_up().await;
    world.stick.stick().delay = 4 * SECOND;
    world.stick.joins(PLUG);
    assert_eq!(world.reading("plug").await, Value::Bool(false));
    world.stick.stick().is_on = true;
    world.stage(PLUG, JoinStage::Ready).await;
    let seen = timeout(60 * SECOND, world.reading("plug")).await;
    assert_eq!(seen, Ok(Value::Bool(true)), "long before its reports are due");
}

/// As all of a home do after a power cut: it is read, once and in its turn, and is what it was.
#[tokio::test(start_paused = true)]
async fn who_only_announces_itself_is_read_once_and_not_set_up_anew() {
    let mut world = started(&both());
    world.join_all().await;
    tokio::time::sleep(60 * SECOND).await;
    let before = world.stick.counts();
    world.stick.rejoins(PLUG, 0x7777);
    // It says so several times, as they do.
    world.stick.rejoins(PLUG, 0x7777);
    let back = world.stage(PLUG, JoinStage::Ready).await;
    assert_eq!(back.detail, "it has come back");
    tokio::time::sleep(11 * SECOND).await;
    let after = world.stick.counts();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "it is read once, and nothing else");
    assert_eq!(world.stick.stick().set_up(PLUG).len(), 2);
    assert_eq!(world.write("plug", Value::Bool(true), 30 * SECOND).await, Ok(Value::Bool(true)));
}

/// Nobody answered it while the power was away; it is not read once because it is back and once more because it has said so.
#[tokio::test(start_paused = true)]
async fn who_was_offline_and_announces_itself_is_read_once() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_cut_off = true;
    let id = world.call("plug", Action::Read(vec![PointId(0)]), 60 * SECOND);
    assert!(world.reply(id).await.is_err());
    assert!(world.online("plug").await.is_err());
    tokio::time::sleep(600 * SECOND).await;
    world.stick.stick().is_cut_off = false;
    let asked = world.stick.stick().asked;
    world.stick.rejoins(PLUG, 0x1001);
    assert_eq!(world.online("plug").await, Ok(()));
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(world.stick.stick().asked - asked, 1);
    assert_eq!(world.stick.stick().set_up(PLUG).len(), 2);
}

/// The coordinators tell of it in another order: that it was given the key is news after its announcement.
#[tokio::test(start_paused = true)]
async fn who_joins_is_set_up_anew_whatever_is_told_first() {
    let mut world = started(&both());
    world.join_all().await;
    world.bus_call(BusAction::PermitJoin(60 * SECOND));
    world.stick.wait_open().await;
    tokio::time::sleep(60 * SECOND).await;
    world.stick.rejoins(PLUG, 0x1001);
    world.stick.joins(PLUG);
    world.stick.rejoins(PLUG, 0x1001);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(world.stick.stick().set_up(PLUG).len(), 4, "and once");
}

/// Z-Stack tells of a device that comes back in the words that it has for one that joins.
#[tokio::test(start_paused = true)]
async fn nobody_joins_while_the_network_is_closed() {
    let mut world = started(&both());
    world.join_all().await;
    tokio::time::sleep(60 * SECOND).await;
    world.stick.joins(PLUG);
    world.stage(PLUG, JoinStage::Ready).await;
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(world.stick.stick().set_up(PLUG).len(), 2);
}

/// It never reports, but answers: when it was silent for three of its intervals it is asked, and set up again; more and more seldom.
#[tokio::test(start_paused = true)]
async fn one_whose_reports_stay_away_is_set_up_again() {
    let mut world = started(&both());
    world.join_all().await;
    let mut counts = Vec::new();
    for minutes in [29, 3, 57, 8, 100, 40] {
        tokio::time::sleep(minutes * 60 * SECOND).await;
        counts.push(world.stick.stick().set_up(PLUG).len() / 2);
    }
    assert_eq!(counts, [1, 2, 2, 3, 3, 4]);
}

/// Its reports stay away because it has no power: it is asked nothing more than whether it is there, and is what it was afterwards.
#[tokio::test(start_paused = true)]
async fn who_was_without_power_for_long_is_not_set_up_again() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_cut_off = true;
    tokio::time::sleep(8 * 3600 * SECOND).await;
    world.stick.stick().is_cut_off = false;
    world.stick.rejoins(PLUG, 0x1001);
    tokio::time::sleep(25 * 60 * SECOND).await;
    assert_eq!(world.stick.stick().set_up(PLUG).len(), 2);
}

/// It is heard, and reports: nothing is missing.
#[tokio::test(start_paused = true)]
async fn one_that_reports_is_not_set_up_again() {
    let mut world = started(&both());
    world.join_all().await;
    for _ in 0..30 {
        tokio::time::sleep(10 * 60 * SECOND).await;
        world.stick.wakes(SENSOR);
    }
    assert_eq!(world.stick.stick().set_up(SENSOR).len(), 2);
}

/// Its names met with silence when it joined: it can be used, and is asked for them when it is heard, more and more seldom.
#[tokio::test(start_paused = true)]
async fn what_met_with_silence_is_asked_again_when_the_device_is_heard() {
    let mut world = started(&both());
    world.stick.stick().is_nameless = true;
    world.stick.wait_up().await;
    world.stick.joins(PLUG);
    let ready = world.stage(PLUG, JoinStage::Ready).await;
    assert_eq!((ready.model.as_str(), world.stick.stick().names_asked), ("", 4));
    world.comes("plug").await;
    let mut asked = Vec::new();
    for minutes in [0, 1, 2, 4, 8] {
        tokio::time::sleep(minutes * 60 * SECOND + 50 * SECOND).await;
        let id = world.call("plug", Action::Read(vec![PointId(0)]), 20 * SECOND);
        world.reply(id).await.unwrap();
        tokio::time::sleep(20 * SECOND).await;
        asked.push(world.stick.stick().names_asked - 4);
    }
    assert_eq!(asked, [1, 2, 3, 4, 5]);
    // It is kept that they are missing.
    world.stick.stick().is_nameless = false;
    let (stick, keeper) = (Arc::clone(&world.stick), Arc::clone(&world.keeper));
    world.stop().await;
    let world = World::start(&both(), &stick, &keeper);
    tokio::time::sleep(60 * SECOND).await;
    let kept = keeper.all("mesh").into_iter().find(|(key, _)| *key == format!("device/{PLUG}")).unwrap().1;
    let kept = String::from_utf8(kept).unwrap();
    assert!(kept.contains("model P1") && !kept.contains("unread"), "{kept}");
    assert_eq!(stick.stick().set_up(PLUG).len(), 2, "nothing else is done again");
    world.stop().await;
}

/// Its reports have a longest pause of ten minutes: so often it is read, before and after a restart.
#[tokio::test(start_paused = true)]
async fn what_a_device_refuses_to_report_is_polled() {
    is_polled(|stick| stick.refuses_reports = true).await;
}

/// It takes the reports, and has no place to note where they go to.
#[tokio::test(start_paused = true)]
async fn what_a_device_does_not_bind_is_polled() {
    is_polled(|stick| stick.refuses_bindings = true).await;
}

async fn is_polled(refuses: impl Fn(&mut Stick)) {
    let mut world = started(&both());
    refuses(&mut world.stick.stick());
    world.join_all().await;
    // What is read at the start is read.
    tokio::time::sleep(60 * SECOND).await;
    let asked = world.stick.stick().asked;
    tokio::time::sleep(1300 * SECOND).await;
    assert_eq!(world.stick.stick().asked - asked, 2);
    let (stick, keeper) = (Arc::clone(&world.stick), Arc::clone(&world.keeper));
    world.stop().await;
    let mut world = World::start(&both(), &stick, &keeper);
    world.comes("plug").await;
    tokio::time::sleep(60 * SECOND).await;
    let asked = stick.stick().asked;
    tokio::time::sleep(1300 * SECOND).await;
    assert_eq!(stick.stick().asked - asked, 2, "it is kept");
}

#[tokio::test(start_paused = true)]
async fn a_write_is_done_when_the_device_shows_it() {
    let mut world = started(&both());
    world.join_all().await;
    assert_eq!(world.write("plug", Value::Bool(true), 30 * SECOND).await, Ok(Value::Bool(true)));
    assert!(world.stick.stick().is_on);
    world.stick.stick().refuses = Some(0x87);
    let refused = world.write("plug", Value::Bool(false), 30 * SECOND).await;
    assert!(matches!(refused, Err(DeviceFault::Refused(ref why)) if why.contains("0x87")), "{refused:?}");
    world.stick.stick().refuses = None;
    // It says that it did it, and did not.
    world.stick.stick().lies = true;
    let lied = world.write("plug", Value::Bool(false), 30 * SECOND).await;
    assert!(matches!(lied, Err(DeviceFault::NotConfirmed { .. })), "{lied:?}");
    assert_eq!(world.stick.stick().commands, [1, 0, 0], "each was sent once");
}

/// It reports what changes, and nothing changes: it is asked at once.
#[tokio::test(start_paused = true)]
async fn a_write_of_what_it_is_already_is_done_at_once() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_on = true;
    let mut write = async |value: bool| {
        let began = tokio::time::Instant::now();
        assert_eq!(world.write("plug", Value::Bool(value), 30 * SECOND).await, Ok(Value::Bool(value)));
        began.elapsed()
    };
    let (first, again) = (write(true).await, write(true).await);
    assert!(again < SECOND / 10 && first > SECOND, "{first:?}, then {again:?}");
    assert!(write(false).await > SECOND, "what changes is told, and heard first");
}

/// The command line waits for ten seconds: whoever sets or gets is told what became of it before that.
#[tokio::test(start_paused = true)]
async fn whoever_asks_a_silent_plug_is_told_so_in_time() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_cut_off = true;
    let began = tokio::time::Instant::now();
    let set = world.write("plug", Value::Bool(true), 8 * SECOND).await;
    assert!(began.elapsed() <= 8 * SECOND, "{:?}", began.elapsed());
    let Err(DeviceFault::Unsettled(why)) = &set else { panic!("{set:?}") };
    assert!(why.contains("acknowledge"), "{why}");
    let began = tokio::time::Instant::now();
    let get = world.call("plug", Action::Read(vec![PointId(0)]), 7 * SECOND);
    let got = world.reply(get).await;
    assert!(began.elapsed() <= 8 * SECOND, "{:?}", began.elapsed());
    assert!(matches!(got, Err(DeviceFault::Unreachable(_) | DeviceFault::Timeout(_))), "{got:?}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_answers_nothing() {
    let mut world = started(&both());
    world.join_all().await;
    let before = world.stick.stick().asked;
    world.stick.stick().delay = 6 * SECOND;
    let id = world.call("plug", Action::Read(vec![PointId(0)]), 20 * SECOND);
    let late = world.reply(id).await;
    assert!(late.is_err() || late.unwrap().remove(0).result.is_err());
    world.stick.stick().delay = Duration::ZERO;
    world.stick.stick().is_on = true;
    world.heard.clear();
    world.comes("plug").await;
    let id = world.call("plug", Action::Read(vec![PointId(0)]), 20 * SECOND);
    assert_eq!(world.reply(id).await.unwrap().remove(0).result, Ok(Value::Bool(true)));
    assert!(world.stick.stick().asked > before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_device_is_written_to_when_it_is_heard_and_once() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(60 * SECOND).await;
    let id = world.call("sensor", Action::Write(vec![(PointId(0), Value::Number(3.into()))]), 1200 * SECOND);
    tokio::time::sleep(300 * SECOND).await;
    assert_eq!(world.stick.stick().offset_writes, 0, "nothing leaves while it sleeps");
    world.stick.wakes(SENSOR);
    assert_eq!(world.reply(id).await.unwrap().remove(0).result, Ok(Value::Number(3.into())));
    assert_eq!(world.stick.stick().offset_writes, 1);
    // The next one expires, and never leaves.
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(60 * SECOND).await;
    let late = world.write("sensor", Value::Number(4.into()), 120 * SECOND).await;
    assert!(matches!(late, Err(DeviceFault::Expired | DeviceFault::Timeout(_))), "{late:?}");
    world.stick.wakes(SENSOR);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(world.stick.stick().offset_writes, 1);
}

/// Two writes wait for it; a Get meanwhile is answered at once, with what it said last.
#[tokio::test(start_paused = true)]
async fn nothing_else_waits_for_a_write_that_waits() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(60 * SECOND).await;
    let write = |value: i64| Action::Write(vec![(PointId(0), Value::Number(value.into()))]);
    let first = world.call("sensor", write(3), 1200 * SECOND);
    let second = world.call("sensor", write(4), 1200 * SECOND);
    for _ in 0..20 {
        tokio::time::sleep(7 * SECOND).await;
        let asked = tokio::time::Instant::now();
        let read = world.call("sensor", Action::Read(vec![PointId(0)]), 10 * SECOND);
        assert_eq!(world.reply(read).await.unwrap().remove(0).result, Ok(Value::Number(0.into())));
        assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
    }
    assert_eq!(world.stick.stick().offset_writes, 0);
    world.stick.wakes(SENSOR);
    assert_eq!(world.reply(first).await.unwrap().remove(0).result, Ok(Value::Number(3.into())));
    assert_eq!(world.reply(second).await.unwrap().remove(0).result, Ok(Value::Number(4.into())));
    assert_eq!(world.stick.stick().offset_writes, 2);
}

/// It only listens now and then, and says nothing by itself: it is heard because it is knocked at.
#[tokio::test(start_paused = true)]
async fn a_device_that_only_listens_gets_what_waits_because_it_is_knocked_at() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_asleep = true;
    tokio::time::sleep(60 * SECOND).await;
    let id = world.call("sensor", Action::Write(vec![(PointId(0), Value::Number(3.into()))]), 1200 * SECOND);
    tokio::time::sleep(300 * SECOND).await;
    world.stick.stick().is_asleep = false;
    assert_eq!(world.reply(id).await.unwrap().remove(0).result, Ok(Value::Number(3.into())));
    assert_eq!(world.stick.stick().offset_writes, 1);
}

/// It was heard, and slept before the write came: its parent threw that away.
#[tokio::test(start_paused = true)]
async fn what_a_sleeping_device_missed_waits_until_it_is_heard_again() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.wakes(SENSOR);
    tokio::time::sleep(SECOND / 10).await;
    world.stick.stick().is_asleep = true;
    let id = world.call("sensor", Action::Write(vec![(PointId(0), Value::Number(2.into()))]), 1200 * SECOND);
    tokio::time::sleep(120 * SECOND).await;
    world.stick.wakes(SENSOR);
    assert_eq!(world.reply(id).await.unwrap().remove(0).result, Ok(Value::Number(2.into())));
    assert_eq!(world.stick.stick().offset_writes, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_an_answer_is_taken_in_before_it() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_on = true;
    world.stick.stick().bursts = true;
    world.heard.clear();
    let id = world.call("plug", Action::Read(vec![PointId(0)]), 20 * SECOND);
    assert_eq!(world.reply(id).await.unwrap().remove(0).result, Ok(Value::Bool(true)));
    let is_reading = |said: &FromAdapter| matches!(said, FromAdapter::Report(AdapterReport::Readings { .. }));
    assert!(world.heard.iter().any(is_reading), "the older word is with the core before the answer");
}

/// The places among the messages under way are all taken: what waits for one is not sent when its time is over, and that
/// says nothing of the device.
#[tokio::test(start_paused = true)]
async fn what_finds_no_place_in_time_is_not_sent() {
    let node = Node { role: Role::Router, manufacturer: 0, listens: true, mains: true };
    let known = Known {
        node,
        endpoints: Vec::new(),
        manufacturer: String::new(),
        model: String::new(),
        power_source: None,
        held: BTreeMap::new(),
        lacks: Default::default(),
    };
    let member = |nwk| Member { nwk: Some(nwk), known: Some(known.clone()), ..Member::default() };
    let members = Members::kept((1..=9).map(|n| (Ieee(n), member(u16::try_from(n).unwrap()))));
    let board = Board::new("mesh", Arc::default(), members, false);
    let stick = StickBox::with(Stick::blank());
    stick.stick().is_stuck = true;
    let port =
        NcpPort { way: Way::Tcp(usp_mapping::mapping::BusAddress::Host("x".to_owned(), 1)), kind: None };
    let opened = stick::opener(&stick)(port, mpsc::channel(8).0).await;
    board.up(opened.unwrap(), Ieee(0xff));
    (1..=9).for_each(|n| stick.is_at(Ieee(n), u16::try_from(n).unwrap()));
    let question = Question::zdo(5, vec![0, 0, 0]);
    for n in 1..=8 {
        let (board, question) = (Arc::clone(&board), question.clone());
        tokio::spawn(async move { board.ask(Ieee(n), &question, 5 * SECOND).await });
    }
    tokio::time::sleep(SECOND).await;
    let until = board::now() + 5 * SECOND;
    let asked = board.ask_by(Ieee(9), &question, 5 * SECOND, (None, Some(until))).await;
    assert_eq!(asked.unwrap_err(), Unanswered::Unsent(DeviceFault::Expired));
    let asked = board.ask_by(Ieee(9), &question, 5 * SECOND, (None, None)).await;
    assert!(!matches!(asked, Ok(_) | Err(Unanswered::Unsent(DeviceFault::Expired))), "{asked:?}");
    assert_eq!(stick.stick().reached, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_device_that_is_silent_for_too_long_is_offline_and_comes_back() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.stick().is_asleep = true;
    let why = world.online("sensor").await.unwrap_err().to_string();
    assert!(why.contains("1800 s"), "three times its checkin: {why}");
    let refused = world.write("sensor", Value::Number(4.into()), 60 * SECOND).await;
    assert!(matches!(refused, Err(DeviceFault::Unreachable(_))), "{refused:?}");
    world.stick.wakes(SENSOR);
    assert_eq!(world.online("sensor").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_goes_takes_its_devices_with_it_and_brings_them_back() {
    let mut world = started(&both());
    world.join_all().await;
    let id = world.bus_call(BusAction::PermitJoin(200 * SECOND));
    world.stick.wait_open().await;
    world.stick.says(NcpEvent::Down("the port is gone".to_owned()));
    let why = world.online("plug").await.unwrap_err().to_string();
    assert!(why.contains("the port is gone"), "{why}");
    let bus = world.handle().statistics(std::time::Instant::now()).remove(0);
    assert_eq!((bus.connected, &*bus.last_error), (false, "the port is gone"));
    assert_eq!(world.done(id).await, Err("the port is gone".to_owned()));
    assert_eq!(world.online("plug").await, Ok(()));
    assert_eq!(world.write("plug", Value::Bool(true), 30 * SECOND).await, Ok(Value::Bool(true)));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_offline_and_forgotten() {
    let mut world = started(&both());
    world.join_all().await;
    world.stick.says(NcpEvent::Left { ieee: PLUG, nwk: None });
    let why = world.online("plug").await.unwrap_err().to_string();
    assert!(why.contains("has left"), "{why}");
    world.stage(PLUG, JoinStage::Left).await;
    world.stick.joins(PLUG);
    assert_eq!(world.online("plug").await, Ok(()));
    let id = world.bus_call(BusAction::Remove(RadioAddress(PLUG.0)));
    assert_eq!(world.done(id).await, Ok(Vec::new()));
    assert!(world.online("plug").await.unwrap_err().to_string().contains("removed"));
    let id = world.bus_call(BusAction::Remove(RadioAddress(PLUG.0)));
    assert!(world.done(id).await.unwrap_err().contains("is not in the network"));
    let device = format!("device/{PLUG}");
    tokio::time::sleep(SECOND).await;
    assert!(world.keeper.all("mesh").iter().all(|(key, _)| *key != device));
}

/// It still says something before it is gone, and then that it leaves: it is removed, once, and does not come back by that.
#[tokio::test(start_paused = true)]
async fn who_is_removed_is_so_at_once_and_for_that_reason() {
    for tells_first in [false, true] {
        let mut world = started(&both());
        world.join_all().await;
        world.stick.stick().delay = SECOND;
        let _asked = world.call("plug", Action::Read(vec![PointId(0)]), 30 * SECOND);
        let id = world.bus_call(BusAction::Remove(RadioAddress(PLUG.0)));
        if tells_first {
            // Its answer is still to come.
            tokio::time::sleep(SECOND / 2).await;
            world.stick.says(NcpEvent::Left { ieee: PLUG, nwk: None });
        }
        assert_eq!(world.done(id).await, Ok(Vec::new()));
        world.stick.reports(true);
        tokio::time::sleep(3 * SECOND).await;
        world.stick.says(NcpEvent::Left { ieee: PLUG, nwk: None });
        tokio::time::sleep(3 * SECOND).await;
        let told = world.told(PLUG, "plug");
        assert_eq!(
            told,
            ["Left: removed", "offline: unreachable: it was removed from the network"],
            "{tells_first}"
        );
    }
}

/// The coordinator does not tell that it has left, and it joins again before it has answered.
#[tokio::test(start_paused = true)]
async fn who_joins_again_while_it_is_removed_is_there() {
    let mut world = started(&both());
    world.join_all().await;
    world.bus_call(BusAction::PermitJoin(200 * SECOND));
    world.stick.wait_open().await;
    world.stick.stick().delay = 3 * SECOND;
    let id = world.bus_call(BusAction::Remove(RadioAddress(PLUG.0)));
    tokio::time::sleep(SECOND).await;
    world.stick.joins(PLUG);
    world.done(id).await.unwrap();
    world.stick.stick().delay = Duration::ZERO;
    tokio::time::sleep(60 * SECOND).await;
    let told = world.told(PLUG, "plug");
    assert!(!told.iter().any(|it| it.starts_with("offline")), "{told:?}");
    assert_eq!(world.write("plug", Value::Bool(true), 30 * SECOND).await, Ok(Value::Bool(true)));
}

#[tokio::test(start_paused = true)]
async fn joining_ends_when_it_is_canceled() {
    let mut world = started(&both());
    world.stick.wait_up().await;
    let id = world.bus_call(BusAction::PermitJoin(200 * SECOND));
    world.stick.wait_open().await;
    world.bus_call(BusAction::Cancel(id));
    assert_eq!(world.done(id).await, Ok(Vec::new()));
    assert!(world.stick.stick().is_open.is_zero());
}

/// Whoever may see anything sees no key; a coordinator that logs it is found out by the same search.
#[test]
fn the_key_is_shown_nowhere() {
    assert_eq!(key_shown(false), None);
    assert!(key_shown(true).is_some_and(|(place, _)| place == "log"), "a leak is found");
}

/// Where the key is seen of a network that is formed, and how it is spelled there.
fn key_shown(leaks: bool) -> Option<(&'static str, String)> {
    let log = crate::test_log::Log::default();
    let subscriber = log.clone();
    // While there is but one, what another test logs first is looked up in that test's thread alone, and then logged nowhere.
    let _another = tracing::Dispatch::new(log.clone());
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let mut world = started(&both());
            world.stick.stick().leaks = leaks;
            world.join_all().await;
            let key = world.stick.stick().held.clone().unwrap().key.0;
            let seen = format!("{:?} {:?}", world.heard, world.handle());
            let told = format!("{:?}", world.handle().statistics(std::time::Instant::now()));
            let kept = format!("{:?}", world.keeper);
            world.stop().await;
            let log = log.text();
            assert!(log.contains("a Zigbee network was formed"), "{log}");
            let all = [("words", seen), ("statistics", told), ("keeper", kept), ("log", log)];
            all.into_iter().find_map(|(place, text)| Some((place, crate::test_log::spelled(&text, &key)?)))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn who_is_not_in_the_site_file_is_told_of_when_the_bus_adopts() {
    let mut world = started(&site(", adopt: true", ""));
    world.stick.wait_up().await;
    world.stick.joins(PLUG);
    world.stage(PLUG, JoinStage::Ready).await;
    let adopted: BTreeMap<String, String> = world
        .until(|said| match said {
            FromAdapter::Adopted(adopted) if !adopted.devices.is_empty() => {
                let of = |device: &usp_mapping::mapping::Device| (device.id.to_string(), device.bus.clone());
                Some(adopted.devices.iter().map(of).collect())
            }
            _ => None,
        })
        .await;
    assert_eq!(adopted.into_iter().collect::<Vec<_>>(), [(format!("mesh/{PLUG}"), "mesh".to_owned())]);
    world.stick.says(NcpEvent::Left { ieee: PLUG, nwk: None });
    world
        .until(|said| {
            matches!(said, FromAdapter::Adopted(adopted) if adopted.devices.is_empty()).then_some(())
        })
        .await;
}
