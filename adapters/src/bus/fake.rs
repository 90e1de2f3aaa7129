//! Mappings and a protocol for tests: two points a read, no registers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use usp_mapping::mapping::{
    BusAddress, BusKind, ByteOrder, Capability, Class, Device, DeviceAddress, Mapping, ModbusOptions,
    ModbusPoint, ModbusTable, ModbusWriteFunction, OnlineRule, PerTable, Poll, Protocol, ReadBinding,
    ReadPoint, RegisterEncoding, Steps, Verify, WriteBinding, WritePoint,
};
use usp_mapping::port::{
    Action, AdapterCall, CallId, DeviceFault, DeviceId, Freshness, PointId, Reading, Readings,
};
use usp_mapping::transform::Transform;
use usp_mapping::value::Value;

use crate::bus::ear::{Ear, Said};
use crate::bus::mailbox::Letter;
use crate::bus::queue::Target;
use crate::bus::{Heard, Medium, Model, Outcome, Understood, WriteStart};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Holding register 0.
pub(crate) const PLACE: ModbusPoint = ModbusPoint {
    table: ModbusTable::Holding,
    address: 0,
    count: 1,
    encoding: RegisterEncoding::U16,
    order: ByteOrder::Abcd,
    bits: None,
};

/// Stops the clock of the runtime until it is dropped, for tests with real sockets on a busy machine: a clock that is only
/// paused goes on by itself whenever everybody waits for a socket.
pub(crate) fn time_stands_still() -> std::sync::mpsc::Sender<()> {
    tokio::time::pause();
    let (still, dropped) = std::sync::mpsc::channel();
    // The runtime leaves its clock alone while there is blocking work.
    tokio::task::spawn_blocking(move || dropped.recv().ok());
    still
}

/// A number that is read on demand only.
pub(crate) fn on_demand() -> Capability {
    Capability {
        id: "point".to_owned(),
        node: None,
        name: "Point".to_owned(),
        class: Class::LevelControl,
        kind: "Level".to_owned(),
        description: String::new(),
        unit: Some("V".to_owned()),
        range: None,
        step: None,
        steps: Steps::Both,
        valid_values: Vec::new(),
        value_names: Vec::new(),
        low_threshold: None,
        high_threshold: None,
        deadband: None,
        monotonic: false,
        sensitivity: None,
        hold: None,
        rest: None,
        max_age: Duration::ZERO,
        serve_stale: false,
        read_within: Duration::from_secs(1),
        read: Some(ReadBinding::single(ReadPoint::Modbus(PLACE), Transform::default(), Poll::OnDemand)),
        write: None,
    }
}

/// A number that is said and cannot be asked for: one with `serve_stale`.
pub(crate) fn told() -> Capability {
    Capability { serve_stale: true, ..on_demand() }
}

/// A number that is polled.
pub(crate) fn polled(every_ms: u32) -> Capability {
    let mut capability = on_demand();
    if let Some(read) = &mut capability.read {
        read.poll = Poll::Every(every_ms * MS);
    }
    capability
}

/// A number that is written with a time to live of ten seconds.
pub(crate) fn writable() -> Capability {
    let point = WritePoint::Modbus {
        point: PLACE,
        function: ModbusWriteFunction::SingleRegister,
        read_modify_write: false,
    };
    let ttl = Duration::from_secs(10);
    let write = WriteBinding {
        point,
        transform: Transform::default(),
        verify: None,
        ttl,
        takes: Duration::from_secs(1),
        rate: Duration::ZERO,
        coalesce: false,
        undo: false,
    };
    Capability { write: Some(write), ..on_demand() }
}

/// Like [`writable`], and cannot be read.
pub(crate) fn blind() -> Capability {
    Capability { read: None, ..writable() }
}

/// Like [`writable`], verified.
pub(crate) fn verified(verify_ms: u32) -> Capability {
    let mut capability = writable();
    if let Some(write) = &mut capability.write {
        write.verify = Some(Verify { by: None, within: verify_ms * MS });
    }
    capability
}

/// Like [`writable`], by read, modify, write.
pub(crate) fn modified() -> Capability {
    let mut capability = writable();
    if let Some(WriteBinding { point: WritePoint::Modbus { read_modify_write, .. }, .. }) =
        &mut capability.write
    {
        *read_modify_write = true;
    }
    capability
}

