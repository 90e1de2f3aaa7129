//! One row of `IoTCapability.{i}.`: what its class demands and forbids.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::Compiler;
use super::extras::own_name;
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::{At, CapabilityDraft, MessagePlace, ReadDraft, VerifyDraft, WriteDraft};
use crate::mapping::{
    Capability, Class, FOR_EVER, NodeId, Poll, ProtocolKind, ReadBinding, ReadPart, Steps, Verify, Window,
    WriteBinding, WritePoint,
};
use crate::port::PointId;
use crate::tr181;
use crate::words::{duration_text, nearest};

impl Compiler<'_> {
    pub(super) fn capabilities(&mut self) -> Vec<Capability> {
        let draft = self.draft;
        let mut capabilities = Vec::new();
        let mut names: BTreeMap<(Option<NodeId>, String), Span> = BTreeMap::new();
        for (cap, place) in draft.capabilities.iter().zip(0u16..) {
            let Some(class) = cap.class else { continue };
            let compiled =
                self.member(&cap.id.value, |this| this.capability(cap, class.value, PointId(place)));
            let span = cap.name.as_ref().map_or(cap.id.span, |name| name.span);
            if let Some(first) = names.insert((cap.node, compiled.name.clone()), span) {
                let message = format!("the name `{}` is already on line {}", compiled.name, first.line);
                let error = self.report.error(Code::DuplicateName, span, message);
                error.help("give one of them a `name` of its own: TR-181 wants them unique within a device");
            }
            capabilities.push(compiled);
        }
        capabilities
    }

    fn capability(&mut self, cap: &CapabilityDraft, class: Class, id: PointId) -> Capability {
        self.check_class(cap, class);
        self.like(cap, class, id)
    }

    /// What is read and written like a capability.
    pub(super) fn like(&mut self, cap: &CapabilityDraft, class: Class, id: PointId) -> Capability {
        let read = self.read(cap, class, id);
        let write = cap.write.as_ref().and_then(|write| self.write(cap, class, write));
        let poll = read.as_ref().map(|read| read.poll);
        Capability {
            id: cap.id.value.clone(),
            node: cap.node,
            name: match &cap.name {
                Some(name) => self.text(Some(name), 64).unwrap_or_default(),
                None => own_name(&cap.id.value, cap.node).to_owned(),
            },
            class,
            kind: self.kind(cap, class),
            description: self.text(cap.description.as_ref(), 256).unwrap_or_default(),
            unit: cap.unit.as_ref().map(|unit| unit.value.clone()),
            range: limits(cap).or(cap.valid.map(|valid| valid.value)),
            step: cap.step.map(|step| step.value),
            steps: cap.steps.map_or(Steps::Both, |steps| steps.value),
            valid_values: valid_values(read.as_ref(), write.as_ref()),
            value_names: self.value_names(cap, class),
            low_threshold: cap.low.map(|low| low.value),
            high_threshold: cap.high.map(|high| high.value),
            deadband: self.positive(cap.deadband, "`deadband`"),
            monotonic: cap.monotonic.is_some_and(|monotonic| monotonic.value),
            sensitivity: cap.sensitivity.map(|sensitivity| sensitivity.value),
            hold: self.window(cap.hold, Window::HoldTime),
            rest: self.window(cap.rest, Window::RestTime),
            max_age: self.max_age(cap, poll),
            serve_stale: cap.serve_stale.is_some_and(|stale| stale.value),
            read_within: self.read_within(cap.read.as_ref().or(cap.values.first().map(|(_, read)| read))),
            read,
            write,
        }
    }

    fn kind(&mut self, cap: &CapabilityDraft, class: Class) -> String {
        let Some(kind) = &cap.kind else { return String::new() };
        let word = kind.value.as_str();
        let known = tr181::types(class).contains(&word) || tr181::is_vendor_word(word);
        let elsewhere = Class::ALL.into_iter().find(|other| tr181::types(*other).contains(&word));
        match elsewhere.filter(|_| !known && nearest(word, tr181::types(class).iter().copied()).is_none()) {
            Some(other) => self
                .report
                .error(Code::Type, kind.span, format!("`{word}` is no Type of {}", class.a_name()))
                .help(format!(
                    "it belongs to {}; {} has {}",
                    other.a_name(),
                    class.a_name(),
                    tr181::types(class).join(", ")
                )),
            None => {
                self.listed(kind, Code::Type, &format!("Type of {}", class.a_name()), tr181::types(class))
            }
        }
        kind.value.clone()
    }

    fn check_class(&mut self, cap: &CapabilityDraft, class: Class) {
        self.check_unit(cap, class);
        self.check_keys(cap, class);
        self.check_access(cap, class);
        self.check_limits(cap, class);
    }

    fn check_unit(&mut self, cap: &CapabilityDraft, class: Class) {
        match (&cap.unit, is_level(class) || class == Class::MultiLevelSensor) {
            (Some(unit), true) => self.unit(unit, cap.kind.as_ref()),
            (Some(unit), false) => {
                let message = format!("{} has no Unit", class.a_name());
                self.report.error(Code::UnitPresence, unit.span, message).help("remove `unit`");
            }
            (None, true) => {
                let message = format!("the capability `{}` needs a `unit`", cap.id.value);
                let error = self.report.absent(Code::UnitPresence, cap.id.span, message);
                error.help("such as `unit: V`; `unit: \"-\"` for a number without one");
            }
            (None, false) => {}
        }
    }

    fn check_keys(&mut self, cap: &CapabilityDraft, class: Class) {
        let level = is_level(class);
        let control = class == Class::LevelControl;
        let sensor = class == Class::LevelSensor;
        let detector = class == Class::BinarySensor;
        let multi = class == Class::MultiLevelSensor;
        let values = cap.values.first().map(|(name, _)| name.span);
        let held = |window| cap.held.iter().find(|(it, _)| it.value == window).map(|(it, _)| it.span);
        let sensitivity = cap.sensitivity.map(|at| at.span).or(held(Window::Sensitivity));
        let numeric = level || multi;
        for (key, span, belongs, to) in [
            ("valid", cap.valid.map(|at| at.span), numeric, "the Level classes"),
            ("read", cap.read.as_ref().map(|read| read.span), !multi, "every class but MultiLevelSensor"),
            ("values", values, multi, "MultiLevelSensor"),
            ("monotonic", cap.monotonic.map(|at| at.span), sensor, "LevelSensor"),
            ("sensitivity", sensitivity, detector, "BinarySensor"),
            ("hold", cap.hold.map(|at| at.span).or(held(Window::HoldTime)), detector, "BinarySensor"),
            ("rest", cap.rest.map(|at| at.span).or(held(Window::RestTime)), detector, "BinarySensor"),
            ("deadband", cap.deadband.map(|at| at.span), level, "LevelControl and LevelSensor"),
            ("min", cap.min.map(|at| at.span), control, "LevelControl"),
            ("max", cap.max.map(|at| at.span), control, "LevelControl"),
            ("step", cap.step.map(|at| at.span), control, "LevelControl"),
            (
                "steps",
                cap.steps.map(|at| at.span),
                control || class == Class::EnumControl,
                "LevelControl and EnumControl",
            ),
            ("low", cap.low.map(|at| at.span), sensor, "LevelSensor"),
            ("high", cap.high.map(|at| at.span), sensor, "LevelSensor"),
        ] {
            if let Some(span) = span.filter(|_| !belongs) {
                let message = format!("{} has no `{key}`", class.a_name());
                self.report
                    .error(Code::KeyOfClass, span, message)
                    .help(format!("`{key}` belongs to {to}; remove it"));
            }
        }
        if let Some(poll) = cap.poll.as_ref().filter(|_| cap.read.is_none() && cap.values.is_empty()) {
            let message = "there is nothing to poll";
            self.report.absent(Code::NoBinding, poll.span, message).help("add `read`, or remove `poll`");
        }
    }

    fn check_access(&mut self, cap: &CapabilityDraft, class: Class) {
        let (id, name) = (&cap.id.value, class.name());
        match (&cap.write, class.is_control()) {
            (Some(write), false) => {
                let message = format!("{} cannot be written", class.a_name());
                let error = self.report.error(Code::Access, write.span, message);
                error.help(format!(
                    "remove `write`, or make it {}",
                    class.a_name().replace("Sensor", "Control")
                ));
            }
            (None, true) => {
                let message = format!("the {name} `{id}` needs `write`");
                let error = self.report.absent(Code::Access, cap.id.span, message);
                error.help(format!(
                    "add `write: {{}}` to write where it is read, or make it {}",
                    class.a_name().replace("Control", "Sensor")
                ));
            }
            (None, false) if class == Class::MultiLevelSensor && cap.values.len() < 2 => {
                let message = format!("the {name} `{id}` needs two `values` or more");
                let error = self.report.absent(Code::NoBinding, cap.id.span, message);
                error.help(
                    "such as `values: {Latitude: {input: 0, as: f32}, Longitude: {input: 2, as: f32}}`",
                );
            }
            (None, false) if cap.read.is_none() && class != Class::MultiLevelSensor => {
                let message = format!("the {name} `{id}` needs `read`");
                self.report.absent(Code::NoBinding, cap.id.span, message).help("such as `read: {input: 0}`");
            }
            _ => {}
        }
    }

    fn check_limits(&mut self, cap: &CapabilityDraft, class: Class) {
        if let (Some(low), Some(high)) = (cap.low, cap.high) {
            self.report.ascending(low.span, "`low` to `high`", low.value, high.value);
        }
        self.check_thresholds(cap);
        if class != Class::LevelControl {
            return;
        }
        self.range_is_given(cap);
        if let Some(steps) = cap.steps.filter(|_| cap.step.is_none()) {
            let error =
                self.report.error(Code::StepSize, steps.span, "without `step` there are no step commands");
            error.help("say with `step` how far one goes, in the unit, or remove `steps`");
        }
        let step = self.positive(cap.step, "`step`").zip(cap.step.map(|step| step.span));
        let Some((min, max)) = limits(cap) else { return };
        if min >= max {
            let span = cap.min.map_or(cap.id.span, |min| min.span);
            let error =
                self.report.error(Code::Reversed, span, format!("`min: {min}` is not below `max: {max}`"));
            error.help("write the lowest value that may be set as `min`, and the highest as `max`");
            return;
        }
        let range = max.checked_sub(min).unwrap_or(max);
        if let Some((_, span)) = step.filter(|(step, _)| *step > range) {
            let error = self.report.error(Code::StepSize, span, "`step` is larger than the whole range");
            error.help(format!("from `min` to `max` it is {range}; write less, or remove `step`"));
        }
    }

    /// What lies outside of all that is read is never reached.
    fn check_thresholds(&mut self, cap: &CapabilityDraft) {
        let range = cap.valid.map(|valid| valid.value).or(limits(cap)).filter(|(min, max)| min < max);
        let Some((min, max)) = range else { return };
        for (key, at) in [("low", cap.low), ("high", cap.high)] {
            let Some(at) = at.filter(|at| !(min..=max).contains(&at.value)) else { continue };
            let message = format!("`{key}: {}` is outside `valid`, so nothing ever reaches it", at.value);
            let warning = self.report.warn(Code::StepSize, at.span, message);
            warning.help(format!("write a level from {min} to {max}, or correct `valid`"));
        }
        let Some(whole) = max.checked_sub(min) else { return };
        if let Some(at) = cap.deadband.filter(|at| at.value > whole) {
            let message = format!("no change is as large as `deadband: {}`", at.value);
            let warning = self.report.warn(Code::StepSize, at.span, message);
            warning.help(format!("from the least to the greatest value it is {whole}: write less"));
        }
    }

    /// TR-181 wants MinValue and MaxValue of a LevelControl.
    fn range_is_given(&mut self, cap: &CapabilityDraft) {
        let absent = [("min", cap.min.is_none()), ("max", cap.max.is_none())];
        let absent: Vec<String> =
            absent.iter().filter(|(_, is)| *is).map(|(key, _)| format!("`{key}`")).collect();
        if !absent.is_empty() {
            let keys = absent.join(" and ");
            let unit = cap.unit.as_ref().map_or("its unit", |unit| unit.value.as_str());
            let message = format!("the LevelControl `{}` needs {keys}", cap.id.value);
            let error = self.report.absent(Code::MissingKey, cap.id.span, message);
            error.help(format!("add {keys}, in {unit}: nothing outside is written to the device"));
        }
    }

    fn max_age(&mut self, cap: &CapabilityDraft, poll: Option<Poll>) -> Duration {
        match (cap.max_age, poll.and_then(Poll::every)) {
            (None, None) if poll == Some(Poll::Once) => self.said_age(cap).unwrap_or(FOR_EVER),
            (None, every) => every.unwrap_or_default() * 2,
            (Some(age), Some(every)) if age.value < every => {
                let message = format!(
                    "a reading would be stale {} before the next poll",
                    duration_text(every - age.value)
                );
                let enough = duration_text(every * 2);
                let warning = self.report.warn(Code::MaxAge, age.span, message).fix(enough.as_str());
                warning.help(format!(
                    "the period of the poll group is {}: write `max_age: {enough}`, which is also the default",
                    duration_text(every)
                ));
                age.value
            }
            (Some(age), _) => age.value,
        }
    }

    /// What a device says at known intervals is stale when it has left it out a few times.
    fn said_age(&self, cap: &CapabilityDraft) -> Option<Duration> {
        let read = cap.read.as_ref().or(cap.values.first().map(|(_, read)| read))?;
        match &read.point.message.as_ref()?.place {
            MessagePlace::Line(place) if place.send.is_none() => Some(self.draft.line.every?.value * 3),
            MessagePlace::Ble(place) if place.char.is_none() => self.ble_patience(),
            MessagePlace::Zigbee(place) => self.zigbee_age(place),
            _ => None,
        }
    }

    /// A first HoldTime or RestTime.
    fn window(&mut self, first: Option<At<Duration>>, window: Window) -> Option<Duration> {
        let first = first?;
        let most = window.most();
        if u64::try_from(first.value.as_millis()).is_ok_and(|given| Decimal::from(given) > most) {
            let message = format!("`{}` must be at most {most}ms", window.key());
            let error = self.report.error(Code::NumberRange, first.span, message);
            error.help(format!("write 49d or less: {} is an unsignedInt in milliseconds", window.name()));
        }
        Some(first.value)
    }

    /// Two exchanges and a second of waiting for the bus, unless the file says otherwise.
    fn read_within(&mut self, read: Option<&ReadDraft>) -> Duration {
        let timeout = self.exchange_timeout();
        match read.and_then(|read| read.within) {
            Some(within) if within.value.is_zero() => {
                let error =
                    self.report.error(Code::NumberRange, within.span, "`within` must be at least 1ms");
                error.help("write how long a read may take, such as 3s, or remove `within`");
                within.value
            }
            Some(within) => within.value,
            // A connection has to be made first.
            None if self.draft.protocol == ProtocolKind::Ble => 5 * timeout + Duration::from_secs(1),
            None => 2 * timeout + Duration::from_secs(1),
        }
    }

    fn read(&mut self, cap: &CapabilityDraft, class: Class, id: PointId) -> Option<ReadBinding> {
        if cap.read.is_none() && cap.values.is_empty() {
            return None;
        }
        let first = cap.read.as_ref().or(cap.values.first().map(|(_, read)| read));
        let poll = self.poll(id, cap.poll.as_ref(), first);
        let (reads, class) = match class {
            Class::MultiLevelSensor => {
                (cap.values.iter().map(|(_, read)| read).collect(), Class::LevelSensor)
            }
            _ => (cap.read.iter().collect::<Vec<_>>(), class),
        };
        let parts: Vec<ReadPart> = reads.into_iter().filter_map(|read| self.part(cap, class, read)).collect();
        (!parts.is_empty()).then_some(ReadBinding { parts, poll })
    }

    /// One value that is read.
    pub(super) fn part(&mut self, cap: &CapabilityDraft, class: Class, read: &ReadDraft) -> Option<ReadPart> {
        let point = self.read_place(class, &read.point, read.span)?;
        let transform = self.transform(cap, class, &read.point, point.raw_kind(), read.span);
        if let Some(at) = read.point.at.exponent.filter(|_| !is_level(class)) {
            let message = format!("{} is no number and has no `exponent`", class.a_name());
            self.report.error(Code::Scale, at.span, message).help("remove `exponent`");
        }
        Some(ReadPart { point, transform, exponent: self.exponent_place(&read.point) })
    }

    fn value_names(&mut self, cap: &CapabilityDraft, class: Class) -> Vec<String> {
        if class != Class::MultiLevelSensor {
            return Vec::new();
        }
        for (name, _) in &cap.values {
            let text = name.value.as_str();
            if text.is_empty() || text.contains(',') || text.trim() != text || text.chars().count() > 64 {
                let message = format!("`{text}` cannot be the name of a value");
                let error = self.report.error(Code::Name, name.span, message);
                error.help("ValueNames is a comma-separated list: no comma, no space at the ends, 1 to 64 characters");
            }
        }
        cap.values.iter().map(|(name, _)| name.value.clone()).collect()
    }

    fn write(&mut self, cap: &CapabilityDraft, class: Class, write: &WriteDraft) -> Option<WriteBinding> {
        let point = self.write_place(class, write, cap.read.as_ref().map(|read| &read.point))?;
        if let Some(at) = cap.read.as_ref().and_then(|read| read.point.at.exponent) {
            let error =
                self.report.error(Code::Scale, at.span, "what is written cannot follow an `exponent`");
            error.help("give the control a `scale`, which is fixed, or make it a LevelSensor");
        }
        let transform = self.write_transform(cap, class, write, point.raw_kind());
        let verify = self.verify(cap, write);
        if verify.is_some_and(|verify| verify.by.is_none()) {
            self.check_echo(write, cap.read.as_ref());
        }
        self.check_response(write, &point, verify);
        self.check_ttl(write.ttl, write.span);
        Some(WriteBinding {
            takes: self.write_takes(&point, verify),
            point,
            transform,
            verify,
            ttl: write.ttl.map_or(self.usual_ttl(), |ttl| ttl.value),
            rate: write.rate.map_or(Duration::ZERO, |rate| rate.value),
            coalesce: write.coalesce.is_some_and(|coalesce| coalesce.value),
            undo: write.undo.is_some_and(|undo| undo.value),
        })
    }

    /// What is kept is read first, and the last look at what shows the value may begin at the very end.
    pub(super) fn write_takes(&self, point: &WritePoint, verify: Option<Verify>) -> Duration {
        let fetches = matches!(point, WritePoint::Modbus { read_modify_write: true, .. });
        let exchanges = 1 + u32::from(fetches) + u32::from(verify.is_some());
        self.exchange_timeout() * exchanges + verify.map(|verify| verify.within).unwrap_or_default()
    }

    fn verify(&mut self, cap: &CapabilityDraft, write: &WriteDraft) -> Option<Verify> {
        let second = self.usual_verify();
        let (by, within, span) = match write.verify.as_ref().map(|at| (&at.value, at.span)) {
            None => return cap.read.is_some().then_some(Verify { by: None, within: second }),
            Some((VerifyDraft::Off, _)) => return None,
            Some((VerifyDraft::Within(within), span)) => (None, *within, span),
            Some((VerifyDraft::By { by, within }, span)) => {
                let by = self.verified_by(cap, by)?;
                (Some(by), within.unwrap_or(second), span)
            }
        };
        if by.is_none() && cap.read.is_none() {
            let error = self.report.error(Code::Verify, span, "there is nothing to verify with");
            error.help("add `read`, name another capability with `by`, or remove `verify`");
        } else if within.is_zero() {
            let error = self.report.error(Code::Verify, span, "a read-back takes time");
            error.help("write `verify: 1s`, or `verify: false` for none");
        }
        Some(Verify { by, within })
    }

    /// The other capability that must show what was written.
    fn verified_by(&mut self, cap: &CapabilityDraft, by: &At<String>) -> Option<PointId> {
        let point = self.readable_near(cap.node, by, Code::Verify)?;
        let other = self.draft.capabilities.get(usize::from(point.0))?;
        let kind = |class: Class| (is_binary(class), is_level(class), is_enum(class));
        if let (Some(own), Some(other)) = (cap.class, other.class)
            && kind(own.value) != kind(other.value)
        {
            let message =
                format!("{} cannot show what {} was set to", other.value.a_name(), own.value.a_name());
            let error = self.report.error(Code::Verify, by.span, message);
            error.help("name a capability with values of the same kind");
        }
        Some(point)
    }
}

/// `min` and `max`.
pub(super) fn limits(cap: &CapabilityDraft) -> Option<(Decimal, Decimal)> {
    cap.min.zip(cap.max).map(|(min, max)| (min.value, max.value))
}

pub(crate) fn is_level(class: Class) -> bool {
    matches!(class, Class::LevelControl | Class::LevelSensor)
}

pub(super) fn is_binary(class: Class) -> bool {
    matches!(class, Class::BinaryControl | Class::BinarySensor)
}

pub(super) fn is_enum(class: Class) -> bool {
    matches!(class, Class::EnumControl | Class::EnumSensor)
}

/// The states that can be written, then those that can only be read, each once.
fn valid_values(read: Option<&ReadBinding>, write: Option<&WriteBinding>) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    let maps = [
        write.and_then(|write| write.transform.map.as_ref()),
        read.and_then(|read| read.parts.first()?.transform.map.as_ref()),
    ];
    for state in maps.into_iter().flatten().flat_map(|map| map.states()) {
        if !values.iter().any(|known| known == state) {
            values.push(state.to_owned());
        }
    }
    values
}
