//! Devices on a shared link, under the runtime's virtual time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use usp_mapping::mapping::{Capability, Mapping};
use usp_mapping::port::{Action, AdapterReply, AdapterReport, CallId, PointId, Reading, Readings};

use super::*;
use crate::FromAdapter;
use crate::bus::ear::{LinkState, Mark, SharedEar, linked};
use crate::bus::fake::{self, FakeAnswer, FakeAsk, FakeModel, FakeWord, MS, What, call, number, read, write};
use crate::bus::mailbox::Mailbox;
use crate::bus::{Medium, Outcome, supervise};

/// What a fake device does with an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Answers,
    Hangs,
    /// Says this before it answers 1, and that afterwards, before anybody hears any of it.
    SaysAround(i64, i64),
}

/// What the link and its fake devices share.
#[derive(Debug)]
struct Shared {
    state: watch::Sender<LinkState>,
    sent: Mutex<Vec<(tokio::time::Instant, FakeAsk)>>,
    ways: Mutex<HashMap<u8, Way>>,
    letters: Mutex<HashMap<DeviceId, Arc<Mailbox<FakeWord>>>>,
    lost: Arc<std::sync::atomic::AtomicU64>,
}

impl Shared {
    fn letters(&self, id: &DeviceId) -> Arc<Mailbox<FakeWord>> {
        let new = || Arc::new(Mailbox::new(Arc::clone(&self.lost)));
        Arc::clone(self.letters.lock().unwrap().entry(id.clone()).or_insert_with(new))
    }
}

#[derive(Debug)]
struct FakeLink(Arc<Shared>);

impl SharedLink for FakeLink {
    fn serve(&self, ends: Ends) -> End {
        let shared = Arc::clone(&self.0);
        let id = ends.plan.borrow().devices[0].id.clone();
        let medium = move |_: &Ends| Line {
            link: shared.state.subscribe(),
            letters: shared.letters(&id),
            shared: Arc::clone(&shared),
            answered: Mark::default(),
        };
        Box::pin(supervise::supervise::<FakeModel, Line>(ends, medium))
    }

    fn configure(&self, _: &BusPlan) {}

    fn stop(self: Box<Self>) -> End {
        Box::pin(async {})
    }
}

struct Line {
    link: watch::Receiver<LinkState>,
    letters: Arc<Mailbox<FakeWord>>,
    shared: Arc<Shared>,
    answered: Mark,
}

impl Medium for Line {
    type Ask = FakeAsk;
    type Answer = FakeAnswer;
    type Ear = SharedEar<FakeWord>;

    const SPREAD: Duration = Duration::from_secs(2);
    const YIELDS: bool = true;

    fn ear(&mut self) -> Self::Ear {
        SharedEar::new(self.link.clone(), Arc::clone(&self.letters))
    }

    async fn connect(&mut self) -> Result<(), String> {
        linked(&mut self.link).await
    }

    async fn exchange(&mut self, ask: FakeAsk) -> Outcome<FakeAnswer> {
        let unit = ask.unit;
        self.shared.sent.lock().unwrap().push((tokio::time::Instant::now(), ask));
        let way = self.shared.ways.lock().unwrap().get(&unit).copied();
        match way.unwrap_or(Way::Answers) {
            Way::Answers => {
                tokio::time::sleep(MS).await;
                Outcome::Answered(FakeAnswer::Shows(1))
            }
            Way::Hangs => {
                tokio::time::sleep(1000 * MS).await;
                Outcome::Silent(DeviceFault::Timeout(1000 * MS))
            }
            Way::SaysAround(before, after) => {
                tokio::time::sleep(MS).await;
                self.letters.put(FakeWord::shows(0, before));
                self.answered = self.letters.mark();
                self.letters.put(FakeWord::shows(0, after));
                Outcome::Answered(FakeAnswer::Shows(1))
            }
        }
    }

