//! Where values are, by the protocol of the mapping.

use std::time::Duration;

use super::Compiler;
use crate::code::Code;
use crate::diagnostic::Span;
use crate::draft::{At, MessageDraft, MessagePlace, PointDraft, PollDraft, WriteDraft};
use crate::mapping::{Class, CoapOptions, MqttOptions, Poll, Protocol, ProtocolKind, ReadPoint, WritePoint};

impl Compiler<'_> {
    /// Where a value of this class is read.
    pub(super) fn read_place(&mut self, class: Class, draft: &PointDraft, span: Span) -> Option<ReadPoint> {
        match &draft.message {
            Some(message) => self.message_read(message),
            None => self.modbus_read(class, draft, span),
        }
    }

    /// Where any value is read. `what` has no class of its own.
    pub(super) fn any_place(&mut self, draft: &PointDraft, span: Span, what: &str) -> Option<ReadPoint> {
        match &draft.message {
            Some(message) => self.message_read(message),
            None => self.modbus_any(draft, span, what),
        }
    }

    /// Where a value of this class is written; what is left out may be taken from where it is read.
    pub(super) fn write_place(
        &mut self,
        class: Class,
        write: &WriteDraft,
        read: Option<&PointDraft>,
    ) -> Option<WritePoint> {
        match &write.point.message {
            Some(message) => {
                let read = read.and_then(|read| read.message.as_deref());
                self.message_write((message, &write.point), read, "`write`")
            }
            None => self.modbus_write(class, write, read),
        }
    }

    /// Where a step of a command goes.
    pub(super) fn step_place(&mut self, write: &WriteDraft) -> Option<WritePoint> {
        match &write.point.message {
            Some(message) => self.message_write((message, &write.point), None, "a step"),
            None => {
                let place = self.modbus_any(&write.point, write.span, "a step")?;
                self.written_to(write, place)
            }
        }
    }

    fn message_read(&mut self, message: &MessageDraft) -> Option<ReadPoint> {
        match &message.place {
            MessagePlace::Mqtt(place) => self.mqtt_read(place, &message.body).map(ReadPoint::Mqtt),
            MessagePlace::Coap(place) => self.coap_read(place, &message.body).map(ReadPoint::Coap),
            MessagePlace::Line(place) => {
                self.line_read(place, &message.body, message.span).map(ReadPoint::Line)
            }
            MessagePlace::Ble(place) => self.ble_read(place, &message.body, message.span).map(ReadPoint::Ble),
            MessagePlace::Zigbee(place) => {
                self.zigbee_read(place, &message.body, message.span).map(ReadPoint::Zigbee)
            }
        }
    }

    fn message_write(
        &mut self,
        (message, point): (&MessageDraft, &PointDraft),
        read: Option<&MessageDraft>,
        what: &str,
    ) -> Option<WritePoint> {
        let at = (message.span, what);
        match &message.place {
            MessagePlace::Mqtt(place) => self.mqtt_write(place, &message.body, at).map(WritePoint::Mqtt),
            MessagePlace::Coap(place) => {
                let read = read.and_then(|read| match &read.place {
                    MessagePlace::Coap(place) => Some((place, &read.body)),
                    MessagePlace::Mqtt(_)
                    | MessagePlace::Line(_)
                    | MessagePlace::Ble(_)
                    | MessagePlace::Zigbee(_) => None,
                });
                self.coap_write(place, &message.body, read, at).map(WritePoint::Coap)
            }
            MessagePlace::Line(place) => self.line_write(place, &message.body, at).map(WritePoint::Line),
            MessagePlace::Ble(place) => {
                let read = read.and_then(|read| match &read.place {
                    MessagePlace::Ble(place) => Some((&**place, &read.body)),
                    MessagePlace::Mqtt(_)
                    | MessagePlace::Coap(_)
                    | MessagePlace::Line(_)
                    | MessagePlace::Zigbee(_) => None,
                });
                self.ble_write(place, &message.body, read, at).map(WritePoint::Ble)
            }
            MessagePlace::Zigbee(place) => {
                let read = read.and_then(|read| match &read.place {
                    MessagePlace::Zigbee(place) => Some(&**place),
                    MessagePlace::Mqtt(_)
                    | MessagePlace::Coap(_)
                    | MessagePlace::Line(_)
                    | MessagePlace::Ble(_) => None,
                });
                let names = point.map.iter().flat_map(|map| &map.texts).map(|(name, _)| name.clone());
                let names: Vec<At<String>> = names.collect();
                self.zigbee_write(place, read, &names, at).map(WritePoint::Zigbee)
            }
        }
    }

    /// How devices of this model behave.
    pub(super) fn options(&mut self) -> Protocol {
        match self.draft.protocol {
            ProtocolKind::Modbus => Protocol::Modbus(self.modbus_options()),
            ProtocolKind::Mqtt => Protocol::Mqtt(self.mqtt_options()),
            ProtocolKind::Coap => Protocol::Coap(self.coap_options()),
            ProtocolKind::Line => Protocol::Line(self.line_options()),
            ProtocolKind::Ble => Protocol::Ble(self.ble_options()),
            ProtocolKind::Zigbee => Protocol::Zigbee(self.zigbee_options()),
        }
    }

    /// How long one exchange may take.
    pub(super) fn exchange_timeout(&self) -> Duration {
        let (given, usual) = match self.draft.protocol {
            ProtocolKind::Modbus => (self.draft.modbus.timeout, Duration::from_secs(1)),
            ProtocolKind::Mqtt => (self.draft.mqtt.timeout, MqttOptions::default().timeout),
            ProtocolKind::Coap => (self.draft.coap.timeout, CoapOptions::default().timeout),
            ProtocolKind::Line => (self.draft.line.timeout, Duration::from_secs(1)),
            ProtocolKind::Ble => (self.draft.ble.timeout, Duration::from_secs(5)),
            ProtocolKind::Zigbee => (None, self.zigbee_timeout()),
        };
        given.map_or(usual, |timeout| timeout.value)
    }

    /// How long a write may wait to be sent, unless the file says otherwise.
    pub(super) fn usual_ttl(&self) -> Duration {
        match self.draft.protocol {
            // A connection has to be made first, and others may have to give theirs up for it.
            ProtocolKind::Ble => Duration::from_secs(20),
            ProtocolKind::Zigbee => self.zigbee_ttl(),
            _ => Duration::from_secs(5),
        }
    }

    /// How long a device may take to show what was written, unless the file says otherwise.
    pub(super) fn usual_verify(&self) -> Duration {
        match self.draft.protocol {
            ProtocolKind::Modbus => Duration::from_secs(1),
            ProtocolKind::Coap | ProtocolKind::Line => Duration::from_secs(2),
            // Devices behind a bridge, or slow over the air, some of them asleep.
            ProtocolKind::Mqtt | ProtocolKind::Ble => Duration::from_secs(5),
            ProtocolKind::Zigbee => self.zigbee_verify(),
        }
    }

    /// When what a device says by itself is asked for all the same; `None`: as anything else.
    pub(super) fn said_poll(&mut self, message: &MessageDraft, poll: Option<&At<PollDraft>>) -> Option<Poll> {
        if let MessagePlace::Ble(place) = &message.place {
            let group = poll.filter(|poll| matches!(poll.value, PollDraft::Group(_)));
            return self.ble_poll(place, group.map(|poll| poll.span));
        }
        let (pushed, asked) = match &message.place {
            MessagePlace::Mqtt(place) => (true, place.get.is_some() || self.draft.mqtt.get.is_some()),
            MessagePlace::Coap(place) => (place.observe.is_some_and(|observe| observe.value), true),
            MessagePlace::Line(place) => (place.send.is_none(), place.send.is_some()),
            MessagePlace::Ble(_) => return None,
            MessagePlace::Zigbee(place) => self.said_by_zigbee(place),
        };
        // An observed CoAP device that is gone says nothing any more; only a poll finds that out.
        let heard_only = pushed && !matches!(message.place, MessagePlace::Coap(_));
        match poll {
            None if heard_only => Some(Poll::Once),
            Some(At { value: PollDraft::Group(_), span }) if !asked => {
                let how = match self.draft.protocol {
                    ProtocolKind::Line => "send",
                    ProtocolKind::Zigbee => "attribute",
                    _ => "get",
                };
                let error = self.report.error(Code::Unaskable, *span, "the device cannot be asked for it");
                error.help(format!("say with `{how}` how it is asked, or remove `poll`: what it says by itself is always heard"));
                Some(Poll::Once)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::compile::compile_file;
    use crate::diagnostic::SourceFile;
    use crate::mapping::Poll;

    /// How a number is polled that the device tells by itself, of a file with a poll group.
    fn poll(protocol: &str, place: &str) -> Poll {
        let text = format!(
            "uspmap: 1\nprofile: a.b\nversion: 1.0.0\ndevice: {{type: X_ACME_Thing}}\n{protocol}\n\
             poll: {{slow: 30s}}\ncapabilities:\n  \
             t: {{class: LevelSensor, type: Temperature, unit: degC, read: {{{place}}}}}\n"
        );
        let (mapping, found) = compile_file(&SourceFile::new("x.yaml", &text));
        let mapping = mapping.unwrap_or_else(|| panic!("{found:#?}"));
        mapping.capabilities[0].read.as_ref().unwrap().poll
    }

    /// One that is gone says nothing any more, and nobody keeps count of it.
    #[test]
    fn what_is_observed_is_polled_all_the_same() {
        assert_eq!(poll("coap: {}", "path: /t, observe: true"), Poll::Every(Duration::from_secs(30)));
        assert_eq!(poll("mqtt: {}", "topic: t"), Poll::Once);
    }
}
