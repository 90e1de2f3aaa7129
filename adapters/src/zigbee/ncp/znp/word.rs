//! What a coordinator says unasked.

use super::super::bytes::Read;
use super::super::hub::{Backlog, Hub};
use super::super::{HOME_AUTOMATION, Ieee, Message, NcpEvent, ZDO};

const DATA_CONFIRM: u16 = 0x4480;
const INCOMING: u16 = 0x4481;
const INCOMING_EXT: u16 = 0x4482;
const STATE_CHANGE: u16 = 0x45c0;
const LEAVE: u16 = 0x45c9;
const TRUST_CENTRE_DEVICE: u16 = 0x45ca;
const ZDO_MESSAGE: u16 = 0x45ff;

/// The coordinator is up (DEV_ZB_COORD).
pub(super) const UP: u32 = 9;

/// Turns what is said into what it means. `None`: it is too short.
pub(super) fn word(hub: &Hub, id: u16, body: &[u8], events: &mut Backlog) -> Option<()> {
    let mut read = Read(body);
    match id {
        DATA_CONFIRM => {
            let (status, _endpoint, tag) = (read.u8()?, read.u8()?, read.u8()?);
            hub.delivered(tag, status.into());
        }
        INCOMING => events.push(NcpEvent::Message(Box::new(incoming(read)?))),
        INCOMING_EXT => {
            if let Some(message) = incoming_ext(read)? {
                events.push(NcpEvent::Message(Box::new(message)));
            }
        }
        STATE_CHANGE => state(read.u8()?.into(), hub, events),
        LEAVE => leave(read, events)?,
        TRUST_CENTRE_DEVICE => {
            let (nwk, ieee) = (read.u16()?, read.ieee()?);
            let parent = read.u16().filter(|parent| *parent < 0xfff8);
            events.push(NcpEvent::Joined { ieee, nwk, parent });
        }
        ZDO_MESSAGE => {
            if let Some(message) = zdo(read)? {
                events.push(NcpEvent::Message(Box::new(message)));
            }
        }
        _ => {}
    }
    Some(())
}

fn state(state: u32, hub: &Hub, events: &mut Backlog) {
    hub.state(state);
    let why = match state {
        UP => "the network is up",
        // It waits, looks for one, or forms one.
        0..=8 => return,
        _ => "the network is down",
    };
    events.push(NcpEvent::Network { up: state == UP, why: why.to_owned() });
}

fn leave(mut read: Read<'_>, events: &mut Backlog) -> Option<()> {
    let (nwk, ieee) = (read.u16()?, read.ieee()?);
    let (_request, _remove, rejoin) = (read.u8()?, read.u8()?, read.u8()?);
    // Who comes back at once has not left.
    if rejoin == 0 {
        events.push(NcpEvent::Left { ieee, nwk: Some(nwk) });
    }
    Some(())
}

fn incoming(mut read: Read<'_>) -> Option<Message> {
    let (group, cluster, from) = (read.u16()?, read.u16()?, read.u16()?);
    let (src_endpoint, dst_endpoint, broadcast, lqi) = (read.u8()?, read.u8()?, read.u8()?, read.u8()?);
    // Secured or not, when, a number.
    let _ = (read.u8()?, read.u32()?, read.u8()?);
    let payload = read.counted()?.to_vec();
    Some(Message {
        from,
        ieee: None,
        profile: HOME_AUTOMATION,
        cluster,
        src_endpoint,
        dst_endpoint,
        group: Some(group).filter(|group| *group != 0 && broadcast == 0),
        broadcast: broadcast != 0,
        payload,
        lqi,
        rssi: None,
    })
}

/// `Some(None)`: a message that is of no concern.
fn incoming_ext(mut read: Read<'_>) -> Option<Option<Message>> {
    /// From another PAN, by an address of 64 bits.
    const IEEE: u8 = 3;
    let (group, cluster, mode) = (read.u16()?, read.u16()?, read.u8()?);
    let address = read.ieee()?;
    let [low, high, ..] = address.0.to_le_bytes();
    let (src_endpoint, _pan_id, dst_endpoint) = (read.u8()?, read.u16()?, read.u8()?);
    let (broadcast, lqi) = (read.u8()?, read.u8()?);
    let _ = (read.u8()?, read.u32()?, read.u8()?);
    let length = read.u16()?;
    if mode == IEEE {
        return Some(None);
    }
    // What is longer than a frame stays in the coordinator.
    let Some(payload) = read.take(length.into()) else {
        tracing::debug!(length, "a message that is too long is not taken in");
        return Some(None);
    };
    Some(Some(Message {
        from: u16::from_le_bytes([low, high]),
        ieee: None,
        profile: HOME_AUTOMATION,
        cluster,
        src_endpoint,
        dst_endpoint,
        group: Some(group).filter(|group| *group != 0 && broadcast == 0),
        broadcast: broadcast != 0,
        payload: payload.to_vec(),
        lqi,
        rssi: None,
    }))
}