/// A model that is offline after three silences and probed after 100 to 1000 ms.
pub(crate) fn mapping(capabilities: &[Capability]) -> Mapping {
    Mapping {
        profile: "test.model".to_owned(),
        version: "1.0.0".to_owned(),
        device_type: "Test".to_owned(),
        description: String::new(),
        nodes: Vec::new(),
        capabilities: capabilities.to_vec(),
        settings: Vec::new(),
        commands: Vec::new(),
        events: Vec::new(),
        poll_groups: Vec::new(),
        fingerprint: Vec::new(),
        online: OnlineRule { fails: 3, backoff_min: 100 * MS, backoff_max: 1000 * MS },
        protocol: Protocol::Modbus(ModbusOptions {
            max_read: PerTable::of_kinds(80, 80),
            max_gap: PerTable::of_kinds(4, 4),
            timeout: 50 * MS,
            ..ModbusOptions::default()
        }),
    }
}

/// A device on the bus `bus`.
pub(crate) fn device(id: &str, unit: u8, mapping: Mapping) -> Device {
    Device {
        id: DeviceId(id.into()),
        name: id.to_owned(),
        mapping: Arc::new(mapping),
        bus: "bus".to_owned(),
        address: DeviceAddress::ModbusUnit(unit),
    }
}

/// The bus `bus` at an address.
pub(crate) fn bus(address: std::net::SocketAddr) -> usp_mapping::mapping::Bus {
    let kind = BusKind::ModbusTcp { address: BusAddress::Socket(address) };
    usp_mapping::mapping::Bus { name: "bus".to_owned(), kind }
}

/// A call with ten seconds to live.
pub(crate) fn call(id: u64, device: &str, action: Action) -> AdapterCall {
    call_within(id, device, action, 10_000)
}

/// A call.
pub(crate) fn call_within(id: u64, device: &str, action: Action, within_ms: u32) -> AdapterCall {
    AdapterCall {
        id: CallId(id),
        device: DeviceId(device.into()),
        within: within_ms * MS,
        behind: Duration::ZERO,
        action,
    }
}

/// A read of points.
pub(crate) fn read(points: &[u16]) -> Action {
    Action::Read(points.iter().copied().map(PointId).collect())
}

/// A write of one number.
pub(crate) fn write(point: u16, value: i64) -> Action {
    Action::Write(vec![(PointId(point), number(value))])
}

pub(crate) fn number(value: i64) -> Value {
    Value::Number(value.into())
}

/// What goes over the fake wire: to whom, and what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FakeAsk {
    pub(crate) unit: u8,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Read(Vec<u16>),
    Write(u16, Value),
}

/// What comes back over it: the same value for all points of a read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FakeAnswer {
    Shows(i64),
    Refuses,
    /// Who took it for the device does not know whether that has it.
    Perhaps,
}

/// What a fake device says unasked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FakeWord {
    pub(crate) shows: Vec<(u16, i64)>,
    pub(crate) freshness: Freshness,
    pub(crate) presence: Option<Result<(), String>>,
}

impl FakeWord {
    /// Live.
    pub(crate) fn shows(point: u16, value: i64) -> Self {
        Self { shows: vec![(point, value)], freshness: Freshness::NOW, presence: None }
    }

    /// Live, but a part of it was said so long ago.
    pub(crate) fn partly(point: u16, value: i64, age_ms: u32) -> Self {
        let freshness = Freshness { contact: true, age: Some(age_ms * MS) };
        Self { freshness, ..Self::shows(point, value) }
    }

    /// Kept by a server.
    pub(crate) fn kept(point: u16, value: i64) -> Self {
        Self { freshness: Freshness::KEPT, ..Self::shows(point, value) }
    }

    pub(crate) fn presence(presence: Result<(), String>) -> Self {
        Self { shows: Vec::new(), freshness: Freshness::KEPT, presence: Some(presence) }
    }
}

impl Letter for FakeWord {
    fn subject(&self) -> &str {
        "state"
    }

    fn len(&self) -> usize {
        self.shows.len()
    }
}

/// A device with the guard 42 ms has nothing that it could be asked.
const DUMB: Duration = Duration::from_millis(42);

#[derive(Debug)]
pub(crate) struct FakeModel {
    unit: u8,
    mapping: Arc<Mapping>,
    tells: bool,
    is_awake: bool,
    /// What was last said unasked.
    last: BTreeMap<PointId, Reading>,
}

impl FakeModel {
    fn is_dumb(&self) -> bool {
        self.guard() == DUMB
    }

    fn is_sleepy(&self) -> bool {
        self.mapping.protocol.modbus().expect("options").timeout == SLEEPY
    }
}

