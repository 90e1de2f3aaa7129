//! MQTT servers and the peers behind them, as far as the core sees them: reports in, orders out.

use usp_core::config::{ControllerMqttSeed, ControllerSeed, CoreConfig, MqttSeed};
use usp_core::input::Input;
use usp_core::mqtt::port::{MqttEvent, MqttFailure, MqttOrder, MqttPublish, MqttUp, MqttVersion};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::{Connect, Record, RecordBody};
use usp_proto::usp;
use usp_proto::usp::request::ReqType;

use super::{BROKER, World, config, text};

/// The Controller that the configuration knows how to reach.
pub(crate) const BOSS: &str = "self::boss";

pub(crate) fn endpoint(text: &str) -> EndpointId {
    EndpointId::parse(text).unwrap()
}

/// `[[mqtt]] main` on this machine, and a Controller that is reached over it.
pub(crate) fn seeds() -> CoreConfig {
    let mut config = config();
    config.seed.mqtt.push(client("main", "127.0.0.1", MqttVersion::V5));
    config.seed.controllers.push(boss());
    config
}

pub(crate) fn client(name: &str, host: &str, version: MqttVersion) -> MqttSeed {
    MqttSeed {
        name: name.to_owned(),
        host: host.to_owned(),
        port: 1883,
        version,
        response_topic: "usp/agent/hub".to_owned(),
        client_id: String::new(),
        username: "hub".to_owned(),
        password: "very secret".to_owned(),
        params: Vec::new(),
    }
}

pub(crate) fn boss() -> ControllerSeed {
    ControllerSeed {
        endpoint_id: endpoint(BOSS),
        role: "Full Access".to_owned(),
        params: Vec::new(),
        mqtt: Some(ControllerMqttSeed { client: "main".to_owned(), topic: "usp/ctrl/boss".to_owned() }),
    }
}

/// What an ordinary server says.
pub(crate) fn connack() -> MqttUp {
    MqttUp { client_id: "given".to_owned(), maximum_qos: 2, ..MqttUp::default() }
}

fn order(order: &MqttOrder) -> String {
    match order {
        MqttOrder::Run { client, settings } => {
            format!(
                "Run {client} {}:{} {} as '{}'",
                settings.host,
                settings.port,
                settings.version.name(),
                settings.client_id
            )
        }
        MqttOrder::Stop { client } => format!("Stop {client}"),
        MqttOrder::Reconnect { client } => format!("Reconnect {client}"),
        MqttOrder::Topics { client, filters } => {
            let one = |f: &usp_core::mqtt::port::MqttFilter| {
                format!("{} q{}{}", f.topic, f.qos, if f.vital { "!" } else { "" })
            };
            format!("Topics {client} {}", filters.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        MqttOrder::Publish { client, publish } => format!("{client} {}", published(publish)),
    }
}

fn published(p: &MqttPublish) -> String {
    let what = match &p.record.body {
        RecordBody::Message(msg) if message::is_request(msg) => message::name(msg).to_owned(),
        RecordBody::Message(msg) => text::answer(msg),
        RecordBody::Connect(Connect::Mqtt { version, subscribed_topic }) => {
            format!("Connect {version:?} {subscribed_topic}")
        }
        RecordBody::Disconnect { code, reason } => format!("Disconnect {code} {reason}"),
        other => format!("{other:?}"),
    };
    format!("{} (q{} reply {}) {what}", p.topic, p.qos, p.reply_to.as_deref().unwrap_or("-"))
}

impl World {
    /// Everything that was ordered since the last look, but for Records.
    pub(crate) fn mqtt_orders(&mut self) -> Vec<String> {
        let other = |o: &mut MqttOrder| !matches!(o, MqttOrder::Publish { .. });
        self.mqtt.extract_if(.., other).map(|o| order(&o)).collect()
    }

    /// Every Record that was published since the last look.
    pub(crate) fn mqtt_records(&mut self) -> Vec<String> {
        let record = |o: &mut MqttOrder| matches!(o, MqttOrder::Publish { .. });
        self.mqtt.extract_if(.., record).map(|o| order(&o)).collect()
    }

    /// The requests that were published since the last look.
    pub(crate) fn mqtt_requests(&mut self) -> Vec<usp::Msg> {
        let of = |order: MqttOrder| match order {
            MqttOrder::Publish { publish, .. } => publish.record.msg().cloned(),
            _ => None,
        };
        std::mem::take(&mut self.mqtt).into_iter().filter_map(of).filter(message::is_request).collect()
    }

    pub(crate) fn mqtt_event(&mut self, client: u32, event: MqttEvent) {
        self.input(Input::Mqtt { client, event });
    }

    /// The server accepts a client.
    pub(crate) fn mqtt_up(&mut self, client: u32, up: MqttUp) {
        self.mqtt_event(client, MqttEvent::Up(up));
    }

    /// The server accepts the client and all its topics.
    pub(crate) fn mqtt_ready(&mut self, client: u32) {
        self.mqtt_up(client, connack());
        self.mqtt_event(client, MqttEvent::Subscribed { refused: Vec::new() });
    }

    pub(crate) fn mqtt_down(&mut self, client: u32, status: MqttFailure) {
        self.mqtt_event(client, MqttEvent::Down { status, reason: "the server is gone".to_owned() });
    }

    /// A Record comes in by a client.
    pub(crate) fn mqtt_record(&mut self, client: u32, record: Record, reply_to: Option<&str>) {
        let event = MqttEvent::Record { record: Box::new(record), reply_to: reply_to.map(str::to_owned) };
        self.mqtt_event(client, event);
    }

    /// A peer's Message comes in by a client.
    pub(crate) fn mqtt_say(&mut self, client: u32, from: &str, msg: usp::Msg, reply_to: Option<&str>) {
        self.mqtt_record(client, Record::message(endpoint(from), endpoint(BROKER), msg), reply_to);
    }

    /// A peer's request, and what was published at once because of it.
    pub(crate) fn mqtt_ask(&mut self, from: &str, request: ReqType, reply_to: Option<&str>) -> Vec<String> {
        self.mqtt_records();
        self.mqtt_say(1, from, message::request("m", request), reply_to);
        self.mqtt_records()
    }
}
