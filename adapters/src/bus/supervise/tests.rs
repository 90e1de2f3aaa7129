//! A worker on a wire that follows a script, under the runtime's virtual time.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usp_mapping::mapping::Capability;
use usp_mapping::port::{Action, AdapterCall, AdapterReply, CallId};

use super::*;
use crate::bus::fake::{self, FakeMedium, FakeModel, MS, Play, What, call, call_within, number, read, write};
use crate::bus::outlet::Outlet;
use crate::bus::statistics::{BusStatistics, Described};
use crate::bus::{BusPlan, Received};

struct Bench {
    core: mpsc::Receiver<FromAdapter>,
    inbox: mpsc::Sender<Received>,
    plan: watch::Sender<Arc<BusPlan>>,
    medium: FakeMedium,
    ends: (Outlet, Arc<crate::bus::statistics::BusCounters>, CancellationToken),
    task: JoinHandle<()>,
}

fn plan(capabilities: &[Capability]) -> Arc<BusPlan> {
    let device = Arc::new(fake::device("a", 0, fake::mapping(capabilities)));
    Arc::new(BusPlan {
        bus: fake::bus(([127, 0, 0, 1], 0).into()),
        names: vec!["bus".to_owned()],
        devices: vec![device],
    })
}

impl Bench {
    fn start(room: usize, capabilities: &[Capability], script: &[Play]) -> Self {
        let (to_core, core) = mpsc::channel(room);
        let (inbox, calls) = mpsc::channel(8);
        let (plan, plans) = watch::channel(plan(capabilities));
        let (outlet, medium) = (Outlet::new(to_core, Handle::current()), FakeMedium::new(script));
        let own = (outlet.clone(), Arc::default(), CancellationToken::new());
        let (counters, stop) = (Arc::clone(&own.1), own.2.clone());
        let ends = Ends { inbox: calls, plan: plans, outlet, counters, stop, shared: false };
        let wire = medium.clone();
        let task = tokio::spawn(supervise::<FakeModel, FakeMedium>(ends, move |_| wire.clone()));
        Self { core, inbox, plan, medium, ends: own, task }
    }

    async fn call(&self, call: AdapterCall) {
        self.ends.0.opened(call.id);
        self.inbox.send((Instant::now().into_std(), call)).await.unwrap();
    }

    async fn reply(&mut self) -> AdapterReply {
        loop {
            if let FromAdapter::Reply(reply) = self.core.recv().await.unwrap() {
                return reply;
            }
        }
    }

    async fn reading(&mut self) {
        while !matches!(self.core.recv().await.unwrap(), FromAdapter::Report(AdapterReport::Readings { .. }))
        {
        }
    }

    fn statistics(&self) -> BusStatistics {
        let described =
            Described { name: "plant".into(), protocol: "modbus-tcp", address: "127.0.0.1:502".into() };
        self.ends.1.read(std::time::Instant::now(), self.ends.0.waiting(), &described, |_| true)
    }

