//! Groups and scenes (07-5123, 3.6 and 3.7).

use super::super::bytes::{Out, Reader};
use super::super::zcl::{Value, status};
use super::cluster::Done;
use super::{Key, Node};

const GROUPS: u16 = 0x0004;
const SCENES: u16 = 0x0005;
const LOCK: u16 = 0x0101;

/// Most groups of an endpoint, and most scenes.
const MOST: usize = 16;

/// What a scene is made of: on or off, level, hue, saturation, x, y, colour temperature, lift and tilt.
const KEPT: [(u16, u16); 9] = [
    (0x0006, 0x0000),
    (0x0008, 0x0000),
    (0x0300, 0x0000),
    (0x0300, 0x0001),
    (0x0300, 0x0003),
    (0x0300, 0x0004),
    (0x0300, 0x0007),
    (0x0102, 0x0008),
    (0x0102, 0x0009),
];

/// A command that is refused: in its own response, where it has one that says so.
pub(super) fn refused(cluster: u16, command: u8, payload: &[u8]) -> Done {
    let with = |fields: usize| {
        let said = payload.iter().take(fields).copied();
        Done::Cluster(command, std::iter::once(status::FAILURE).chain(said).collect())
    };
    match (cluster, command) {
        (GROUPS, 0x00 | 0x03) | (SCENES, 0x03) => with(2),
        (SCENES, 0x02 | 0x04) => with(3),
        (LOCK, 0x00..=0x03) => with(0),
        _ => Done::Status(status::FAILURE),
    }
}

impl Node {
    pub(super) fn group(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        let answer = |command, code, group| Done::Cluster(command, Out::new().u8(code).u16(group).done());
        let here: Vec<u16> =
            self.groups.iter().filter(|(at, _)| *at == endpoint).map(|(_, group)| *group).collect();
        Some(match command {
            0x00 => {
                let group = reader.u16()?;
                let is_full = here.len() >= MOST && !here.contains(&group);
                if !is_full {
                    self.groups.insert((endpoint, group));
                }
                answer(0x00, if is_full { status::NO_SPACE } else { status::SUCCESS }, group)
            }
            0x02 => Done::Cluster(0x02, Out::new().u8((MOST - here.len()) as u8).list(&here).done()),
            0x03 => {
                let group = reader.u16()?;
                let was = self.groups.remove(&(endpoint, group));
                self.scenes.retain(|(at, of, _), _| (*at, *of) != (endpoint, group));
                answer(0x03, if was { status::SUCCESS } else { status::NOT_FOUND }, group)
            }
            0x04 => {
                self.groups.retain(|(at, _)| *at != endpoint);
                self.scenes.retain(|(at, ..), _| *at != endpoint);
                Done::Status(status::SUCCESS)
            }
            _ => Done::Status(status::UNSUPPORTED_COMMAND),
        })
    }

    pub(super) fn scene(&mut self, endpoint: u8, command: u8, reader: &mut Reader) -> Option<Done> {
        if !(0x02..=0x05).contains(&command) {
            return Some(Done::Status(status::UNSUPPORTED_COMMAND));
        }
        let group = reader.u16()?;
        // Group 0 is none: scenes without one.
        let is_known = group == 0 || self.groups.contains(&(endpoint, group));
        let scene = if command == 0x03 { None } else { Some(reader.u8()?) };
        let code = match (is_known, scene) {
            (false, _) => status::INVALID_FIELD,
            (true, None) => {
                self.scenes.retain(|(at, of, _), _| (*at, *of) != (endpoint, group));
                status::SUCCESS
            }
            (true, Some(scene)) => self.one_scene(command, (endpoint, group, scene)),
        };
        let said = Out::new().u8(code).u16(group).bytes(scene.as_slice());
        Some(if command == 0x05 { Done::Status(code) } else { Done::Cluster(command, said.done()) })
    }

    /// Removes, stores or recalls a scene.
    fn one_scene(&mut self, command: u8, of: (u8, u16, u8)) -> u8 {
        let endpoint = of.0;
        let place = |(cluster, attribute)| Key::new(endpoint, cluster, attribute);
        match command {
            0x02 if self.scenes.remove(&of).is_some() => status::SUCCESS,
            0x04 => {
                let here = self.scenes.keys().filter(|(at, ..)| *at == endpoint).count();
                if here >= MOST && !self.scenes.contains_key(&of) {
                    return status::NO_SPACE;
                }
                let now = KEPT.map(place).into_iter();
                let now = now.filter_map(|key| Some((key, self.value(key).and_then(Value::number)?)));
                self.scenes.insert(of, now.collect());
                status::SUCCESS
            }
            0x05 => {
                let Some(scene) = self.scenes.get(&of).cloned() else { return status::NOT_FOUND };
                for (key, number) in scene {
                    self.stop(key);
                    self.put(key, number);
                }
                status::SUCCESS
            }
            _ => status::NOT_FOUND,
        }
    }
}