/// One that says what it shows and cannot be asked.
pub(crate) fn dumb(capabilities: &[Capability]) -> Mapping {
    let mut mapping = mapping(capabilities);
    mapping.protocol = Protocol::Modbus(ModbusOptions { guard: DUMB, ..ModbusOptions::default() });
    mapping
}

/// How long an exchange may take with one that sleeps.
const SLEEPY: Duration = Duration::from_millis(77);

/// One that sleeps but right after it has said something; what it refuses then it has not received.
pub(crate) fn sleepy(capabilities: &[Capability]) -> Mapping {
    let mut mapping = mapping(capabilities);
    mapping.protocol = Protocol::Modbus(ModbusOptions { timeout: SLEEPY, ..ModbusOptions::default() });
    mapping
}

fn refused() -> DeviceFault {
    DeviceFault::Refused("no".to_owned())
}

impl Model for FakeModel {
    type Ask = FakeAsk;
    type Answer = FakeAnswer;
    type Word = FakeWord;

    fn new(device: &Device) -> Self {
        let unit = device.address.unit().expect("a unit");
        let (tells, is_awake, last) = (false, false, BTreeMap::new());
        Self { unit, mapping: Arc::clone(&device.mapping), tells, is_awake, last }
    }

    fn plan(&mut self, _: Instant, points: &[PointId]) -> Vec<FakeAsk> {
        let ask = |points: &[PointId]| FakeAsk {
            unit: self.unit,
            what: What::Read(points.iter().map(|point| point.0).collect()),
        };
        if self.is_dumb() {
            return Vec::new();
        }
        let model = |point: &PointId| self.mapping.model(*point);
        let readable = |point: &PointId| model(point).is_some_and(|it| it.read.is_some() && !it.serve_stale);
        let points: Vec<_> = points.iter().filter(|point| readable(point)).copied().collect();
        points.chunks(2).map(ask).collect()
    }

    fn points(&self, ask: &FakeAsk) -> Vec<PointId> {
        match &ask.what {
            What::Read(points) => points.iter().copied().map(PointId).collect(),
            What::Write(..) => Vec::new(),
        }
    }

    fn understand(&mut self, _: Instant, ask: &FakeAsk, answer: FakeAnswer) -> Understood<FakeAsk> {
        let reading = match answer {
            FakeAnswer::Shows(value) => Ok(number(value)),
            FakeAnswer::Refuses | FakeAnswer::Perhaps => Err(refused()),
        };
        let readings =
            self.points(ask).into_iter().map(|point| Reading::now(point, reading.clone())).collect();
        Understood { readings, again: Vec::new() }
    }

    fn unanswered(&mut self, _: Instant, ask: &FakeAsk, fault: &DeviceFault) -> Understood<FakeAsk> {
        let readings =
            self.points(ask).into_iter().map(|point| Reading::now(point, Err(fault.clone()))).collect();
        Understood { readings, again: Vec::new() }
    }

    fn sign_of_life(&self, _: &FakeAsk) -> Option<FakeAsk> {
        None
    }

    fn patience(&self, _: &FakeAsk) -> u32 {
        2
    }

    fn rests(&self, _: Instant, _: PointId) -> bool {
        false
    }

    fn is_back(&mut self, _: Instant) {}

    fn write(&self, target: Target, value: &Value) -> Result<WriteStart<FakeAsk>, DeviceFault> {
        let point = match target {
            Target::Point(point) => point,
            // The steps of a command are written as if they were points from 100 on.
            Target::Step(_, step) => {
                let step = u16::try_from(step).map_err(|_| DeviceFault::Unknown)?;
                let what = What::Write(100 + step, value.clone());
                return Ok(WriteStart::Send(FakeAsk { unit: self.unit, what }));
            }
        };
        let capability = self.mapping.model(point).ok_or(DeviceFault::Unknown)?;
        match (&capability.write, value) {
            (Some(binding), Value::Number(_)) => {
                let modified = binding.point.modbus().is_some_and(|(.., modified)| modified);
                let ask = |what| FakeAsk { unit: self.unit, what };
                Ok(if modified {
                    WriteStart::Fetch(ask(What::Read(vec![point.0])))
                } else {
                    WriteStart::Send(ask(What::Write(point.0, value.clone())))
                })
            }
            _ => Err(DeviceFault::Unwritable("no".to_owned())),
        }
    }

