//! Messages of the Zigbee Device Object (Zigbee specification 05-3474-22, chapter 2.4): pure.
//!
//! Each begins with the number of its transaction; an answer has the cluster of its question with the highest bit set.

use super::bytes::Reader;
use super::ncp::Ieee;

/// The bit of an answer's cluster.
pub(super) const RESPONSE: u16 = 0x8000;

/// Clusters of questions.
pub(super) const NWK_ADDRESS: u16 = 0x0000;
pub(super) const IEEE_ADDRESS: u16 = 0x0001;
pub(super) const NODE_DESCRIPTOR: u16 = 0x0002;
pub(super) const SIMPLE_DESCRIPTOR: u16 = 0x0004;
pub(super) const ACTIVE_ENDPOINTS: u16 = 0x0005;
pub(super) const MATCH_DESCRIPTOR: u16 = 0x0006;
/// A device says who and where it is (2.4.3.1.11).
pub(super) const ANNOUNCE: u16 = 0x0013;
pub(super) const BIND: u16 = 0x0021;
pub(super) const NEIGHBOURS: u16 = 0x0031;
pub(super) const LEAVE: u16 = 0x0034;

/// It was done.
pub(super) const SUCCESS: u8 = 0x00;

/// What kind of device it is (logical type of the node descriptor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Coordinator,
    /// It passes messages on, and is awake.
    Router,
    /// It passes nothing on; most of these sleep.
    EndDevice,
}

/// The node descriptor (2.3.2.3), as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) role: Role,
    pub(super) manufacturer: u16,
    /// Its receiver is on while it has nothing to do.
    pub(super) listens: bool,
    pub(super) mains: bool,
}

/// The simple descriptor of an endpoint (2.3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) number: u8,
    pub(super) profile: u16,
    pub(super) device: u16,
    /// Clusters that it serves.
    pub(super) inputs: Vec<u16>,
    /// Clusters that it uses.
    pub(super) outputs: Vec<u16>,
}

/// Most clusters of a side of an endpoint: what a message can hold, and more.
const MOST_CLUSTERS: usize = 64;

/// A device says who and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announce {
    pub(super) nwk: u16,
    pub(super) ieee: Ieee,
    /// Its receiver is on while it has nothing to do.
    pub(super) listens: bool,
}

/// Asks the device at an address for one of its descriptors, or who it is.
pub(super) fn about(sequence: u8, nwk: u16) -> Vec<u8> {
    let [low, high] = nwk.to_le_bytes();
    vec![sequence, low, high]
}

/// Asks the device at an address for its IEEE address: that alone, and not those of its children.
pub(super) fn ieee_address(sequence: u8, nwk: u16) -> Vec<u8> {
    let mut bytes = about(sequence, nwk);
    bytes.extend([0, 0]);
    bytes
}

