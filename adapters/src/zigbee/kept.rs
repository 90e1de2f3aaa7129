//! What outlives the process: the network with its keys, and who is in it. Lines of text, so that a backup can be read by
//! whoever needs to, and unknown words of a newer version do no harm.

use std::fmt::Write;

use usp_mapping::transform::Raw;

use super::interview::Question;
use super::members::{Known, Member};
use super::ncp::{Backup, Ieee, Key, LinkKey, NcpKind, Network, TcSeed};
use super::zdo::{Endpoint, Node, Role};

/// Under which key the network is kept.
pub(super) const NETWORK: &str = "network";

/// How the keys of devices begin; their address follows.
pub(super) const DEVICE: &str = "device/";

/// Most endpoints and link keys that are read.
const MOST: usize = 4096;

/// Its key among what is kept.
pub(super) fn device_key(ieee: Ieee) -> String {
    format!("{DEVICE}{ieee}")
}

/// The network in lines.
pub(super) fn write_network(backup: &Backup) -> Vec<u8> {
    let Backup { ieee, network, key, key_sequence, frame_counter, tc_link_key, tc_seed, link_keys } = backup;
    let mut text = format!(
        "ieee {ieee}\npan_id {}\next_pan_id {}\nchannel {}\nupdate_id {}\nkey {}\nkey_sequence {key_sequence}\n\
         frame_counter {frame_counter}\ntc_link_key {}\n",
        network.pan_id,
        network.ext_pan_id,
        network.channel,
        network.update_id,
        hex(&key.0),
        hex(&tc_link_key.0),
    );
    if let Some(TcSeed { kind, seed }) = tc_seed {
        line(&mut text, format_args!("tc_seed {} {}", kind.word(), hex(&seed.0)));
    }
    for LinkKey { ieee, key, frame_counter, peer_frame_counter } in link_keys {
        let counters = format_args!("{frame_counter} {peer_frame_counter}");
        line(&mut text, format_args!("link_key {ieee} {} {counters}", hex(&key.0)));
    }
    text.into_bytes()
}

/// The network that these lines are; `None`: something is missing or wrong.
pub(super) fn read_network(bytes: &[u8]) -> Option<Backup> {
    let lines = Lines::of(bytes)?;
    let network = Network {
        pan_id: lines.number("pan_id")?,
        ext_pan_id: address(lines.word("ext_pan_id")?)?,
        channel: lines.number("channel")?,
        update_id: lines.number("update_id")?,
    };
    let link_keys = lines.all("link_key").map(link_key).collect::<Option<Vec<_>>>()?;
    let tc_seed = match lines.word("tc_seed") {
        Some(seed) => Some(tc_seed(seed)?),
        None => None,
    };
    Some(Backup {
        ieee: address(lines.word("ieee")?)?,
        network,
        key: key(lines.word("key")?)?,
        key_sequence: lines.number("key_sequence")?,
        frame_counter: lines.number("frame_counter")?,
        tc_link_key: key(lines.word("tc_link_key")?)?,
        tc_seed,
        link_keys,
    })
}

fn tc_seed(text: &str) -> Option<TcSeed> {
    let (kind, seed) = text.split_once(' ')?;
    let kind = [NcpKind::Ezsp, NcpKind::Znp].into_iter().find(|known| known.word() == kind)?;
    Some(TcSeed { kind, seed: key(seed)? })
}

fn link_key(text: &str) -> Option<LinkKey> {
    let mut words = text.split(' ');
    Some(LinkKey {
        ieee: address(words.next()?)?,
        key: key(words.next()?)?,
        frame_counter: words.next()?.parse().ok()?,
        peer_frame_counter: words.next()?.parse().ok()?,
    })
}

