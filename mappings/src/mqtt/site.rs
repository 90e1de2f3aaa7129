//! Servers and devices in a site file.

use super::{AdoptedFrom, Adoption, MqttServer, MqttTls, MqttVersion};
use crate::code::Code;
use crate::draft::At;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::yaml::{Kind, Node};

/// The keys of a bus that is a server of MQTT, beside `mqtt` itself.
pub(crate) const SERVER_KEYS: [&str; 6] = ["user", "password", "tls", "client_id", "version", "adopt"];

const VERSIONS: [(&str, MqttVersion); 3] =
    [("3.1.1", MqttVersion::V311), ("5.0", MqttVersion::V5), ("5", MqttVersion::V5)];

/// Usual port of a server without TLS.
pub(crate) const PORT: u16 = 1883;

impl Report<'_> {
    /// A bus that is a server.
    pub(crate) fn mqtt_server(&mut self, node: &Node, fields: &Fields<'_>) -> Option<At<MqttServer>> {
        let address = self.bus_address(node, PORT);
        let user = fields.node("user").and_then(|node| self.text(node)).map(|user| user.value);
        let password = fields.node("password").and_then(|node| self.secret(node, "`password`"));
        if let (None, Some(span)) = (fields.key("user"), fields.key("password")) {
            self.missing(span, "a server with a `password`", "user", "the name that the password is for");
        }
        let tls = fields.node("tls").and_then(|node| self.tls(node));
        let server = MqttServer {
            address: address?.value,
            user,
            password,
            tls: tls.flatten(),
            client_id: fields.node("client_id").and_then(|node| self.text(node)).map(|id| id.value),
            version: fields
                .node("version")
                .and_then(|node| self.choice(node, "version of MQTT", &VERSIONS))
                .map_or(MqttVersion::default(), |version| version.value),
            adopt: fields.node("adopt").map(|node| self.adoptions(node)).unwrap_or_default(),
        };
        Some(At::new(server, node.span))
    }

    /// `tls: true`, or with files of one's own.
    fn tls(&mut self, node: &Node) -> Option<Option<MqttTls>> {
        if !matches!(&node.kind, Kind::Map(_)) {
            return self.boolean(node).map(|on| on.value.then(MqttTls::default));
        }
        let fields = self.fields(node, "`tls`", &["ca", "cert", "key"])?;
        let ca = fields.node("ca").and_then(|node| self.text(node)).map(|path| path.value);
        let cert = fields.node("cert").and_then(|node| self.text(node));
        let key = fields.node("key").and_then(|node| self.secret(node, "`key`"));
        for (one, other) in [("cert", "key"), ("key", "cert")] {
            if let (Some(span), None) = (fields.key(one), fields.key(other)) {
                self.missing(span, "`tls`", other, "a certificate and its key belong together");
            }
        }
        Some(Some(MqttTls { ca, identity: cert.map(|cert| cert.value).zip(key) }))
    }

    /// `adopt: [zigbee2mqtt, tasmota]`, or `{zigbee2mqtt: topic}`.
    fn adoptions(&mut self, node: &Node) -> Vec<Adoption> {
        if let Kind::Map(_) = &node.kind {
            let mut all = Vec::new();
            for (name, node) in self.named(node, "`adopt`") {
                let Some(from) = self.adopted(&name) else { continue };
                let topic = self.topic(node).map(|topic| topic.value);
                all.extend(topic.map(|topic| Adoption { from, topic }));
            }
            return all;
        }
        let items = self.list(node, "`adopt`");
        let words: Vec<At<String>> = items.iter().filter_map(|item| self.text(item)).collect();
        let from: Vec<AdoptedFrom> = words.iter().filter_map(|word| self.adopted(word)).collect();
        from.into_iter().map(|from| Adoption { from, topic: from.usual_topic().to_owned() }).collect()
    }

    fn adopted(&mut self, word: &At<String>) -> Option<AdoptedFrom> {
        let found = AdoptedFrom::ALL.into_iter().find(|from| from.name() == word.value);
        if found.is_none() {
            let names: Vec<&str> = AdoptedFrom::ALL.into_iter().map(AdoptedFrom::name).collect();
            let message = format!("devices of `{}` cannot be taken over", word.value);
            self.error(Code::UnknownWord, word.span, message).suggest(&word.value, &names);
        }
        found
    }

    /// What `~` stands for.
    pub(crate) fn device_topic(&mut self, node: &Node) -> Option<At<String>> {
        let topic = self.text(node)?;
        let text = topic.value.as_str();
        let wrong = text.is_empty()
            || text.len() > 512
            || text.starts_with(['/', '$'])
            || text.ends_with('/')
            || text.contains(['+', '#', '~'])
            || text.chars().any(char::is_control);
        if wrong {
            let message = format!("`{text}` is no topic of a device");
            let error = self.error(Code::Topic, node.span, message);
            let meant = text.trim_matches('/');
            let certain = !meant.is_empty() && meant != text && !meant.contains(['+', '#', '~', '$']);
            let error = if certain { error.fix(meant) } else { error };
            error.help(
                "write what its topics have in common, such as `zigbee2mqtt/plug`, without `/` at its ends",
            );
            return None;
        }
        Some(topic)
    }
}
