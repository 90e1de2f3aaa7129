//! Peers that mean no good, on every transport, and a Controller among them that has to be answered all the same.
//!
//! What is sent follows from a seed; only the time at which it arrives does not.

mod connections;
mod dice;
mod letters;
mod mqtt;
mod slow;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use usp_broker::client::Client;
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use crate::place::Place;
use crate::wait::PATIENCE;
use dice::Dice;

/// From one Get of the good Controller to the next.
const PERIOD: Duration = Duration::from_millis(20);

/// Where they can come from.
#[derive(Clone, Debug)]
pub struct Target {
    /// The socket for Controllers.
    pub agent: PathBuf,
    /// The socket for Services.
    pub controller: PathBuf,
    /// The WebSocket server.
    pub web: SocketAddr,
    /// An MQTT server that the broker is a client of, and the broker's topic there.
    pub mqtt: Option<(SocketAddr, String)>,
}

/// What the good Controller saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Milliseconds of each Get.
    pub times: Vec<f64>,
    /// Gets without the right answer, and what came instead.
    pub wrong: Vec<String>,
    /// Rounds of all bad peers.
    pub rounds: u64,
}

impl Target {
    /// Of a broker that runs in a folder.
    pub fn of(place: &Place, mqtt: Option<(SocketAddr, String)>) -> Self {
        let url = place.websocket();
        let address = url.trim_start_matches("ws://").trim_end_matches("/usp");
        let (agent, controller) = (place.path("agent"), place.path("controller"));
        Self { agent, controller, web: address.parse().unwrap(), mqtt }
    }

    /// Lets all bad peers loose for some time, while `client` asks for `paths`, each of which has one value.
    pub async fn besiege(&self, time: Duration, client: &Client, paths: &[String]) -> Seen {
        let until = Instant::now() + time;
        let mut bad = JoinSet::new();
        for seed in 0..3 {
            bad.spawn(connections::attack(self.clone(), Dice::new(seed), until));
        }
        bad.spawn(slow::readers(self.clone(), Dice::new(101), until));
        bad.spawn(connections::crowd(self.clone(), Dice::new(100), until));
        if let Some((server, topic)) = self.mqtt.clone() {
            bad.spawn(mqtt::attack(server, topic, Dice::new(200), until));
        }
        let mut seen = Seen::default();
        for path in paths.iter().cycle() {
            if Instant::now() >= until {
                break;
            }
            let begun = Instant::now();
            match timeout(PATIENCE, value(client, path)).await {
                Ok(Ok(_)) => seen.times.push(begun.elapsed().as_secs_f64() * 1e3),
                Ok(Err(why)) => seen.wrong.push(why),
                Err(_) => seen.wrong.push(format!("{path}: no answer")),
            }
            sleep(PERIOD).await;
        }
        seen.rounds = bad.join_all().await.into_iter().sum();
        seen
    }
}

async fn value(client: &Client, path: &str) -> Result<(), String> {
    let get = Get { param_paths: vec![path.to_owned()], max_depth: 0 };
    let answer = client.request(ReqType::Get(get)).await.map_err(|error| format!("{path}: {error}"))?;
    let RespType::GetResp(answer) = &answer else { return Err(format!("{path}: {answer:?}")) };
    let mut objects = answer.req_path_results.iter().flat_map(|result| &result.resolved_path_results);
    match (objects.next(), objects.next()) {
        (Some(object), None) if object.result_params.len() == 1 => Ok(()),
        _ => Err(format!("{path}: {answer:?}")),
    }
}
