//! Devices taken over from what bridges say on the server, with the words of [`usp_mapping::adopt`].
//!
//! A task of its own hears what concerns adoption, waits until a bridge has said what it had to say, has the mappings
//! written and compiled where that keeps nobody waiting, and reports all devices when they are others than before. A bridge
//! or a server that is silent takes none away: only what is said changes anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use usp_mapping::adopt::{Adopter, Ask};
use usp_mapping::mapping::{Bus, Device, DeviceAddress, MqttServer};
use usp_mapping::port::DeviceId;

use crate::bus::mailbox::Mailbox;
use crate::bus::outlet::Outlet;
use crate::{Adopted, FromAdapter};

use super::board::{Board, Publication, Said};

/// Bridges speak of many devices one after the other: so long nothing may come before what was said is taken.
const QUIET: Duration = Duration::from_millis(300);

/// So long at most is what was said not taken.
const LONGEST: Duration = Duration::from_secs(3);

/// What may wait: there may be a message for each property of each device.
const ROOM: (usize, usize) = (32_768, 64 * 1024 * 1024);

/// How long a question may take to get out.
const ASKED: Duration = Duration::from_secs(5);

/// Starts to take devices over, if the site wants that of this server.
pub(super) fn start(
    board: &Arc<Board>,
    (server, bus): (&MqttServer, &Bus),
    client_id: &str,
    way: &Outlet,
    stop: &CancellationToken,
    runtime: &Handle,
) -> Option<JoinHandle<()>> {
    if server.adopt.is_empty() {
        return None;
    }
    let adoption = Adoption {
        board: Arc::clone(board),
        letters: Arc::new(Mailbox::with_room(Arc::clone(&board.counters.lost), ROOM)),
        server: server.clone(),
        bus: bus.clone(),
        reply_topic: client_id.to_owned(),
        way: way.anew(),
        told: None,
    };
    let stop = stop.clone();
    Some(runtime.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = adoption.run() => {}
        }
    }))
}

struct Adoption {
    board: Arc<Board>,
    letters: Arc<Mailbox<Said>>,
    server: MqttServer,
    bus: Bus,
    reply_topic: String,
    way: Outlet,
    /// What the core knows.
    told: Option<Vec<Device>>,
}

impl Adoption {
    async fn run(mut self) {
        loop {
            let mut adopter = Adopter::new(&self.server.adopt, &self.reply_topic);
            let filters = adopter.filters().into_iter().map(|filter| (filter, 1)).collect();
            // No device has such a key.
            self.board.listen(&DeviceId("".into()), filters, &self.letters);
            while let Some(next) = self.round(adopter).await {
                adopter = next;
            }
            // Everything is said anew to whoever begins to listen.
            tracing::error!(bus = %self.bus.name, "adoption failed and begins anew");
            tokio::time::sleep(LONGEST).await;
        }
    }

    /// Hears what is said until it is quiet, and takes it. `None`: it failed.
    async fn round(&mut self, mut adopter: Adopter) -> Option<Adopter> {
        let mut changed = self.hear(&mut adopter).await;
        let end = Instant::now() + LONGEST;
        loop {
            let until = (Instant::now() + QUIET).min(end);
            match timeout_at(until, self.hear(&mut adopter)).await {
                Ok(more) => changed |= more,
                Err(_) => break,
            }
        }
        if !changed {
            return Some(adopter);
        }
        let taken = spawn_blocking(move || {
            let all = adopter.devices();
            (adopter, all)
        });
        let (adopter, all) = taken.await.ok()?;
        let device = |adopted: Arc<usp_mapping::adopt::Adopted>| Device {
            id: DeviceId(format!("{}/{}", self.bus.name, adopted.id).into()),
            name: adopted.name.clone(),
            mapping: Arc::clone(&adopted.mapping),
            bus: self.bus.name.clone(),
            address: DeviceAddress::MqttTopic(adopted.topic.clone()),
        };
        let devices: Vec<Device> = all.into_iter().map(device).collect();
        for left in adopter.left_out() {
            tracing::debug!(device = left.device, what = left.what, why = left.why, "left out of adoption");
        }
        self.tell(devices).await;
        Some(adopter)
    }

    /// Takes one thing in that is said; whether the devices may be others now. Nothing is lost when nobody waits any more.
    async fn hear(&self, adopter: &mut Adopter) -> bool {
        let said = self.letters.take().await;
        let heard = adopter.hear(&said.topic, &said.body);
        for Ask { topic, body } in heard.asks {
            let publication = Publication { topic, body: body.into(), qos: 0, retain: false };
            let board = Arc::clone(&self.board);
            // Whoever hears does not wait for it.
            tokio::spawn(async move { drop(timeout(ASKED, board.publish(publication)).await) });
        }
        heard.changed
    }

    async fn tell(&mut self, devices: Vec<Device>) {
        if self.told.as_ref() == Some(&devices) {
            return;
        }
        if let Some(room) = self.way.room().await {
            let adopted = Adopted { bus: self.bus.clone(), devices: devices.clone() };
            room.send(FromAdapter::Adopted(Box::new(adopted)));
            self.told = Some(devices);
        }
    }
}
