//! From the topics of a draft to those of a mapping.

use std::time::Duration;

use super::draft::{AvailabilityDraft, MqttPlaceDraft, MqttSendDraft};
use super::{MqttAvailability, MqttOptions, MqttRead, MqttSend, MqttWrite, filter_matches};
use crate::code::Code;
use crate::compile::Compiler;
use crate::diagnostic::Span;
use crate::draft::{At, MessagePlace, PointDraft, ReadDraft, WriteDraft};
use crate::payload::Put;
use crate::payload::draft::BodyDraft;

impl Compiler<'_> {
    /// Where a value is published.
    pub(crate) fn mqtt_read(&mut self, place: &MqttPlaceDraft, body: &BodyDraft) -> Option<MqttRead> {
        let topic = self.filter(place.topic.as_ref()?);
        let get = place.get.as_ref().or(self.draft.mqtt.get.as_ref());
        // One for all is checked once, where it stands.
        let get = get.and_then(|get| self.asks(get, place.get.is_some()));
        Some(MqttRead { topic: topic?, pick: self.pick(body)?, get })
    }

    fn asks(&mut self, get: &MqttSendDraft, told: bool) -> Option<MqttSend> {
        let topic = get.topic.as_ref()?;
        let body = BodyDraft { send: get.send.clone(), format: get.format, ..BodyDraft::default() };
        let put = match &get.send {
            None => Some(Put::new(crate::payload::PutForm::Empty)),
            Some(_) => self.put(&body),
        }?;
        if put.form.has_value() && told {
            let error = self.report.error(Code::Body, get.span, "a `get` has no value to send");
            error.help("write what the device wants to be asked with; `$value` belongs into `write`");
            return None;
        }
        let topic = if told { self.name_of_topic(topic)? } else { topic.value.clone() };
        Some(MqttSend { topic, put })
    }

    /// Where and how a value is written.
    pub(crate) fn mqtt_write(
        &mut self,
        place: &MqttPlaceDraft,
        body: &BodyDraft,
        (span, what): (Span, &str),
    ) -> Option<MqttWrite> {
        let Some(topic) = &place.topic else {
            let error = self.report.absent(Code::MissingKey, span, format!("{what} needs the key `topic`"));
            error.help("where the device listens, such as `topic: ~/set`: what it says itself is elsewhere");
            return None;
        };
        let topic = self.name_of_topic(topic);
        let qos = place.qos.or(self.draft.mqtt.qos).map_or(0, |qos| qos.value);
        let retain = place.retain.is_some_and(|retain| retain.value);
        Some(MqttWrite { put: self.put(body)?, topic: topic?, qos, retain })
    }

    /// What is published where the value is read comes back from the server, whatever the device does.
    pub(crate) fn check_echo(&mut self, write: &WriteDraft, read: Option<&ReadDraft>) {
        let topic = |point: &PointDraft| match &point.message.as_ref()?.place {
            MessagePlace::Mqtt(place) => place.topic.clone(),
            MessagePlace::Coap(_)
            | MessagePlace::Line(_)
            | MessagePlace::Ble(_)
            | MessagePlace::Zigbee(_) => None,
        };
        let Some((to, from)) = topic(&write.point).zip(read.and_then(|read| topic(&read.point))) else {
            return;
        };
        if filter_matches(&from.value, &to.value) {
            let message = "the write is heard where it is to be confirmed, whatever the device does";
            let error = self.report.error(Code::Verify, to.span, message);
            error.help("write the topic where the device listens, or `verify: false` if it has no other");
        }
    }

    /// How devices of this model behave.
    pub(crate) fn mqtt_options(&mut self) -> MqttOptions {
        let draft = &self.draft.mqtt;
        if let Some(get) = &draft.get {
            self.asks(get, true);
        }
        MqttOptions {
            availability: draft.availability.iter().filter_map(|one| self.available(one)).collect(),
            qos: draft.qos.map_or(0, |qos| qos.value),
            timeout: draft.timeout.map_or(Duration::from_secs(5), |timeout| timeout.value),
        }
    }

    fn available(&mut self, draft: &AvailabilityDraft) -> Option<MqttAvailability> {
        let words = |given: &[At<String>], usual: &str| match given {
            [] => vec![usual.to_owned()],
            given => given.iter().map(|word| word.value.clone()).collect(),
        };
        let (online, offline) = (words(&draft.online, "online"), words(&draft.offline, "offline"));
        if let Some(both) = draft.offline.iter().find(|word| online.contains(&word.value)) {
            let message = format!("`{}` says that the device is there and that it is not", both.value);
            self.report.error(Code::MapRaw, both.span, message).help("keep it in one of the two");
        }
        let topic = draft.topic.as_ref().and_then(|topic| self.any_filter(topic))?;
        Some(MqttAvailability { topic, pick: self.pick(&draft.body)?, online, offline })
    }

    /// A topic filter that is the device's own.
    fn filter(&mut self, topic: &At<String>) -> Option<String> {
        let filter = self.any_filter(topic)?;
        self.of_the_device(topic);
        Some(filter)
    }

    /// A topic filter.
    fn any_filter(&mut self, topic: &At<String>) -> Option<String> {
        let text = topic.value.as_str();
        self.levels(topic)?;
        if text.contains('#') {
            let error = self.report.error(Code::Topic, topic.span, "`#` stands for any number of levels");
            error.help("name the topic of the value; `+` stands for one level");
            return None;
        }
        if text.split('/').any(|level| level.contains('+') && level != "+") {
            let error = self.report.error(Code::Topic, topic.span, "`+` stands for a whole level");
            error.help("write it between two `/`, such as `~/+/state`");
            return None;
        }
        Some(text.to_owned())
    }

    /// A topic name that is the device's own.
    fn name_of_topic(&mut self, topic: &At<String>) -> Option<String> {
        self.levels(topic)?;
        if topic.value.contains(['+', '#']) {
            let message = "nothing can be published to several topics at once";
            let error = self.report.error(Code::Topic, topic.span, message);
            error.help("write the one topic where the device listens, without `+` and `#`");
            return None;
        }
        self.of_the_device(topic);
        Some(topic.value.clone())
    }

    /// What topics of both kinds must be like.
    fn levels(&mut self, topic: &At<String>) -> Option<()> {
        let text = topic.value.as_str();
        let partial = text.split('/').any(|level| level.contains('~') && level != "~");
        let (message, help, fix) = if text.is_empty() {
            ("a topic has at least one character", "write it, such as `~/state`".to_owned(), None)
        } else if text.starts_with('/') {
            let meant = text.trim_start_matches('/').to_owned();
            let message = "a topic that begins with `/` has an empty first level, which is hardly ever meant";
            (message, format!("write `{meant}`"), Some(meant).filter(|meant| !meant.is_empty()))
        } else if partial {
            (
                "`~` stands for whole levels",
                "write it between two `/`, such as `tele/~/STATE`".to_owned(),
                None,
            )
        } else if text.len() > 1024 || text.chars().any(char::is_control) {
            (
                "there is no such topic",
                "topics have at most 1024 bytes here, and no control characters".to_owned(),
                None,
            )
        } else {
            return Some(());
        };
        let error = self.report.error(Code::Topic, topic.span, message);
        match fix {
            Some(fix) if fix == "~" => error.fix("\"~\"").help("write \"~\""),
            Some(fix) => error.fix(fix).help(help),
            None => error.help(help),
        }
        None
    }

    /// A topic without `~` is the same for every device of the model.
    fn of_the_device(&mut self, topic: &At<String>) {
        if topic.value.split('/').any(|level| level == "~") {
            return;
        }
        let message = format!("every device of this model has the topic `{}`", topic.value);
        let warning = self.report.warn(Code::Topic, topic.span, message);
        warning.help("write `~` for what differs, such as `~/state`: the site gives each device its `topic`");
    }
}
