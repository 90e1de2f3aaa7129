//! One connection, for a while.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use usp_core::mqtt::port::{MqttFilter, MqttSettings};
use usp_mapping::adopt::{Adopter, Ask, MAX_BODY};

use super::Mqtt;
use crate::cli::scan::progress::Progress;
use crate::mqtt::{self, Arrival, Bounds, Handle, Message, Publication, Wire};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// From one step of the progress to the next.
const TICK: Duration = Duration::from_millis(250);
/// How long DISCONNECT may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Listens for as long as it was told.
///
/// Errors: why there is no connection, or none any more.
pub(super) async fn listen(
    settings: &MqttSettings,
    args: &Mqtt,
    adopter: &mut Adopter,
) -> Result<(), String> {
    let bounds = Bounds { record: MAX_BODY, connect: CONNECT };
    let (handle, mut wire) = mqtt::open(settings, bounds).map_err(|broken| broken.reason)?;
    let accepted = async {
        while !matches!(wire.next().await.map_err(|broken| broken.reason)?, Arrival::Accepted(_)) {}
        Ok::<(), String>(())
    };
    timeout(CONNECT, accepted).await.map_err(|_| "the server does not answer".to_owned())??;
    let ticks = usize::try_from(args.time.as_millis() / TICK.as_millis()).unwrap_or_default();
    let mut listener = Listener {
        handle,
        adopter,
        progress: Progress::new(ticks, args.json),
        told: BTreeSet::new(),
        server: args.server.clone(),
    };
    let heard = listener.run(&mut wire, Instant::now() + args.time).await;
    listener.progress.end();
    listener.handle.disconnect();
    let goodbye = async { while wire.next().await.is_ok() {} };
    timeout(GOODBYE, goodbye).await.ok();
    heard
}

struct Listener<'a> {
    handle: Handle,
    adopter: &'a mut Adopter,
    progress: Progress,
    /// Devices that were told of.
    told: BTreeSet<String>,
    server: String,
}

impl Listener<'_> {
    async fn run(&mut self, wire: &mut Wire, end: Instant) -> Result<(), String> {
        let filter = |topic: String| MqttFilter { topic, qos: 0, vital: true };
        let filters: Vec<MqttFilter> = self.adopter.filters().into_iter().map(filter).collect();
        let handle = self.handle.clone();
        let subscribing = tokio::spawn(async move { handle.subscribe(&filters).await });
        let heard = self.hear(wire, end).await;
        match subscribing.now_or_aborted().await {
            Some(Ok(answers)) => match answers.into_iter().flatten().next() {
                Some(why) => Err(format!("the server refuses a subscription: {why}")),
                None => heard,
            },
            Some(Err(why)) => heard.and(Err(why)),
            None => heard,
        }
    }

    async fn hear(&mut self, wire: &mut Wire, end: Instant) -> Result<(), String> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut changed = false;
        loop {
            tokio::select! {
                arrival = timeout_at(end, wire.next()) => match arrival {
                    Err(_) => return Ok(()),
                    Ok(Err(broken)) => return Err(broken.reason),
                    Ok(Ok(Arrival::Message(message))) => changed |= self.message(message),
                    Ok(Ok(_)) => {}
                },
                _ = tick.tick() => {
                    self.progress.step(1, &self.server);
                    if std::mem::take(&mut changed) {
                        self.tell();
                    }
                }
            }
        }
    }

    /// Whether there may be other devices now.
    fn message(&mut self, message: Message) -> bool {
        let heard = self.adopter.hear(&message.topic, &message.payload);
        for ask in heard.asks {
            let handle = self.handle.clone();
            // What cannot be asked is not known; the scan goes on.
            tokio::spawn(async move { publish(&handle, ask).await.ok() });
        }
        heard.changed
    }

    fn tell(&mut self) {
        for device in self.adopter.devices() {
            if self.told.insert(device.id.clone()) {
                self.progress.found(&super::report::line(&device));
            }
        }
    }
}

async fn publish(handle: &Handle, ask: Ask) -> Result<(), String> {
    let publication =
        Publication { topic: &ask.topic, reply_to: None, qos: 0, payload: ask.body.into_bytes() };
    handle.publish(publication).await?.await
}

/// What came of a task, if it is over.
trait NowOrAborted<T> {
    async fn now_or_aborted(self) -> Option<T>;
}

impl<T> NowOrAborted<T> for tokio::task::JoinHandle<T> {
    async fn now_or_aborted(self) -> Option<T> {
        if !self.is_finished() {
            self.abort();
        }
        self.await.ok()
    }
}
