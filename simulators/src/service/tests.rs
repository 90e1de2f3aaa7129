//! The whole Service against a stand-in for the Broker, which speaks in frames and Records.

use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixListener;
use usp_proto::usp::notify::Notification;
use usp_proto::usp::notify::operation_complete::OperationResp as Completed;
use usp_proto::usp::operate_resp::operation_result::OperationResp;
use usp_proto::usp::register_resp::RegisteredPathResult;
use usp_proto::usp::register_resp::registered_path_result::OperationStatus;
use usp_proto::usp::register_resp::registered_path_result::operation_status::{OperStatus, OperationSuccess};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{Add, Deregister, DeregisterResp, Get, Msg, Operate, RegisterResp, add};
use usp_proto::usp_record::UdsConnectRecord;
use usp_proto::usp_record::record::RecordType;

use super::core::Core;
use super::frame::Part;
use super::wire::{self, Wire};
use super::*;
use crate::mischief::{Order, ServiceFault};

const ROOT: &str = "Device.X_USPBROKER-DEMO_Thermostat.";
const ID: &str = "proto::svc1";
const BROKER: &str = "os::012345-hub";

fn core() -> Core {
    Core::new("Device.X_T.", ID, 1, false, Duration::from_millis(100))
}

fn subscribe(kind: &str, reference: &str) -> ReqType {
    let setting = |(param, value): (&str, &str)| add::CreateParamSetting {
        param: param.to_owned(),
        value: value.to_owned(),
        required: true,
    };
    let settings = [("ID", kind), ("NotifType", kind), ("ReferenceList", reference), ("Enable", "true")];
    let obj_path = "Device.LocalAgent.Subscription.".to_owned();
    let create = add::CreateObject { obj_path, param_settings: settings.map(setting).to_vec() };
    ReqType::Add(Add { allow_partial: false, create_objs: vec![create] })
}

fn get(path: &str) -> ReqType {
    ReqType::Get(Get { param_paths: vec![path.to_owned()], max_depth: 0 })
}

fn operate(command: &str, args: &[(&str, &str)]) -> ReqType {
    let input_args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ReqType::Operate(Operate {
        command: command.to_owned(),
        command_key: "k1".into(),
        send_resp: true,
        input_args,
    })
}

fn operated(messages: &[Msg]) -> OperationResp {
    let Some(RespType::OperateResp(response)) = messages.first().and_then(message::answer) else {
        panic!("{messages:?}")
    };
    response.operation_results[0].operation_resp.clone().unwrap()
}

fn notified(messages: &[Msg]) -> Vec<Notification> {
    let notification = |message: &Msg| match message::content(message)? {
        ReqType::Notify(notify) => notify.notification.clone(),
        _ => None,
    };
    messages.iter().filter_map(notification).collect()
}

#[test]
fn a_command_that_is_done_at_once() {
    let mut core = core();
    core.handle(&message::request("1", subscribe("ValueChange", "Device.X_T.Stats.")));
    let messages = core.handle(&message::request("2", operate("Device.X_T.Reset()", &[])));
    let OperationResp::ReqOutputArgs(outputs) = operated(&messages) else { panic!("{messages:?}") };
    assert_eq!(outputs.output_args, BTreeMap::from([("Previous".into(), "9007199254740993".into())]));
    assert_eq!(notified(&messages).len(), 2);
}

