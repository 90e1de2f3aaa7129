//! Connects a thing to a server, and lets it go wrong on demand.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Said, Thing, ThingError};
use crate::mischief::{Mischief, MqttFault, Order};
use crate::mqtt::{Connect, Packet, Peer, Publish};

/// From one step of the thing's time to the next.
const STEP: Duration = Duration::from_millis(250);
/// From one try to connect to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// A thing that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct ThingHandle {
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Notify,
    stop: CancellationToken,
}

struct State {
    thing: Box<dyn Thing>,
    faults: Mischief<MqttFault>,
    /// What was said from outside, and waits for the connection.
    due: Vec<Said>,
    connected: bool,
    /// The connection is to break.
    break_off: bool,
    said: u64,
    heard: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug elsewhere; the state itself is only data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a thing at a server. With `still` time does not pass: only what is set changes.
pub fn run(thing: impl Thing, server: SocketAddr, still: bool) -> ThingHandle {
    let state = State {
        thing: Box::new(thing),
        faults: Mischief::default(),
        due: Vec::new(),
        connected: false,
        break_off: false,
        said: 0,
        heard: 0,
    };
    let shared =
        Arc::new(Shared { state: Mutex::new(state), wake: Notify::new(), stop: CancellationToken::new() });
    let task = tokio::spawn(connected_for_ever(Arc::clone(&shared), server, still));
    ThingHandle { shared, task: Some(task) }
}

impl ThingHandle {
    /// Switches a fault on.
    pub fn fault(&self, order: impl Into<Order<MqttFault>>) {
        let order = order.into();
        let mut state = self.shared.state();
        match order.fault {
            MqttFault::Reboot => {
                state.thing.reset();
                state.break_off = true;
            }
            MqttFault::RetainedGarbage => {
                let topics = state.thing.state_topics();
                state.due.extend(topics.into_iter().map(|topic| Said::new(topic, "{\"state\":").kept()));
            }
            _ => state.faults.start(order),
        }
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        self.shared.state().faults.clear();
        self.shared.wake.notify_one();
    }

    /// Changes something from outside, as a person at the device does.
    pub fn set(&self, name: &str, value: &str) -> Result<(), ThingError> {
        let mut state = self.shared.state();
        let said = state.thing.set(name, value)?;
        state.due.extend(said);
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Its values, by name.
    pub fn show(&self) -> Vec<(String, String)> {
        self.shared.state().thing.show()
    }

    /// One of its values.
    pub fn value(&self, name: &str) -> Option<String> {
        self.show().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The faults that are on.
    pub fn faults(&self) -> Vec<String> {
        self.shared.state().faults.active().iter().map(Order::to_string).collect()
    }

    /// Whether it is connected.
    pub fn is_connected(&self) -> bool {
        self.shared.state().connected
    }

    /// How many messages it has published and heard.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.shared.state();
        (state.said, state.heard)
    }

    /// Ends it, with its last will: it is gone as a device that lost its power is.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.ok();
        }
    }
}

impl Drop for ThingHandle {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

async fn connected_for_ever(shared: Arc<Shared>, server: SocketAddr, still: bool) {
    let connected = async {
        loop {
            if let Err(error) = connected_once(&shared, server, still).await {
                tracing::debug!(%error, "a simulated thing's connection ended");
            }
            shared.state().connected = false;
            sleep(PAUSE).await;
        }
    };
    shared.stop.clone().run_until_cancelled(connected).await;
    shared.state().connected = false;
}

async fn connected_once(shared: &Shared, server: SocketAddr, still: bool) -> io::Result<()> {
    let (connect, filters) = {
        let mut state = shared.state();
        state.break_off = false;
        let will = state.thing.will().map(publication);
        (Connect { will, ..Connect::client(4, &state.thing.client_id()) }, state.thing.filters())
    };
    let mut talk =
        Talk { peer: Peer::connect(server, &connect).await?, shared, waiting: VecDeque::new(), held: None };
    let filters: Vec<(&str, u8)> = filters.iter().map(|filter| (filter.as_str(), 0)).collect();
    if !filters.is_empty() {
        talk.peer.subscribe(&filters).await?;
    }
    let greeting = {
        let mut state = shared.state();
        state.connected = true;
        state.thing.greet()
    };
    talk.say(greeting).await?;
    talk.go_on(still).await
}

struct Talk<'s> {
    peer: Peer,
    shared: &'s Shared,
    /// What is slow.
    waiting: VecDeque<(Instant, Said)>,
    /// What comes after the next.
    held: Option<Said>,
}

impl Talk<'_> {
    async fn go_on(&mut self, still: bool) -> io::Result<()> {
        let mut tick = interval(STEP);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let soonest = self.waiting.front().map(|(due, _)| *due);
            tokio::select! {
                packet = self.peer.next() => match packet? {
                    Some(Packet::Publish(publish)) => self.heard(&publish).await?,
                    Some(_) => {}
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                },
                () = self.shared.wake.notified() => {}
                _ = tick.tick() => if !still {
                    let said = self.shared.state().thing.step(STEP);
                    self.say(said).await?;
                },
                () = at(soonest) => if let Some((_, said)) = self.waiting.pop_front() {
                    self.publish(said).await?;
                },
            }
            let (due, break_off) = {
                let mut state = self.shared.state();
                (std::mem::take(&mut state.due), state.break_off)
            };
            if break_off {
                return Err(io::Error::other("reboot"));
            }
            self.say(due).await?;
        }
    }

    async fn heard(&mut self, publish: &Publish) -> io::Result<()> {
        let said = {
            let mut state = self.shared.state();
            state.heard += 1;
            if state.faults.has(|fault| *fault == MqttFault::Silent) {
                return Ok(());
            }
            let obeys = state.faults.happen(|fault| *fault == MqttFault::Unconfirmed).is_none();
            state.thing.hear(&publish.topic, &publish.payload, obeys)
        };
        self.say(said).await
    }

    async fn say(&mut self, all: Vec<Said>) -> io::Result<()> {
        for said in all {
            let (said, twice, slow, reordered) = {
                let faults = &mut self.shared.state().faults;
                if faults.has(|fault| *fault == MqttFault::Silent) {
                    continue;
                }
                let said = match faults.happen(|fault| *fault == MqttFault::Garbled) {
                    Some(_) => garbled(said),
                    None => said,
                };
                let twice = faults.happen(|fault| *fault == MqttFault::Duplicate).is_some();
                let slow = faults.happen(|fault| matches!(fault, MqttFault::Slow(_)));
                (said, twice, slow, faults.has(|fault| *fault == MqttFault::Reordered))
            };
            if twice {
                self.publish(said.clone()).await?;
            }
            match slow {
                Some(MqttFault::Slow(time)) => self.waiting.push_back((Instant::now() + time, said)),
                _ if reordered && self.held.is_none() => self.held = Some(said),
                _ => {
                    self.publish(said).await?;
                    if let Some(held) = self.held.take() {
                        self.publish(held).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn publish(&mut self, said: Said) -> io::Result<()> {
        self.shared.state().said += 1;
        self.peer.say(&Packet::Publish(publication(said))).await
    }
}

fn publication(said: Said) -> Publish {
    let Said { topic, body: payload, retain } = said;
    Publish { topic, payload, retain, ..Publish::default() }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// Cut in half, with what is no UTF-8 at its end.
fn garbled(said: Said) -> Said {
    let half = said.body.len() / 2;
    let body = said.body.iter().take(half).copied().chain([0xff, 0xfe]).collect();
    Said { body, ..said }
}
