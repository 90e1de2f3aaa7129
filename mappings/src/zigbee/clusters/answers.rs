//! What servers answer to commands.
//!
//! Facts of ZCL revision 8 (07-5123-08): the Default Response (2.5.12) answers every command but those that are here, and any
//! that is refused as such. A command with a manufacturer code is the manufacturer's, and not one of these.

use self::Outcome::{Arming, Each, Number, Own, Pairs, Standard, Unsaid};
use crate::port::DeviceFault;
use crate::zigbee::zcl::Status;

/// The response of a cluster to a command that its server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its identifier among what the server sends.
    pub command: u8,
    /// What it says of what became of the command.
    pub outcome: Outcome,
}

/// What a response says of what became of a command, and in which octet of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A status of the standard.
    Standard(usize),
    /// 0, or a failure that is the cluster's own.
    Own(usize),
    /// What a panel says when it is to be armed (8.3.2.4.1): how it is armed now.
    Arming,
    /// From this octet on a number and what became of it, each: 0, or a failure.
    Pairs(usize),
    /// The number that it is known by from now on; 0xffff: it was not done.
    Number,
    /// How many results there are, and each: 0, or a failure.
    Each,
    /// Nothing: it has what was asked for.
    Unsaid,
}

/// Command, response, outcome.
type Row = (u8, u8, Outcome);

/// A response of the command's own number.
const fn same(command: u8, outcome: Outcome) -> Row {
    (command, command, outcome)
}

const ANSWERS: &[(u16, &[Row])] = &[
    // Identify: there is a response only while it identifies itself (3.5.2.3.2).
    (0x0003, &[(0x01, 0x00, Unsaid)]),
    // Groups: Remove All Groups and Add Group If Identifying have none (3.6.2.3).
    (
        0x0004,
        &[same(0x00, Standard(0)), same(0x01, Standard(0)), same(0x02, Unsaid), same(0x03, Standard(0))],
    ),
    // Scenes: Recall Scene has none (3.7.2.4).
    (
        0x0005,
        &[
            same(0x00, Standard(0)),
            same(0x01, Standard(0)),
            same(0x02, Standard(0)),
            same(0x03, Standard(0)),
            same(0x04, Standard(0)),
            same(0x06, Standard(0)),
            same(0x40, Standard(0)),
            same(0x41, Standard(0)),
            same(0x42, Standard(0)),
        ],
    ),
    // Alarms: Get Alarm.
    (0x0009, &[(0x02, 0x01, Standard(0))]),
    // RSSI Location: how a device is set up, and where it is (3.13.2.4).
    (0x000b, &[(0x02, 0x00, Standard(0)), (0x03, 0x01, Standard(0))]),
    // Commissioning: each has its status.
    (
        0x0015,
        &[same(0x00, Standard(0)), same(0x01, Standard(0)), same(0x02, Standard(0)), same(0x03, Standard(0))],
    ),
    // Partition: frames are acknowledged several at once, and what is asked for is in the answer (9.6.2.4).
    (0x0016, &[same(0x00, Unsaid), same(0x01, Unsaid)]),
    // Power Profile, and of appliances their state, alerts and logs.
    (0x001a, &[(0x00, 0x01, Unsaid), (0x01, 0x02, Unsaid), (0x06, 0x0a, Unsaid), same(0x07, Unsaid)]),
    (0x001b, &[(0x01, 0x00, Unsaid)]),
    // Door Lock: what is got of a schedule has its status behind its numbers.
    (
        0x0101,
        &[
            same(0x00, Own(0)),
            same(0x01, Own(0)),
            same(0x02, Own(0)),
            same(0x03, Own(0)),
            same(0x04, Unsaid),
            same(0x05, Own(0)),
            same(0x06, Unsaid),
            same(0x07, Own(0)),
            same(0x08, Own(0)),
            same(0x09, Own(0)),
            same(0x0a, Unsaid),
            same(0x0b, Own(0)),
            same(0x0c, Own(3)),
            same(0x0d, Own(0)),
            same(0x0e, Own(0)),
            same(0x0f, Own(3)),
            same(0x10, Own(0)),
            same(0x11, Own(0)),
            same(0x12, Own(1)),
            same(0x13, Own(0)),
            same(0x14, Own(0)),
            same(0x15, Unsaid),
            same(0x16, Own(0)),
            same(0x17, Unsaid),
            same(0x18, Own(0)),
            same(0x19, Own(0)),
        ],
    ),
    // Thermostat: the schedule of a week, and the log of relays.
    (0x0201, &[(0x02, 0x00, Unsaid), (0x04, 0x01, Unsaid)]),
    // IAS ACE: Arm, Bypass, and what is asked of zones and of the panel.
    (
        0x0501,
        &[
            (0x00, 0x00, Arming),
            (0x01, 0x07, Each),
            (0x05, 0x01, Unsaid),
            (0x06, 0x02, Unsaid),
            (0x07, 0x05, Unsaid),
            (0x08, 0x06, Unsaid),
            (0x09, 0x08, Unsaid),
        ],
    ),
    // Metering and Electrical Measurement: profiles, whose status is behind their time, and a snapshot, behind its number; schedules of
    // snapshots, each with what became of it, and the number of what is sampled (SE 1.4, D.3.2.3.1). Change
    // Supply is answered if it asks for that, and otherwise by default.
    (
        0x0702,
        &[
            same(0x00, Own(4)),
            same(0x03, Unsaid),
            same(0x04, Pairs(4)),
            same(0x05, Own(4)),
            same(0x06, Unsaid),
            (0x07, 0x0d, Number),
            (0x08, 0x07, Unsaid),
            (0x0b, 0x0c, Unsaid),
        ],
    ),
    (0x0b02, &[same(0x00, Unsaid)]),
    (0x0b03, &[(0x00, 0x01, Unsaid), (0x01, 0x02, Unsaid)]),
    (0x0b04, &[same(0x00, Unsaid), same(0x01, Own(4))]),
    // Touchlink Commissioning: groups and endpoints.
    (0x1000, &[same(0x41, Unsaid), same(0x42, Unsaid)]),
];

