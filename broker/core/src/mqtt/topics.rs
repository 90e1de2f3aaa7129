//! Which topics a client listens on, and where it wants its answers (R-MQTT.15, R-MQTT.16, R-MQTT.21).

use std::collections::BTreeMap;

use super::plan::ClientPlan;
use super::port::{MqttFilter, MqttUp, MqttVersion};

/// Bytes of a topic that a peer may ask us to answer on.
const MAX_TOPIC: usize = 1024;

/// What follows from a client's settings and from what its server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topics {
    /// Everything to subscribe to.
    pub filters: Vec<MqttFilter>,
    /// The Agent's own reply-to topic, by the number of its `LocalAgent.MTP.` row.
    pub replies: BTreeMap<u32, String>,
}

impl Topics {
    /// `None`: there is nothing to listen on (R-MQTT.16), or an Agent has no topic for answers (R-MQTT.22).
    pub(crate) fn of(plan: &ClientPlan, up: &MqttUp) -> Option<Self> {
        let mut topics = Self::default();
        let mut add = |topic: &str, qos: u8, vital: bool| match topics
            .filters
            .iter_mut()
            .find(|f| covers(&f.topic, topic))
        {
            Some(known) => known.vital |= vital,
            None => topics.filters.push(MqttFilter { topic: topic.to_owned(), qos, vital }),
        };
        for wanted in &plan.subscriptions {
            add(&wanted.topic, wanted.qos, false);
        }
        let qos = plan.agents.iter().map(|a| a.qos).max().unwrap_or(1).min(up.maximum_qos);
        let told = up.subscribe_topics.iter().filter(|t| is_filter(t)).map(String::as_str);
        for topic in told.clone() {
            add(topic, qos, false);
        }
        // Where nothing is configured, a topic that we were told to listen on does for answers too.
        let fallback = told.chain(plan.subscriptions.iter().map(|s| &*s.topic)).find(|t| is_topic(t));
        for agent in &plan.agents {
            let discovered = up.response_information.as_deref().filter(|t| is_topic(t));
            let configured = Some(agent.configured.as_str()).filter(|t| !t.is_empty());
            let reply = discovered.or(configured.map(base)).or(fallback)?;
            match (plan.settings.version, discovered, configured) {
                // Answers come to `base/reply-to=…` (R-MQTT.24), which only a wildcard finds.
                (MqttVersion::V311, _, _) => add(&format!("{reply}/#"), qos, true),
                (MqttVersion::V5, None, Some(configured)) => add(configured, qos, true),
                (MqttVersion::V5, _, _) => add(reply, qos, true),
            }
            topics.replies.insert(agent.number, reply.to_owned());
        }
        (!topics.filters.is_empty()).then_some(topics)
    }
}

/// A configured topic may be a filter; answers go to what stands before its wildcard.
fn base(topic: &str) -> &str {
    topic.strip_suffix("/#").or_else(|| topic.strip_suffix("/+")).unwrap_or(topic)
}

/// Whether something can be published there.
pub(crate) fn is_topic(text: &str) -> bool {
    !text.contains(['+', '#']) && is_filter(text)
}

/// Whether an answer may go there.
pub(crate) fn is_answerable(text: &str) -> bool {
    is_topic(text) && text.len() <= MAX_TOPIC && !text.starts_with('$')
}

/// Whether it can be subscribed to: wildcards stand alone in their level, `#` in the last.
pub(crate) fn is_filter(text: &str) -> bool {
    let mut levels = text.split('/').rev();
    let last = levels.next().unwrap_or_default();
    let plain = |level: &str| level == "+" || !level.contains(['+', '#']);
    let fits = !text.is_empty() && text.len() <= usize::from(u16::MAX) && !text.contains('\0');
    fits && (last == "#" || plain(last)) && levels.all(plain)
}

/// Whether a filter takes in everything that another one does (MQTT 5.0, section 4.7).
pub(crate) fn covers(filter: &str, other: &str) -> bool {
    let (mut levels, mut others) = (filter.split('/'), other.split('/').peekable());
    if other.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    loop {
        match (levels.next(), others.next()) {
            (Some("#"), _) => return true,
            (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(own), Some(level)) if own == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_covers_what_it_matches() {
        for (filter, other) in
            [("a/b", "a/b"), ("a/#", "a"), ("a/#", "a/b/c"), ("a/+", "a/b"), ("#", "a/#"), ("+/b", "+/b")]
        {
            assert!(covers(filter, other), "{filter} {other}");
        }
        for (filter, other) in
            [("a/b", "a/c"), ("a/+", "a"), ("a/+", "a/b/c"), ("a/+", "a/#"), ("a", "a/#"), ("#", "$SYS/x")]
        {
            assert!(!covers(filter, other), "{filter} {other}");
        }
    }

    #[test]
    fn filters_and_topics_are_told_apart() {
        assert!(is_topic("a/b") && is_topic("/") && !is_topic("a/+") && !is_topic("") && !is_topic("a\0"));
        assert!(is_filter("a/+/b/#") && is_filter("#") && !is_filter("a#") && !is_filter("#/a"));
        assert!(!is_answerable("$SYS/x") && !is_answerable(&"x".repeat(2000)) && is_answerable("a"));
    }
}
