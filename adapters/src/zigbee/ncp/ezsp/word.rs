//! What a coordinator says unasked.

use super::super::bytes::Read;
use super::super::hub::{Backlog, Hub};
use super::super::{Ieee, Message, NcpEvent};
use super::status::Status;

const STACK_STATUS: u16 = 0x0019;
const TRUST_CENTRE_JOIN: u16 = 0x0024;
const MESSAGE_SENT: u16 = 0x003f;
const INCOMING_MESSAGE: u16 = 0x0045;
const ID_CONFLICT: u16 = 0x007c;

/// A message is a part of a longer one.
const FRAGMENT: u16 = 0x8000;

/// Turns a callback into what it means. `None`: it is too short.
pub(super) fn word(version: u8, hub: &Hub, id: u16, body: &[u8], events: &mut Backlog) -> Option<()> {
    let mut read = Read(body);
    match id {
        STACK_STATUS => stack_status(read_status(version, &mut read)?, hub, events),
        TRUST_CENTRE_JOIN => events_of_join(read, events)?,
        MESSAGE_SENT => {
            let (tag, status) = if version < 14 { sent_before_14(read)? } else { sent(read)? };
            hub.delivered(tag, status.0);
        }
        INCOMING_MESSAGE => {
            if let Some(message) = incoming(version, read)? {
                events.push(NcpEvent::Message(Box::new(message)));
            }
        }
        ID_CONFLICT => {
            let nwk = read.u16()?;
            tracing::warn!(
                nwk = format!("0x{nwk:04x}"),
                "two Zigbee devices have the same address; both will take another one"
            );
        }
        _ => {}
    }
    Some(())
}

pub(super) fn read_status(version: u8, read: &mut Read<'_>) -> Option<Status> {
    if version < 14 { read.u8().map(Status::ember) } else { read.u32().map(Status) }
}

fn stack_status(status: Status, hub: &Hub, events: &mut Backlog) {
    hub.state(status.0);
    if [Status::NETWORK_UP, Status::NETWORK_DOWN].contains(&status) {
        events.push(NcpEvent::Network { up: status == Status::NETWORK_UP, why: status.words() });
    }
}

/// Who has joined anew, with the key that all have. `None`: this says no such thing.
pub(super) fn joined_anew(id: u16, body: &[u8]) -> Option<Ieee> {
    let mut events = Backlog::default();
    events_of_join(Read(body), &mut events).filter(|()| id == TRUST_CENTRE_JOIN)?;
    match events.pop()? {
        NcpEvent::Joined { ieee, .. } => Some(ieee),
        _ => None,
    }
}

fn events_of_join(mut read: Read<'_>, events: &mut Backlog) -> Option<()> {
    let (nwk, ieee, update, decision) = (read.u16()?, read.ieee()?, read.u8()?, read.u8()?);
    let parent = read.u16().filter(|parent| *parent < 0xfff8);
    /// The device was sent away again.
    const DENIED: u8 = 0x02;
    match update {
        0x02 => events.push(NcpEvent::Left { ieee, nwk: Some(nwk) }),
        _ if decision == DENIED => {}
        // Unsecured joins, of standard and of high security.
        0x01 | 0x05 => events.push(NcpEvent::Joined { ieee, nwk, parent }),
        _ => events.push(NcpEvent::Rejoined { ieee, nwk, parent }),
    }
    Some(())
}

/// What a message says of itself.
struct ApsFrame {
    profile: u16,
    cluster: u16,
    src_endpoint: u8,
    dst_endpoint: u8,
    options: u16,
    group: u16,
}

fn aps(read: &mut Read<'_>) -> Option<ApsFrame> {
    let frame = ApsFrame {
        profile: read.u16()?,
        cluster: read.u16()?,
        src_endpoint: read.u8()?,
        dst_endpoint: read.u8()?,
        options: read.u16()?,
        group: read.u16()?,
    };
    // The number that the stack has given to it.
    read.u8()?;
    Some(frame)
}

fn sent_before_14(mut read: Read<'_>) -> Option<(u8, Status)> {
    let _ = (read.u8()?, read.u16()?, aps(&mut read)?);
    Some((read.u8()?, Status::ember(read.u8()?)))
}

fn sent(mut read: Read<'_>) -> Option<(u8, Status)> {
    let status = Status(read.u32()?);
    let _ = (read.u8()?, read.u16()?, aps(&mut read)?);
    let [tag, _] = read.u16()?.to_le_bytes();
    Some((tag, status))
}

