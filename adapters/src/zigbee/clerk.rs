//! Keeps who is in the network, and has devices that are not in the site file taken over.
//!
//! A task of its own, so that a slow disk holds no message up. Devices that were interviewed are told as [`Adopted`] as soon as
//! the bus starts, whether the coordinator is there or not: they stay while it is away. Their mappings are written and compiled
//! where that keeps nobody waiting, and only once for what a device has said.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use usp_mapping::adopt::LeftOut;
use usp_mapping::adopt::zigbee::{Interview, adopt};
use usp_mapping::library::Catalog;
use usp_mapping::mapping::{Bus, Device, DeviceAddress, Mapping};
use usp_mapping::port::DeviceId;

use super::board::Board;
use super::care::{Meant, Purpose};
use super::kept;
use super::members::Known;
use super::ncp::Ieee;
use crate::bus::outlet::Outlet;
use crate::keeper::Keeper;
use crate::{Adopted, FromAdapter};

/// Pause before something that could not be kept is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// The mappings inside the program.
static LIBRARY: LazyLock<Catalog> = LazyLock::new(|| Catalog::new(Vec::new()));

/// Most things that are told to be left out.
const TOLD: usize = 4;

/// A mapping that was made for a device, with what the device is called.
#[derive(Clone, Debug)]
struct Made {
    name: String,
    mapping: Arc<Mapping>,
}

/// What a device has said, and the mapping that was made from that.
type Making = (Known, Result<Made, String>);

/// The mappings that were made for devices.
#[derive(Debug, Default)]
pub(super) struct Makings(Mutex<BTreeMap<Ieee, Making>>);

impl Makings {
    fn get(&self, ieee: Ieee, known: &Known) -> Option<Result<Made, String>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&ieee).filter(|(from, _)| from == known).map(|(_, made)| made.clone())
    }

    /// Forgets those of devices that are not there any more.
    fn keep_only(&self, known: &[(Ieee, Known)]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|ieee, _| known.iter().any(|(of, _)| of == ieee));
    }

    /// The mapping of a device that has said this of itself.
    async fn of(self: &Arc<Self>, ieee: Ieee, known: Known) -> Result<Made, String> {
        if let Some(made) = self.get(ieee, &known) {
            return made;
        }
        let interview = known.described(ieee);
        let made = spawn_blocking(move || make(&interview)).await;
        let made = made.unwrap_or_else(|_| Err("making a mapping for it failed".to_owned()));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(ieee, (known, made.clone()));
        made
    }
}

/// Has a mapping written and compiled, unless the library has one.
fn make(interview: &Interview) -> Result<Made, String> {
    let left = |all: &[LeftOut]| {
        let words = |left: &LeftOut| format!("{}: {}", left.what, left.why);
        all.iter().take(TOLD).map(words).collect::<Vec<_>>().join("; ")
    };
    let adopted = adopt(interview, &LIBRARY).map_err(|all| left(&all))?;
    if !adopted.left_out.is_empty() {
        let (device, left_out) = (&adopted.name, left(&adopted.left_out));
        tracing::debug!(device, left_out, "left out of adoption");
    }
    Ok(Made { name: adopted.name, mapping: adopted.mapping })
}

/// What devices of a bus are there for.
struct Meaning {
    board: Arc<Board>,
    makings: Arc<Makings>,
    adopts: bool,
}

impl Purpose for Meaning {
    fn mapping(&self, ieee: Ieee, known: Known) -> Meant {
        let of_site = self.board.mapping(ieee);
        let (makings, adopts) = (Arc::clone(&self.makings), self.adopts);
        Box::pin(async move {
            match of_site {
                Some(mapping) => Ok(mapping),
                None if adopts => makings.of(ieee, known).await.map(|made| made.mapping),
                None => Err("it is not in the site file, and the bus does not have `adopt: true`".to_owned()),
            }
        })
    }
}

/// Keeps and adopts.
pub(super) struct Clerk {
    board: Arc<Board>,
    bus: Bus,
    adopts: bool,
    keeper: Arc<dyn Keeper>,
    way: Outlet,
    makings: Arc<Makings>,
    /// What the core knows.
    told: Option<Vec<Device>>,
}

impl Clerk {
    pub(super) fn new(
        board: &Arc<Board>,
        bus: &Bus,
        adopts: bool,
        keeper: &Arc<dyn Keeper>,
        way: &Outlet,
    ) -> Self {
        Self {
            board: Arc::clone(board),
            bus: bus.clone(),
            adopts,
            keeper: Arc::clone(keeper),
            way: way.anew(),
            makings: Arc::default(),
            told: None,
        }
    }

    /// What the devices of the bus are there for.
    pub(super) fn purpose(&self) -> Arc<dyn Purpose> {
        let (board, makings) = (Arc::clone(&self.board), Arc::clone(&self.makings));
        Arc::new(Meaning { board, makings, adopts: self.adopts })
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let board = Arc::clone(&self.board);
        loop {
            let all_kept = self.keep().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.adopt() => {}
            }
            let again = async {
                match all_kept {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(AGAIN).await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = board.changes.notified() => {}
                () = again => {}
            }
        }
        self.keep().await;
    }

    /// Keeps who has changed; whether that worked.
    async fn keep(&self) -> bool {
        let changed = self.board.shared().members.take_changed();
        let mut all_kept = true;
        for ieee in changed {
            let value = self.board.member(ieee).map(|member| kept::write_member(&member));
            let kept = self.keeper.keep(&self.bus.name, &kept::device_key(ieee), value).await;
            if let Err(why) = kept {
                tracing::warn!(bus = %self.bus.name, %ieee, why, "what is known of a device was not kept");
                self.board.shared().members.not_kept(ieee);
                all_kept = false;
            }
        }
        all_kept
    }

    /// Tells of all devices that can be taken over, if they are others than before.
    async fn adopt(&mut self) {
        if !self.adopts {
            return;
        }
        let known: Vec<(Ieee, Known)> = {
            let shared = self.board.shared();
            shared.members.iter().filter_map(|(ieee, member)| Some((ieee, member.known.clone()?))).collect()
        };
        self.makings.keep_only(&known);
        let mut devices = Vec::new();
        for (ieee, known) in known {
            match self.makings.of(ieee, known).await {
                Ok(made) => devices.push(self.device(ieee, made)),
                Err(why) => tracing::debug!(bus = %self.bus.name, %ieee, why, "a device is not adopted"),
            }
        }
        if self.told.as_ref() == Some(&devices) {
            return;
        }
        if let Some(room) = self.way.room().await {
            let adopted = Adopted { bus: self.bus.clone(), devices: devices.clone() };
            room.send(FromAdapter::Adopted(Box::new(adopted)));
            self.told = Some(devices);
        }
    }

    fn device(&self, ieee: Ieee, made: Made) -> Device {
        Device {
            id: DeviceId(format!("{}/{ieee}", self.bus.name).into()),
            name: made.name,
            mapping: made.mapping,
            bus: self.bus.name.clone(),
            address: DeviceAddress::Zigbee(usp_mapping::mapping::Ieee(ieee.0)),
        }
    }
}
