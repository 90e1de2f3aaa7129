//! `mqtt://[USER@]HOST[:PORT]/AGENT_TOPIC[?agent=ENDPOINT_ID&version=…&password=…&reply=…&qos=…]`.

use std::fmt;
use std::path::Path;

use usp_core::mqtt::port::MqttVersion;
use usp_proto::endpoint_id::EndpointId;

use super::via::{ViaError, authority, split_authority};
use crate::config::secret;
use crate::mqtt::is_topic;

/// The port of MQTT without TLS.
const PORT: u16 = 1883;

/// An Agent behind an MQTT server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttUrl {
    /// The server's name or address, an IPv6 address without its brackets.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// Which MQTT is spoken.
    pub version: MqttVersion,
    /// Who we are to the server; empty: nobody.
    pub username: String,
    /// Where the password is.
    pub password: Option<PasswordPlace>,
    /// Where the Agent listens.
    pub topic: String,
    /// The Agent: Records are addressed to it.
    pub agent: EndpointId,
    /// Where we want its answers; `None`: a topic made of our Endpoint ID.
    pub reply: Option<String>,
    /// Quality of Service of what we publish and subscribe to: 0, 1 or 2.
    pub qos: u8,
}

/// Where a password is; never the password itself, which everybody could see in a list of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordPlace {
    /// `file:PATH`: the first line of a file.
    File(String),
    /// `env:NAME`: an environment variable.
    Env(String),
}

impl PasswordPlace {
    fn parse(text: &str) -> Result<Self, ViaError> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            _ => Err(ViaError::Url("password= wants file:PATH or env:NAME".to_owned())),
        }
    }

    /// The password.
    ///
    /// Errors: it is not where it should be.
    pub(crate) fn read(&self) -> Result<String, String> {
        match self {
            Self::File(path) => secret::from_file(Path::new(path)),
            Self::Env(name) => secret::from_env(name),
        }
    }
}

impl std::str::FromStr for PasswordPlace {
    type Err = ViaError;

    fn from_str(text: &str) -> Result<Self, ViaError> {
        Self::parse(text)
    }
}

impl fmt::Display for PasswordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{path}"),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

/// What may stand behind the `?`.
#[derive(Default)]
struct Query {
    agent: Option<String>,
    version: Option<String>,
    password: Option<String>,
    reply: Option<String>,
    qos: Option<String>,
}

impl Query {
    fn parse(text: &str) -> Result<Self, ViaError> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match key {
                "agent" => &mut query.agent,
                "version" => &mut query.version,
                "password" => &mut query.password,
                "reply" => &mut query.reply,
                "qos" => &mut query.qos,
                _ => return Err(url(format!("`{key}` is none of agent, version, password, reply, qos"))),
            };
            *place = Some(decode(value)?);
        }
        Ok(query)
    }
}

impl MqttUrl {
    /// Reads what follows `mqtt://`.
    pub(super) fn parse(rest: &str) -> Result<Self, ViaError> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (server, topic) = place.split_once('/').unwrap_or((place, ""));
        let (username, server) = server.rsplit_once('@').unwrap_or(("", server));
        if username.contains(':') {
            let text = "a password on a command line can be seen by others: write mqtt://USER@HOST/…?password=env:NAME \
                        or password=file:PATH";
            return Err(url(text.to_owned()));
        }
        let (host, port) = split_authority("mqtt", server, PORT)?;
        let (topic, query) = (checked(decode(topic)?)?, Query::parse(query)?);
        Ok(Self {
            host,
            port,
            version: version(query.version.as_deref())?,
            username: decode(username)?,
            password: query.password.as_deref().map(PasswordPlace::parse).transpose()?,
            agent: agent(query.agent.as_deref(), &topic)?,
            reply: query.reply.map(checked).transpose()?,
            qos: qos(query.qos.as_deref())?,
            topic,
        })
    }
}

fn url(text: String) -> ViaError {
    ViaError::Url(text)
}

fn version(text: Option<&str>) -> Result<MqttVersion, ViaError> {
    let Some(text) = text else { return Ok(MqttVersion::V5) };
    let known = [MqttVersion::V5, MqttVersion::V311].into_iter().find(|version| version.name() == text);
    known.ok_or_else(|| url(format!("version={text}: it is 5.0 or 3.1.1")))
}

fn qos(text: Option<&str>) -> Result<u8, ViaError> {
    match text {
        None | Some("1") => Ok(1),
        Some("0") => Ok(0),
        Some("2") => Ok(2),
        Some(other) => Err(url(format!("qos={other}: it is 0, 1 or 2"))),
    }
}

