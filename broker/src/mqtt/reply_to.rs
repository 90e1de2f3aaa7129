//! Where answers are wanted, in MQTT 3.1.1: the end of the topic that a Record is published to.

const MARK: &str = "/reply-to=";

/// The topic to publish to, with where answers are wanted (R-MQTT.24).
pub(super) fn append(topic: &str, reply_to: Option<&str>) -> String {
    match reply_to {
        Some(reply_to) => format!("{topic}{MARK}{}", reply_to.replace('/', "%2F")),
        None => topic.to_owned(),
    }
}

/// What follows the last mark in a topic (R-MQTT.25).
pub(super) fn of(topic: &str) -> Option<String> {
    let (_, reply_to) = topic.rsplit_once(MARK)?;
    (!reply_to.is_empty()).then(|| reply_to.replace("%2F", "/").replace("%2f", "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_encoded_there_and_back() {
        let topic = append("gw/a/oui:ABCDEF:box-1", Some("gw/c/fqdn::acs.example.net"));
        assert_eq!(topic, "gw/a/oui:ABCDEF:box-1/reply-to=gw%2Fc%2Ffqdn::acs.example.net");
        assert_eq!(of(&topic).as_deref(), Some("gw/c/fqdn::acs.example.net"));
        assert_eq!(append("t", None), "t");
    }

    #[test]
    fn the_last_mark_counts_and_only_slashes_are_decoded() {
        let check = |topic, expected: Option<&str>| assert_eq!(of(topic).as_deref(), expected, "{topic}");
        check("a/reply-to=b/reply-to=c%2fd", Some("c/d"));
        check("a/reply-to=os::x%2541", Some("os::x%2541"));
        check("a/reply-to=", None);
        check("a/b", None);
        check("reply-to=x", None);
    }
}
