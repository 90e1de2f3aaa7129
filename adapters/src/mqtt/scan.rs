//! Listens for a while to what devices tell of themselves on a server, without a site.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use usp_mapping::adopt::{Adopter, Ask};
use usp_mapping::mapping::MqttServer;

use super::board::{Publication, Said};
use super::wire::{self, Arrival, CONNECT, Handle, Settings, Wire};

/// From one step to the next.
pub const STEP: Duration = Duration::from_millis(250);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Most questions that wait to get out.
const ASKS: usize = 256;

/// Connects to a server as `client_id`, and has the adopter hear what is said there within a time. At each [`STEP`] it is
/// told to `step` whether the devices may be others now. Devices are asked only what the adopter wants to know.
///
/// Errors: a secret or certificate cannot be had, there is no connection or none any more, or a subscription is refused.
pub async fn listen(
    server: &MqttServer,
    client_id: &str,
    within: Duration,
    adopter: &mut Adopter,
    mut step: impl FnMut(&mut Adopter, bool),
) -> Result<(), String> {
    let (handle, mut wire) = wire::open(server.version, Settings::of(server, client_id).await?)?;
    let accepted = async {
        while !matches!(wire.next().await?, Arrival::Accepted) {}
        Ok::<(), String>(())
    };
    timeout(CONNECT, accepted).await.map_err(|_| "the server does not answer".to_owned())??;
    let heard = hear(&handle, &mut wire, Instant::now() + within, adopter, &mut step).await;
    handle.disconnect();
    timeout(GOODBYE, async { while wire.next().await.is_ok() {} }).await.ok();
    heard
}

async fn hear(
    handle: &Handle,
    wire: &mut Wire,
    end: Instant,
    adopter: &mut Adopter,
    step: &mut impl FnMut(&mut Adopter, bool),
) -> Result<(), String> {
    let filters: Vec<(String, u8)> = adopter.filters().into_iter().map(|filter| (filter, 0)).collect();
    let subscribing = handle.subscribe(&filters);
    tokio::pin!(subscribing);
    let (mut subscribed, mut changed) = (false, false);
    let mut asking = FuturesUnordered::new();
    let mut tick = interval(STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            arrival = timeout_at(end, wire.next()) => match arrival {
                Err(_) if subscribed => return Ok(()),
                Err(_) => return Err("the server does not acknowledge subscriptions".to_owned()),
                Ok(Err(why)) => return Err(why),
                Ok(Ok(Arrival::Said(Said { topic, body, .. }))) => {
                    let heard = adopter.hear(&topic, &body);
                    changed |= heard.changed;
                    let room = ASKS.saturating_sub(asking.len());
                    asking.extend(heard.asks.into_iter().take(room).map(|ask| ask_for(handle, ask)));
                }
                Ok(Ok(_)) => {}
            },
            answers = &mut subscribing, if !subscribed => {
                if let Some(why) = answers?.into_iter().flatten().next() {
                    return Err(format!("the server refuses a subscription: {why}"));
                }
                subscribed = true;
            }
            Some(()) = asking.next(), if !asking.is_empty() => {}
            _ = tick.tick() => step(adopter, std::mem::take(&mut changed)),
        }
    }
}

/// What cannot be asked is not known; the scan goes on.
async fn ask_for(handle: &Handle, Ask { topic, body }: Ask) {
    let publication = Publication { topic, body: body.into(), qos: 0, retain: false };
    handle.publish(publication).await.await;
}
