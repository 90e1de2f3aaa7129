//! Setting a device up, so that it tells its values by itself: pure.
//!
//! What its mapping wishes becomes steps: the coordinator is where an IAS zone reports to, clusters are bound to it, reports are
//! configured, and what the mapping has sent after each join is sent. A step that is not answered is tried up to [`ATTEMPTS`] times, and the setup
//! comes to nothing if it never is: it begins anew when the device is heard again. What the device refuses is noted and left
//! out, because asking again would not change it; what it does not report is polled instead.

use std::collections::BTreeSet;

use usp_mapping::mapping::{Mapping, Protocol, ZigbeeReporting};
use usp_mapping::zigbee::zcl::{self, General, Status, ZclType};

use super::board::{Question, Said};
use super::hearing::enrolled;
use super::ncp::{HOST_ENDPOINT, Ieee, MAX_PAYLOAD};
use super::zdo;

/// How often each step is tried.
pub(super) const ATTEMPTS: u32 = 3;

/// IAS zone, and where its alarms go to.
const IAS_ZONE: u16 = 0x0500;
const CIE_ADDRESS: u16 = 0x0010;

/// One step.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    question: Question,
    /// In words, for what is told of it.
    what: String,
    /// Nothing answers it.
    is_told: bool,
    /// Endpoint and cluster that are bound by it.
    binds: Option<(u8, u16)>,
    /// Endpoint, cluster and attributes that are reported by it.
    reports: Option<(u8, u16, Vec<u16>)>,
}

/// What is left to do at a device.
#[derive(Debug)]
pub(super) struct Setup {
    steps: Vec<Step>,
    at: usize,
    attempts: u32,
    refused: Vec<String>,
    /// What is not bound: reports of that have nowhere to go to.
    unbound: BTreeSet<(u8, u16)>,
    /// What is not reported, or not yet.
    unreported: BTreeSet<(u8, u16, u16)>,
    failed: Option<String>,
}

