//! Has a coordinator hold this hub's network, and keeps what that takes.

use usp_mapping::mapping::SecretRef;

use super::kept;
use super::link::Warden;
use super::ncp::{Backup, Coordinator, Key};
use super::network::{AHEAD, Plan, Wanted, new_network, plan};
use crate::secret;

/// The network as it is kept from now on. See [`super::network`] for what is done when.
///
/// Errors: the coordinator holds another network, does not do as it is told, or nothing can be kept. Texts have no key in them.
pub(super) async fn bring_up(coordinator: &dyn Coordinator, warden: &Warden) -> Result<Backup, String> {
    let kept = kept_network(warden)?;
    let wanted = wanted(warden).await?;
    let said = |why: super::ncp::NcpFault| why.to_string();
    let held = match coordinator.resume().await.map_err(said)? {
        Some(_) => Some(coordinator.backup().await.map_err(said)?),
        None => None,
    };
    let bus = &warden.board.bus;
    let network = match plan(kept.as_ref(), held.as_ref(), &wanted) {
        Plan::Refuse(why) => return Err(why),
        Plan::Resume(held) => {
            if kept.is_none() {
                tracing::warn!(%bus, "the coordinator has a network already, which is taken over");
            }
            *held
        }
        Plan::Restore(kept) => {
            tracing::warn!(%bus, "the coordinator has no network: this hub's is restored on it");
            coordinator.restore(&kept).await.map_err(said)?;
            coordinator.backup().await.map_err(said)?
        }
        Plan::Form if warden.only_looks => {
            return Err(
                "the coordinator has no network yet; `usp-broker run` forms one, with a site that has it"
                    .to_owned(),
            );
        }
        Plan::Form => {
            let mut random = [0; 26];
            getrandom::fill(&mut random).map_err(|why| format!("there are no random numbers: {why}"))?;
            coordinator.form(&new_network(&wanted, random)).await.map_err(said)?;
            tracing::info!(%bus, "a Zigbee network was formed");
            coordinator.backup().await.map_err(said)?
        }
    };
    if let Some(channel) = wanted.channel.filter(|channel| *channel != network.network.channel) {
        let has = network.network.channel;
        tracing::warn!(%bus, channel, has, "the network is on another channel than the site file says, and stays there");
    }
    let used = kept.map_or(0, |kept| kept.frame_counter).max(network.frame_counter);
    // Only what is still ahead is kept, and not pushed on by every start.
    let frame_counter = if used > network.frame_counter.saturating_add(AHEAD / 2) {
        used
    } else {
        network.frame_counter.saturating_add(AHEAD)
    };
    let network = Backup { frame_counter, ..network };
    keep(warden, &network).await?;
    Ok(network)
}

/// Keeps the network.
pub(super) async fn keep(warden: &Warden, network: &Backup) -> Result<(), String> {
    let bytes = kept::write_network(network);
    let kept = warden.keeper.keep(&warden.board.bus, kept::NETWORK, Some(bytes)).await;
    kept.map_err(|why| format!("the network cannot be kept, so it is not used: {why}"))
}

fn kept_network(warden: &Warden) -> Result<Option<Backup>, String> {
    let all = warden.keeper.all(&warden.board.bus);
    let Some((_, bytes)) = all.into_iter().find(|(key, _)| key == kept::NETWORK) else { return Ok(None) };
    let unreadable =
        || "what is kept of the network cannot be read; restore a backup of the broker".to_owned();
    kept::read_network(&bytes).map(Some).ok_or_else(unreadable)
}

async fn wanted(warden: &Warden) -> Result<Wanted, String> {
    let key = match &warden.zigbee.network_key {
        Some(place) => Some(network_key(place).await?),
        None => None,
    };
    Ok(Wanted { channel: warden.zigbee.channel, pan_id: warden.zigbee.pan_id, key })
}

async fn network_key(place: &SecretRef) -> Result<Key, String> {
    let wrong = || format!("network_key: {place} has no key of 32 hexadecimal digits");
    let secret = secret::read(place).await.map_err(|why| format!("network_key: {why}"))?;
    let text = std::str::from_utf8(&secret.0).map_err(|_| wrong())?;
    kept::key(&text.replace([':', ' '], "")).ok_or_else(wrong)
}
