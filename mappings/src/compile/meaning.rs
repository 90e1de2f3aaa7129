//! What a raw value means for its class, and whether that can work.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::Compiler;
use super::capability::{is_binary, is_enum, is_level, limits};
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::{At, CapabilityDraft, MapDraft, PointDraft, Sentinel, WriteDraft};
use crate::mapping::Class;
use crate::read::as_boolean;
use crate::transform::{MapTarget, Raw, RawKind, Transform, ValueMap};
use crate::value::Value;

impl Compiler<'_> {
    /// The transform of a read.
    pub(super) fn transform(
        &mut self,
        cap: &CapabilityDraft,
        class: Class,
        draft: &PointDraft,
        kind: RawKind,
        span: Span,
    ) -> Transform {
        let kind = if draft.at.unknown { RawKind::Any } else { kind };
        self.check_meaning(class, draft, kind, span);
        // What an event is seen by may be any text; a capability names its states.
        let open = cap.class.is_none() && matches!(kind, RawKind::Any | RawKind::Text(_));
        self.check_map(class, draft.map.as_ref(), kind, span, !open);
        let transform =
            Transform { valid: cap.valid.map(|valid| valid.value), ..self.steps(cap, draft, kind) };
        if draft.at.exponent.is_none() {
            // What a window can be is the standard's, and no mistake of the file.
            self.check_reach(&transform, kind, cap.valid.filter(|valid| valid.span != cap.id.span));
            if class == Class::LevelControl {
                self.check_settable(cap, &transform, kind);
            }
        }
        transform
    }

    /// The transform of a write: its own, or the read's.
    pub(super) fn write_transform(
        &mut self,
        cap: &CapabilityDraft,
        class: Class,
        write: &WriteDraft,
        kind: RawKind,
    ) -> Transform {
        let inherited = cap.read.as_ref().map(|read| &read.point).filter(|_| !write.point.has_meaning());
        let meaning = inherited.unwrap_or(&write.point);
        let like = cap.read.as_ref().filter(|_| write.point.at.encoding.is_none());
        let unknown = write.point.at.unknown || like.is_some_and(|read| read.point.at.unknown);
        let kind = if unknown { RawKind::Any } else { kind };
        if inherited.is_none() {
            self.check_meaning(class, &write.point, kind, write.span);
            self.check_map(class, write.point.map.as_ref(), kind, write.span, true);
        }
        let mut transform = self.steps(cap, meaning, kind);
        if !write.point.invalid.is_empty() {
            (transform.invalid, transform.invalid_bits) = self.sentinels(&write.point.invalid, kind);
        }
        transform.valid = limits(cap).filter(|(min, max)| min <= max);
        self.check_step_size(cap, &transform, kind);
        self.check_writable(cap, class, meaning, &transform, kind, write.span);
        transform
    }

    pub(super) fn steps(&mut self, cap: &CapabilityDraft, draft: &PointDraft, kind: RawKind) -> Transform {
        let (invalid, invalid_bits) = self.sentinels(&draft.invalid, kind);
        Transform {
            invalid,
            invalid_bits,
            map: draft.map.as_ref().map(|map| self.value_map(map, kind)),
            scale: draft.scale.map(|scale| scale.value).filter(|scale| !scale.is_zero()),
            offset: draft.offset.map(|offset| offset.value),
            curve: draft.curve.map(|curve| curve.value),
            invert: draft.invert.is_some_and(|invert| invert.value),
            valid: None,
            step: cap.step.map(|step| step.value),
        }
    }

    fn value_map(&mut self, map: &MapDraft, kind: RawKind) -> ValueMap {
        let keys: Vec<At<i128>> = map.entries.iter().map(|(raw, _)| *raw).collect();
        let raws = self.raws(&keys, kind);
        let targets = map.entries.iter().map(|(_, target)| target.value.clone());
        // `true` and "true" are not the same in a body that has Booleans.
        let is_bool = |raw: &At<String>| {
            kind == RawKind::Any
                && matches!(raw.value.as_str(), "true" | "false")
                && !self.report.is_quoted(raw.span)
        };
        let (bools, texts): (Vec<_>, Vec<_>) = map.texts.iter().partition(|(raw, _)| is_bool(raw));
        ValueMap {
            entries: raws.into_iter().zip(targets).collect(),
            texts: texts.iter().map(|(raw, target)| (raw.value.clone(), target.value.clone())).collect(),
            bools: bools.iter().map(|(raw, target)| (raw.value == "true", target.value.clone())).collect(),
            default: map.default.as_ref().map(|target| target.value.clone()),
        }
    }

    /// The numbers, and the patterns of bits: a vendor prints what a float is then as the register has it.
    fn sentinels(&mut self, invalid: &[At<Sentinel>], kind: RawKind) -> (Vec<i128>, Vec<u64>) {
        let is_pattern = |at: &&At<Sentinel>| kind.float_bits().is_some() && at.value.hexadecimal;
        let (patterns, numbers): (Vec<&At<Sentinel>>, Vec<&At<Sentinel>>) =
            invalid.iter().partition(is_pattern);
        let numbers: Vec<_> = numbers.into_iter().map(|at| at.map(|sentinel| sentinel.number)).collect();
        let patterns = patterns.into_iter().filter_map(|at| self.pattern(*at, kind.float_bits()?));
        let patterns = patterns.collect();
        (self.raws(&numbers, kind), patterns)
    }

    fn pattern(&mut self, sentinel: At<Sentinel>, bits: u32) -> Option<u64> {
        let pattern = u64::try_from(sentinel.value.number).ok();
        let pattern = pattern.filter(|pattern| pattern.checked_shr(bits).is_none_or(|more| more == 0));
        if pattern.is_none() {
            let message = format!("the raw value {:#x} can never occur", sentinel.value.number);
            let error = self.report.error(Code::RawRange, sentinel.span, message);
            error.help(format!("the point delivers {bits} bits; a float in hexadecimal is their pattern"));
        }
        pattern
    }

    /// Raw values as the point delivers them: `0x8000` of a signed register is -32768.
    fn raws(&mut self, raws: &[At<i128>], kind: RawKind) -> Vec<i128> {
        raws.iter().map(|raw| self.raw(*raw, kind)).collect()
    }

    pub(super) fn raw(&mut self, raw: At<i128>, kind: RawKind) -> i128 {
        let Some((min, max)) = kind.int_range() else { return raw.value };
        let span = max - min + 1;
        if (min..=max).contains(&raw.value) {
            return raw.value;
        }
        if min < 0 && raw.value > max && raw.value < span {
            return raw.value - span;
        }
        // A write that takes its meaning from the read has the same entry once more.
        if self.report.has(Code::RawRange, raw.span) {
            return raw.value;
        }
        let message = format!("the raw value {} can never occur", raw.value);
        let signed = if min == 0 && raw.value < 0 { "; a signed number is `as: s16` or wider" } else { "" };
        self.report
            .error(Code::RawRange, raw.span, message)
            .help(format!("the point delivers {min} to {max}{signed}"));
        raw.value
    }

    fn check_meaning(&mut self, class: Class, draft: &PointDraft, kind: RawKind, span: Span) {
        self.check_encoding(class, draft, kind, span);
        let [scale, offset] = [draft.scale, draft.offset].map(|at| at.map(|at| at.span));
        let keys = [("scale", scale), ("offset", offset), ("curve", draft.curve.map(|at| at.span))];
        for (key, span) in keys {
            if let Some(span) = span.filter(|_| !is_level(class)) {
                let message = format!("{} is no number and has no `{key}`", class.a_name());
                self.report.error(Code::Scale, span, message).help(format!("remove `{key}`"));
            }
        }
        self.check_curve(draft, kind);
        if let Some(scale) = draft.scale.filter(|scale| scale.value.is_zero()) {
            self.report
                .error(Code::Scale, scale.span, "a scale of 0 makes every value the same")
                .help("write what one raw step is in the unit, such as 0.1; leave `scale` away for 1");
        }
        if let Some(invert) = draft.invert.filter(|_| !is_binary(class)) {
            let message = format!("{} cannot be inverted", class.a_name());
            self.report
                .error(Code::KeyOfClass, invert.span, message)
                .help("`invert` belongs to the Binary classes");
        }
    }

    /// A curve says all of what a whole number means.
    fn check_curve(&mut self, draft: &PointDraft, kind: RawKind) {
        let Some(curve) = draft.curve else { return };
        let name = curve.value.name();
        for (key, at) in [("scale", draft.scale), ("offset", draft.offset)] {
            if let Some(at) = at {
                let message = format!("`curve: {name}` has no `{key}` beside it");
                self.report.error(Code::Scale, at.span, message).help(format!("remove `{key}` or `curve`"));
            }
        }
        if !matches!(kind, RawKind::Int { .. } | RawKind::Bool) {
            self.report
                .error(Code::Scale, curve.span, format!("`curve: {name}` is one of whole numbers"))
                .help("read it `as: uint16`, or remove `curve`");
        }
    }

    /// Whether a class can be made of such raw values at all.
    fn check_encoding(&mut self, class: Class, draft: &PointDraft, kind: RawKind, span: Span) {
        let span = draft.at.encoding.map_or(span, |at| at.span);
        let name = class.a_name();
        let wrong = match (class, kind) {
            (Class::BlobSensor, RawKind::Bytes(_) | RawKind::Text(_) | RawKind::Any) => None,
            (Class::BlobSensor, _) => Some("use `as: raw` or `as: string`, with `registers`"),
            (_, RawKind::Bytes(_)) => Some("bytes belong to a BlobSensor"),
            (_, RawKind::Text(_)) if is_binary(class) && draft.map.is_none() => {
                Some("give it a `map` of texts to true and false")
            }
            (_, RawKind::F16 | RawKind::F32 | RawKind::F64) if is_binary(class) => {
                Some("use a whole number, or a LevelSensor")
            }
            _ => None,
        };
        if let Some(help) = wrong {
            let message = format!("{name} cannot be made of such a value");
            self.report.error(Code::ClassOfEncoding, span, message).help(help);
        }
    }

    fn check_map(&mut self, class: Class, map: Option<&MapDraft>, kind: RawKind, span: Span, needed: bool) {
        let name = class.a_name();
        let Some(map) = map else {
            if is_enum(class) && needed {
                let error = self.report.absent(Code::MapPresence, span, format!("{name} needs a `map`"));
                error.help(
                    "such as `map: {0: Peak, 1: OffPeak}`; its order is that of ValidValues and of steps",
                );
            }
            return;
        };
        if is_level(class) {
            let error = self.report.error(Code::MapPresence, map.span, format!("{name} has no `map`"));
            error.help(
                "for a number use `scale` and `offset`; for states make it an EnumSensor or EnumControl",
            );
        } else if matches!(kind, RawKind::F16 | RawKind::F32 | RawKind::F64) {
            let error = self.report.error(Code::MapPresence, map.span, "a float has no `map`");
            error.help("a map needs whole numbers or texts");
        } else if map.entries.is_empty() && map.texts.is_empty() {
            self.report
                .absent(Code::MapPresence, map.span, "the `map` is empty")
                .help("write raw values and what they mean, such as `{0: Idle, 1: Heating}`");
        }
        self.check_raws(map, kind);
        let texts = map.texts.iter().map(|(_, target)| target);
        for target in map.entries.iter().map(|(_, target)| target).chain(texts).chain(&map.default) {
            match &target.value {
                MapTarget::Text(text) if map.unquoted.contains(&target.span) => {
                    self.unquoted_state(class, text, target.span);
                }
                _ => self.check_state(class, target),
            }
        }
    }

    /// Whether the raw values of a map are of the kind that the point gives.
    fn check_raws(&mut self, map: &MapDraft, kind: RawKind) {
        if let RawKind::Text(most) = kind {
            for (raw, _) in &map.entries {
                let message = format!("the raw value {} is a number, and the point gives texts", raw.value);
                let text = format!("\"{}\"", raw.value);
                self.report
                    .error(Code::RawRange, raw.span, message)
                    .fix(text.as_str())
                    .help(format!("write {text}"));
            }
            for (raw, _) in map.texts.iter().filter(|(raw, _)| raw.value.len() > usize::from(most)) {
                let message = format!("the raw text `{}` can never occur", raw.value);
                let error = self.report.error(Code::RawRange, raw.span, message);
                error.help(format!("the point gives at most {most} bytes, without spaces at the end"));
            }
            return;
        }
        for (raw, _) in map.texts.iter().filter(|_| kind != RawKind::Any) {
            let message =
                format!("the raw value `{}` is a text, and the point gives whole numbers", raw.value);
            let error = self.report.error(Code::RawRange, raw.span, message);
            error.help("write a whole number without quotes, or read the point `as: string`");
        }
    }

    fn check_state(&mut self, class: Class, target: &At<MapTarget>) {
        match &target.value {
            MapTarget::Text(text) if is_binary(class) => {
                let message = format!("`{text}` is no state of {}", class.a_name());
                let error = self.report.error(Code::MapKind, target.span, message);
                let word = text.to_ascii_lowercase();
                let error = if word == "true" || word == "false" { error.fix(word) } else { error };
                error.help("write true or false without quotes");
            }
            MapTarget::Bool(state) if is_enum(class) => {
                let message = format!("{state} is no state of {}", class.a_name());
                let error = self.report.error(Code::MapKind, target.span, message);
                error
                    .fix(format!("\"{state}\""))
                    .help(format!("quote it, or make it a {}", class.name().replace("Enum", "Binary")));
            }
            MapTarget::Text(text) if text.chars().count() > 64 => {
                let error =
                    self.report.error(Code::TextLength, target.span, "the name of a state is too long");
                error.help("TR-181 allows 64 characters");
            }
            MapTarget::Text(text) if text.is_empty() || text.contains(',') || text.trim() != text => {
                let message = format!("`{text}` cannot be the name of a state");
                let error = self.report.error(Code::MapKind, target.span, message);
                error
                    .help("ValidValues is a comma-separated list: no comma, no space at the ends, not empty");
            }
            MapTarget::Text(_) | MapTarget::Bool(_) => {}
        }
    }

    /// `off` without quotes: what it stands for, the class says.
    fn unquoted_state(&mut self, class: Class, text: &str, span: Span) {
        let message = format!("`{text}` is a Boolean to some YAML readers and a text to others");
        let meant = match as_boolean(text).filter(|_| is_binary(class)) {
            Some(state) => state.to_string(),
            None => format!("\"{text}\""),
        };
        // A parameter that gives it is not to be lost.
        let is_itself = self.report.source(span) == text;
        let error = self.report.error(Code::YamlTrap, span, message);
        let error = if is_itself { error.fix(meant.as_str()) } else { error };
        error.help(format!("write {meant}"));
    }

    /// Whether the least and the greatest of `valid` can be reached at all.
    fn check_reach(&mut self, transform: &Transform, kind: RawKind, valid: Option<At<(Decimal, Decimal)>>) {
        let (Some(valid), Some((least, greatest))) = (valid, reach(transform, kind)) else { return };
        let (min, max) = valid.value;
        if greatest < min || least > max {
            let message = format!("no raw value can be in this range: they mean {least} to {greatest}");
            self.report
                .error(Code::Unreachable, valid.span, message)
                .help("correct `valid`, or `scale`, `offset` and `as`");
        } else if min < least {
            let message = format!("`valid` begins at {min}, and raw values mean {least} to {greatest}");
            let signed = if min < Decimal::ZERO && kind.int_range().is_some_and(|(least, _)| least == 0) {
                "if there are negative values, read it with a sign, such as `as: s16`; otherwise "
            } else {
                ""
            };
            let warning = self.report.warn(Code::Unreachable, valid.span, message);
            warning.help(format!("{signed}write `valid: [{least}, {}]`", max.min(greatest)));
        } else if max > greatest {
            let message = format!("`valid` ends at {max}, and raw values mean {least} to {greatest}");
            let warning = self.report.warn(Code::Unreachable, valid.span, message);
            warning.help(format!(
                "write `valid: [{min}, {greatest}]`; if there are greater values, read it wider, such as `as: u32`, or correct `scale`"
            ));
        }
    }

    /// Whether there is something between what may be set that is no value.
    pub(super) fn check_settable(&mut self, cap: &CapabilityDraft, transform: &Transform, kind: RawKind) {
        let Some((min, max)) = limits(cap) else { return };
        let Some(read) = cap.read.as_ref() else { return };
        let open = Transform { valid: None, invalid: Vec::new(), ..transform.clone() };
        for (raw, at) in transform.invalid.iter().zip(&read.point.invalid) {
            let Ok(Value::Number(number)) = open.decode(Raw::Int(*raw), Class::LevelControl) else {
                continue;
            };
            // At the ends the write itself is refused.
            if kind.int_range().is_some() && min < number && number < max {
                let message =
                    format!("{} is between `min` and `max`, and means no value", number.normalize());
                let warning = self.report.warn(Code::Unreachable, at.span, message);
                warning.help("it can be neither set nor shown: let `min` and `max` leave it out, or take it out of `invalid`");
            }
        }
    }

    fn check_writable(
        &mut self,
        cap: &CapabilityDraft,
        class: Class,
        meaning: &PointDraft,
        transform: &Transform,
        kind: RawKind,
        span: Span,
    ) {
        let map = meaning.map.as_ref();
        match class {
            Class::EnumControl => self.check_states_once(map),
            // Which of the two it lacks, nobody knows before they are all read.
            Class::BinaryControl if map.is_some_and(|map| !map.unquoted.is_empty()) => {}
            Class::BinaryControl => {
                for state in [true, false] {
                    let fault = transform.encode(&Value::Bool(state), kind).err();
                    if let Some(fault) = fault {
                        let span = map.map_or(span, |map| map.span);
                        let error = self.report.absent(Code::MapPresence, span, format!("{state}: {fault}"));
                        error.help("give both true and false a raw value");
                    }
                }
            }
            _ => {
                for end in [cap.min, cap.max].into_iter().flatten() {
                    if let Err(fault) = transform.encode(&Value::Number(end.value), kind) {
                        let help = reachable(transform, kind, end.value);
                        self.report.error(Code::Unreachable, end.span, fault.to_string()).help(help);
                    }
                }
            }
        }
    }

    /// Whether one step of a control is at least one step of the raw value.
    fn check_step_size(&mut self, cap: &CapabilityDraft, transform: &Transform, kind: RawKind) {
        let Some(one) = transform.raw_step() else { return };
        let Some(step) = cap.step.filter(|step| step.value > Decimal::ZERO && step.value < one) else {
            return;
        };
        if kind.int_range().is_some() {
            let message = format!("one raw step is {one}, so `step: {}` changes nothing", step.value);
            let warning = self.report.warn(Code::StepSize, step.span, message);
            warning.help(format!("write `step: {one}` or more, or correct `scale`"));
        }
    }

    fn check_states_once(&mut self, map: Option<&MapDraft>) {
        let mut seen = BTreeSet::new();
        let texts = map.iter().flat_map(|map| map.texts.iter().map(|(_, target)| target));
        for target in map.iter().flat_map(|map| map.entries.iter().map(|(_, target)| target)).chain(texts) {
            if let MapTarget::Text(text) = &target.value
                && !seen.insert(text)
            {
                let message = format!("the state `{text}` has two raw values: which one shall be written?");
                let error = self.report.error(Code::MapState, target.span, message);
                error.help("give `write` a `map` of its own with one of the two");
            }
        }
    }
}

