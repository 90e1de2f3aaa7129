//! A USP Service that does little, so that what stands before it is measured: the same framing, decoding and batching as
//! the echo server, a Label and a table of Parameters, Subscriptions, and changes at a steady rate.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::Record;
use usp_proto::uds_frame::{self, FrameDecoder, Tlv};
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::notify::{Notification, ValueChange};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{self, Msg};
use usp_tests::process::Process;

use crate::model::Model;
use crate::world::program;

/// Set for the process that serves: everything of [`Plan`], one a line.
const PLAN: &str = "USP_BENCH_SERVICE";

/// Bytes read at a time.
const READ: usize = 64 * 1024;

/// Changes come in bundles of this period, at least one each.
const BEAT: Duration = Duration::from_millis(1);

/// What a Service is to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The broker's socket for Services.
    pub(crate) socket: PathBuf,
    pub(crate) endpoint: String,
    /// Its object, with a final dot.
    pub(crate) root: String,
    /// Rows of its table, of ten Parameters each.
    pub(crate) rows: u32,
    /// Changes of its Label a second, each told with the time at which it came about.
    pub(crate) rate: u32,
    /// Where the same changes are told without a broker.
    pub(crate) control: Option<PathBuf>,
    /// So many like it in one process: `#` in `root` is their number, and the Endpoint ID ends in it.
    pub(crate) count: u32,
    /// Each answer waits for a random time up to this.
    pub(crate) delay: Duration,
}

impl Plan {
    pub(crate) fn new(socket: &Path, endpoint: &str, root: &str) -> Self {
        let (endpoint, root) = (endpoint.to_owned(), root.to_owned());
        Self {
            socket: socket.to_owned(),
            endpoint,
            root,
            rows: 0,
            rate: 0,
            control: None,
            count: 1,
            delay: Duration::ZERO,
        }
    }

    /// Starts it and waits until it is registered and its model was read.
    pub(crate) fn start(&self) -> Process {
        let process = self.launch();
        assert_eq!(process.line(), "known");
        process
    }

    /// Starts it and does not wait.
    pub(crate) fn launch(&self) -> Process {
        let lines = [
            self.socket.display().to_string(),
            self.endpoint.clone(),
            self.root.clone(),
            self.rows.to_string(),
            self.rate.to_string(),
            self.control.as_ref().map_or(String::new(), |path| path.display().to_string()),
            self.count.to_string(),
            self.delay.as_millis().to_string(),
        ];
        Process::start(Command::new(program()).env(PLAN, lines.join("\n")))
    }

    fn from_env() -> Option<Self> {
        let text = std::env::var(PLAN).ok()?;
        let lines: Vec<&str> = text.split('\n').collect();
        Some(Self {
            socket: lines[0].into(),
            endpoint: lines[1].to_owned(),
            root: lines[2].to_owned(),
            rows: lines[3].parse().unwrap(),
            rate: lines[4].parse().unwrap(),
            control: Some(PathBuf::from(lines[5])).filter(|path| path.as_os_str() != ""),
            count: lines[6].parse().unwrap(),
            delay: Duration::from_millis(lines[7].parse().unwrap()),
        })
    }

    /// One of several in this process.
    fn nth(&self, number: u32) -> Self {
        if self.count == 1 {
            return self.clone();
        }
        let number = number.to_string();
        Self {
            endpoint: format!("{}-{number}", self.endpoint),
            root: self.root.replace('#', &number),
            ..self.clone()
        }
    }
}

/// Nanoseconds since 1970, as a value.
pub(crate) fn stamp() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// Serves until the process is killed; `None`: this process is to be something else.
pub(crate) fn play() -> Option<ExitCode> {
    let plan = Plan::from_env()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let unknown = Arc::new(AtomicU32::new(plan.count));
        let mut all = JoinSet::new();
        (0..plan.count).for_each(|number| drop(all.spawn(one(plan.nth(number), unknown.clone()))));
        all.join_all().await;
    });
    Some(ExitCode::SUCCESS)
}

