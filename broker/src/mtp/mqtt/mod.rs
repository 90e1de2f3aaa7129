//! The broker's MQTT clients: one task each, ordered by the core (TR-369 section 4.6, R-MQTT.*).
//!
//! An order never waits: what a client is to do is a state that it looks at, Records go into its bounded outbox.

mod client;
mod connection;
mod retry;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use usp_core::mqtt::port::{MqttFilter, MqttOrder, MqttPublish, MqttSettings};

use super::Gateway;
use super::outbox::Outbox;

/// All clients.
#[derive(Debug)]
pub(crate) struct Clients {
    gateway: Gateway,
    running: HashMap<u32, Running>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Running {
    wanted: watch::Sender<Wanted>,
    place: Arc<Place>,
}

/// What a client is to do.
#[derive(Clone, Debug)]
struct Wanted {
    settings: Arc<MqttSettings>,
    /// Counts what calls for a new connection.
    run: u64,
    /// `None`: nothing has been said yet.
    filters: Option<Arc<[MqttFilter]>>,
    /// Counts orders about topics.
    topics: u64,
    stop: bool,
}

/// The present connection, as far as others need to know it.
#[derive(Debug, Default)]
struct Place(Mutex<Here>);

#[derive(Clone, Debug, Default)]
struct Here {
    /// Where Records go, while there is a connection.
    outbox: Option<Arc<Outbox<MqttPublish>>>,
    /// The identifier that the server last assigned.
    assigned: Option<String>,
}

impl Place {
    fn change(&self, change: impl FnOnce(&mut Here)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn here(&self) -> Here {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Clients {
    pub(crate) fn new(gateway: Gateway) -> Self {
        Self { gateway, running: HashMap::new(), tasks: TaskTracker::new() }
    }

    /// Carries out one order of the core, which an input of this number has caused.
    pub(crate) fn order(&mut self, order: MqttOrder, input: u64) {
        match order {
            MqttOrder::Run { client, settings } => self.run(client, Arc::from(settings)),
            MqttOrder::Stop { client } => {
                if let Some(running) = self.running.remove(&client) {
                    running.stop();
                }
            }
            MqttOrder::Reconnect { client } => self.change(client, |wanted| wanted.run += 1),
            MqttOrder::Topics { client, filters } => self.change(client, |wanted| {
                wanted.filters = Some(filters.into());
                wanted.topics += 1;
            }),
            MqttOrder::Publish { client, publish } => self.publish(client, *publish, input),
        }
    }

    fn run(&mut self, client: u32, settings: Arc<MqttSettings>) {
        if let Some(running) = self.running.get(&client) {
            return running.run(settings);
        }
        let wanted = Wanted { settings, run: 0, filters: None, topics: 0, stop: false };
        let (wanted, watched) = watch::channel(wanted);
        let place = Arc::new(Place::default());
        let task = client::Client::new(client, watched, Arc::clone(&place), &self.gateway);
        self.tasks.spawn(task.run());
        self.running.insert(client, Running { wanted, place });
    }

    fn change(&self, client: u32, change: impl FnOnce(&mut Wanted)) {
        if let Some(running) = self.running.get(&client) {
            running.wanted.send_modify(change);
        }
    }

    fn publish(&self, client: u32, publish: MqttPublish, input: u64) {
        let outbox = self.running.get(&client).and_then(|running| running.place.here().outbox);
        let Some(outbox) = outbox else {
            return tracing::debug!(client, topic = publish.topic, "not connected, Record dropped");
        };
        let merge = publish.merge;
        if outbox.push(publish, merge, input).is_err() {
            tracing::warn!(client, "outbox full, connecting this MQTT client anew");
        }
    }

    /// Stops all of them, once what waits for them is out; ends when they have.
    pub(crate) async fn close(&mut self) {
        for (_, running) in self.running.drain() {
            running.stop();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Running {
    /// Other settings need a new connection, unless all that is new is the identifier that the server has just assigned.
    fn run(&self, settings: Arc<MqttSettings>) {
        let assigned = self.place.here().assigned;
        self.wanted.send_modify(|wanted| {
            let client_id = match assigned {
                Some(assigned) if wanted.settings.client_id.is_empty() => assigned,
                _ => wanted.settings.client_id.clone(),
            };
            let present = MqttSettings { client_id, ..MqttSettings::clone(&wanted.settings) };
            wanted.run += u64::from(present != *settings && *wanted.settings != *settings);
            wanted.settings = settings;
        });
    }

    fn stop(&self) {
        self.wanted.send_modify(|wanted| wanted.stop = true);
    }
}