#[test]
fn a_command_that_takes_time() {
    let mut core = core();
    core.handle(&message::request("1", subscribe("OperationComplete", "Device.X_T.")));
    core.handle(&message::request("2", subscribe("ValueChange", "Device.X_T.CalibrationProgress")));
    let args = [("Reference", "20.0"), ("Steps", "2")];
    let messages = core.handle(&message::request("3", operate("Device.X_T.Calibrate()", &args)));
    assert_eq!(operated(&messages), OperationResp::ReqObjPath("Device.LocalAgent.Request.1.".into()));
    let progress = notified(&core.tick(Duration::from_millis(100)));
    assert!(matches!(progress.as_slice(), [Notification::ValueChange(v)] if v.param_value == "50"));
    assert_eq!(core.model.get("Device.LocalAgent.Request.1.Status"), Some("Active"));
    let done = notified(&core.tick(Duration::from_millis(100)));
    let [Notification::ValueChange(_), Notification::OperComplete(complete)] = done.as_slice() else {
        panic!("{done:?}")
    };
    assert_eq!((complete.command_name.as_str(), complete.command_key.as_str()), ("Calibrate()", "k1"));
    let Some(Completed::ReqOutputArgs(outputs)) = &complete.operation_resp else { panic!("{complete:?}") };
    assert_eq!(outputs.output_args["Offset"], "0.5");
    assert!(core.model.rows_of("Device.LocalAgent.Request.").is_empty());
}

#[test]
fn commands_fail_as_the_standard_says() {
    for (command, args, code) in [
        ("Device.X_T.Calibrate()", &[][..], 7027),
        ("Device.X_T.Calibrate()", &[("Reference", "hot")], 7027),
        ("Device.X_T.Zone.1.Identify()", &[("Count", "0")], 7027),
        ("Device.X_T.Nothing()", &[], 7026),
        ("Device.X_T.Zone.9.Boost()", &[], 7016),
        ("Device.X_T.[()", &[], 7008),
    ] {
        let messages = core().handle(&message::request("1", operate(command, args)));
        let OperationResp::CmdFailure(failure) = operated(&messages) else { panic!("{messages:?}") };
        assert_eq!(failure.err_code, code, "{command}");
    }
    let mut core = core();
    core.handle(&message::request("1", subscribe("OperationComplete", "Device.X_T.Calibrate()")));
    core.handle(&message::request("2", operate("Device.X_T.Calibrate()", &[("Reference", "90")])));
    let done = notified(&core.tick(Duration::from_secs(9)));
    assert!(format!("{done:?}").contains("7022"), "{done:?}");
}

#[test]
fn a_running_command_can_be_canceled() {
    let mut core = core();
    core.handle(&message::request("1", subscribe("OperationComplete", "Device.X_T.")));
    core.handle(&message::request("2", operate("Device.X_T.Zone.1.Boost()", &[])));
    let messages = core.handle(&message::request("3", operate("Device.LocalAgent.Request.1.Cancel()", &[])));
    assert!(matches!(operated(&messages), OperationResp::ReqOutputArgs(_)));
    assert!(format!("{:?}", notified(&messages)).contains("7023"));
    assert!(notified(&core.tick(Duration::from_secs(1))).is_empty());
}

#[test]
fn a_subscription_ends_with_its_time_to_live() {
    let mut core = core();
    core.handle(&message::request("1", subscribe("ValueChange", "Device.X_T.")));
    core.tick(Duration::from_secs(1));
    core.set("Device.LocalAgent.Subscription.1.TimeToLive", "5").unwrap();
    core.tick(Duration::from_secs(3));
    assert_eq!(notified(&core.set("Device.X_T.Label", "one").unwrap()).len(), 1);
    core.tick(Duration::from_secs(3));
    assert!(notified(&core.set("Device.X_T.Label", "two").unwrap()).is_empty());
}

#[test]
fn temperatures_move_unless_they_are_set() {
    let mut core = Core::new("Device.X_T.", ID, 1, true, Duration::from_millis(100));
    core.tick(Duration::from_secs(1));
    core.set("Device.X_T.Zone.1.Temperature", "12.0").unwrap();
    core.set("Device.X_T.Setpoint", "30").unwrap();
    core.tick(Duration::from_secs(600));
    assert_eq!(core.model.get("Device.X_T.Zone.1.Temperature"), Some("12.0"));
    let temperature: f64 = core.model.get("Device.X_T.Temperature").unwrap().parse().unwrap();
    assert!(temperature > 27.0, "{temperature}");
}

