//! An MQTT server that does what a case says, and tells what the Agent does as lines of words.
//!
//! ```text
//! CONNECT 5.0|3.1.1 id=ID clean=BOOL keep=SECONDS user=NAME password=TEXT [NAME=VALUE of a property or a user property]
//! SUBSCRIBE TOPIC qN ...          UNSUBSCRIBE TOPIC ...          PINGREQ         DISCONNECT CODE        ended
//! PUBLISH TOPIC qN [reply=TOPIC type=TYPE] record LINES of the Message, or what else the Record is
//! ```
//!
//! By itself it acknowledges what is published and answers pings.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use usp_proto::record::{self, Record, RecordBody};
use usp_proto::usp_record::mqtt_connect_record::MqttVersion;
use usp_simulators::mqtt::{Connack, Connect, Packet, Peer, Property, Publish, Server};

use crate::link::mqtt;
use crate::pattern::shown;
use crate::show;

/// What the server does next.
enum Order {
    /// Sends a packet.
    Say(Packet),
    /// Closes the connection without a word.
    HangUp,
}

/// A server for one Agent.
pub struct Scripted {
    address: SocketAddr,
    version: u8,
    orders: UnboundedSender<Order>,
    seen: Receiver<(Instant, String)>,
}

impl Scripted {
    /// Listens on a free port; the Agent speaks this version.
    pub fn start(version: u8) -> Self {
        let (orders, todo) = unbounded_channel();
        let (sender, seen) = channel();
        let (tell, address) = channel();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || {
            runtime.block_on(async {
                let server = Server::start().await?;
                tell.send(server.address()?).map_err(io::Error::other)?;
                serve(&server, todo, &sender).await
            })
        });
        Self { address: address.recv().unwrap(), version, orders, seen }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the Agent does next, and when it did.
    pub fn hear(&self, until: Instant) -> Option<(Instant, String)> {
        self.seen.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }

    /// Does what a line says: `connack [code=N] [id=ID] [response=TOPIC] [NAME=VALUE]` (the last as User Properties),
    /// `suback CODE...` (to the newest SUBSCRIBE), `unsuback`, `disconnect CODE`, `hangup`.
    pub fn act(&self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers = || rest.split_whitespace().map(|code| code.parse().map_err(|_| format!("{code:?}")));
        let order = match word {
            "connack" => Order::Say(Packet::Connack(connack(rest)?)),
            // The identifier is filled in where the packet is known that it answers.
            "suback" => Order::Say(Packet::Suback { id: 0, codes: numbers().collect::<Result<_, _>>()? }),
            "unsuback" => Order::Say(Packet::Unsuback { id: 0, codes: vec![0] }),
            "disconnect" => Order::Say(Packet::Disconnect { code: numbers().next().ok_or("a code")?? }),
            "hangup" => Order::HangUp,
            other => return Err(format!("{other:?} is nothing that a server does")),
        };
        self.orders.send(order).map_err(|error| error.to_string())
    }

    /// Delivers a Record as if a Controller had published it, with the topic for its answer and a content type.
    pub fn deliver(&self, qos: u8, reply: &str, kind: &str, record: Vec<u8>) -> Result<(), String> {
        let publish = mqtt::publication(self.version, mqtt::AGENT_TOPIC, reply, kind, record);
        let publish = Publish { qos, id: 77, ..publish };
        self.orders.send(Order::Say(Packet::Publish(publish))).map_err(|error| error.to_string())
    }
}

fn connack(rest: &str) -> Result<Connack, String> {
    let mut connack = Connack::default();
    for word in rest.split_whitespace() {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is no NAME=VALUE"))?;
        let value = value.to_owned();
        match name {
            "code" => connack.code = value.parse().map_err(|_| "code=NUMBER")?,
            "id" => connack.properties.push(Property::Text(Property::ASSIGNED_CLIENT, value)),
            "response" => connack.properties.push(Property::Text(Property::RESPONSE_INFORMATION, value)),
            _ => connack.properties.push(Property::User(name.to_owned(), value)),
        }
    }
    Ok(connack)
}

type Seen = Sender<(Instant, String)>;