/// The least and the greatest number that whole raw values can mean.
pub(super) fn reach(transform: &Transform, kind: RawKind) -> Option<(Decimal, Decimal)> {
    let open = Transform { valid: None, invalid: Vec::new(), ..transform.clone() };
    let number = |raw| match open.decode(Raw::Int(raw), Class::LevelSensor) {
        Ok(Value::Number(number)) => Some(number.normalize()),
        _ => None,
    };
    let (least, greatest) = kind.int_range()?;
    let (one, other) = (number(least)?, number(greatest)?);
    Some((one.min(other), one.max(other)))
}

/// What can be written, for somebody who wants more.
fn reachable(transform: &Transform, kind: RawKind, wanted: Decimal) -> String {
    match (reach(transform, kind), kind.int_range()) {
        (Some((least, greatest)), _) if least <= wanted && wanted <= greatest => {
            "write a value that the device can take".to_owned()
        }
        (Some((least, greatest)), Some((0, _))) => format!(
            "{least} to {greatest} can be written; below that a signed number is needed (`as: s16`), above a wider one (`as: u32`)"
        ),
        (Some((least, greatest)), _) => {
            format!(
                "{least} to {greatest} can be written; a wider number (`as: s32`) or another `scale` has more"
            )
        }
        _ => "correct `min`, `max`, `scale` or `offset`".to_owned(),
    }
}