/// `Some(None)`: a message that is of no concern.
fn incoming(version: u8, mut read: Read<'_>) -> Option<Option<Message>> {
    let (kind, aps) = (read.u8()?, aps(&mut read)?);
    let (from, ieee, lqi, rssi);
    if version < 14 {
        (lqi, rssi, from, ieee) = (read.u8()?, read.u8()?, read.u16()?, None);
        // Index of a binding, and of an address.
        read.u16()?;
    } else {
        (from, ieee) = (read.u16()?, Some(read.ieee()?).filter(|ieee| ieee.0 != 0));
        read.u16()?;
        (lqi, rssi) = (read.u8()?, read.u8()?);
        // When.
        read.u32()?;
    }
    let payload = read.counted()?.to_vec();
    let (group, broadcast) = match kind {
        // To us, to a group, to everybody.
        0 | 1 => (None, false),
        2 => (Some(aps.group), false),
        4 => (None, true),
        // Our own words.
        _ => return Some(None),
    };
    if aps.options & FRAGMENT != 0 {
        tracing::debug!(from, "a message in parts is not taken in");
        return Some(None);
    }
    Some(Some(Message {
        from,
        ieee,
        profile: aps.profile,
        cluster: aps.cluster,
        src_endpoint: aps.src_endpoint,
        dst_endpoint: aps.dst_endpoint,
        group,
        broadcast,
        payload,
        lqi,
        rssi: Some(rssi.cast_signed()),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    fn events(version: u8, id: u16, body: &str) -> Vec<NcpEvent> {
        let mut events = Backlog::default();
        word(version, &Hub::new(), id, &hex(body), &mut events).unwrap();
        std::iter::from_fn(|| events.pop()).collect()
    }

    /// An answer to a command of cluster on/off, as it was heard of a coordinator with protocol 14.
    #[test]
    fn a_message_is_read_as_recorded() {
        let body = "00 04 01 06 00 01 01 00 01 00 00 70 DE C9 00 00 00 00 00 00 00 00 FF FF 03 00 06 00 00 00 05 18 04 0B \
                    00 00 02";
        let message = Message {
            from: 0xc9de,
            ieee: None,
            profile: 0x0104,
            cluster: 6,
            src_endpoint: 1,
            dst_endpoint: 1,
            group: None,
            broadcast: false,
            payload: hex("18 04 0B 00 00"),
            lqi: 3,
            rssi: Some(0),
        };
        assert_eq!(events(14, INCOMING_MESSAGE, body), [NcpEvent::Message(Box::new(message.clone()))]);
        // The same in the words of earlier protocols (UG100, incomingMessageHandler), to a group.
        let body = "02 04 01 06 00 01 01 00 01 03 00 70 03 C4 DE C9 FF FF 05 18 04 0B 00 00";
        let message = Message { group: Some(3), rssi: Some(-60), ..message };
        assert_eq!(events(8, INCOMING_MESSAGE, body), [NcpEvent::Message(Box::new(message))]);
    }

    #[tokio::test]
    async fn the_fate_of_a_message_is_read_as_recorded() {
        let hub = Hub::new();
        let mut backlog = Backlog::default();
        for _ in 0..2 {
            drop(hub.expect().unwrap());
        }
        let delivery = hub.expect().unwrap();
        assert_eq!(delivery.tag, 3);
        let body = hex("00 00 00 00 00 DE C9 04 01 06 00 01 01 40 11 00 00 9A 03 00 00");
        word(14, &hub, MESSAGE_SENT, &body, &mut backlog).unwrap();
        assert_eq!(delivery.fate(Duration::from_secs(5)).await, Some(0));
        let delivery = hub.expect().unwrap();
        // UG100, messageSentHandler: type, destination, APS frame, tag, status, contents.
        let body = hex("00 DE C9 04 01 06 00 01 01 40 11 00 00 9A 04 66 00");
        word(8, &hub, MESSAGE_SENT, &body, &mut backlog).unwrap();
        assert_eq!(delivery.fate(Duration::from_secs(5)).await, Some(0x0c02));
    }

    #[test]
    fn who_joins_and_leaves_is_told() {
        let (ieee, nwk) = (Ieee(0x0015_8d00_01a2_b3c4), 0x1234);
        let body =
            |update: &str, decision: &str| format!("34 12 C4 B3 A2 01 00 8D 15 00 {update} {decision} 00 00");
        let events = |update, decision| events(13, TRUST_CENTRE_JOIN, &body(update, decision));
        assert_eq!(events("01", "00"), [NcpEvent::Joined { ieee, nwk, parent: Some(0) }]);
        assert_eq!(events("00", "03"), [NcpEvent::Rejoined { ieee, nwk, parent: Some(0) }]);
        assert_eq!(events("03", "00"), [NcpEvent::Rejoined { ieee, nwk, parent: Some(0) }]);
        assert_eq!(events("02", "03"), [NcpEvent::Left { ieee, nwk: Some(nwk) }]);
        assert_eq!(events("01", "02"), []);
    }

    #[test]
    fn the_network_goes_and_comes() {
        assert!(matches!(&events(13, STACK_STATUS, "91")[..], [NcpEvent::Network { up: false, .. }]));
        assert!(matches!(&events(14, STACK_STATUS, "15 00 00 00")[..], [NcpEvent::Network { up: true, .. }]));
        assert_eq!(events(13, STACK_STATUS, "9C"), []);
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        let body = hex(
            "00 04 01 06 00 01 01 00 01 00 00 70 DE C9 00 00 00 00 00 00 00 00 FF FF 03 00 06 00 00 00 05 18",
        );
        for length in 0..body.len() {
            let mut events = Backlog::default();
            assert_eq!(word(14, &Hub::new(), INCOMING_MESSAGE, &body[..length], &mut events), None);
            assert!(events.is_empty());
        }
    }
}
