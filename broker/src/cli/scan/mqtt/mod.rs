//! `usp-broker scan mqtt`: which devices speak on an MQTT server, as adoption would take them over.

mod listen;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use usp_core::mqtt::port::{MqttSettings, MqttVersion};
use usp_mapping::adopt::Adopter;
use usp_mapping::mapping::{AdoptedFrom, Adoption};

use self::listen::listen;
use super::range::time;
use crate::cli::Failure;
use crate::cli::interrupt::Interrupt;
use crate::client::{PasswordPlace, random_text};

/// Port of MQTT without TLS.
const PORT: u16 = 1883;

/// Seconds between pings.
const KEEP_ALIVE: u16 = 30;

/// Look for devices on an MQTT server: Zigbee2MQTT, Tasmota, Shelly (second generation and later), Home Assistant's discovery
///
/// It listens for a while to what these tell of themselves; Shelly devices are asked what they have, and nothing else is
/// published. The mappings and the site file are those of `adopt` in a site file; they are printed or, with -o, written.
#[derive(Debug, clap::Args)]
pub(crate) struct Mqtt {
    /// Server: 192.168.1.2, mqtt.lan:1883; the port is 1883 unless it is given
    #[arg(value_name = "HOST[:PORT]")]
    server: String,
    /// User name
    #[arg(long)]
    user: Option<String>,
    /// Where the password is: env:NAME or file:PATH
    #[arg(long, value_name = "PLACE", requires = "user")]
    password: Option<PasswordPlace>,
    /// MQTT 5.0 or 3.1.1
    #[arg(long, default_value = "5.0", value_parser = ["5.0", "3.1.1"])]
    version: String,
    /// How long to listen
    #[arg(long = "for", default_value = "5s", value_name = "TIME", value_parser = time)]
    time: Duration,
    /// Whose devices, with its topic where it is not the usual one: zigbee2mqtt, zigbee2mqtt=TOPIC, tasmota, shelly, homeassistant
    #[arg(long, value_name = "WHOSE[=TOPIC]", value_delimiter = ',', value_parser = adoption)]
    from: Vec<Adoption>,
    /// Write site.yaml and the mapping files into this folder
    #[arg(short = 'o', long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What was found, as one JSON object
    #[arg(long)]
    json: bool,
}

/// `zigbee2mqtt=home/zigbee`.
fn adoption(text: &str) -> Result<Adoption, String> {
    let (name, topic) = text.split_once('=').map_or((text, None), |(name, topic)| (name, Some(topic)));
    let Some(from) = AdoptedFrom::ALL.into_iter().find(|known| known.name() == name) else {
        return Err(format!("`{name}` is none of zigbee2mqtt, tasmota, shelly and homeassistant"));
    };
    let topic = topic.unwrap_or_else(|| from.usual_topic());
    if topic.is_empty() || !crate::mqtt::is_filter(topic) || topic.contains('#') {
        return Err(format!("`{topic}` is no topic"));
    }
    Ok(Adoption { from, topic: topic.to_owned() })
}

pub(super) async fn scan(args: &Mqtt) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let (host, port) = server(&args.server)?;
    let adopt = if args.from.is_empty() { usual() } else { args.from.clone() };
    let own = format!("usp-broker-{:.8}", random_text());
    let mut adopter = Adopter::new(&adopt, &own);
    let settings = settings(args, host.clone(), port, own)?;
    let whole = tokio::select! {
        heard = listen(&settings, args, &mut adopter) => {
            heard.map_err(|why| Failure::failed(format!("{host}:{port}: {why}")))?;
            true
        }
        () = interrupt.wait() => false,
    };
    report::report(args, &adopt, &mut adopter, whole)
}

fn usual() -> Vec<Adoption> {
    let one = |from: AdoptedFrom| Adoption { from, topic: from.usual_topic().to_owned() };
    AdoptedFrom::ALL.map(one).into()
}

fn server(text: &str) -> Result<(String, u16), Failure> {
    let wrong = || Failure::invalid(format!("`{text}` is no server; write 192.168.1.2 or mqtt.lan:1883"));
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
        None => (text, PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
    plain.then(|| (host.to_owned(), port)).ok_or_else(wrong)
}

fn settings(args: &Mqtt, host: String, port: u16, client_id: String) -> Result<MqttSettings, Failure> {
    let password = args.password.as_ref().map(PasswordPlace::read).transpose().map_err(Failure::invalid)?;
    Ok(MqttSettings {
        name: "scan".to_owned(),
        host,
        port,
        version: if args.version == "3.1.1" { MqttVersion::V311 } else { MqttVersion::V5 },
        endpoint_id: client_id.clone(),
        client_id,
        username: args.user.clone().unwrap_or_default(),
        password: password.unwrap_or_default(),
        clean: true,
        session_expiry: 0,
        keep_alive: KEEP_ALIVE,
        receive_maximum: None,
        request_response_information: false,
        request_problem_information: true,
        retry_time: 0,
        retry_multiplier: 1000,
        retry_most: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_whose_devices() {
        assert_eq!(server("mqtt.lan").unwrap(), ("mqtt.lan".to_owned(), 1883));
        assert_eq!(server("192.0.2.1:1884").unwrap(), ("192.0.2.1".to_owned(), 1884));
        assert_eq!(server("[::1]:1884").unwrap(), ("::1".to_owned(), 1884));
        assert_eq!(server("::1").unwrap(), ("::1".to_owned(), 1883));
        assert!(server("a b").is_err() && server("x:0").is_err() && server(":1").is_err());
        assert_eq!(adoption("zigbee2mqtt=home/z").unwrap().topic, "home/z");
        assert_eq!(adoption("tasmota").unwrap().topic, "tasmota/discovery");
        assert!(adoption("hue").unwrap_err().contains("none of zigbee2mqtt"));
        assert!(adoption("tasmota=#").is_err());
    }
}