    fn answered(&self) -> Mark {
        self.answered
    }

    fn is_up(&mut self) -> bool {
        *self.link.borrow() == LinkState::Up
    }
}

struct Bench {
    core: mpsc::Receiver<FromAdapter>,
    shared: Arc<Shared>,
    way: Outlet,
    bus: BusHandle,
    calls: u64,
}

fn plan(devices: &[(&str, Mapping)]) -> BusPlan {
    let device = |(unit, (id, mapping)): (usize, &(&str, Mapping))| {
        Arc::new(fake::device(id, u8::try_from(unit).unwrap(), mapping.clone()))
    };
    BusPlan {
        bus: fake::bus(([127, 0, 0, 1], 0).into()),
        names: vec!["bus".to_owned()],
        devices: devices.iter().enumerate().map(device).collect(),
    }
}

impl Bench {
    fn start(room: usize, devices: &[(&str, Mapping)]) -> Self {
        let (to_core, core) = mpsc::channel(room);
        let way = Outlet::new(to_core, Handle::current());
        let counters = Arc::<BusCounters>::default();
        let shared = Arc::new(Shared {
            state: watch::channel(LinkState::Up).0,
            sent: Mutex::default(),
            ways: Mutex::default(),
            letters: Mutex::default(),
            lost: Arc::clone(&counters.lost),
        });
        let link = Box::new(FakeLink(Arc::clone(&shared)));
        let bus = BusHandle::on_link(plan(devices), counters, link, &way, &Handle::current());
        Self { core, shared, way, bus, calls: 0 }
    }

    fn says(&self, id: &str, word: FakeWord) {
        self.shared.letters(&DeviceId(id.into())).put(word);
    }

    fn link(&self, state: LinkState) {
        self.shared.state.send_replace(state);
    }

    fn call(&mut self, device: &str, action: Action) -> CallId {
        self.calls += 1;
        let call = call(self.calls, device, action);
        let id = call.id;
        self.bus.call(call, tokio::time::Instant::now().into_std(), &self.way);
        id
    }

    async fn next(&mut self) -> Option<FromAdapter> {
        timeout(Duration::from_secs(30), self.core.recv()).await.ok().flatten()
    }

    async fn reply(&mut self) -> AdapterReply {
        loop {
            if let FromAdapter::Reply(reply) = self.next().await.expect("a reply") {
                return reply;
            }
        }
    }

    /// The next report about whether a device is there, or passes for it.
    async fn online(&mut self) -> (String, Result<(), DeviceFault>) {
        loop {
            match self.next().await.expect("a report") {
                FromAdapter::Report(AdapterReport::Online { device, online }) => {
                    return (device.to_string(), online);
                }
                FromAdapter::Report(AdapterReport::Believed { device }) => {
                    return (device.to_string(), Ok(()));
                }
                _ => {}
            }
        }
    }

    async fn readings(&mut self) -> (String, Readings) {
        loop {
            let next = self.next().await.expect("a report");
            if let FromAdapter::Report(AdapterReport::Readings { device, readings, .. }) = next {
                return (device.to_string(), readings);
            }
        }
    }

    /// Lets everybody do what there is to do now.
    async fn settle(&mut self) -> Vec<FromAdapter> {
        let mut all = Vec::new();
        while let Ok(Some(message)) = timeout(10 * MS, self.core.recv()).await {
            all.push(message);
        }
        all
    }

    fn sent(&self, unit: u8) -> Vec<What> {
        let sent = self.shared.sent.lock().unwrap();
        sent.iter().filter(|(_, ask)| ask.unit == unit).map(|(_, ask)| ask.what.clone()).collect()
    }
}

fn one(capability: Capability) -> Mapping {
    fake::mapping(&[capability])
}

