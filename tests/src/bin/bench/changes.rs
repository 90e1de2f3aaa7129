//! How long a change at a Service or a device takes to its Controller, beside the same change told without a broker.

mod device;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use usp_broker::client::{Client, Notifications};
use usp_proto::message;
use usp_proto::record::Record;
use usp_proto::uds_frame::{FrameDecoder, Tlv};
use usp_proto::usp::add::{CreateObject, CreateParamSetting};
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::notify::Notification;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::{Add, Notify};

use crate::service::{Plan, stamp};
use crate::table::{median, percentile, print};
use crate::world::World;

/// Changes a second.
const RATE: u32 = 1000;

/// From one bundle of changes to the next.
const BEAT: Duration = Duration::from_millis(1);

/// Milliseconds beyond the control, of which the 99th percentile is to stay below.
const TARGET: f64 = 5.0;

const ROOT: &str = "Device.X_BENCH_Changing.";

/// Milliseconds that changes took.
type Times = Arc<Mutex<Vec<f64>>>;

/// Measures and prints.
pub(crate) async fn measure(rounds: u32, seconds: u64) {
    of_service(rounds, seconds).await;
    device::measure(rounds, seconds).await;
}

async fn of_service(rounds: u32, seconds: u64) {
    let world = World::start(&[]).await;
    let control = world.place.path("control");
    let listener = UnixListener::bind(&control).unwrap();
    let (direct, through) = (Times::default(), Times::default());
    let times = direct.clone();
    tokio::spawn(async move { hear_directly(listener.accept().await.unwrap().0, &times).await });
    let (client, notifications) = world.place.client("self::changes").await;
    let plan = Plan::new(&world.place.path("controller"), "proto::changing", ROOT);
    let _service = Plan { rate: RATE, control: Some(control), ..plan }.start();
    tokio::spawn(hear(notifications, through.clone()));
    subscribe(&client, &format!("{ROOT}Label")).await;
    let (mut control, mut broker, mut replaced) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        // What is under way when a round begins belongs to none.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let taken = |times: &Times| std::mem::take(&mut *times.lock().unwrap());
        drop((taken(&direct), taken(&through)));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let (told, heard) = (taken(&direct), taken(&through));
        replaced += told.len().saturating_sub(heard.len());
        control.push(percentile(told, 99));
        broker.push(percentile(heard, 99));
    }
    show("a Service's Parameter", control, broker, replaced);
}

fn show(whose: &str, control: Vec<f64>, broker: Vec<f64>, replaced: usize) {
    let rounds = control.len();
    let beyond = median(broker.iter().zip(&control).map(|(b, c)| b - c));
    let rows = vec![
        vec!["without a broker, p99".to_owned(), format!("{:.2} ms", median(control))],
        vec!["through the broker, p99".to_owned(), format!("{:.2} ms", median(broker))],
        vec!["beyond".to_owned(), format!("{beyond:.2} ms (< {TARGET} ms)")],
        vec!["replaced by a newer value on the way".to_owned(), replaced.to_string()],
    ];
    print(&format!("{RATE} changes a second of {whose}; medians of {rounds} rounds"), &rows);
}

async fn subscribe(client: &Client, path: &str) {
    let set = |param: &str, value: &str| CreateParamSetting {
        param: param.to_owned(),
        value: value.to_owned(),
        required: true,
    };
    let param_settings = vec![
        set("ID", "changes"),
        set("NotifType", "ValueChange"),
        set("ReferenceList", path),
        set("Enable", "true"),
    ];
    let obj_path = "Device.LocalAgent.Subscription.".to_owned();
    let create_objs = vec![CreateObject { obj_path, param_settings }];
    client.request(ReqType::Add(Add { allow_partial: false, create_objs })).await.unwrap();
}

fn take(times: &Times, notify: &Notify) {
    if let Some(Notification::ValueChange(change)) = &notify.notification
        && let Ok(then) = change.param_value.parse::<u128>()
    {
        times.lock().unwrap().push(stamp().saturating_sub(then) as f64 / 1e6);
    }
}

async fn hear(mut notifications: Notifications, times: Times) {
    while let Ok(notify) = notifications.next().await {
        take(&times, &notify);
    }
}

async fn hear_directly(mut stream: UnixStream, times: &Times) {
    let mut decoder = FrameDecoder::new(1 << 20);
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        decoder.push(&chunk[..count]);
        while let Some(frame) = decoder.next().unwrap() {
            for tlv in frame.tlvs {
                let Tlv::Record(bytes) = tlv else { continue };
                let record = Record::decode(&bytes).unwrap();
                if let Some(MsgBody::Request(request)) = record.msg().and_then(message::body)
                    && let Some(ReqType::Notify(notify)) = &request.req_type
                {
                    take(times, notify);
                }
            }
        }
    }
}
