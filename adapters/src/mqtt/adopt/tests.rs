//! Adoption with a connection that is played, on time that stands still.

use tokio::sync::mpsc;
use usp_mapping::mapping::{AdoptedFrom, Adoption as From, BusAddress, BusKind, MqttVersion};

use super::*;
use crate::bus::ear::LinkState;
use crate::bus::statistics::BusCounters;
use crate::mqtt::board::Order;

const BOILER: &str = "tasmota/discovery/A4CF12345678/config";
const PUMP: &str = "tasmota/discovery/A4CF12340000/config";

/// An adoption of everything that Tasmota tells.
struct Scene {
    board: Arc<Board>,
    orders: mpsc::Receiver<Order>,
    told: mpsc::Receiver<FromAdapter>,
    _stop: tokio_util::sync::DropGuard,
}

impl Scene {
    fn begin() -> Self {
        let (board, orders) = Board::new(Arc::new(BusCounters::default()));
        let (to_core, told) = mpsc::channel(8);
        let server = MqttServer {
            address: BusAddress::Host("server".to_owned(), 1883),
            user: None,
            password: None,
            tls: None,
            client_id: None,
            version: MqttVersion::V5,
            adopt: vec![From { from: AdoptedFrom::Tasmota, topic: "tasmota/discovery".to_owned() }],
        };
        let bus = Bus { name: "home".to_owned(), kind: BusKind::Mqtt(server.clone()) };
        let runtime = Handle::current();
        let stop = CancellationToken::new();
        let way = Outlet::new(to_core, runtime.clone());
        start(&board, (&server, &bus), "usp-broker-1", &way, &stop, &runtime).unwrap();
        Self { board, orders, told, _stop: stop.drop_guard() }
    }

    /// As the keeper of the connection does it.
    fn up(&self) {
        self.board.forget();
        self.board.state.send_replace(LinkState::Up);
    }

    fn down(&self) {
        self.board.state.send_replace(LinkState::Down("gone".to_owned()));
    }

    fn say(&self, topic: &str, kept: bool) {
        let mac = topic.split('/').nth(2).unwrap();
        let body = format!(
            r#"{{"dn":"{mac}","mac":"{mac}","md":"Sonoff Basic","t":"t{mac}","ft":"%prefix%/%topic%/",
            "tp":["cmnd","stat","tele"],"rl":[1],"state":["OFF","ON"],"ver":1}}"#
        );
        self.board.hand_out(&Said { topic: topic.into(), body: body.into(), kept });
    }

    /// Whoever listens has begun to: what is said before is said to nobody.
    async fn listening(&self) {
        self.board.wanted().wait_for(|wanted| !wanted.filters.is_empty()).await.unwrap();
    }

    /// The devices that are told next.
    async fn devices(&mut self) -> Vec<String> {
        match self.told.recv().await.unwrap() {
            FromAdapter::Adopted(adopted) => adopted.devices.into_iter().map(|device| device.name).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Answers the next round trip, or does not.
    async fn round_trip(&mut self, is_answered: bool) {
        match self.orders.recv().await.unwrap() {
            Order::RoundTrip(done) if is_answered => done.send(()).unwrap(),
            Order::RoundTrip(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_any_more_after_a_new_connection_is_gone() {
    let mut scene = Scene::begin();
    scene.listening().await;
    scene.up();
    scene.say(BOILER, true);
    scene.say(PUMP, true);
    assert_eq!(scene.devices().await, ["A4CF12340000", "A4CF12345678"]);
    scene.round_trip(true).await;

    scene.down();
    tokio::time::sleep(10 * roll_call::QUIET).await;
    assert!(scene.told.try_recv().is_err() && scene.orders.try_recv().is_err(), "silence says nothing");
    scene.up();
    let begin = Instant::now();
    // One that comes back a little later; whoever says it itself says it all the same.
    tokio::time::sleep(roll_call::QUIET / 2).await;
    scene.say(PUMP, false);
    scene.round_trip(true).await;
    assert_eq!(scene.devices().await, ["A4CF12340000"]);
    assert!(begin.elapsed() >= roll_call::QUIET);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_waited_for_as_long_as_it_comes() {
    let mut scene = Scene::begin();
    scene.listening().await;
    scene.up();
    scene.say(BOILER, true);
    scene.say(PUMP, true);
    assert_eq!(scene.devices().await.len(), 2);
    scene.up();
    // A server that is slow, then one that is stuck: the connection breaks, and counts anew.
    for _ in 0..5 {
        tokio::time::sleep(roll_call::QUIET * 9 / 10).await;
        scene.say(BOILER, true);
    }
    let last = Instant::now();
    scene.round_trip(false).await;
    assert!(last.elapsed() >= roll_call::QUIET);
    tokio::time::sleep(10 * roll_call::QUIET).await;
    assert!(scene.told.try_recv().is_err(), "nobody answered");
    scene.down();
    scene.up();
    scene.say(BOILER, true);
    scene.say(PUMP, true);
    scene.round_trip(true).await;
    tokio::time::sleep(10 * roll_call::QUIET).await;
    assert!(scene.told.try_recv().is_err(), "both were told");
}

#[tokio::test(start_paused = true)]
async fn who_tells_nothing_is_known_to_have_nothing() {
    let mut scene = Scene::begin();
    scene.listening().await;
    scene.up();
    scene.round_trip(true).await;
    assert!(scene.devices().await.is_empty(), "what an earlier link has adopted is gone");
}
