//! What the broker that runs here says of itself, for commands that are no Controller's.

use std::time::Duration;

use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;

use super::default_endpoint_id;
use crate::client::{Client, Options, Via};

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

/// The buses of the broker that listens there; none where nobody listens, or nobody who tells.
pub(crate) async fn buses(via: &Via) -> Vec<RunningBus> {
    let Ok(endpoint_id) = default_endpoint_id() else { return Vec::new() };
    let options = Options { via: via.clone(), endpoint_id, timeout: PATIENCE };
    let Ok((client, _notifications)) = Client::connect(&options).await else { return Vec::new() };
    let request = Get { param_paths: vec!["Device.X_USPBROKER_Bus.".to_owned()], max_depth: 2 };
    let answer = client.request(ReqType::Get(request)).await;
    client.close().await;
    let Ok(RespType::GetResp(answer)) = answer else { return Vec::new() };
    let rows = answer.req_path_results.into_iter().flat_map(|result| result.resolved_path_results);
    let buses = rows.filter_map(|row| {
        let param = |name: &str| row.result_params.get(name).map(ToOwned::to_owned);
        Some(RunningBus { name: param("Name")?, protocol: param("Protocol")?, address: param("Address")? })
    });
    buses.collect()
}