/// A device in lines.
pub(super) fn write_member(member: &Member) -> Vec<u8> {
    let mut text = String::new();
    if let Some(nwk) = member.nwk {
        line(&mut text, format_args!("nwk {nwk}"));
    }
    if let Some(setup) = member.set_up {
        line(&mut text, format_args!("set_up {setup}"));
    }
    for (endpoint, cluster, attribute) in &member.unreported {
        line(&mut text, format_args!("unreported {endpoint} {cluster} {attribute}"));
    }
    if let Some(known) = &member.known {
        let Node { role, manufacturer, listens, mains } = known.node;
        let role = role_word(role);
        line(&mut text, format_args!("node {role} {manufacturer} {listens} {mains}"));
        for endpoint in &known.endpoints {
            let Endpoint { number, profile, device, inputs, outputs } = endpoint;
            let (inputs, outputs) = (numbers(inputs), numbers(outputs));
            line(&mut text, format_args!("endpoint {number} {profile} {device} {inputs} {outputs}"));
        }
        line(&mut text, format_args!("manufacturer {}", plain(&known.manufacturer)));
        line(&mut text, format_args!("model {}", plain(&known.model)));
        if let Some(source) = known.power_source {
            line(&mut text, format_args!("power_source {source}"));
        }
        for ((endpoint, cluster, attribute), raw) in &known.held {
            // What a mapping is made from is numbers.
            let number = match raw {
                Raw::Int(number) => *number,
                Raw::Bool(state) => i128::from(*state),
                _ => continue,
            };
            line(&mut text, format_args!("held {endpoint} {cluster} {attribute} {number}"));
        }
        for (endpoint, cluster, attribute) in &known.lacks {
            line(&mut text, format_args!("lacks {endpoint} {cluster} {attribute}"));
        }
        for question in &member.unanswered {
            match question {
                Question::Simple(endpoint) => line(&mut text, format_args!("undescribed {endpoint}")),
                Question::Read(endpoint, cluster, ids) => {
                    line(&mut text, format_args!("unread {endpoint} {cluster} {}", numbers(ids)));
                }
                // Without these there is nothing to keep.
                Question::Node | Question::Endpoints => {}
            }
        }
    }
    text.into_bytes()
}

/// The device that these lines are; what is missing is asked for again.
pub(super) fn read_member(bytes: &[u8]) -> Option<Member> {
    let lines = Lines::of(bytes)?;
    let known = lines.word("node").and_then(node).map(|node| Known {
        node,
        endpoints: lines.all("endpoint").filter_map(endpoint).take(MOST).collect(),
        manufacturer: lines.word("manufacturer").unwrap_or_default().to_owned(),
        model: lines.word("model").unwrap_or_default().to_owned(),
        power_source: lines.number("power_source"),
        held: lines.all("held").filter_map(held).take(MOST).collect(),
        lacks: lines.all("lacks").filter_map(attribute).take(MOST).collect(),
    });
    let unreported = lines.all("unreported").filter_map(attribute).take(MOST).collect();
    let undescribed = lines.all("undescribed").filter_map(|number| number.parse().ok()).map(Question::Simple);
    let unanswered = undescribed.chain(lines.all("unread").filter_map(unread)).take(MOST).collect();
    let (nwk, set_up) = (lines.number("nwk"), lines.number("set_up"));
    Some(Member { nwk, known, set_up, unreported, unanswered, ..Member::default() })
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Coordinator => "coordinator",
        Role::Router => "router",
        Role::EndDevice => "end_device",
    }
}

fn node(text: &str) -> Option<Node> {
    let mut words = text.split(' ');
    let role = words.next()?;
    let roles = [Role::Coordinator, Role::Router, Role::EndDevice];
    Some(Node {
        role: roles.into_iter().find(|known| role_word(*known) == role)?,
        manufacturer: words.next()?.parse().ok()?,
        listens: words.next()?.parse().ok()?,
        mains: words.next()?.parse().ok()?,
    })
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let mut words = text.split(' ');
    Some(Endpoint {
        number: words.next()?.parse().ok()?,
        profile: words.next()?.parse().ok()?,
        device: words.next()?.parse().ok()?,
        inputs: listed(words.next()?),
        outputs: listed(words.next()?),
    })
}

fn held(text: &str) -> Option<((u8, u16, u16), Raw)> {
    let mut words = text.split(' ');
    let at = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((at, Raw::Int(words.next()?.parse().ok()?)))
}