async fn serve(server: &Server, mut todo: UnboundedReceiver<Order>, seen: &Seen) -> io::Result<()> {
    loop {
        let mut peer = server.accept().await?;
        // Whatever breaks is told; the Agent may come again.
        converse(&mut peer, &mut todo, seen).await.ok();
        drop(peer);
        tell(seen, "ended".to_owned())?;
    }
}

async fn converse(peer: &mut Peer, todo: &mut UnboundedReceiver<Order>, seen: &Seen) -> io::Result<()> {
    let mut asked = 0;
    loop {
        tokio::select! {
            order = todo.recv() => match order {
                Some(Order::Say(packet)) => peer.say(&answering(packet, asked)).await?,
                Some(Order::HangUp) | None => return Ok(()),
            },
            packet = peer.packet() => {
                let Some(packet) = packet? else { return Ok(()) };
                match &packet {
                    Packet::Pingreq => peer.say(&Packet::Pingresp).await?,
                    Packet::Publish(publish) if publish.qos == 1 => {
                        peer.say(&Packet::Puback { id: publish.id, code: 0 }).await?;
                    }
                    Packet::Subscribe { id, .. } | Packet::Unsubscribe { id, .. } => asked = *id,
                    // Ours was delivered.
                    Packet::Puback { .. } => continue,
                    _ => {}
                }
                tell(seen, line(&packet))?;
            }
        }
    }
}

fn answering(packet: Packet, asked: u16) -> Packet {
    match packet {
        Packet::Suback { codes, .. } => Packet::Suback { id: asked, codes },
        Packet::Unsuback { codes, .. } => Packet::Unsuback { id: asked, codes },
        other => other,
    }
}

fn tell(seen: &Seen, line: String) -> io::Result<()> {
    seen.send((Instant::now(), line)).map_err(io::Error::other)
}

fn line(packet: &Packet) -> String {
    match packet {
        Packet::Connect(connect) => of_connect(connect),
        Packet::Subscribe { filters, .. } => {
            let filter = |(topic, qos): &(String, u8)| format!(" {topic} q{qos}");
            format!("SUBSCRIBE{}", filters.iter().map(filter).collect::<String>())
        }
        Packet::Unsubscribe { filters, .. } => format!("UNSUBSCRIBE {}", filters.join(" ")),
        Packet::Publish(publish) => of_publish(publish),
        Packet::Pingreq => "PINGREQ".to_owned(),
        Packet::Disconnect { code } => format!("DISCONNECT {code}"),
        other => format!("{other:?}"),
    }
}

fn of_connect(connect: &Connect) -> String {
    let Connect { clean, keep_alive, client_id, .. } = connect;
    let version = if connect.version == 4 { "3.1.1" } else { "5.0" };
    let text = |text: &Option<String>| shown(text.as_deref().unwrap_or("-"));
    let (user, password) = (text(&connect.username), text(&connect.password));
    let mut out = format!(
        "CONNECT {version} id={client_id} clean={clean} keep={keep_alive} user={user} password={password}"
    );
    for property in &connect.properties {
        match property {
            Property::User(name, value) => out += &format!(" {name}={value}"),
            Property::Byte(Property::REQUEST_RESPONSE, value) => out += &format!(" request-response={value}"),
            _ => {}
        }
    }
    out
}

fn of_publish(publish: &Publish) -> String {
    let mut out = format!("PUBLISH {} q{}", publish.topic, publish.qos);
    for (name, number) in [("reply", Property::RESPONSE_TOPIC), ("type", Property::CONTENT_TYPE)] {
        out += &publish.text(number).map(|text| format!(" {name}={text}")).unwrap_or_default();
    }
    let record = match Record::decode(&publish.payload) {
        Ok(Record { body: RecordBody::Message(msg), .. }) => show::lines(&msg).join(" "),
        Ok(Record {
            body: RecordBody::Connect(record::Connect::Mqtt { version, subscribed_topic }), ..
        }) => {
            let version = if version == MqttVersion::V311 { "3.1.1" } else { "5.0" };
            format!("Connect MQTT {version} {subscribed_topic}")
        }
        Ok(Record { body: RecordBody::Disconnect { .. }, .. }) => "Disconnect".to_owned(),
        other => format!("{other:?}"),
    };
    out + " record " + &record
}