/// Asks everybody for the address that a device has now.
pub(super) fn nwk_address(sequence: u8, ieee: Ieee) -> Vec<u8> {
    let mut bytes = vec![sequence];
    bytes.extend(ieee.0.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// Asks for the simple descriptor of an endpoint.
pub(super) fn simple_descriptor(sequence: u8, nwk: u16, endpoint: u8) -> Vec<u8> {
    let mut bytes = about(sequence, nwk);
    bytes.push(endpoint);
    bytes
}

/// Has a cluster of a device send its reports to an endpoint of ours.
pub(super) fn bind(sequence: u8, from: (Ieee, u8, u16), to: (Ieee, u8)) -> Vec<u8> {
    let ((source, endpoint, cluster), (target, own)) = (from, to);
    let mut bytes = vec![sequence];
    bytes.extend(source.0.to_le_bytes());
    bytes.push(endpoint);
    bytes.extend(cluster.to_le_bytes());
    // To an address of 64 bits and an endpoint.
    bytes.push(3);
    bytes.extend(target.0.to_le_bytes());
    bytes.push(own);
    bytes
}

/// Has a device leave the network, not to come back by itself.
pub(super) fn leave(sequence: u8, ieee: Ieee) -> Vec<u8> {
    let mut bytes = vec![sequence];
    bytes.extend(ieee.0.to_le_bytes());
    bytes.push(0);
    bytes
}

/// Asks everybody who is awake for an endpoint of home automation with the Basic cluster: all have one.
pub(super) fn anybody(sequence: u8) -> Vec<u8> {
    vec![sequence, 0xfd, 0xff, 0x04, 0x01, 1, 0x00, 0x00, 0]
}

/// Asks a router for its neighbours, from this one on.
pub(super) fn neighbours_from(sequence: u8, start: u8) -> Vec<u8> {
    vec![sequence, start]
}

/// What follows the status in an answer with neighbours: how many there are, and some of them.
pub(super) fn neighbours(rest: &[u8]) -> Option<(u8, Vec<(Ieee, u16)>)> {
    let mut rest = Reader(rest);
    let (total, _start, count) = (rest.u8()?, rest.u8()?, rest.u8()?);
    let one = |rest: &mut Reader<'_>| {
        rest.u64()?;
        let found = (Ieee(rest.u64()?), rest.u16()?);
        rest.take(4)?;
        Some(found)
    };
    let some: Option<Vec<_>> = (0..count).map(|_| one(&mut rest)).collect();
    Some((total, some?))
}

/// The status of an answer, and what follows it.
pub(super) fn answer(payload: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = Reader(payload);
    rest.u8()?;
    Some((rest.u8()?, rest.0))
}

/// What follows the status in an answer about addresses.
pub(super) fn addresses(rest: &[u8]) -> Option<(Ieee, u16)> {
    let mut rest = Reader(rest);
    Some((Ieee(rest.u64()?), rest.u16()?))
}

/// What follows the status in an answer with the node descriptor.
pub(super) fn node(rest: &[u8]) -> Option<Node> {
    let mut rest = Reader(rest);
    rest.u16()?;
    let role = match rest.u8()? & 0x07 {
        0 => Role::Coordinator,
        1 => Role::Router,
        2 => Role::EndDevice,
        _ => return None,
    };
    rest.u8()?;
    let capabilities = rest.u8()?;
    let manufacturer = rest.u16()?;
    Some(Node { role, manufacturer, listens: capabilities & 0x08 != 0, mains: capabilities & 0x04 != 0 })
}

/// What follows the status in an answer with the endpoints that there are.
pub(super) fn endpoints(rest: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Reader(rest);
    rest.u16()?;
    let count = rest.u8()?;
    rest.take(count.into()).map(<[u8]>::to_vec)
}

/// What follows the status in an answer with a simple descriptor.
pub(super) fn endpoint(rest: &[u8]) -> Option<Endpoint> {
    let mut rest = Reader(rest);
    let (_nwk, _length) = (rest.u16()?, rest.u8()?);
    let (number, profile, device) = (rest.u8()?, rest.u16()?, rest.u16()?);
    rest.u8()?;
    let (inputs, outputs) = (clusters(&mut rest)?, clusters(&mut rest)?);
    Some(Endpoint { number, profile, device, inputs, outputs })
}

fn clusters(rest: &mut Reader<'_>) -> Option<Vec<u16>> {
    let count = usize::from(rest.u8()?);
    let all: Option<Vec<u16>> = (0..count).map(|_| rest.u16()).collect();
    all.filter(|all| all.len() <= MOST_CLUSTERS)
}

/// What a device announces.
pub(super) fn announce(payload: &[u8]) -> Option<Announce> {
    let mut rest = Reader(payload);
    rest.u8()?;
    let (nwk, ieee) = (rest.u16()?, Ieee(rest.u64()?));
    Some(Announce { nwk, ieee, listens: rest.u8()? & 0x08 != 0 })
}

/// What a status of the device object says, in plain words.
pub(super) fn words(status: u8) -> String {
    let words = match status {
        SUCCESS => "it was done",
        0x80 => "the request is not one that it knows",
        0x81 => "there is no such device",
        0x82 => "there is no such endpoint",
        0x83 => "the endpoint is not active",
        0x84 => "it does not support that",
        0x85 => "it gave up after a time-out",
        0x86 => "nothing fits",
        0x88 => "there is no such entry",
        0x89 => "it has no descriptor",
        0x8a => "it has no room for that",
        0x8b => "not permitted",
        0x8c => "its table is full",
        0x8d => "not authorised",
        _ => return format!("status 0x{status:02x}"),
    };
    format!("{words} (status 0x{status:02x})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split(' ').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
    }

    /// A lamp of IKEA and a sensor of Xiaomi, as traces have them.
    #[test]
    fn node_descriptors() {
        let lamp = bytes("01 00 34 12 01 40 8e 7c 11 52 52 00 00 2c 52 00 00");
        let (status, rest) = answer(&lamp).unwrap();
        let expected = Node { role: Role::Router, manufacturer: 0x117c, listens: true, mains: true };
        assert_eq!((status, node(rest)), (SUCCESS, Some(expected)));
        let sensor = bytes("02 00 78 56 02 40 80 37 10 7f 64 00 00 00 64 00 00");
        let (_, rest) = answer(&sensor).unwrap();
        let expected = Node { role: Role::EndDevice, manufacturer: 0x1037, listens: false, mains: false };
        assert_eq!(node(rest), Some(expected));
    }

    #[test]
    fn endpoints_with_their_clusters() {
        assert_eq!(endpoints(&bytes("34 12 02 01 f2")), Some(vec![1, 0xf2]));
        assert_eq!(endpoints(&bytes("34 12 03 01")), None, "cut off");
        let simple = bytes("34 12 12 01 04 01 51 00 01 03 00 00 06 00 04 07 02 0a 00 19 00");
        let expected = Endpoint {
            number: 1,
            profile: 0x0104,
            device: 0x0051,
            inputs: vec![0x0000, 0x0006, 0x0704],
            outputs: vec![0x000a, 0x0019],
        };
        assert_eq!(endpoint(&simple), Some(expected));
        assert_eq!(endpoint(&simple[..simple.len() - 1]), None, "cut off");
    }

    #[test]
    fn an_announcement() {
        let said = announce(&bytes("81 78 56 c2 b3 a2 01 00 8d 15 00 80")).unwrap();
        assert_eq!(said, Announce { nwk: 0x5678, ieee: Ieee(0x0015_8d00_01a2_b3c2), listens: false });
    }

    #[test]
    fn neighbours_are_told_in_parts() {
        let one = "01 01 01 01 01 01 01 01 c2 b3 a2 01 00 8d 15 00 78 56 12 02 01 c8";
        let (total, some) = neighbours(&bytes(&format!("05 00 01 {one}"))).unwrap();
        assert_eq!((total, some), (5, vec![(Ieee(0x0015_8d00_01a2_b3c2), 0x5678)]));
        assert_eq!(neighbours(&bytes(&format!("05 00 02 {one}"))), None, "cut off");
        assert_eq!(anybody(7), bytes("07 fd ff 04 01 01 00 00 00"));
    }

    /// 2.4.3.2.2: source, endpoint, cluster, then the 64 bits and the endpoint of the target.
    #[test]
    fn a_binding() {
        let request = bind(9, (Ieee(0x0015_8d00_01a2_b3c2), 1, 0x0402), (Ieee(0x0012_4b00_1234_5678), 1));
        let expected = bytes("09 c2 b3 a2 01 00 8d 15 00 01 02 04 03 78 56 34 12 00 4b 12 00 01");
        assert_eq!(request, expected);
        assert_eq!(leave(3, Ieee(1)), bytes("03 01 00 00 00 00 00 00 00 00"));
        assert_eq!(simple_descriptor(4, 0x1234, 2), bytes("04 34 12 02"));
    }
}