fn unread(text: &str) -> Option<Question> {
    let mut words = text.split(' ');
    let (endpoint, cluster) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Question::Read(endpoint, cluster, listed(words.next()?)))
}

fn attribute(text: &str) -> Option<(u8, u16, u16)> {
    let mut words = text.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn numbers(all: &[u16]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(",") }
}

fn listed(text: &str) -> Vec<u16> {
    text.split(',').filter_map(|number| number.parse().ok()).take(MOST).collect()
}

/// What devices say of themselves, without what would end a line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    writeln!(text, "{content}").ok();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 128 bits in hexadecimal digits.
pub(super) fn key(text: &str) -> Option<Key> {
    let plain = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| plain).map(|key| Key(key.to_be_bytes()))
}

fn address(text: &str) -> Option<Ieee> {
    usp_mapping::port::RadioAddress::parse(text).map(|address| Ieee(address.0))
}

/// Lines of a word and what follows it.
struct Lines<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(Self(text.lines().filter_map(|line| line.split_once(' ')).collect()))
    }

    fn all(&self, word: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| *known == word).map(|(_, rest)| *rest)
    }

    fn word(&self, word: &str) -> Option<&'a str> {
        self.all(word).next()
    }

    fn number<T: std::str::FromStr>(&self, word: &str) -> Option<T> {
        self.word(word)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_as_it_was_written() {
        let backup = Backup {
            ieee: Ieee(0x0012_4b00_1234_5678),
            network: Network {
                pan_id: 0x1a62,
                ext_pan_id: Ieee(0xdddd_dddd_dddd_0001),
                channel: 15,
                update_id: 3,
            },
            key: Key(*b"\x01\x03\x05\x07\x09\x0b\x0d\x0f\x00\x02\x04\x06\x08\x0a\x0c\x0d"),
            key_sequence: 1,
            frame_counter: 100_123,
            tc_link_key: Key(*b"ZigBeeAlliance09"),
            tc_seed: Some(TcSeed { kind: NcpKind::Znp, seed: Key([9; 16]) }),
            link_keys: vec![LinkKey {
                ieee: Ieee(7),
                key: Key([8; 16]),
                frame_counter: 1,
                peer_frame_counter: 2,
            }],
        };
        assert_eq!(read_network(&write_network(&backup)), Some(backup.clone()));
        let cut = write_network(&backup);
        assert_eq!(read_network(&cut[..60]), None, "half of it is nothing");
    }

    #[test]
    fn a_device_is_read_as_it_was_written() {
        let node = Node { role: Role::EndDevice, manufacturer: 0x1037, listens: false, mains: false };
        let endpoint = Endpoint {
            number: 1,
            profile: 0x104,
            device: 0x302,
            inputs: vec![0, 0x402],
            outputs: Vec::new(),
        };
        let known = Known {
            node,
            endpoints: vec![endpoint],
            manufacturer: "ACME\nevil".to_owned(),
            model: String::new(),
            power_source: Some(3),
            held: [((1, 0x0702, 0x0302), Raw::Int(1000))].into(),
            lacks: [(1, 0x0702, 0x0301)].into(),
        };
        let unreported = [(1, 0x0402, 0), (2, 0x0b04, 0x050b)].into();
        let (nwk, known, set_up) = (Some(0x5678), Some(known), Some(77));
        let unanswered = vec![Question::Simple(3), Question::Read(1, 0x0702, vec![0x0300, 0x0301])];
        let member = Member { nwk, known, set_up, unreported, unanswered, heard_at: None };
        let read = read_member(&write_member(&member)).unwrap();
        assert_eq!((read.nwk, read.set_up), (member.nwk, member.set_up));
        assert_eq!((&read.unreported, &read.unanswered), (&member.unreported, &member.unanswered));
        let (read, known) = (read.known.unwrap(), member.known.unwrap());
        assert_eq!((read.node, &read.endpoints), (known.node, &known.endpoints));
        assert_eq!((read.manufacturer.as_str(), read.model.as_str()), ("ACME evil", ""));
        assert_eq!((read.power_source, read.held), (known.power_source, known.held));
        assert_eq!(read.lacks, known.lacks);
    }
}