    fn sent(&self) -> Vec<What> {
        self.medium.sent.lock().unwrap().iter().map(|ask| ask.what.clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn polls_keep_their_beat_and_calls_are_answered() {
    let mut bench = Bench::start(64, &[fake::polled(100), fake::blind()], &[]);
    bench.call(call(1, "a", write(1, 5))).await;
    assert_eq!(
        bench.reply().await.outcome,
        Ok(vec![usp_mapping::port::Reading::now(usp_mapping::port::PointId(1), Ok(number(5)))])
    );
    bench.reading().await;
    let begun = Instant::now();
    for _ in 0..10 {
        bench.reading().await;
    }
    assert!((990..=1010).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_panic_answers_what_waits_and_the_bus_is_served_again() {
    let mut bench = Bench::start(64, &[fake::on_demand(), fake::writable()], &[Play::Panic]);
    bench.call(call(1, "a", read(&[0]))).await;
    bench.call(call(2, "a", write(1, 3))).await;
    for _ in 0..2 {
        let reply = bench.reply().await;
        assert!(
            matches!(reply.outcome, Err(DeviceFault::Unsettled(_))),
            "what was sent is not known: {reply:?}"
        );
    }
    assert_eq!(bench.statistics().restarts, 1);
    bench.call(call(3, "a", read(&[0]))).await;
    assert!(matches!(bench.reply().await.outcome, Err(DeviceFault::Unreachable(_))), "while it is down");
    tokio::time::sleep(200 * MS).await;
    bench.call(call(4, "a", read(&[0]))).await;
    assert!(bench.reply().await.outcome.is_ok());
    let writes = bench.sent().iter().filter(|what| matches!(what, What::Write(..))).count();
    assert!(writes <= 1, "a call that was refused is not done afterwards: {:?}", bench.sent());
    assert_eq!(bench.statistics().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_while_the_wire_hangs() {
    let mut bench = Bench::start(64, &[fake::on_demand()], &[Play::Hang]);
    bench.call(call_within(1, "a", read(&[0]), 300)).await;
    let begun = Instant::now();
    assert_eq!(bench.reply().await.outcome, Err(DeviceFault::Timeout(300 * MS)));
    assert!((300..=305).contains(&begun.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn stopping_answers_everything_even_when_the_core_does_not_listen() {
    let mut bench = Bench::start(1, &[fake::polled(10), fake::on_demand()], &[Play::Show(1), Play::Hang]);
    for id in 0..5 {
        bench.call(call_within(id, "a", Action::Refresh, 60_000)).await;
    }
    tokio::time::sleep(100 * MS).await;
    bench.ends.2.cancel();
    bench.task.await.unwrap();
    let mut ids = Vec::new();
    drop((bench.ends, bench.inbox));
    while let Some(message) = bench.core.recv().await {
        if let FromAdapter::Reply(reply) = message {
            ids.push(reply.id);
        }
    }
    ids.sort();
    assert_eq!(ids, [0, 1, 2, 3, 4].map(CallId));
}

#[tokio::test(start_paused = true)]
async fn a_core_that_does_not_listen_stops_the_polls_and_loses_nothing() {
    let mut bench = Bench::start(1, &[fake::polled(10), fake::on_demand()], &[]);
    tokio::time::sleep(20_000 * MS).await;
    let sent = bench.sent().len();
    assert!(sent < 100, "{sent}");
    bench.call(call(1, "a", read(&[1]))).await;
    assert!(bench.reply().await.outcome.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_right_after_a_reload_finds_the_new_device() {
    let mut bench = Bench::start(64, &[fake::on_demand()], &[]);
    bench.call(call(1, "a", read(&[0]))).await;
    assert!(bench.reply().await.outcome.is_ok());
    for round in 0..20 {
        let points = vec![fake::on_demand(); 2 + round];
        bench.plan.send_replace(plan(&points));
        bench.call(call(10 + round as u64, "a", read(&[1 + round as u16]))).await;
        let reply = bench.reply().await.outcome.unwrap();
        assert_eq!(reply[0].result, Ok(number(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bus_of_no_known_protocol_refuses_with_the_reason() {
    let bench = Bench::start(64, &[fake::on_demand()], &[]);
    let (to_core, mut core) = mpsc::channel(8);
    let (inbox, calls) = mpsc::channel(8);
    let outlet = Outlet::new(to_core, Handle::current());
    let stop = CancellationToken::new();
    let (counters, plan) = (Arc::default(), bench.plan.subscribe());
    let (outlet_of, stop_of) = (outlet.clone(), stop.clone());
    let mut ends = Ends { inbox: calls, plan, outlet: outlet_of, counters, stop: stop_of, shared: false };
    let refusing =
        tokio::spawn(async move { refuse_until(&mut ends, "this build has no such thing", None).await });
    outlet.opened(CallId(1));
    inbox.send((Instant::now().into_std(), call(1, "a", read(&[0])))).await.unwrap();
    let fault = DeviceFault::Unreachable("this build has no such thing".to_owned());
    let device = usp_mapping::port::DeviceId("a".into());
    let report = AdapterReport::Online { device, online: Err(fault.clone()) };
    assert_eq!(core.recv().await, Some(FromAdapter::Report(report)));
    assert_eq!(
        core.recv().await,
        Some(FromAdapter::Reply(AdapterReply { id: CallId(1), outcome: Err(fault) }))
    );
    stop.cancel();
    refusing.await.unwrap();
}