/// ZDO messages without what we have asked for ourselves.
fn zdo(mut read: Read<'_>) -> Option<Option<Message>> {
    const DEVICE_ANNOUNCE: u16 = 0x0013;
    const RESPONSE: u16 = 0x8000;
    let (from, broadcast, cluster) = (read.u16()?, read.u8()?, read.u16()?);
    let (_secured, sequence, _to) = (read.u8()?, read.u8()?, read.u16()?);
    if cluster != DEVICE_ANNOUNCE && cluster & RESPONSE == 0 {
        return Some(None);
    }
    let mut payload = vec![sequence];
    payload.extend_from_slice(read.rest());
    Some(Some(Message {
        from,
        ieee: None::<Ieee>,
        profile: ZDO,
        cluster,
        src_endpoint: 0,
        dst_endpoint: 0,
        group: None,
        broadcast: broadcast != 0,
        payload,
        // Not said; 0 would be a bad one.
        lqi: u8::MAX,
        rssi: None,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    fn events(id: u16, body: &str) -> Vec<NcpEvent> {
        let mut events = Backlog::default();
        word(&Hub::new(), id, &hex(body), &mut events).unwrap();
        std::iter::from_fn(|| events.pop()).collect()
    }

    /// A reading of a plug, as a CC2531 told it.
    #[test]
    fn a_message_is_read_as_recorded() {
        let body = "00 00 08 00 D4 17 01 01 00 37 00 99 B2 DB 00 00 07 08 7A 0A 00 00 20 F3 D4 17 1D";
        let message = Message {
            from: 0x17d4,
            ieee: None,
            profile: HOME_AUTOMATION,
            cluster: 8,
            src_endpoint: 1,
            dst_endpoint: 1,
            group: None,
            broadcast: false,
            payload: hex("08 7A 0A 00 00 20 F3"),
            lqi: 0x37,
            rssi: None,
        };
        assert_eq!(events(INCOMING, body), [NcpEvent::Message(Box::new(message.clone()))]);
        let ext = "00 00 08 00 02 D4 17 00 00 00 00 00 00 01 00 00 01 00 37 00 99 B2 DB 00 00 07 00 08 7A 0A 00 00 20 F3";
        assert_eq!(events(INCOMING_EXT, ext), [NcpEvent::Message(Box::new(message))]);
    }

    #[test]
    fn who_joins_and_leaves_is_told() {
        let (ieee, nwk) = (Ieee(0x0015_8d00_01a2_b3c4), 0x1234);
        assert_eq!(
            events(TRUST_CENTRE_DEVICE, "34 12 C4 B3 A2 01 00 8D 15 00 00 00"),
            [NcpEvent::Joined { ieee, nwk, parent: Some(0) }]
        );
        assert_eq!(
            events(LEAVE, "34 12 C4 B3 A2 01 00 8D 15 00 00 00 00"),
            [NcpEvent::Left { ieee, nwk: Some(nwk) }]
        );
        assert_eq!(events(LEAVE, "34 12 C4 B3 A2 01 00 8D 15 00 00 00 01"), []);
    }

    #[test]
    fn zdo_messages_are_as_from_the_air() {
        let announce = "34 12 01 13 00 00 2A FD FF 34 12 C4 B3 A2 01 00 8D 15 00 80";
        let [NcpEvent::Message(message)] = &events(ZDO_MESSAGE, announce)[..] else { panic!() };
        assert_eq!((message.cluster, message.from, message.broadcast), (0x0013, 0x1234, true));
        assert_eq!(message.payload, hex("2A 34 12 C4 B3 A2 01 00 8D 15 00 80"));
        // A request of ours comes back.
        assert_eq!(events(ZDO_MESSAGE, "00 00 00 36 00 00 01 00 00 3C 01"), []);
    }

    #[tokio::test]
    async fn the_fate_of_a_message_is_told() {
        let hub = Hub::new();
        let delivery = hub.expect().unwrap();
        word(&hub, DATA_CONFIRM, &[0xe9, 1, delivery.tag], &mut Backlog::default()).unwrap();
        assert_eq!(delivery.fate(Duration::from_secs(1)).await, Some(0xe9));
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        let body = hex("00 00 08 00 D4 17 01 01 00 37 00 99 B2 DB 00 00 07 08 7A 0A 00 00 20 F3");
        for length in 0..body.len() {
            assert_eq!(word(&Hub::new(), INCOMING, &body[..length], &mut Backlog::default()), None);
        }
    }
}
