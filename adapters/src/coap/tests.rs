//! Whole devices over real sockets on the loopback interface; what is tried with simulators is in the live tests.

mod told;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;
use usp_mapping::mapping::{
    Bus, BusAddress, BusKind, Capability, CoapAddress, CoapEndpoint, CoapMethod, CoapOptions, CoapPsk,
    CoapRead, CoapWrite, Device, DeviceAddress, Mapping, Poll, Protocol, ReadBinding, ReadPoint, SecretRef,
    Site, Verify, WriteBinding, WritePoint,
};
use usp_mapping::payload::{Pick, Put, PutForm};
use usp_mapping::port::{
    Action, AdapterCall, AdapterReply, AdapterReport, CallId, DeviceFault, DeviceId, PointId,
};
use usp_mapping::transform::{RawKind, Transform};
use usp_mapping::value::Value;

use crate::bus::fake;
use crate::coap::message::{Code, Kind, Message, Token, option};
use crate::{Adapters, FromAdapter};

const MINUTE: Duration = Duration::from_secs(60);

/// What a device holds, and who observes it.
#[derive(Default)]
struct Things {
    texts: BTreeMap<String, String>,
    observers: Vec<(SocketAddr, Token, String)>,
    /// PUTs are acknowledged and not done.
    frozen: bool,
    /// Nothing is answered.
    silent: bool,
    puts: u32,
}

/// A device with text resources.
struct Thing {
    socket: Arc<UdpSocket>,
    things: Arc<Mutex<Things>>,
    number: u32,
}

impl Thing {
    async fn start(texts: &[(&str, &str)]) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let texts = texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let things = Arc::new(Mutex::new(Things { texts, ..Things::default() }));
        let (server, shared) = (Arc::clone(&socket), Arc::clone(&things));
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, peer)) = server.recv_from(&mut buffer).await {
                let message = Message::parse(&buffer[..length]).unwrap();
                if message.code.is_request() && !shared.lock().unwrap().silent {
                    let answer = shared.lock().unwrap().answer(peer, &message);
                    server.send_to(&answer.to_bytes(), peer).await.unwrap();
                }
            }
        });
        Self { socket, things, number: 100 }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Changes something, and tells whoever observes it.
    async fn say(&mut self, path: &str, text: &str) {
        self.number += 1;
        let observers = {
            let mut things = self.things.lock().unwrap();
            things.texts.insert(path.to_owned(), text.to_owned());
            things.observers.clone()
        };
        for (peer, token, _) in observers.iter().filter(|(.., observed)| observed == path) {
            let id = u16::try_from(self.number).unwrap();
            let told =
                Message { code: Code(0x45), token: *token, ..Message::empty(Kind::NonConfirmable, id) };
            let told = told.with_number(option::OBSERVE, self.number);
            let told = Message { payload: text.into(), ..told };
            self.socket.send_to(&told.to_bytes(), peer).await.unwrap();
        }
    }
}

impl Things {
    fn answer(&mut self, peer: SocketAddr, request: &Message) -> Message {
        let path = std::str::from_utf8(request.option(option::URI_PATH).unwrap()).unwrap().to_owned();
        let answer = Message {
            kind: Kind::Acknowledgement,
            options: Vec::new(),
            payload: Vec::new(),
            ..request.clone()
        };
        if request.code == Code::PUT {
            self.puts += 1;
            if !self.frozen {
                self.texts.insert(path, String::from_utf8(request.payload.clone()).unwrap());
            }
            return Message { code: Code(0x44), ..answer };
        }
        let Some(text) = self.texts.get(&path) else { return Message { code: Code(0x84), ..answer } };
        let answer = Message { code: Code(0x45), payload: text.clone().into_bytes(), ..answer };
        match request.number(option::OBSERVE) {
            Some(0) => {
                self.observers.push((peer, request.token, path));
                answer.with_number(option::OBSERVE, 1)
            }
            _ => answer,
        }
    }
}

