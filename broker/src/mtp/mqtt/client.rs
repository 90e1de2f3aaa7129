//! One client for as long as it is wanted: connects, serves, waits, and connects again.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use usp_core::input::Input;
use usp_core::mqtt::port::{MqttEvent, MqttFailure, MqttPublish, MqttSettings};

use super::connection::{Connection, End};
use super::retry::Retry;
use super::{Place, Wanted};
use crate::config::EdgeLimits;
use crate::mqtt::{Bounds, Broken};
use crate::mtp::outbox::Outbox;
use crate::mtp::{Event, Gateway};
use crate::telemetry::plain;

/// The task of one client.
#[derive(Debug)]
pub(super) struct Client {
    id: u32,
    pub(super) wanted: watch::Receiver<Wanted>,
    place: Arc<Place>,
    pub(super) limits: Arc<EdgeLimits>,
    events: mpsc::Sender<Event>,
    /// The identifier that the server once assigned (R-MQTT.9, R-MQTT.11).
    assigned: Option<Assigned>,
    pub(super) retry: Retry,
}

/// An identifier, and for which server and user it is.
#[derive(Debug)]
struct Assigned {
    id: String,
    to: Arc<MqttSettings>,
}

impl Client {
    pub(super) fn new(
        id: u32,
        wanted: watch::Receiver<Wanted>,
        place: Arc<Place>,
        gateway: &Gateway,
    ) -> Self {
        Self {
            id,
            wanted,
            place,
            limits: Arc::clone(&gateway.limits),
            events: gateway.events.clone(),
            assigned: None,
            retry: Retry::default(),
        }
    }

    /// Works until it is no longer wanted.
    pub(super) async fn run(mut self) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            if wanted.stop {
                return;
            }
            let settings = self.settings(&wanted.settings);
            let end = Connection::run(&mut self, &settings, wanted.run).await;
            let mut was_up = false;
            self.place.change(|here| was_up = here.outbox.take().is_some());
            match end {
                End::Stopped => return,
                End::Anew => {
                    self.retry.worked();
                    if was_up {
                        let reason = "connecting anew was wanted".to_owned();
                        self.reporter().tell(MqttEvent::Down { status: MqttFailure::Lost, reason }).await;
                    }
                }
                End::Broken(broken) => self.pause(&settings, broken, wanted.run).await,
            }
        }
    }

    /// What is wanted, with the identifier that the server chose.
    fn settings(&self, wanted: &Arc<MqttSettings>) -> Arc<MqttSettings> {
        match &self.assigned {
            Some(assigned) if wanted.client_id.is_empty() && same_place(&assigned.to, wanted) => {
                Arc::new(MqttSettings { client_id: assigned.id.clone(), ..MqttSettings::clone(wanted) })
            }
            _ => Arc::clone(wanted),
        }
    }

    /// Keeps the identifier that is in use.
    pub(super) fn keep_id(&mut self, id: &str, settings: &Arc<MqttSettings>) {
        if settings.client_id.is_empty() && !id.is_empty() {
            self.assigned = Some(Assigned { id: id.to_owned(), to: Arc::clone(settings) });
            self.place.change(|here| here.assigned = Some(id.to_owned()));
        }
    }

    /// Opens the place where the core puts Records for this connection.
    pub(super) fn outbox(&self) -> Arc<Outbox<MqttPublish>> {
        let outbox = Arc::new(Outbox::new(self.limits.max_outbox_records, self.limits.max_outbox_bytes));
        self.place.change(|here| here.outbox = Some(Arc::clone(&outbox)));
        outbox
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds { record: self.limits.max_record_bytes, connect: self.limits.handshake_timeout }
    }

    /// A way to tell the core something.
    pub(super) fn reporter(&self) -> Reporter {
        Reporter { id: self.id, events: self.events.clone(), wanted: self.wanted.clone() }
    }

    /// Waits for the next attempt, or for other orders (R-MQTT.10, R-MQTT.33).
    async fn pause(&mut self, settings: &MqttSettings, broken: Broken, run: u64) {
        let wait = self.retry.wait(settings);
        let reason = plain(&broken.reason);
        let again = format!("{:.1} s", wait.as_secs_f64());
        let Broken { status, .. } = broken;
        // A server may be away for days: it is told once.
        if self.retry.is_news(&reason) {
            tracing::warn!(client = settings.name, host = settings.host, port = settings.port, %reason, %again, "no MQTT connection");
        } else {
            tracing::debug!(client = settings.name, host = settings.host, port = settings.port, %reason, %again, "no MQTT connection");
        }
        self.reporter().tell(MqttEvent::Down { status, reason }).await;
        let other = self.wanted.wait_for(|wanted| wanted.stop || wanted.run != run);
        tokio::select! {
            () = sleep(wait) => {}
            _ = other => self.retry.worked(),
        }
    }
}

/// Whether an identifier that one server assigned is still good.
fn same_place(a: &MqttSettings, b: &MqttSettings) -> bool {
    (&a.host, a.port, a.version, &a.username) == (&b.host, b.port, b.version, &b.username)
}

/// Tells the core what happens to one client, until it is stopped.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    id: u32,
    events: mpsc::Sender<Event>,
    wanted: watch::Receiver<Wanted>,
}

impl Reporter {
    /// Waits while the core is busy.
    pub(super) async fn tell(&mut self, event: MqttEvent) {
        let event = Event::Input(Input::Mqtt { client: self.id, event });
        tokio::select! {
            biased;
            _ = self.wanted.wait_for(|wanted| wanted.stop) => {}
            // Without a driver nobody needs to know.
            _ = self.events.send(event) => {}
        }
    }
}
