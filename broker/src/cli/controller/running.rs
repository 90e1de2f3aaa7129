//! What the broker that runs here says of itself, for commands that are no Controller's.

use std::time::Duration;

use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use super::default_endpoint_id;
use crate::client::{Client, ConnectError, Options, Via};

/// How long it may take: whoever asks has something else to do.
const PATIENCE: Duration = Duration::from_secs(3);

/// A bus of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunningBus {
    pub(crate) name: String,
    pub(crate) protocol: String,
    /// Host and port, or the serial port.
    pub(crate) address: String,
}

/// Who listens somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    Nobody,
    /// A broker with these buses.
    Buses(Vec<RunningBus>),
    /// Somebody who does not tell, and why.
    Silent(String),
}

/// Asks whoever listens there for his buses.
pub(crate) async fn buses(via: &Via) -> Running {
    let endpoint_id = match default_endpoint_id() {
        Ok(endpoint_id) => endpoint_id,
        Err(why) => return Running::Silent(why.to_string()),
    };
    let options = Options { timeout: PATIENCE, ..Options::new(via.clone(), endpoint_id) };
    let (client, _notifications) = match Client::connect(&options).await {
        Ok(connected) => connected,
        Err(ConnectError::NobodyListens(_)) => return Running::Nobody,
        // There is somebody: that he cannot be asked does not mean that he uses nothing.
        Err(why) => return Running::Silent(why.to_string()),
    };
    let request = Get { param_paths: vec!["Device.X_USPBROKER_Bus.".to_owned()], max_depth: 2 };
    let answer = client.request(ReqType::Get(request)).await;
    client.close().await;
    let answer = match answer {
        Ok(RespType::GetResp(answer)) => answer,
        Ok(_) => return Running::Silent("its answer is of another kind".to_owned()),
        Err(why) => return Running::Silent(why.to_string()),
    };
    if let Some(refused) = answer.req_path_results.iter().find(|result| result.err_code != 0) {
        return Running::Silent(refused.err_msg.clone());
    }
    let rows = answer.req_path_results.into_iter().flat_map(|result| result.resolved_path_results);
    let buses = rows.filter_map(|row| {
        let param = |name: &str| row.result_params.get(name).map(ToOwned::to_owned);
        Some(RunningBus { name: param("Name")?, protocol: param("Protocol")?, address: param("Address")? })
    });
    Running::Buses(buses.collect())
}
