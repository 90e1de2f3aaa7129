//! Devices taken over from what bridges say on the server, with the words of [`usp_mapping::adopt`].
//!
//! A task of its own hears what concerns adoption, waits until a bridge has said what it had to say, has the mappings
//! written and compiled where that keeps nobody waiting, and reports all devices when they are others than before. A bridge
//! or a server that is silent takes none away. After a new connection the server tells once more all that it keeps: when
//! that is over ([`RollCall`]), what was taken out of it meanwhile is gone.

mod roll_call;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use usp_mapping::adopt::{Adopter, Ask, LeftOut, WHOLE_DEVICE};
use usp_mapping::mapping::{Bus, Device, DeviceAddress, MqttServer};
use usp_mapping::port::DeviceId;

use crate::bus::ear::{self, Ear, SharedEar};
use crate::bus::mailbox::Mailbox;
use crate::bus::outlet::Outlet;
use crate::{Adopted, FromAdapter};

use super::board::{Board, Publication, Said};
use roll_call::RollCall;

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
    let letters = Arc::new(Mailbox::with_room(Arc::clone(&board.counters.lost), ROOM));
    let adoption = Adoption {
        board: Arc::clone(board),
        ear: SharedEar::new(board.state.subscribe(), Arc::clone(&letters)),
        letters,
        roll_call: RollCall::default(),
        server: server.clone(),
        bus: bus.clone(),
        reply_topic: client_id.to_owned(),
        way: way.anew(),
        told: None,
        noted: BTreeSet::new(),
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
    ear: SharedEar<Said>,
    roll_call: RollCall,
    server: MqttServer,
    bus: Bus,
    reply_topic: String,
    way: Outlet,
    /// What the core knows.
    told: Option<Vec<Device>>,
    /// What was left out the last time.
    noted: BTreeSet<LeftOut>,
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
        self.note(adopter.left_out());
        self.tell(devices).await;
        Some(adopter)
    }

    /// Takes one thing in that happens; whether the devices may be others now. Nothing is lost when nobody waits any more.
    async fn hear(&mut self, adopter: &mut Adopter) -> bool {
        tokio::select! {
            biased;
            said = self.ear.hear() => match said {
                ear::Said::Word(said) => self.take(&said, adopter),
                ear::Said::LinkUp => {
                    adopter.begin_anew();
                    self.roll_call.begin();
                    false
                }
                ear::Said::LinkDown(_) | ear::Said::LinkRefused(_) => {
                    self.roll_call.end();
                    false
                }
                // No server says so.
                ear::Said::Doubt => false,
            },
            () = self.roll_call.told(&self.board) => {
                self.roll_call.end();
                adopter.settle();
                // What a former connection, or one before a restart of this task, has told may be no more.
                true
            }
        }
    }

    fn take(&mut self, said: &Said, adopter: &mut Adopter) -> bool {
        self.roll_call.hear(said.kept);
        let heard = adopter.hear(&said.topic, &said.body);
        for Ask { topic, body } in heard.asks {
            let publication = Publication { topic, body: body.into(), qos: 0, retain: false };
            let board = Arc::clone(&self.board);
            // Whoever hears does not wait for it.
            tokio::spawn(async move { drop(timeout(ASKED, board.publish(publication)).await) });
        }
        heard.changed
    }

    /// Each thing that is left out once, for as long as it is.
    fn note(&mut self, left_out: &[LeftOut]) {
        let now: BTreeSet<LeftOut> = left_out.iter().cloned().collect();
        for LeftOut { device, what, why } in now.difference(&self.noted) {
            if what == WHOLE_DEVICE {
                tracing::info!(bus = %self.bus.name, device, why, "a device is not adopted");
            } else {
                tracing::debug!(bus = %self.bus.name, device, what, why, "left out of adoption");
            }
        }
        self.noted = now;
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