#[test]
fn only_agents_messages_are_taken() {
    let deregister = ReqType::Deregister(Deregister { paths: Vec::new() });
    let refused = core().handle(&message::request("7", deregister));
    assert!(format!("{refused:?}").contains("7001"));
    assert!(core().handle(&Msg::default()).is_empty());
}

#[test]
fn garbage_never_panics() {
    let mut rng = crate::rng::Rng::new(3);
    let words = [
        "Device", ".", "X_T", "Zone", "1", "*", "[", "]", "==", "\"", "&&", "Name", "()", "!", "{i}", "ü",
        "+",
    ];
    let mut core = core();
    for _ in 0..3000 {
        let path: String =
            (0..rng.below(12)).map(|_| words[rng.below(words.len() as u64) as usize]).collect();
        for content in [get(&path), operate(&path, &[]), subscribe("ValueChange", &path)] {
            assert!(!core.handle(&message::request("1", content)).is_empty(), "{path}");
        }
        let mut bytes: Vec<u8> = b"_USP\0\0\0\x0c".to_vec();
        bytes.extend((0..12).map(|_| (rng.next_u64() % 5) as u8));
        drop(super::frame::take(&mut bytes));
    }
}

/// The Broker's end of one connection.
struct Broker {
    listener: UnixListener,
    wire: Option<Wire>,
    asked: u32,
    _dir: TempDir,
}

impl Broker {
    /// A Broker that listens, and the configuration of a Service that finds it.
    fn new() -> (Self, ServiceConfig) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broker_controller_path");
        let listener = UnixListener::bind(&path).unwrap();
        let mut config = ServiceConfig::new(ID, &path);
        config.moves = false;
        config.tick = Duration::from_secs(3600);
        config.reconnect = (Duration::ZERO, Duration::ZERO);
        (Self { listener, wire: None, asked: 0, _dir: dir }, config)
    }

    fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().unwrap()
    }

    /// Accepts the Service and reads what it says first: Handshake, UDSConnectRecord, Register.
    async fn accept(&mut self) -> Msg {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut wire = Wire::new(stream);
        assert_eq!(wire.next().await.unwrap(), Part::Handshake(ID.into()));
        // A Record before the Handshake is to be ignored.
        let early = wire::record(ID, BROKER, RecordType::UdsConnect(UdsConnectRecord {}));
        wire.send_record(&early).await.unwrap();
        wire.send(&Part::Handshake(BROKER.into())).await.unwrap();
        let connect = wire.next_record().await.unwrap();
        assert!(matches!(connect.record_type, Some(RecordType::UdsConnect(_))), "{connect:?}");
        assert_eq!((connect.from_id.as_str(), connect.to_id.as_str()), (ID, BROKER));
        let register = wire::carried(&wire.next_record().await.unwrap()).unwrap();
        self.wire = Some(wire);
        register
    }

    async fn accept_and_register(&mut self) {
        let register = self.accept().await;
        let Some(ReqType::Register(content)) = message::content(&register) else { panic!("{register:?}") };
        let result = |path: &str| RegisteredPathResult {
            requested_path: path.to_owned(),
            oper_status: Some(OperationStatus {
                oper_status: Some(OperStatus::OperSuccess(OperationSuccess {
                    registered_path: path.to_owned(),
                })),
            }),
        };
        let registered_path_results = content.reg_paths.iter().map(|path| result(&path.path)).collect();
        let response = RespType::RegisterResp(RegisterResp { registered_path_results });
        self.send(&message::response(message::msg_id(&register), response)).await;
    }

    async fn send(&mut self, message: &Msg) {
        let record = wire::carrying(ID, BROKER, message);
        self.wire().send_record(&record).await.unwrap();
    }

    async fn ask(&mut self, content: ReqType) -> String {
        self.asked += 1;
        let id = self.asked.to_string();
        self.send(&message::request(&id, content)).await;
        id
    }

    async fn next(&mut self) -> Msg {
        wire::carried(&self.wire().next_record().await.unwrap()).unwrap()
    }

    /// Asks and gets the answer, which has to be the next Message.
    async fn answer(&mut self, content: ReqType) -> Msg {
        let id = self.ask(content).await;
        let answer = self.next().await;
        assert_eq!(message::msg_id(&answer), id);
        answer
    }
}