/// What a mapping wishes of this coordinator, in a number that is another one when that is.
pub(super) fn digest(mapping: &Mapping, coordinator: Ieee) -> u64 {
    let sent = match &mapping.protocol {
        Protocol::Zigbee(options) => format!("{:?}", options.setup),
        _ => String::new(),
    };
    let text = format!("{:?} {sent} {coordinator}", mapping.zigbee_setup());
    // FNV-1a: the same in every build.
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Setup {
    /// What the mapping of a device wishes, on this coordinator.
    pub(super) fn new(mapping: &Mapping, device: Ieee, coordinator: Ieee) -> Self {
        let wishes = mapping.zigbee_setup();
        let zones = wishes.zones.iter().flat_map(|endpoint| enrolment(*endpoint, coordinator));
        let bindings = wishes.bindings.iter().map(|(endpoint, cluster)| {
            let request = zdo::bind(0, (device, *endpoint, *cluster), (coordinator, HOST_ENDPOINT));
            let what = format!("bind cluster 0x{cluster:04x} of endpoint {endpoint}");
            let binds = Some((*endpoint, *cluster));
            Step { binds, ..Step::plain(Question::zdo(zdo::BIND, request), what) }
        });
        let reports = wishes.reports.iter().flat_map(parts).map(|reports| {
            let question = Question::zcl(reports.endpoint, reports.cluster, &reports.frame());
            let what = format!("report cluster 0x{:04x} of endpoint {}", reports.cluster, reports.endpoint);
            let attributes = reports.attributes.iter().map(|(id, ..)| *id).collect();
            let reports = Some((reports.endpoint, reports.cluster, attributes));
            Step { reports, ..Step::plain(question, what) }
        });
        let own = match &mapping.protocol {
            Protocol::Zigbee(options) => options.setup.as_slice(),
            _ => &[],
        };
        let own = own.iter().filter_map(|frame| {
            let parsed = zcl::Frame::parse(&frame.bytes).ok()?;
            let question = Question::zcl(frame.endpoint, frame.cluster, &parsed);
            let what = format!("set up cluster 0x{:04x} of endpoint {}", frame.cluster, frame.endpoint);
            let is_told = parsed.no_default_response && parsed.is_specific;
            Some(Step { is_told, ..Step::plain(question, what) })
        });
        let steps: Vec<Step> = zones.chain(bindings).chain(reports).chain(own).collect();
        let unreported = steps.iter().flat_map(Step::reported).collect();
        let unbound = BTreeSet::new();
        Self { steps, at: 0, attempts: 0, refused: Vec::new(), unbound, unreported, failed: None }
    }

    /// What to ask, and whether anything answers it; `None`: it is over.
    pub(super) fn next(&self) -> Option<(&Question, bool)> {
        let step = self.steps.get(self.at).filter(|_| self.failed.is_none())?;
        Some((&step.question, step.is_told))
    }

    /// How far it is, for people.
    pub(super) fn progress(&self) -> String {
        format!("set up, step {} of {}", (self.at + 1).min(self.steps.len()), self.steps.len())
    }

    /// Takes in what came of the question.
    pub(super) fn take(&mut self, outcome: Result<&Said, String>) {
        let Some(step) = self.steps.get(self.at) else { return };
        match outcome {
            Ok(said) => {
                let why = refusal(&step.question, said);
                self.unbound.extend(step.binds.filter(|_| why.is_some()));
                for reported in step.reported().filter(|(_, _, id)| takes(said, *id)) {
                    let (endpoint, cluster, _) = reported;
                    if !self.unbound.contains(&(endpoint, cluster)) {
                        self.unreported.remove(&reported);
                    }
                }
                if let Some(why) = why {
                    self.refused.push(format!("{}: {why}", step.what));
                }
            }
            Err(_) if step.is_told => {}
            Err(_) if self.attempts + 1 < ATTEMPTS => {
                self.attempts += 1;
                return;
            }
            Err(why) => self.failed = Some(format!("{}: {why}", step.what)),
        }
        self.at += 1;
        self.attempts = 0;
    }

    /// The device is gone, or the network is.
    pub(super) fn end(&mut self, why: String) {
        self.failed = Some(why);
    }

    /// What the device does not report although it was to, by endpoint, cluster and attribute: it was refused, or its binding
    /// was, or the setup did not get so far.
    pub(super) fn unreported(&self) -> BTreeSet<(u8, u16, u16)> {
        self.unreported.clone()
    }

    /// What the device does not do; `Err`: why it is not set up.
    pub(super) fn finish(self) -> Result<Vec<String>, String> {
        self.failed.map_or(Ok(self.refused), Err)
    }
}

impl Step {
    /// One that is answered, and nothing more.
    fn plain(question: Question, what: String) -> Self {
        Self { question, what, is_told: false, binds: None, reports: None }
    }

    fn reported(&self) -> impl Iterator<Item = (u8, u16, u16)> {
        let all = self.reports.iter();
        all.flat_map(|(endpoint, cluster, ids)| ids.iter().map(|id| (*endpoint, *cluster, *id)))
    }
}

/// Whether an answer to Configure Reporting accepts this attribute: only those that are refused are named (ZCL 2.5.8).
fn takes(said: &Said, attribute: u16) -> bool {
    let Said::Zcl(frame) = said else { return false };
    match frame.general() {
        Some(Ok(General::ConfigureResponse(all))) => {
            all.iter().all(|(status, of)| status.is_success() || of.is_some_and(|of| of != attribute))
        }
        Some(Ok(General::DefaultResponse { status, .. })) => status.is_success(),
        _ => false,
    }
}

/// Reports in commands that fit into a message each.
fn parts(reports: &ZigbeeReporting) -> Vec<ZigbeeReporting> {
    let mut parts: Vec<ZigbeeReporting> = Vec::new();
    for attribute in &reports.attributes {
        let with = |part: &ZigbeeReporting| {
            let mut longer = part.clone();
            longer.attributes.push(*attribute);
            longer
        };
        let fits = |part: &ZigbeeReporting| part.frame().bytes().len() <= MAX_PAYLOAD;
        match parts.last_mut().map(|part| (with(part), part)) {
            Some((longer, part)) if fits(&longer) => *part = longer,
            _ => parts.push(ZigbeeReporting { attributes: vec![*attribute], ..reports.clone() }),
        }
    }
    parts
}

/// A zone learns where its alarms go to, and that it is enrolled: whether it asks for that itself or not (ZCL 8.2.2.2.3).
fn enrolment(endpoint: u8, coordinator: Ieee) -> [Step; 2] {
    let kind = ZclType::of(0xf0).unwrap_or(ZclType::Uint(8));
    let value = coordinator.0.to_le_bytes();
    let write = zcl::write_attribute(None, CIE_ADDRESS, kind, &value);
    let what = |what: &str| format!("{what} of endpoint {endpoint}");
    [
        Step::plain(Question::zcl(endpoint, IAS_ZONE, &write), what("take the alarms of the zone")),
        Step {
            is_told: true,
            ..Step::plain(Question::zcl(endpoint, IAS_ZONE, &enrolled(0)), what("enrol the zone"))
        },
    ]
}

/// What a device did not do; `None`: it did it.
fn refusal(question: &Question, said: &Said) -> Option<String> {
    let words = |status: Status| format!("{} (0x{:02x})", status.words(), status.0);
    match said {
        Said::Zdo(payload) => match zdo::answer(payload) {
            Some((zdo::SUCCESS, _)) => None,
            Some((status, _)) => Some(zdo::words(status)),
            None => Some("its answer is cut off".to_owned()),
        },
        Said::Zcl(frame) if frame.is_specific => {
            question.expect.became(frame).err().map(|why| why.to_string())
        }
        Said::Zcl(frame) => match frame.general()? {
            Ok(General::WriteResponse(all) | General::ConfigureResponse(all)) => {
                let refused: Vec<String> = all
                    .into_iter()
                    .filter(|(status, _)| !status.is_success())
                    .map(|(status, attribute)| match attribute {
                        Some(attribute) => format!("attribute 0x{attribute:04x}: {}", words(status)),
                        None => words(status),
                    })
                    .collect();
                (!refused.is_empty()).then(|| refused.join(", "))
            }
            Ok(General::DefaultResponse { status, .. }) => (!status.is_success()).then(|| words(status)),
            Ok(_) => None,
            Err(why) => Some(why.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_asked_for_in_messages_that_fit() {
        let attributes = (0..20).map(|id| (id, ZclType::Int(2), 1, 300, None)).collect();
        let all = ZigbeeReporting { endpoint: 1, cluster: 0x0b04, manufacturer: None, attributes };
        let parts = parts(&all);
        assert!(parts.len() > 1 && parts.iter().all(|part| part.frame().bytes().len() <= MAX_PAYLOAD));
        let ids: Vec<u16> = parts.iter().flat_map(|part| &part.attributes).map(|(id, ..)| *id).collect();
        assert_eq!(ids, (0..20).collect::<Vec<_>>());
    }

    const DEVICE: Ieee = Ieee(1);

    fn mapping(more: &str) -> std::sync::Arc<Mapping> {
        let text = format!(
            "uspmap: 1\nprofile: acme.plug\nversion: 1.0.0\ndevice: {{type: PowerStrip}}\n\
             zigbee: {{manufacturer: ACME, model: P1{more}}}\ncapabilities:\n\
             \x20 output: {{class: BinaryControl, type: Switch, read: {{cluster: on_off, attribute: on_off}}, write: {{}}}}\n\
             \x20 power: {{class: LevelSensor, type: Power, unit: W, read: {{cluster: electrical_measurement, attribute: active_power}}}}\n"
        );
        std::sync::Arc::clone(&crate::zigbee::tests::points::site(&text).devices[0].mapping)
    }

    /// Takes each step in as these answers have it, by the beginning of what the step is.
    fn done(setup: &mut Setup, refuses: &str, refused: &[u8]) {
        while let Some((question, _)) = setup.next() {
            let is_refused = setup.steps[setup.at].what.starts_with(refuses);
            let said = match question.expect {
                super::super::talks::Expect::Zdo { .. } => {
                    Said::Zdo(if is_refused { refused.to_vec() } else { vec![0, 0] })
                }
                super::super::talks::Expect::Zcl { command, .. } => {
                    let done = [0x18, 0, if command == 0x06 { 0x07 } else { 0x04 }, 0x00];
                    Said::Zcl(zcl::Frame::parse(if is_refused { refused } else { &done }).unwrap())
                }
            };
            setup.take(Ok(&said));
        }
    }

    /// A table of bindings that is full for one cluster: its reports are taken, and go nowhere.
    #[test]
    fn what_is_not_bound_is_not_reported() {
        let mut setup = Setup::new(&mapping(""), DEVICE, Ieee(2));
        done(&mut setup, "bind cluster 0x0b04", &[0, 0x8c]);
        assert_eq!(setup.unreported(), [(1, 0x0b04, 0x050b)].into());
        let refused = setup.finish().unwrap();
        assert!(refused.len() == 1 && refused[0].starts_with("bind cluster 0x0b04"), "{refused:?}");
        let mut setup = Setup::new(&mapping(""), DEVICE, Ieee(2));
        done(&mut setup, "nothing", &[]);
        assert!(setup.unreported().is_empty());
    }

    #[test]
    fn a_group_that_it_does_not_join_is_told() {
        let group =
            ", setup: [{endpoint: 1, cluster: groups, command: add_group, fields: {group: 7, name: \"\"}}]";
        let mut setup = Setup::new(&mapping(group), DEVICE, Ieee(2));
        done(&mut setup, "set up cluster 0x0004", &[0x19, 0, 0x00, 0x89, 7, 0]);
        let refused = setup.finish().unwrap();
        assert!(refused.len() == 1 && refused[0].contains("insufficient space"), "{refused:?}");
    }

    #[test]
    fn a_zone_is_told_where_its_alarms_go_and_that_it_is_enrolled() {
        let [write, told] = enrolment(1, Ieee(0x0012_4b00_1234_5678));
        let expected = [0x10, 0, 0x02, 0x10, 0x00, 0xf0, 0x78, 0x56, 0x34, 0x12, 0x00, 0x4b, 0x12, 0x00];
        assert_eq!(write.question.bytes, expected);
        assert_eq!((told.question.bytes.as_slice(), told.is_told), (&[0x11, 0, 0x00, 0x00, 0x01][..], true));
    }
}