/// Without a broker it tries again, as a Service does.
async fn one(plan: Plan, unknown: Arc<AtomicU32>) {
    let mut announce = Some(unknown);
    loop {
        if let Ok(stream) = UnixStream::connect(&plan.socket).await {
            let mut server = Server::new(&plan, announce).await;
            server.serve(stream).await;
            announce = server.announce;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

struct Server<'a> {
    plan: &'a Plan,
    own: EndpointId,
    broker: Option<EndpointId>,
    model: Model,
    /// IDs of Subscriptions for changes.
    watched: Vec<String>,
    control: Option<UnixStream>,
    rows: u32,
    sent: u64,
    /// How many in this process are not known yet, this one included.
    announce: Option<Arc<AtomicU32>>,
    /// Answers that wait for their time.
    later: BTreeMap<(Instant, u64), Vec<u8>>,
    out: Vec<u8>,
}

impl<'a> Server<'a> {
    async fn new(plan: &'a Plan, announce: Option<Arc<AtomicU32>>) -> Self {
        let control = match &plan.control {
            Some(path) => Some(UnixStream::connect(path).await.unwrap()),
            None => None,
        };
        Self {
            plan,
            own: plan.endpoint.parse().unwrap(),
            broker: None,
            model: Model::new(&plan.root, plan.rows),
            watched: Vec::new(),
            control,
            rows: 0,
            sent: 0,
            announce,
            later: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    async fn serve(&mut self, stream: UnixStream) {
        let (mut read, mut write) = stream.into_split();
        self.out.extend(uds_frame::handshake(&self.own));
        let mut decoder = FrameDecoder::new(16 << 20);
        let mut chunk = vec![0; READ];
        let mut beat = interval(BEAT);
        // A pause of the machine is not made up for by a burst.
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            if !self.out.is_empty() && write.write_all(&self.out).await.is_err() {
                return;
            }
            self.out.clear();
            let count = tokio::select! {
                count = read.read(&mut chunk) => count.unwrap_or(0),
                _ = beat.tick(), if self.plan.rate > 0 || !self.later.is_empty() => {
                    self.change().await;
                    self.due();
                    continue;
                }
            };
            if count == 0 {
                return;
            }
            decoder.push(&chunk[..count]);
            while let Some(frame) = decoder.next().unwrap() {
                if frame.tlvs.iter().any(|tlv| matches!(tlv, Tlv::Error(_))) {
                    // Its former life may not have been noticed to be over.
                    return;
                }
                frame.tlvs.into_iter().for_each(|tlv| self.take(tlv));
            }
        }
    }

    fn take(&mut self, tlv: Tlv) {
        match tlv {
            Tlv::Handshake(peer) => {
                self.broker = Some(peer.parse().unwrap());
                let path = usp::register::RegistrationPath { path: self.plan.root.clone() };
                let register = usp::Register { allow_partial: false, reg_paths: vec![path] };
                self.send(message::request("register", ReqType::Register(register)));
            }
            Tlv::Record(bytes) => {
                let record = Record::decode(&bytes).unwrap();
                let Some(msg) = record.msg() else { return };
                if let Some(MsgBody::Request(request)) = message::body(msg)
                    && let Some(request) = &request.req_type
                {
                    let answer = self.answer(message::msg_id(msg), request);
                    match request {
                        ReqType::Get(_) if !self.plan.delay.is_zero() => self.send_later(answer),
                        _ => self.send(answer),
                    }
                }
            }
            Tlv::Error(_) | Tlv::Unknown { .. } => {}
        }
    }

    fn send(&mut self, msg: Msg) {
        let frame = self.frame(msg);
        self.out.extend(frame);
    }

    fn frame(&self, msg: Msg) -> Vec<u8> {
        let broker = self.broker.clone().unwrap();
        uds_frame::record(&Record::message(self.own.clone(), broker, msg).encode())
    }

    fn send_later(&mut self, msg: Msg) {
        self.sent += 1;
        let share = self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let due = Instant::now() + self.plan.delay * u32::try_from(share).unwrap() / (1 << 16);
        let frame = self.frame(msg);
        self.later.insert((due, self.sent), frame);
    }

    /// Answers whose time has come.
    fn due(&mut self) {
        let later = self.later.split_off(&(Instant::now(), u64::MAX));
        let due = std::mem::replace(&mut self.later, later);
        self.out.extend(due.into_values().flatten());
    }

    fn answer(&mut self, id: &str, request: &ReqType) -> Msg {
        let response = match request {
            ReqType::Get(get) => RespType::GetResp(self.model.get(get)),
            ReqType::GetSupportedDm(asked) => {
                self.announce();
                RespType::GetSupportedDmResp(self.model.supported(asked))
            }
            ReqType::GetInstances(asked) => RespType::GetInstancesResp(self.model.instances(asked)),
            ReqType::Add(add) => RespType::AddResp(self.subscribe(add)),
            ReqType::Delete(delete) => RespType::DeleteResp(deleted(delete)),
            _ => return message::error(id, ErrCode(7004), "not here", Vec::new()),
        };
        message::response(id, response)
    }

    /// Says once that it is known.
    fn announce(&mut self) {
        if let Some(unknown) = self.announce.take()
            && unknown.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::io::stdout().write_all(b"known\n").unwrap();
        }
    }

    /// Takes any Subscription.
    fn subscribe(&mut self, add: &usp::Add) -> usp::AddResp {
        use usp::add_resp::created_object_result::operation_status::{OperStatus, OperationSuccess};
        use usp::add_resp::{CreatedObjectResult, created_object_result::OperationStatus};
        let mut created_obj_results = Vec::new();
        for object in &add.create_objs {
            let text = |name: &str| {
                object.param_settings.iter().find(|s| s.param == name).map_or("", |s| s.value.as_str())
            };
            if text("NotifType") == "ValueChange" {
                self.watched.push(text("ID").to_owned());
            }
            self.rows += 1;
            let done = OperationSuccess {
                instantiated_path: format!("{}{}.", object.obj_path, self.rows),
                param_errs: Vec::new(),
                unique_keys: BTreeMap::from([("ID".to_owned(), text("ID").to_owned())]),
            };
            created_obj_results.push(CreatedObjectResult {
                requested_path: object.obj_path.clone(),
                oper_status: Some(OperationStatus { oper_status: Some(OperStatus::OperSuccess(done)) }),
            });
        }
        usp::AddResp { created_obj_results }
    }

    /// As many changes as belong to one beat, told to the broker and, without it, to whoever compares.
    async fn change(&mut self) {
        let many = self.plan.rate.div_ceil(1000);
        for _ in 0..many {
            let change = ValueChange {
                param_path: format!("{}Label", self.plan.root),
                param_value: stamp().to_string(),
            };
            for id in self.watched.clone() {
                self.sent += 1;
                let notify = usp::Notify {
                    subscription_id: id,
                    send_resp: false,
                    notification: Some(Notification::ValueChange(change.clone())),
                };
                let msg = message::request(&format!("n{}", self.sent), ReqType::Notify(notify));
                if let Some(control) = &mut self.control {
                    let record = Record::message(self.own.clone(), self.own.clone(), msg.clone());
                    control.write_all(&uds_frame::record(&record.encode())).await.unwrap();
                }
                self.send(msg);
            }
        }
    }
}

fn deleted(delete: &usp::Delete) -> usp::DeleteResp {
    use usp::delete_resp::deleted_object_result::operation_status::{OperStatus, OperationSuccess};
    use usp::delete_resp::{DeletedObjectResult, deleted_object_result::OperationStatus};
    let one = |path: &String| {
        let done = OperationSuccess { affected_paths: vec![path.clone()], unaffected_path_errs: Vec::new() };
        DeletedObjectResult {
            requested_path: path.clone(),
            oper_status: Some(OperationStatus { oper_status: Some(OperStatus::OperSuccess(done)) }),
        }
    };
    usp::DeleteResp { deleted_obj_results: delete.obj_paths.iter().map(one).collect() }
}
