//! `usp-broker scan mqtt`: which devices speak on an MQTT server, as adoption would take them over.

mod listen;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use usp_mapping::adopt::Adopter;
use usp_mapping::mapping::{AdoptedFrom, Adoption, BusAddress, MqttServer, MqttTls, MqttVersion, SecretRef};

use self::listen::listen;
use super::range::time;
use super::target;
use crate::cli::Failure;
use crate::cli::interrupt::Interrupt;
use crate::client::random_text;

/// Ports of MQTT without and with TLS.
const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;

/// Look for devices on an MQTT server: Zigbee2MQTT, Tasmota, Shelly (second generation and later), Home Assistant's discovery
///
/// It listens for a while to what these tell of themselves; Shelly devices are asked what they have, and nothing else is
/// published. The mappings and the site file are those of `adopt` in a site file; they are printed or, with -o, written.
#[derive(Debug, clap::Args)]
pub(crate) struct Mqtt {
    /// Server: 192.168.1.2, mqtt.lan:1883; unless it is given the port is 1883, with TLS 8883
    #[arg(value_name = "HOST[:PORT]")]
    server: String,
    /// User name
    #[arg(long)]
    user: Option<String>,
    /// Where the password is: env:NAME or file:PATH
    #[arg(long, value_name = "PLACE", requires = "user", value_parser = secret)]
    password: Option<SecretRef>,
    /// TLS, with the certificates that the system trusts
    #[arg(long)]
    tls: bool,
    /// TLS, with the certificates in this file trusted alone
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Certificate of one's own, for a server that wants one
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    cert: Option<PathBuf>,
    /// Where its key is: env:NAME or file:PATH
    #[arg(long, value_name = "PLACE", requires = "cert", value_parser = secret)]
    key: Option<SecretRef>,
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
    /// Write over files that are there
    #[arg(long, requires = "output")]
    force: bool,
    /// What was found, as one JSON object
    #[arg(long)]
    json: bool,
}

fn secret(text: &str) -> Result<SecretRef, String> {
    SecretRef::parse(text)
        .ok_or_else(|| "a secret is not written here but where it is: file:PATH or env:NAME".to_owned())
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
    args.output.iter().try_for_each(|folder| target::check_folder(folder, args.force))?;
    let mut interrupt = Interrupt::new().map_err(Failure::failed)?;
    let adopt = if args.from.is_empty() { usual() } else { args.from.clone() };
    let server = args.server(&adopt)?;
    let own = format!("usp-broker-{:.8}", random_text());
    let mut adopter = Adopter::new(&adopt, &own);
    let whole = tokio::select! {
        heard = listen(&server, &own, args, &mut adopter) => {
            heard.map_err(|why| Failure::failed(format!("{}: {why}", server.address)))?;
            true
        }
        () = interrupt.wait() => false,
    };
    report::report(args, &server, &mut adopter, whole)
}

impl Mqtt {
    fn server(&self, adopt: &[Adoption]) -> Result<MqttServer, Failure> {
        let tls = self.tls();
        let (host, port) = server(&self.server, if tls.is_some() { TLS_PORT } else { PORT })?;
        Ok(MqttServer {
            address: host.parse().map_or_else(
                |_| BusAddress::Host(host.clone(), port),
                |ip: std::net::IpAddr| BusAddress::Socket((ip, port).into()),
            ),
            user: self.user.clone(),
            password: self.password.clone(),
            tls,
            client_id: None,
            version: if self.version == "3.1.1" { MqttVersion::V311 } else { MqttVersion::V5 },
            adopt: adopt.to_vec(),
        })
    }

    fn tls(&self) -> Option<MqttTls> {
        let path = |path: &PathBuf| path.display().to_string();
        let identity = self.cert.as_ref().map(path).zip(self.key.clone());
        (self.tls || self.ca.is_some()).then(|| MqttTls { ca: self.ca.as_ref().map(path), identity })
    }
}

fn usual() -> Vec<Adoption> {
    let one = |from: AdoptedFrom| Adoption { from, topic: from.usual_topic().to_owned() };
    AdoptedFrom::ALL.map(one).into()
}

fn server(text: &str, usual: u16) -> Result<(String, u16), Failure> {
    let wrong = || Failure::invalid(format!("`{text}` is no server; write 192.168.1.2 or mqtt.lan:1883"));
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), usual));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
        None => (text, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
    plain.then(|| (host.to_owned(), port)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_whose_devices() {
        let server = |text| server(text, PORT);
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
