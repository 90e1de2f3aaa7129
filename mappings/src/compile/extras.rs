//! Nodes, events and fingerprints.

use super::Compiler;
use crate::code::Code;
use crate::draft::{At, CapabilityDraft, EventDraft, FingerprintDraft, MappingDraft, OnDraft, ReadDraft};
use crate::mapping::{Class, Event, EventArg, Fingerprint, Node, NodeId, ReadBinding, Trigger};
use crate::port::PointId;
use crate::read::mapping::is_name;
use crate::tr181;
use crate::transform::{Raw, RawKind};
use crate::value::{Value, parse_decimal};
use crate::words::nearest;

impl Compiler<'_> {
    pub(super) fn nodes(&mut self) -> Vec<Node> {
        let draft = self.draft;
        let mut nodes = Vec::new();
        for node in &draft.nodes {
            if let Some(kind) = &node.kind {
                self.listed(kind, Code::Type, "Type of a node", tr181::DEVICE_TYPES);
            }
            nodes.push(Node {
                id: node.id.value.clone(),
                kind: node.kind.as_ref().map(|kind| kind.value.clone()).unwrap_or_default(),
                description: self.text(node.description.as_ref(), 256).unwrap_or_default(),
            });
        }
        nodes
    }

    /// Their points follow those `before` them.
    pub(super) fn events(&mut self, before: usize) -> Vec<Event> {
        let draft = self.draft;
        let places = (0u16..).skip(before);
        draft
            .events
            .iter()
            .zip(places)
            .filter_map(|(event, place)| {
                self.member(&event.id.value, |this| this.event(event, PointId(place)))
            })
            .collect()
    }

    fn event(&mut self, draft: &EventDraft, id: PointId) -> Option<Event> {
        self.vendor_name(&draft.id, draft.node);
        let (read, on) = (draft.read.as_ref()?, draft.on.as_ref()?);
        let class = event_class(read, &on.value);
        let like = CapabilityDraft { read: Some(read.clone()), ..CapabilityDraft::empty(draft.id.clone()) };
        let part = self.part(&like, class, read)?;
        let kind = part.point.raw_kind();
        let poll = self.poll(id, draft.poll.as_ref(), Some(read));
        let pushed = read.point.message.is_some();
        if let (false, None, Some(at)) = (pushed, poll.every(), &draft.poll) {
            let error = self.report.error(Code::Event, at.span, "an event that is not polled is never seen");
            error.help("name a poll group, or remove `poll`");
        }
        let trigger = self.trigger(on, class, kind);
        let trigger = self.repeated(draft, trigger, pushed);
        let args =
            draft.args.iter().filter_map(|(name, shown)| self.event_arg(draft.node, name, shown)).collect();
        Some(Event {
            id: draft.id.value.clone(),
            name: own_name(&draft.id.value, draft.node).to_owned(),
            node: draft.node,
            description: self.text(draft.description.as_ref(), 256).unwrap_or_default(),
            class,
            args,
            read: ReadBinding { parts: vec![part], poll },
            trigger,
        })
    }

    fn trigger(&mut self, on: &At<OnDraft>, class: Class, kind: RawKind) -> Trigger {
        match &on.value {
            OnDraft::Change => Trigger::Change,
            OnDraft::Becomes(state) => Trigger::Becomes(vec![Value::Bool(*state)]),
            OnDraft::OneOf(values) => {
                Trigger::Becomes(values.iter().filter_map(|value| self.awaited(value, class, kind)).collect())
            }
        }
    }

    /// Each message is an occurrence, where the file says so.
    fn repeated(&mut self, draft: &EventDraft, trigger: Trigger, pushed: bool) -> Trigger {
        let Some(at) = draft.repeat.filter(|repeat| repeat.value) else { return trigger };
        match trigger {
            _ if !pushed => {
                let error = self.report.error(Code::Event, at.span, "what is polled is seen again and again");
                error.help("remove `repeat`: it belongs to devices that send a message for each occurrence");
                trigger
            }
            Trigger::Becomes(wanted) => Trigger::Says(wanted),
            Trigger::Change | Trigger::Says(_) => {
                let error = self.report.error(Code::Event, at.span, "`change` is about what was before");
                error.help(
                    "write in `on` what the message says, such as `[single, double]`, or remove `repeat`",
                );
                trigger
            }
        }
    }

    /// A value that an event waits for: a state, or a raw number.
    fn awaited(&mut self, value: &At<String>, class: Class, kind: RawKind) -> Option<Value> {
        if class == Class::EnumSensor {
            return Some(Value::Text(value.value.clone()));
        }
        match self.raw_number(value, kind) {
            Some(number) => Some(Value::Number(number)),
            None => {
                let message = format!("`{}` is no raw value of this point", value.value);
                let error = self.report.error(Code::Event, value.span, message);
                error.help("write whole numbers, or give the `read` a `map` and write its states");
                None
            }
        }
    }

    /// A whole number as the point delivers it; any decimal of a float.
    pub(super) fn raw_number(&mut self, text: &At<String>, kind: RawKind) -> Option<rust_decimal::Decimal> {
        let whole = match text.value.strip_prefix("0x") {
            Some(hex) => i128::from_str_radix(hex, 16).ok(),
            None => text.value.parse::<i128>().ok(),
        };
        match whole {
            Some(whole) => {
                let raw = self.raw(At::new(whole, text.span), kind);
                rust_decimal::Decimal::try_from_i128_with_scale(raw, 0).ok()
            }
            None => parse_decimal(&text.value).ok().filter(|_| kind.int_range().is_none()),
        }
    }

    fn event_arg(
        &mut self,
        node: Option<NodeId>,
        name: &At<String>,
        shown: &At<String>,
    ) -> Option<(String, EventArg)> {
        self.argument_name(name);
        if shown.value == "${value}" {
            return Some((name.value.clone(), EventArg::Own));
        }
        let point = self.readable_near(node, shown, Code::Event)?;
        Some((name.value.clone(), EventArg::Capability(point)))
    }

    /// The readable capability that a text names.
    pub(super) fn readable_near(
        &mut self,
        node: Option<NodeId>,
        name: &At<String>,
        code: Code,
    ) -> Option<PointId> {
        let draft = self.draft;
        let found = draft.capability_near(node, &name.value);
        let readable = |point: &PointId| {
            draft
                .capabilities
                .get(usize::from(point.0))
                .is_some_and(|cap| cap.read.is_some() || !cap.values.is_empty())
        };
        match found {
            Some(point) if readable(&point) => Some(point),
            Some(_) => {
                let message = format!("the capability `{}` cannot be read", name.value);
                self.report.error(code, name.span, message).help("name one that has `read`");
                None
            }
            // What was meant has a mistake in its key, which was told.
            None if nearest(&name.value, self.flawed.misnamed()).is_some() => None,
            None => {
                let ids = draft.capabilities.iter().map(|cap| cap.id.value.as_str());
                // A key that has to be changed is not what to write.
                let ids: Vec<&str> = ids.filter(|id| is_name(id)).collect();
                let message = format!("there is no capability `{}`", name.value);
                self.report.error(code, name.span, message).suggest(&name.value, &ids);
                None
            }
        }
    }

    /// A name of a command or event.
    pub(super) fn vendor_name(&mut self, id: &At<String>, node: Option<NodeId>) {
        let own = own_name(&id.value, node);
        if !tr181::is_vendor_word(own) || own.len() > 64 {
            let message = format!("`{own}` is no name of a vendor's own");
            let error = self.report.error(Code::VendorName, id.span, message);
            error.help("TR-106 wants `X_VENDOR_Name`, with the vendor in capitals, such as `X_ACME_Reset`");
        }
    }

    /// A name of an argument of a command or event.
    pub(super) fn argument_name(&mut self, name: &At<String>) {
        let text = name.value.as_str();
        let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.len() <= 64
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !is_name {
            let error =
                self.report.error(Code::Name, name.span, format!("`{text}` is no name for an argument"));
            error.help("use letters, digits, `-` and `_`, beginning with a letter, at most 64");
        }
    }

    pub(super) fn fingerprint(&mut self) -> Vec<Fingerprint> {
        let draft: &MappingDraft = self.draft;
        draft.fingerprint.iter().filter_map(|print| self.print(print)).collect()
    }

    fn print(&mut self, print: &FingerprintDraft) -> Option<Fingerprint> {
        let point = self.any_place(&print.point, print.span, "`fingerprint`")?;
        let kind = point.raw_kind();
        let equals = print.equals.iter().filter_map(|text| self.print_value(text, kind)).collect();
        Some(Fingerprint { point, equals })
    }

    fn print_value(&mut self, text: &At<String>, kind: RawKind) -> Option<Raw> {
        match kind {
            RawKind::Text(_) => return Some(Raw::Text(text.value.clone())),
            RawKind::Any => {
                let number = parse_decimal(&text.value).map(Raw::Decimal);
                return Some(number.unwrap_or_else(|_| Raw::Text(text.value.clone())));
            }
            _ => {}
        }
        let number = kind.int_range().and_then(|_| self.raw_number(text, kind));
        let whole = number.and_then(|number| i128::try_from(number).ok());
        if whole.is_none() {
            let message = format!("no device can show `{}` there", text.value);
            let error = self.report.error(Code::Fingerprint, text.span, message);
            error.help("compare a whole number, or a text read `as: string`");
        }
        whole.map(|whole| if kind == RawKind::Bool { Raw::Bool(whole == 1) } else { Raw::Int(whole) })
    }
}

/// What the readings of an event are like.
fn event_class(read: &ReadDraft, on: &OnDraft) -> Class {
    let (is_bit, is_text) = (read.point.at.is_bit(), read.point.at.is_text());
    match on {
        OnDraft::Becomes(_) => Class::BinarySensor,
        _ if read.point.map.is_some() || is_text => Class::EnumSensor,
        OnDraft::OneOf(values) if read.point.message.is_some() => {
            let numbers = values.iter().all(|value| parse_decimal(&value.value).is_ok());
            if numbers { Class::LevelSensor } else { Class::EnumSensor }
        }
        OnDraft::Change if read.point.message.is_some() => Class::EnumSensor,
        OnDraft::Change if is_bit => Class::BinarySensor,
        _ => Class::LevelSensor,
    }
}

/// The name without the node before it.
pub(super) fn own_name(id: &str, node: Option<NodeId>) -> &str {
    match node {
        Some(_) => id.split_once('.').map_or(id, |(_, own)| own),
        None => id,
    }
}
