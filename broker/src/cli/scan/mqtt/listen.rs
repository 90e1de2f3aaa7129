//! One connection, for a while.

use std::collections::BTreeSet;

use usp_adapters::mqtt_scan::{self, STEP};
use usp_mapping::adopt::Adopter;
use usp_mapping::mapping::MqttServer;

use super::Mqtt;
use crate::cli::scan::progress::Progress;

/// Listens for as long as it was told.
///
/// Errors: why there is no connection, or none any more.
pub(super) async fn listen(
    server: &MqttServer,
    client_id: &str,
    args: &Mqtt,
    adopter: &mut Adopter,
) -> Result<(), String> {
    let steps = usize::try_from(args.time.as_millis() / STEP.as_millis()).unwrap_or_default();
    let progress = Progress::new(steps, args.json);
    let mut told = BTreeSet::new();
    let step = |adopter: &mut Adopter, changed: bool| {
        progress.step(1, &args.server);
        for device in changed.then(|| adopter.devices()).into_iter().flatten() {
            if told.insert(device.id.clone()) {
                progress.found(&super::report::line(&device));
            }
        }
    };
    let heard = mqtt_scan::listen(server, client_id, args.time, adopter, step).await;
    progress.end();
    heard
}