fn rows(cluster: u16) -> &'static [Row] {
    ANSWERS.iter().find(|(of, _)| *of == cluster).map_or(&[], |(_, rows)| rows)
}

/// What the server of a cluster answers to a command of the standard; `None`: a Default Response.
pub fn answer(cluster: u16, command: u8) -> Option<Answer> {
    let row = rows(cluster).iter().find(|(of, ..)| *of == command);
    row.map(|(_, command, outcome)| Answer { command: *command, outcome: *outcome })
}

/// Whether this command, which the server of a cluster sends, answers one.
pub fn is_answer(cluster: u16, command: u8) -> bool {
    rows(cluster).iter().any(|(_, answer, _)| *answer == command)
}

impl Answer {
    /// Whether it says what became of the command: a Default Response of success says then that it was understood, no more.
    pub fn tells(self) -> bool {
        self.outcome != Unsaid
    }

    /// What became of the command, which began with this octet.
    ///
    /// Errors: the response refuses it, says that something else was done, or is cut off.
    pub fn became(self, asked: Option<u8>, payload: &[u8]) -> Result<(), DeviceFault> {
        let octet = |at: usize| payload.get(at).copied().ok_or_else(cut);
        match self.outcome {
            Unsaid => Ok(()),
            Standard(at) => match Status(octet(at)?) {
                // Revision 8 does not have "it exists already" any more: SUCCESS is to be said instead (2.6.3).
                Status::SUCCESS | Status(0x8a) => Ok(()),
                status => Err(status.refusal()),
            },
            Own(at) => done(octet(at)?),
            Each => {
                let count = octet(0)?.into();
                octet(count)?;
                payload.iter().skip(1).take(count).try_for_each(|result| done(*result))
            }
            Arming => armed(asked, octet(0)?),
            Pairs(at) => {
                octet(at + 1)?;
                let results = payload.get(at..).unwrap_or_default();
                results.chunks(2).try_for_each(|pair| done(*pair.get(1).ok_or_else(cut)?))
            }
            Number => match [octet(0)?, octet(1)?] {
                [0xff, 0xff] => Err(DeviceFault::Refused("it gives it no number (0xffff)".to_owned())),
                _ => Ok(()),
            },
        }
    }
}

fn cut() -> DeviceFault {
    DeviceFault::Garbled("its answer to a command is cut off".to_owned())
}

/// Whether a panel that says this was armed as it was asked to be. Who disarms it may be told that it was off already (6).
fn armed(asked: Option<u8>, said: u8) -> Result<(), DeviceFault> {
    let why = match (said, asked) {
        (0x04, _) => "the code is invalid",
        (0x05, _) => "it is not ready to be armed",
        (0x06, None | Some(0x00)) | (0x00..=0x03, None) => return Ok(()),
        (said, Some(asked)) if said == asked => return Ok(()),
        _ => "it is armed otherwise now",
    };
    Err(DeviceFault::Refused(format!("{why} (0x{said:02x})")))
}