    /// Adds what was fetched.
    fn modify(&self, target: Target, value: &Value, fetched: FakeAnswer) -> Result<FakeAsk, DeviceFault> {
        let Target::Point(point) = target else { return Err(DeviceFault::Unknown) };
        match (fetched, value) {
            (FakeAnswer::Shows(old), Value::Number(new)) => {
                let what = What::Write(point.0, Value::Number(new + rust_decimal::Decimal::from(old)));
                Ok(FakeAsk { unit: self.unit, what })
            }
            _ => Err(refused()),
        }
    }

    fn acknowledge(&self, _: &FakeAsk, answer: FakeAnswer) -> Result<(), DeviceFault> {
        match answer {
            FakeAnswer::Shows(_) => Ok(()),
            FakeAnswer::Refuses => Err(refused()),
            FakeAnswer::Perhaps => Err(DeviceFault::Unsettled("perhaps".to_owned())),
        }
    }

    fn refuses(&self, answer: &FakeAnswer) -> bool {
        *answer == FakeAnswer::Refuses
    }

    fn sleeps(&self, _: Instant) -> bool {
        self.is_sleepy() && !self.is_awake
    }

    fn knows_better(&mut self, _: &FakeAsk, answer: &FakeAnswer) -> bool {
        self.is_awake &= *answer != FakeAnswer::Refuses;
        self.sleeps(Instant::now())
    }

    fn reconnected(&mut self) {}

    fn write_rate(&self) -> Duration {
        self.mapping.protocol.modbus().expect("options").write_rate
    }

    fn turnaround(&self) -> Duration {
        self.mapping.protocol.modbus().expect("options").turnaround
    }

    fn shows(&self, _: PointId, _: PointId, wanted: &Value, shown: &Value) -> bool {
        wanted == shown
    }

    fn hear(&mut self, _: Instant, word: FakeWord) -> Heard {
        (self.tells, self.is_awake) = (true, true);
        let reading = |(point, value): &(u16, i64)| Reading {
            point: PointId(*point),
            result: Ok(number(*value)),
            freshness: word.freshness,
        };
        let readings: Readings = word.shows.iter().map(reading).collect();
        self.last.extend(readings.iter().map(|reading| (reading.point, reading.clone())));
        Heard { readings, live: word.freshness.contact, presence: word.presence, ..Heard::default() }
    }

    fn tells(&self, _: PointId) -> bool {
        self.tells || self.is_dumb()
    }

    /// As if it had been said a second ago.
    fn known(&self, _: Instant, point: PointId) -> Option<Reading> {
        let past = Freshness { contact: false, age: Some(1000 * MS) };
        self.last.get(&point).map(|known| Reading { freshness: past, ..known.clone() })
    }

    fn is_taciturn(&self) -> bool {
        self.is_dumb()
    }

    fn guard(&self) -> Duration {
        self.mapping.protocol.modbus().expect("options").guard
    }
}

/// Nobody says anything unasked on the fake wire.
pub(crate) struct FakeEar;

impl Ear for FakeEar {
    type Word = FakeWord;

    async fn hear(&mut self) -> Said<FakeWord> {
        std::future::pending().await
    }
}

/// What the fake wire does with an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Play {
    /// Answers it.
    Show(i64),
    /// Never ends it.
    Hang,
    /// Panics.
    Panic,
}

/// A wire that follows a script, and shows 1 after its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeMedium {
    pub(crate) script: Arc<Mutex<VecDeque<Play>>>,
    pub(crate) sent: Arc<Mutex<Vec<FakeAsk>>>,
    up: bool,
}

impl FakeMedium {
    pub(crate) fn new(script: &[Play]) -> Self {
        Self { script: Arc::new(Mutex::new(script.iter().copied().collect())), ..Self::default() }
    }
}

impl Medium for FakeMedium {
    type Ask = FakeAsk;
    type Answer = FakeAnswer;
    type Ear = FakeEar;

    fn ear(&mut self) -> FakeEar {
        FakeEar
    }

    async fn connect(&mut self) -> Result<(), String> {
        self.up = true;
        Ok(())
    }

    async fn exchange(&mut self, ask: FakeAsk) -> Outcome<FakeAnswer> {
        self.sent.lock().unwrap().push(ask);
        tokio::time::sleep(MS).await;
        let play = self.script.lock().unwrap().pop_front();
        match play.unwrap_or(Play::Show(1)) {
            Play::Show(value) => Outcome::Answered(FakeAnswer::Shows(value)),
            Play::Hang => std::future::pending().await,
            Play::Panic => panic!("as the test wants"),
        }
    }

    fn is_up(&mut self) -> bool {
        self.up
    }
}