fn place(path: &str, observe: bool) -> ReadPoint {
    ReadPoint::Coap(CoapRead { path: path.to_owned(), pick: Pick::Text, observe, accept: None })
}

fn reads(path: &str, observe: bool, poll: Poll) -> Capability {
    let read = ReadBinding::single(place(path, observe), Transform::default(), poll);
    Capability { read: Some(read), ..fake::on_demand() }
}

/// Read and written at one path, with a look at what it shows.
fn writes(path: &str) -> Capability {
    let put = Put { form: PutForm::Text, kind: RawKind::Text(64) };
    let point = WritePoint::Coap(CoapWrite { path: path.to_owned(), method: CoapMethod::Put, put });
    let write = WriteBinding {
        point,
        transform: Transform::default(),
        verify: Some(Verify { by: None, within: Duration::from_secs(1) }),
        ttl: MINUTE,
        takes: MINUTE,
        rate: Duration::ZERO,
        coalesce: false,
        undo: false,
    };
    Capability { write: Some(write), ..reads(path, false, Poll::OnDemand) }
}

fn mapping(capabilities: &[Capability], timeout: Duration) -> Mapping {
    let protocol = Protocol::Coap(CoapOptions { timeout, ..CoapOptions::default() });
    Mapping { protocol, ..fake::mapping(capabilities) }
}

fn device(id: &str, address: SocketAddr, mapping: Mapping) -> Device {
    let address = CoapAddress { host: BusAddress::Socket(address), psk: None };
    Device { address: DeviceAddress::Coap(address), ..fake::device(id, 1, mapping) }
}

fn site(devices: Vec<Device>) -> Arc<Site> {
    let bus = Bus { name: "bus".to_owned(), kind: BusKind::Coap(CoapEndpoint::default()) };
    Arc::new(Site { buses: vec![bus], devices })
}

struct Bench {
    adapters: Adapters,
    core: mpsc::Receiver<FromAdapter>,
    calls: u64,
}

impl Bench {
    fn start(devices: Vec<Device>) -> Self {
        let (to_core, core) = mpsc::channel(64);
        Self { adapters: Adapters::start(site(devices), to_core), core, calls: 0 }
    }

    fn call(&mut self, device: &str, action: Action) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        let device = DeviceId(device.into());
        self.adapters.call(AdapterCall { id, device, within: MINUTE, behind: Duration::ZERO, action });
        id
    }

    async fn next(&mut self) -> FromAdapter {
        timeout(60 * MINUTE, self.core.recv()).await.expect("in time").expect("a message")
    }

    async fn reply(&mut self, id: CallId) -> AdapterReply {
        loop {
            match self.next().await {
                FromAdapter::Reply(reply) if reply.id == id => return reply,
                _ => {}
            }
        }
    }

    async fn ask(&mut self, device: &str, action: Action) -> Result<Value, DeviceFault> {
        let id = self.call(device, action);
        self.reply(id).await.outcome.and_then(|mut readings| readings.remove(0).result)
    }

    /// The next reading that is reported of a device.
    async fn reported(&mut self, of: &str) -> Result<Value, DeviceFault> {
        loop {
            if let FromAdapter::Report(AdapterReport::Readings { device, mut readings, .. }) =
                self.next().await
                && device.0.as_ref() == of
            {
                return readings.remove(0).result;
            }
        }
    }

    async fn offline(&mut self) -> String {
        loop {
            if let FromAdapter::Report(AdapterReport::Online { online: Err(fault), .. }) = self.next().await {
                return fault.to_string();
            }
        }
    }
}

fn number(value: i64) -> Value {
    Value::Number(value.into())
}

