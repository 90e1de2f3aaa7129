//! The least that anything between a Controller and a Service does: it passes bytes on, unread. What a broker reaches
//! of it says how much its own work costs; what it reaches of the echo, how much of that any hop costs.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use usp_proto::uds_frame::{self, FrameDecoder, Tlv};
use usp_tests::process::Process;

use crate::echo::{self, socket_config, upgrade};
use crate::load::Load;
use crate::service::Plan;
use crate::world::{SERVICE, SERVICE_ID, program};

/// Set for the process that passes on: how, and its folder.
const PLACE: &str = "USP_BENCH_RELAY";

/// Bytes read at a time.
const READ: usize = 64 * 1024;

/// Messages taken in one turn.
const TURN: usize = 64;

/// A relay with the Service behind it.
pub(crate) struct Relay {
    /// Both; stopped when dropped.
    pub(crate) processes: [Process; 2],
    /// A Controller in front of it.
    pub(crate) load: Load,
}

impl Relay {
    /// From this transport to a UNIX domain socket. From WebSocket the framing changes, the Records do not.
    pub(crate) async fn start(place: &Path, transport: &str, own: &str) -> Self {
        let relay =
            Process::start(Command::new(program()).env(PLACE, format!("{transport}:{}", place.display())));
        let address = relay.line();
        // Nobody asks it for its model; that it is connected shows when it answers.
        let service = Plan::new(&socket(place, transport, "controller"), SERVICE_ID, SERVICE).launch();
        let load = match transport {
            "UDS" => Load::uds(Path::new(&address), own).await,
            _ => Load::websocket(&address, own).await,
        };
        Self { processes: [relay, service], load }
    }
}

fn socket(place: &Path, transport: &str, side: &str) -> PathBuf {
    place.join(format!("relay-{transport}-{side}"))
}

/// Passes on until the process is killed; `None`: this process is to be something else.
pub(crate) fn play() -> Option<ExitCode> {
    let plan = std::env::var(PLACE).ok()?;
    let (transport, place) = plan.split_once(':').unwrap();
    let services = UnixListener::bind(socket(Path::new(place), transport, "controller")).unwrap();
    match transport {
        "UDS" => {
            let path = socket(Path::new(place), transport, "agent");
            let agent = UnixListener::bind(&path).unwrap();
            ready(&path.display().to_string());
            let (service, controller) = (services.accept().unwrap().0, agent.accept().unwrap().0);
            let (from, to) = (service.try_clone().unwrap(), controller.try_clone().unwrap());
            let back = thread::spawn(move || pass(from, to));
            pass(controller, service);
            back.join().unwrap();
        }
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(from_websocket(services));
        }
    }
    Some(ExitCode::SUCCESS)
}

fn ready(address: &str) {
    std::io::stdout().write_all(format!("{address}\n").as_bytes()).unwrap();
}

/// A thread for each direction, and no more calls of the system than there have to be.
fn pass(mut from: UnixStream, mut to: UnixStream) {
    let mut chunk = vec![0; READ];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if to.write_all(&chunk[..count]).is_err() {
            return;
        }
    }
}

async fn from_websocket(services: UnixListener) {
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ready(&format!("ws://{}/usp", web.local_addr().unwrap()));
    let service = services.accept().unwrap().0;
    service.set_nonblocking(true).unwrap();
    let (mut read, mut write) = tokio::net::UnixStream::from_std(service).unwrap().into_split();
    let stream = web.accept().await.unwrap().0;
    stream.set_nodelay(true).unwrap();
    let socket = tokio_tungstenite::accept_hdr_async_with_config(stream, upgrade, Some(socket_config()));
    let (mut sink, stream) = socket.await.unwrap().split();
    // What the Service says to that, its Register, is the first Record that the Controller sees.
    write.write_all(&uds_frame::handshake(&echo::own())).await.unwrap();
    let forth = async {
        let mut batches = stream.ready_chunks(TURN);
        while let Some(batch) = batches.next().await {
            let records = batch.into_iter().filter_map(|message| match message {
                Ok(Message::Binary(bytes)) => Some(uds_frame::record(&bytes)),
                _ => None,
            });
            let bytes: Vec<u8> = records.flatten().collect();
            write.write_all(&bytes).await.unwrap();
        }
    };
    let back = async {
        let mut decoder = FrameDecoder::new(16 << 20);
        let mut chunk = vec![0; READ];
        while let Ok(count @ 1..) = read.read(&mut chunk).await {
            decoder.push(&chunk[..count]);
            while let Some(frame) = decoder.next().unwrap() {
                for tlv in frame.tlvs {
                    if let Tlv::Record(bytes) = tlv {
                        sink.feed(Message::Binary(bytes.into())).await.unwrap();
                    }
                }
            }
            sink.flush().await.unwrap();
        }
    };
    tokio::select! { () = forth => {}, () = back => {} }
}