fn done(status: u8) -> Result<(), DeviceFault> {
    match status {
        0 => Ok(()),
        status => Err(DeviceFault::Refused(format!("it did not do it (status 0x{status:02x})"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::zigbee::clusters;

    /// All commands of the language with a response of their own.
    const WITH_ANSWERS: &[(&str, &str)] = &[
        ("identify", "identify_query"),
        ("groups", "add_group"),
        ("groups", "remove_group"),
        ("scenes", "store_scene"),
        ("door_lock", "lock_door"),
        ("door_lock", "unlock_door"),
        ("door_lock", "toggle"),
        ("door_lock", "unlock_with_timeout"),
        ("ias_ace", "arm"),
    ];

    #[test]
    fn every_command_of_the_language_has_the_answer_of_the_standard() {
        let mut seen = BTreeSet::new();
        for cluster in clusters::all() {
            for command in cluster.received {
                let has = answer(cluster.id, command.id).is_some();
                let is = WITH_ANSWERS.contains(&(cluster.name, command.name));
                assert_eq!(has, is, "{} {}", cluster.name, command.name);
                seen.extend(is.then_some((cluster.name, command.name)));
            }
            // What answers is no event, and what is named a response answers.
            for command in cluster.generated {
                let is = command.name.ends_with("_response");
                assert_eq!(is_answer(cluster.id, command.id), is, "{} {}", cluster.name, command.name);
            }
        }
        assert_eq!(seen.len(), WITH_ANSWERS.len());
    }

    #[test]
    fn each_is_there_once() {
        let mut known = BTreeSet::new();
        for (cluster, rows) in ANSWERS {
            for (command, answer, _) in *rows {
                assert!(known.insert((*cluster, true, *command)) && known.insert((*cluster, false, *answer)));
            }
        }
    }

    #[test]
    fn what_is_said_is_done_or_refused() {
        let became =
            |cluster, command, payload: &[u8]| answer(cluster, command).unwrap().became(None, payload);
        let arms = |asked, said| answer(0x0501, 0x00).unwrap().became(Some(asked), &[said]);
        let refused = |cluster, command, payload: &[u8]| match became(cluster, command, payload) {
            Err(DeviceFault::Refused(why)) => why,
            other => panic!("{cluster:04x} {command:02x}: {other:?}"),
        };
        // Groups: added, it is there already, no place; removed, it was not there.
        assert_eq!(became(4, 0x00, &[0x00, 7, 0]), Ok(()));
        assert_eq!(became(4, 0x00, &[0x8a, 7, 0]), Ok(()));
        assert_eq!(refused(4, 0x00, &[0x89, 7, 0]), "insufficient space (0x89)");
        assert_eq!(refused(4, 0x03, &[0x8b, 7, 0]), "not found (0x8b)");
        assert_eq!(refused(5, 0x04, &[0x85, 7, 0, 1]), "a field is invalid (0x85)");
        assert_eq!(became(4, 0x02, &[0x89, 0]), Ok(()), "the first octet is how many more there may be");
        // Locks; the status of a schedule is behind its number and its user.
        assert_eq!(refused(0x0101, 0x00, &[1]), "it did not do it (status 0x01)");
        assert_eq!(became(0x0101, 0x0c, &[1, 2, 0, 0, 0x7f, 8, 0, 9, 0]), Ok(()));
        assert!(refused(0x0101, 0x0c, &[0, 0, 0, 0x8b]).contains("0x8b"));
        // A meter takes no snapshot for this cause; a start-up set that is not kept.
        assert_eq!(became(0x0702, 0x05, &[1, 0, 0, 0, 0]), Ok(()));
        assert!(refused(0x0702, 0x05, &[1, 0, 0, 0, 1]).contains("0x01"));
        // Schedules of snapshots, of which the second is not taken; what is sampled, and not.
        assert_eq!(became(0x0702, 0x04, &[1, 0, 0, 0, 1, 0, 2, 0]), Ok(()));
        assert!(refused(0x0702, 0x04, &[1, 0, 0, 0, 1, 0, 2, 3]).contains("0x03"));
        assert_eq!(became(0x0702, 0x07, &[7, 0]), Ok(()));
        assert!(refused(0x0702, 0x07, &[0xff, 0xff]).contains("no number"));
        // Where it is, which it does not know.
        assert_eq!(became(0x000b, 0x03, &[0, 0, 1, 0, 2, 0]), Ok(()));
        assert!(refused(0x000b, 0x02, &[0x8b]).contains("not found"));
        assert!(is_answer(0x0016, 0x00) && is_answer(0x0016, 0x01) && answer(0x0016, 0x02).is_none());
        assert!(refused(0x0015, 0x02, &[0x8b]).contains("0x8b"));
        // Panels: armed, off already, a wrong code, an open window; zones that are passed over, or one not.
        assert_eq!(became(0x0501, 0x00, &[3]), Ok(()));
        assert_eq!(became(0x0501, 0x00, &[6]), Ok(()));
        assert!(refused(0x0501, 0x00, &[4]).contains("code"));
        assert!(refused(0x0501, 0x00, &[5]).contains("not ready"));
        for (asked, said, is) in [
            (0, 0, true),
            (0, 6, true),
            (0, 3, false),
            (3, 3, true),
            (3, 1, false),
            (3, 0, false),
            (2, 6, false),
            (1, 9, false),
        ] {
            assert_eq!(arms(asked, said).is_ok(), is, "asked {asked}, said {said}");
        }
        assert_eq!(became(0x0501, 0x01, &[2, 0, 0]), Ok(()));
        assert!(refused(0x0501, 0x01, &[2, 0, 3]).contains("0x03"));
        for (cluster, command, payload) in [
            (4, 0x00, &[][..]),
            (0x0101, 0x0c, &[0, 0, 0]),
            (0x0501, 0x01, &[2, 0]),
            (0x0702, 0x04, &[1, 0, 0, 0]),
            (0x0702, 0x04, &[1, 0, 0, 0, 1, 0, 2]),
            (0x0702, 0x07, &[1]),
        ] {
            let cut = became(cluster, command, payload);
            assert!(matches!(cut, Err(DeviceFault::Garbled(_))), "{cluster:04x}: {cut:?}");
        }
    }
}
