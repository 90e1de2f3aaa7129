//! Looks who is in a network, and opens it if that is wanted. The network is used as it is: none is formed or restored, nobody is set
//! up, and nothing is kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use usp_mapping::adopt::zigbee::Interview;
use usp_mapping::mapping::{Bus, BusKind, ZigbeeBus};
use usp_mapping::port::{BusAction, BusCall, BusCallId, BusReport, Newcomer};

use super::link::{self, ZigbeeLink};
use crate::FromAdapter;
use crate::bus::ear::LinkState;
use crate::bus::outlet::Outlet;
use crate::bus::statistics::{BusCounters, NetworkStatistics};
use crate::keeper::{Keeper, Memory};
use crate::site::SharedLink;

/// How long a coordinator may take to be there.
const OPENING: Duration = Duration::from_secs(60);

/// When nothing more was heard of newcomers for so long, and all are known, everybody was found.
const QUIET: Duration = Duration::from_secs(8);

/// A network and who was found in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its coordinator, channel and PAN IDs.
    pub network: NetworkStatistics,
    /// Those who have said all of themselves.
    pub devices: Vec<Interview>,
    /// Those who have not, by their addresses.
    pub unknown: Vec<u64>,
}

/// Looks at the network of a coordinator for at most so long; or for as long as it is open, if it is to be opened. `told` hears
/// each step of each device.
///
/// Errors: the coordinator is not there, another program has it, or it has no network.
pub async fn look(
    zigbee: &ZigbeeBus,
    open: Option<Duration>,
    within: Duration,
    mut told: impl FnMut(&Newcomer),
) -> Result<Found, String> {
    let (to_core, mut from) = mpsc::channel(256);
    let (way, counters) = (Outlet::new(to_core, Handle::current()), Arc::<BusCounters>::default());
    let bus = Bus { name: "scan".to_owned(), kind: BusKind::Zigbee(zigbee.clone()) };
    let keeper: Arc<dyn Keeper> = Arc::new(Memory::default());
    let ends = ((&counters, &way), (&Handle::current(), &keeper));
    let link = ZigbeeLink::start_with(link::opener(), zigbee.clone(), &bus, ends.0, ends.1, true);
    let looked = async {
        up(&link).await?;
        watch(&link, &way, &mut from, (open, within), &mut told).await
    };
    let looked = looked.await;
    let found =
        looked.and_then(|()| found(&link, &counters).ok_or_else(|| "the coordinator is gone".to_owned()));
    Box::new(link).stop().await;
    found
}

/// Waits until there is a network.
async fn up(link: &ZigbeeLink) -> Result<(), String> {
    let mut state = link.board().state.subscribe();
    let known = timeout(OPENING, state.wait_for(|state| *state != LinkState::Opening)).await;
    match known.ok().and_then(Result::ok).as_deref() {
        Some(LinkState::Up) => Ok(()),
        Some(LinkState::Down(why)) => Err(why.clone()),
        Some(LinkState::Opening) | None => Err("the coordinator does not answer".to_owned()),
    }
}

/// Hears who is there, until that is over.
async fn watch(
    link: &ZigbeeLink,
    way: &Outlet,
    from: &mut mpsc::Receiver<FromAdapter>,
    (open, within): (Option<Duration>, Duration),
    told: &mut impl FnMut(&Newcomer),
) -> Result<(), String> {
    let id = BusCallId(0);
    if let Some(open) = open {
        link.bus_call(BusCall { id, bus: "scan".into(), action: BusAction::PermitJoin(open) }, way);
    }
    let end = Instant::now() + within.max(open.map_or(Duration::ZERO, |open| open + super::joining::GRACE));
    let mut quiet = Instant::now() + QUIET;
    loop {
        // While it is open, whoever may still come is waited for.
        let until = if open.is_some() { end } else { end.min(quiet) };
        match timeout_at(until, from.recv()).await {
            Ok(Some(FromAdapter::Bus(BusReport::Newcomer { newcomer, .. }))) => {
                told(&newcomer);
                quiet = Instant::now() + QUIET;
            }
            Ok(Some(FromAdapter::Bus(BusReport::Done { id: of, outcome }))) if of == id => {
                return outcome.map(drop);
            }
            Ok(Some(_)) => {}
            Ok(None) => return Err("the coordinator is gone".to_owned()),
            Err(_) if Instant::now() >= end || all_are_known(link) => return Ok(()),
            Err(_) => quiet = Instant::now() + QUIET,
        }
    }
}

fn all_are_known(link: &ZigbeeLink) -> bool {
    let shared = link.board().shared();
    shared.members.iter().all(|(_, member)| member.known.is_some())
}

fn found(link: &ZigbeeLink, counters: &BusCounters) -> Option<Found> {
    let network = counters.network_now()?;
    let shared = link.board().shared();
    let known =
        shared.members.iter().filter_map(|(ieee, member)| Some(member.known.as_ref()?.described(ieee)));
    let unknown = shared.members.iter().filter(|(_, member)| member.known.is_none());
    Some(Found { network, devices: known.collect(), unknown: unknown.map(|(ieee, _)| ieee.0).collect() })
}