fn unreachable(cause: &str) -> Result<(), DeviceFault> {
    Err(DeviceFault::Unreachable(cause.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_write_does_not_wait_for_the_answer_to_a_question() {
    let mut bench = Bench::start(64, &[("a", fake::mapping(&[fake::on_demand(), fake::writable()]))]);
    bench.settle().await;
    bench.shared.ways.lock().unwrap().insert(0, Way::Hangs);
    let get = bench.call("a", read(&[0]));
    while !bench.sent(0).contains(&What::Read(vec![0])) {
        tokio::task::yield_now().await;
    }
    bench.shared.ways.lock().unwrap().remove(&0);
    let began = tokio::time::Instant::now();
    let set = bench.call("a", write(1, 5));
    assert_eq!(bench.reply().await.id, set);
    assert!(began.elapsed() <= 5 * MS, "{:?}", began.elapsed());
    let answer = bench.reply().await;
    assert_eq!(
        (answer.id, answer.outcome),
        (get, Ok(vec![Reading::now(PointId(0), Ok(number(1)))])),
        "asked again"
    );
}

#[tokio::test(start_paused = true)]
async fn one_silent_device_costs_its_neighbours_nothing() {
    let mut bench = Bench::start(64, &[("a", one(fake::writable())), ("b", one(fake::writable()))]);
    bench.settle().await;
    bench.shared.ways.lock().unwrap().insert(0, Way::Hangs);
    bench.call("a", write(0, 1));
    for value in 0..20 {
        let began = tokio::time::Instant::now();
        let id = bench.call("b", write(0, value));
        assert_eq!(bench.reply().await.id, id);
        assert!(began.elapsed() <= 5 * MS, "{:?}", began.elapsed());
    }
    let counted = bench.bus.statistics(tokio::time::Instant::now().into_std());
    assert_eq!((counted.len(), counted[0].devices.len(), counted[0].waiting), (1, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_unasked_is_reported_in_order_and_shows_that_the_device_is_there() {
    let mut bench = Bench::start(64, &[("a", fake::dumb(&[fake::on_demand(), fake::on_demand()]))]);
    bench.says("a", FakeWord::shows(0, 1));
    bench.says("a", FakeWord::shows(0, 2));
    bench.says("a", FakeWord::shows(1, 3));
    assert_eq!(bench.online().await, ("a".to_owned(), Ok(())));
    for (point, value) in [(0, 1), (0, 2), (1, 3)] {
        assert_eq!(bench.readings().await.1, [Reading::now(PointId(point), Ok(number(value)))]);
    }
    assert_eq!(bench.settle().await, []);
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_between_what_was_said_before_it_and_after_it() {
    let mut bench = Bench::start(64, &[("a", one(fake::polled(1000)))]);
    bench.shared.ways.lock().unwrap().insert(0, Way::SaysAround(7, 9));
    for value in [7, 1, 9] {
        assert_eq!(bench.readings().await.1, [Reading::now(PointId(0), Ok(number(value)))]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_kept_is_a_reading_and_no_contact() {
    let mut bench = Bench::start(64, &[("a", fake::dumb(&[fake::on_demand()]))]);
    bench.says("a", FakeWord::kept(0, 1));
    let said = bench.settle().await;
    let is_reading = |it: &FromAdapter| matches!(it, FromAdapter::Report(AdapterReport::Readings { .. }));
    assert!(said.len() == 1 && said.iter().all(is_reading), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_heard_is_not_polled() {
    let mut bench = Bench::start(64, &[("a", one(fake::polled(1000)))]);
    bench.settle().await;
    let before = bench.sent(0).len();
    for value in 0..10 {
        tokio::time::sleep(500 * MS).await;
        bench.says("a", FakeWord::shows(0, value));
        bench.settle().await;
    }
    // The first second, before anything was heard.
    assert!(bench.sent(0).len() <= before + 1, "{:?}", bench.sent(0));
    tokio::time::sleep(3000 * MS).await;
    bench.settle().await;
    assert!(bench.sent(0).len() >= before + 2, "silence is polled");
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_puts_no_poll_off() {
    let mut bench = Bench::start(64, &[("a", one(fake::polled(1000)))]);
    bench.settle().await;
    let before = bench.sent(0).len();
    for value in 0..10 {
        tokio::time::sleep(500 * MS).await;
        bench.says("a", FakeWord::kept(0, value));
        bench.settle().await;
    }
    assert!(bench.sent(0).len() >= before + 4, "{:?}", bench.sent(0));
}

#[tokio::test(start_paused = true)]
async fn a_write_is_confirmed_by_what_the_device_says() {
    let mut bench = Bench::start(64, &[("a", fake::dumb(&[fake::verified(2000)]))]);
    bench.says("a", FakeWord::shows(0, 7));
    bench.settle().await;
    let began = tokio::time::Instant::now();
    bench.call("a", write(0, 5));
    bench.settle().await;
    // On its way there, and what a server kept of former times.
    for word in [FakeWord::shows(0, 3), FakeWord::kept(0, 5), FakeWord::shows(0, 4)] {
        bench.says("a", word);
        let said = bench.settle().await;
        assert!(said.iter().all(|it| !matches!(it, FromAdapter::Reply(_))), "{said:?}");
    }
    bench.says("a", FakeWord::shows(0, 5));
    assert_eq!(bench.reply().await.outcome, Ok(vec![Reading::now(PointId(0), Ok(number(5)))]));
    assert!(began.elapsed() < 1000 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_device_never_shows_is_not_confirmed() {
    let mut bench = Bench::start(64, &[("a", fake::dumb(&[fake::verified(2000)]))]);
    bench.says("a", FakeWord::shows(0, 5));
    bench.settle().await;
    bench.call("a", write(0, 5));
    let fault = |shown: &str| {
        let fault = DeviceFault::NotConfirmed { wanted: "5".to_owned(), shown: shown.to_owned() };
        Ok(vec![Reading::now(PointId(0), Err(fault))])
    };
    assert_eq!(bench.reply().await.outcome, fault("nothing"), "what it said before says nothing");
    bench.call("a", write(0, 5));
    bench.settle().await;
    bench.says("a", FakeWord::shows(0, 6));
    assert_eq!(bench.reply().await.outcome, fault("6"));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_said_to_be_away_is_refused_until_it_is_heard() {
    let mut bench = Bench::start(64, &[("a", fake::dumb(&[fake::writable()]))]);
    bench.says("a", FakeWord::presence(Ok(())));
    assert_eq!(bench.online().await.1, Ok(()));
    bench.says("a", FakeWord::presence(Err("it says so".to_owned())));
    assert_eq!(bench.online().await.1, unreachable("it says so"));
    bench.call("a", write(0, 1));
    let unsent = DeviceFault::Unreachable("it says so; this was not sent".to_owned());
    assert_eq!(bench.reply().await.outcome, Err(unsent));
    bench.says("a", FakeWord::kept(0, 1));
    assert!(
        bench
            .settle()
            .await
            .iter()
            .all(|it| !matches!(it, FromAdapter::Report(AdapterReport::Online { .. })))
    );
    bench.says("a", FakeWord::shows(0, 1));
    assert_eq!(bench.online().await.1, Ok(()));
    bench.call("a", write(0, 1));
    assert_eq!(bench.reply().await.outcome, Ok(vec![Reading::now(PointId(0), Ok(number(1)))]));
}

#[tokio::test(start_paused = true)]
async fn when_the_link_goes_its_devices_are_offline_for_its_reason_and_come_back_without_a_rush() {
    let names: Vec<String> = (0..100).map(|n| format!("d{n:02}")).collect();
    let devices: Vec<_> = names.iter().map(|name| (name.as_str(), one(fake::polled(60_000)))).collect();
    let mut bench = Bench::start(1024, &devices);
    bench.settle().await;
    bench.link(LinkState::Down("the server is away".to_owned()));
    for _ in &names {
        assert_eq!(bench.online().await.1, unreachable("the server is away"));
    }
    bench.call("d07", read(&[0]));
    assert!(bench.reply().await.outcome.is_err());
    // Late words of the former connection bring nobody back.
    bench.says("d07", FakeWord::shows(0, 1));
    assert_eq!(bench.settle().await, []);
    let back = tokio::time::Instant::now();
    bench.link(LinkState::Up);
    for _ in &names {
        assert_eq!(bench.online().await.1, Ok(()));
    }
    assert!(back.elapsed() <= Line::SPREAD + 10 * MS);
    let sent = bench.shared.sent.lock().unwrap();
    let soon = sent.iter().filter(|(at, _)| *at >= back && *at < back + 200 * MS).count();
    assert!(soon < 50, "{soon} at once");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_is_believed_to_be_where_it_was() {
    let mut bench = Bench::start(
        64,
        &[("heard", fake::dumb(&[fake::on_demand()])), ("never", fake::dumb(&[fake::on_demand()]))],
    );
    bench.says("heard", FakeWord::shows(0, 1));
    bench.settle().await;
    bench.link(LinkState::Down("away".to_owned()));
    bench.settle().await;
    bench.link(LinkState::Up);
    let believed = AdapterReport::Believed { device: DeviceId("heard".into()) };
    assert_eq!(bench.next().await, Some(FromAdapter::Report(believed)), "that it was heard is not said");
    assert_eq!(bench.settle().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_flood_keeps_the_newest_and_nothing_else_waiting() {
    let mut bench = Bench::start(
        1,
        &[("a", fake::dumb(&[fake::writable(), fake::on_demand()])), ("b", one(fake::blind()))],
    );
    for value in 0..100_000 {
        bench.says("a", FakeWord::shows(0, value));
        if value % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    bench.says("a", FakeWord::shows(1, 77));
    // The core has taken nothing so far.
    let id = bench.call("b", write(0, 1));
    let (mut last, mut other, mut reports, mut replied) = (None, None, 0, false);
    while let Ok(Some(message)) = timeout(5000 * MS, bench.core.recv()).await {
        match message {
            FromAdapter::Report(AdapterReport::Readings { readings, .. }) => {
                reports += 1;
                for Reading { point, result, .. } in readings {
                    *(if point == PointId(0) { &mut last } else { &mut other }) = result.ok();
                }
            }
            FromAdapter::Reply(reply) => replied |= reply.id == id,
            _ => {}
        }
    }
    assert_eq!((last, other), (Some(number(99_999)), Some(number(77))));
    assert!(replied && reports < 1000, "{reports}");
    let counted = bench.bus.statistics(tokio::time::Instant::now().into_std());
    assert!(counted[0].lost > 90_000, "{}", counted[0].lost);
}

#[tokio::test(start_paused = true)]
async fn devices_come_and_go_and_the_others_go_on() {
    let mut bench = Bench::start(64, &[("a", one(fake::writable())), ("b", one(fake::writable()))]);
    bench.settle().await;
    bench.shared.ways.lock().unwrap().insert(0, Way::Hangs);
    let waits = bench.call("a", write(0, 1));
    let (way, runtime) = (bench.way.clone(), Handle::current());
    for end in bench.bus.configure(plan(&[("a", one(fake::writable()))]), &way, &runtime) {
        end.await;
    }
    let id = bench.call("b", write(0, 1));
    let reply = bench.reply().await;
    assert_eq!((reply.id, reply.outcome), (id, Err(DeviceFault::Unknown)));
    assert_eq!(bench.reply().await.id, waits, "it was not disturbed");
    for end in bench.bus.configure(plan(&[]), &way, &runtime) {
        end.await;
    }
    assert!(bench.bus.devices().is_empty());
    bench.bus.stop().await;
}