/// Without `agent=` the last level of the topic may say who listens there.
fn agent(text: Option<&str>, topic: &str) -> Result<EndpointId, ViaError> {
    let text = text.or(topic.rsplit('/').next()).unwrap_or_default();
    EndpointId::parse(text).map_err(|error| {
        url(format!("who listens at `{topic}`? say it with ?agent=ENDPOINT_ID; `{text}` is none: {error}"))
    })
}

fn checked(topic: String) -> Result<String, ViaError> {
    match topic.as_str() {
        "" => Err(url("the Agent's topic is missing: mqtt://HOST/TOPIC?agent=ENDPOINT_ID".to_owned())),
        text if is_topic(text) => Ok(topic),
        text => Err(url(format!("nothing can be published to the topic `{text}`"))),
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, ViaError> {
    let bad = || {
        url(format!("`{text}` has a `%` that is not followed by two hexadecimal digits (write it as %25)"))
    };
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = after.get(..2).filter(|d| d.iter().all(u8::is_ascii_hexdigit)).ok_or_else(bad)?;
            let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| url(format!("`{text}` is not UTF-8")))
}

/// Encodes what would end a part of the URL.
fn encode(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '%' | '?' | '&' | '@' | '#' | ' ' => out.push_str(&format!("%{:02X}", u32::from(c))),
            _ => out.push(c),
        }
        out
    })
}

impl fmt::Display for MqttUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mqtt://")?;
        if !self.username.is_empty() {
            write!(f, "{}@", encode(&self.username))?;
        }
        let (server, topic) = (authority(&self.host, self.port), encode(&self.topic));
        write!(f, "{server}/{topic}?agent={}", encode(self.agent.as_str()))?;
        if self.version != MqttVersion::V5 {
            write!(f, "&version={}", self.version.name())?;
        }
        if let Some(password) = &self.password {
            write!(f, "&password={}", encode(&password.to_string()))?;
        }
        if let Some(reply) = &self.reply {
            write!(f, "&reply={}", encode(reply))?;
        }
        if self.qos != 1 {
            write!(f, "&qos={}", self.qos)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Via;

    fn read(text: &str) -> String {
        match text.parse::<Via>() {
            Ok(via) => via.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn reads_what_it_displays() {
        for text in [
            "mqtt://127.0.0.1:1884/usp/agent/hub1?agent=os::012345-hub1",
            "mqtt://me@[::1]:1883/t?agent=self::a%2521&version=3.1.1&password=env:PW&reply=my/topic&qos=0",
            "mqtt://h:1883/a%20b?agent=self::a&password=file:/run/pw",
        ] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read("mqtt://h/usp/os::1234AB-x"), "mqtt://h:1883/usp/os::1234AB-x?agent=os::1234AB-x");
        assert_eq!(read("mqtt://h/t?version=5.0&agent=self::a&"), "mqtt://h:1883/t?agent=self::a");
    }

    #[test]
    fn refuses_with_a_way_out() {
        let check = |text: &str, told: &str| assert!(read(text).contains(told), "{text}: {}", read(text));
        check("mqtt://h", "topic is missing: mqtt://HOST/TOPIC?agent=ENDPOINT_ID");
        check(
            "mqtt://h/usp/hub1",
            "who listens at `usp/hub1`? say it with ?agent=ENDPOINT_ID; `hub1` is none",
        );
        check("mqtt://h/a/#?agent=self::a", "nothing can be published to the topic `a/#`");
        check("mqtt://h/t?agent=self::a&x=1", "`x` is none of agent, version");
        check("mqtt://h/t?agent=self::a&version=4", "it is 5.0 or 3.1.1");
        check("mqtt://h/t?agent=self::a&qos=3", "it is 0, 1 or 2");
        check("mqtt://h/t?agent=self::a%2", "not followed by two hexadecimal digits");
        check("mqtt://u:secret@h/t?agent=self::a", "write mqtt://USER@HOST/…?password=env:NAME");
        check("mqtt://h/t?agent=self::a&password=secret", "password= wants file:PATH or env:NAME");
        check("mqtt:///t?agent=self::a", "there is no host");
        for text in ["mqtt://u:secret@h/t?agent=self::a", "mqtt://h/t?agent=self::a&password=secret"] {
            assert!(!read(text).contains("secret"));
        }
    }
}