#[tokio::test]
async fn a_service_connects_registers_and_answers() {
    let (mut broker, config) = Broker::new();
    let service = Service::spawn(config);
    broker.accept_and_register().await;
    service.until_registered().await;
    assert_eq!(service.link(), Link::Registered(vec![ROOT.to_owned()]));
    let answer = broker.answer(get(&format!("{ROOT}Mode"))).await;
    assert!(format!("{answer:?}").contains("\"Mode\": \"Auto\""), "{answer:?}");
    assert_eq!(service.get("Device.LocalAgent.Controller.1.EndpointID").as_deref(), Some(BROKER));
    assert_eq!(service.requests().len(), 1);
    service.stop().await;
    assert!(broker.wire().next_record().await.is_err());
}

#[tokio::test]
async fn what_is_set_and_emitted_is_notified() {
    let (mut broker, config) = Broker::new();
    let service = Service::spawn(config);
    broker.accept_and_register().await;
    broker.answer(subscribe("ValueChange", ROOT)).await;
    broker.answer(subscribe("Event", ROOT)).await;
    service.set(&format!("{ROOT}Temperature"), "22.2").unwrap();
    let news = notified(&[broker.next().await]);
    assert!(matches!(news.as_slice(), [Notification::ValueChange(v)] if v.param_value == "22.2"), "{news:?}");
    service.emit(&format!("{ROOT}Zone.1.WindowOpened!"), &[("Duration", "60")]).unwrap();
    let news = notified(&[broker.next().await]);
    let [Notification::Event(event)] = news.as_slice() else { panic!("{news:?}") };
    assert_eq!((event.event_name.as_str(), event.params["Duration"].as_str()), ("WindowOpened!", "60"));
    assert_eq!(service.emit(&format!("{ROOT}Nothing!"), &[]).unwrap_err().code, 7026);
    assert_eq!(service.set(&format!("{ROOT}Mode"), "Warm").unwrap_err().code, 7012);
    service.fault(Order::times(ServiceFault::WrongSubscriptionId, 1));
    service.set(&format!("{ROOT}Mode"), "Off").unwrap();
    assert!(format!("{:?}", broker.next().await).contains("not-ValueChange"));
    assert_eq!(service.subscriptions().len(), 2);
    service.forget_subscriptions();
    assert!(service.subscriptions().is_empty());
}

#[tokio::test]
async fn a_stalled_service_keeps_its_connection() {
    let (mut broker, config) = Broker::new();
    let service = Service::spawn(config);
    broker.accept_and_register().await;
    service.until_registered().await;
    service.stall(true);
    let first = broker.ask(get(&format!("{ROOT}Mode"))).await;
    while service.request_count() < 1 {
        tokio::task::yield_now().await;
    }
    service.stall(false);
    assert_eq!(message::msg_id(&broker.next().await), first);
}

#[tokio::test]
async fn a_service_that_dies_comes_back() {
    let (mut broker, config) = Broker::new();
    let service = Service::spawn(config);
    broker.accept_and_register().await;
    service.until_registered().await;
    service.fault(Order::times(ServiceFault::Die, 1));
    broker.ask(get(ROOT)).await;
    assert!(broker.wire().next_record().await.is_err());
    broker.accept_and_register().await;
    broker.answer(get(ROOT)).await;
    service.fault(Order::times(ServiceFault::Garbled, 1));
    broker.ask(get(ROOT)).await;
    assert!(broker.wire().next_record().await.is_err());
    broker.accept_and_register().await;
    service.disconnect();
    let bye = broker.wire().next_record().await.unwrap();
    assert!(matches!(bye.record_type, Some(RecordType::Disconnect(_))));
    broker.accept_and_register().await;
    service.until_registered().await;
}