#[tokio::test]
async fn a_device_is_read_and_written_and_its_refusals_are_told() {
    let thing = Thing::start(&[("a", "21")]).await;
    let mapping = mapping(&[writes("/a"), reads("/b", false, Poll::OnDemand)], Duration::from_secs(20));
    let mut bench = Bench::start(vec![device("one", thing.address(), mapping)]);
    assert_eq!(bench.ask("one", Action::Read(vec![PointId(0)])).await, Ok(number(21)));
    let refused = bench.ask("one", Action::Read(vec![PointId(1)])).await;
    assert_eq!(refused, Err(DeviceFault::Refused("4.04 Not Found".to_owned())));
    let write = Action::Write(vec![(PointId(0), number(25))]);
    assert_eq!(bench.ask("one", write.clone()).await, Ok(number(25)));
    thing.things.lock().unwrap().frozen = true;
    thing.things.lock().unwrap().texts.insert("a".to_owned(), "7".to_owned());
    let outcome = bench.ask("one", write).await;
    assert_eq!(outcome, Err(DeviceFault::NotConfirmed { wanted: "25".to_owned(), shown: "7".to_owned() }));
    assert_eq!(thing.things.lock().unwrap().puts, 2, "a write is sent once");
    bench.adapters.stop().await;
}

#[tokio::test]
async fn what_is_observed_is_reported_without_being_asked() {
    let mut thing = Thing::start(&[("t", "1")]).await;
    let polls = Poll::Every(Duration::from_secs(3600));
    let mapping = mapping(&[reads("/t", true, polls)], Duration::from_secs(20));
    let mut bench = Bench::start(vec![device("one", thing.address(), mapping)]);
    assert_eq!(bench.reported("one").await, Ok(number(1)));
    for value in 2..5 {
        thing.say("t", &value.to_string()).await;
        assert_eq!(bench.reported("one").await, Ok(number(value)));
    }
    bench.adapters.stop().await;
}

#[tokio::test]
async fn where_nobody_listens_it_is_known_at_once_and_others_do_not_wait() {
    let thing = Thing::start(&[("a", "21")]).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let polls = Poll::Every(Duration::from_secs(1));
    let slow = mapping(&[reads("/a", false, polls)], MINUTE);
    let devices = vec![
        device("closed", closed, slow.clone()),
        device("silent", silent.local_addr().unwrap(), slow.clone()),
        device("one", thing.address(), slow),
    ];
    let mut bench = Bench::start(devices);
    assert!(bench.offline().await.contains("nothing listens"));
    assert_eq!(bench.reported("one").await, Ok(number(21)));
    bench.adapters.stop().await;
}

#[tokio::test]
async fn a_key_that_cannot_be_had_is_said_and_not_shown() {
    let thing = Thing::start(&[]).await;
    let mapping = mapping(&[reads("/a", false, Poll::Every(MINUTE))], MINUTE);
    let mut device = device("one", thing.address(), mapping);
    let key = SecretRef::File("/nowhere/key".to_owned());
    let psk = Some(CoapPsk { identity: "me".to_owned(), key });
    device.address = DeviceAddress::Coap(CoapAddress { host: BusAddress::Socket(thing.address()), psk });
    let mut bench = Bench::start(vec![device]);
    let words = bench.offline().await;
    assert!(words.contains("file:/nowhere/key cannot be read"), "{words}");
    let bus = bench.adapters.statistics().remove(0);
    assert!(!bus.connected && words.contains(&*bus.last_error), "{bus:?}");
    bench.adapters.stop().await;
}

#[tokio::test]
async fn a_change_of_address_is_followed() {
    let (first, second) = (Thing::start(&[("a", "1")]).await, Thing::start(&[("a", "2")]).await);
    let mapping = mapping(&[reads("/a", false, Poll::OnDemand)], MINUTE);
    let mut bench = Bench::start(vec![device("one", first.address(), mapping.clone())]);
    assert_eq!(bench.ask("one", Action::Read(vec![PointId(0)])).await, Ok(number(1)));
    bench.adapters.apply(site(vec![device("one", second.address(), mapping)])).await;
    assert_eq!(bench.ask("one", Action::Read(vec![PointId(0)])).await, Ok(number(2)));
    bench.adapters.stop().await;
}