#[tokio::test]
async fn garbage_from_the_broker_ends_the_connection_alone() {
    let (mut broker, config) = Broker::new();
    let service = Service::spawn(config);
    broker.accept_and_register().await;
    broker.wire().send(&Part::Record(vec![0xff; 8])).await.unwrap();
    assert!(matches!(broker.wire().next().await, Ok(Part::Error(_))));
    broker.accept_and_register().await;
    broker.wire().send(&Part::Error("enough".into())).await.unwrap();
    broker.accept_and_register().await;
    broker.answer(get(ROOT)).await;
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_handshake_and_no_broker_are_survived() {
    let (broker, mut config) = Broker::new();
    config.controller_socket = config.controller_socket.with_file_name("nobody");
    config.reconnect = (Duration::from_secs(1), Duration::from_secs(5));
    let nobody = Service::spawn(config.clone());
    config.controller_socket = config.controller_socket.with_file_name("broker_controller_path");
    let service = Service::spawn(config);
    let (first, _) = broker.listener.accept().await.unwrap();
    let start = tokio::time::Instant::now();
    let (_second, _) = broker.listener.accept().await.unwrap();
    let waited = start.elapsed().as_secs();
    assert!(
        (31..=35).contains(&waited),
        "30 s for the Handshake and 1 to 5 s before the next try, not {waited}"
    );
    drop(first);
    assert_eq!(nobody.link(), Link::Down);
    assert!(service.ask(get(ROOT)).await.is_none(), "nobody is connected");
}

#[tokio::test]
async fn the_service_can_ask_the_broker() {
    let (mut broker, config) = Broker::new();
    let service = Service::spawn(config);
    broker.accept_and_register().await;
    service.until_registered().await;
    let deregister = ReqType::Deregister(Deregister { paths: vec![String::new()] });
    let (answer, ()) = tokio::join!(service.ask(deregister), async {
        let asked = broker.next().await;
        let response = RespType::DeregisterResp(DeregisterResp::default());
        broker.send(&message::response(message::msg_id(&asked), response)).await;
    });
    assert!(matches!(message::answer(&answer.unwrap()), Some(RespType::DeregisterResp(_))));
}

#[tokio::test]
async fn a_controller_asks_and_hears() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker_agent_path");
    let listener = UnixListener::bind(&path).unwrap();
    let controller = Controller::spawn(ID, &path);
    let agent = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = Wire::new(stream);
        assert_eq!(wire.next().await.unwrap(), Part::Handshake(ID.into()));
        wire.send(&Part::Handshake(BROKER.into())).await.unwrap();
        let asked = wire::carried(&wire.next_record().await.unwrap()).unwrap();
        let mut core = core();
        for message in core.handle(&asked) {
            wire.send_record(&wire::carrying(ID, BROKER, &message)).await.unwrap();
        }
        core.handle(&message::request("s", subscribe("ValueChange", "Device.X_T.")));
        core.set("Device.LocalAgent.Subscription.1.NotifRetry", "true").unwrap();
        for message in core.set("Device.X_T.Mode", "Off").unwrap() {
            wire.send_record(&wire::carrying(ID, BROKER, &message)).await.unwrap();
        }
        wire::carried(&wire.next_record().await.unwrap()).unwrap()
    };
    let (answer, notify, acknowledged) =
        tokio::join!(controller.request(get("Device.X_T.Mode")), controller.next_notify(), agent);
    assert!(format!("{:?}", answer.unwrap()).contains("Auto"));
    assert!(matches!(notify.notification, Some(Notification::ValueChange(_))));
    assert!(
        matches!(message::answer(&acknowledged), Some(RespType::NotifyResp(resp)) if resp.subscription_id == "ValueChange")
    );
    controller.stop().await;
}
