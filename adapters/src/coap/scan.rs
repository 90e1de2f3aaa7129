//! Looks for CoAP devices: what answers at an address, and what it says to have. It only ever sends GET.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use usp_mapping::mapping::BusAddress;
use usp_mapping::oma::links::{Link, parse};

use crate::bus::mailbox::Mailbox;
use crate::coap::codec;
use crate::coap::endpoint::request::{Failure, Manner, Request, Response};
use crate::coap::link;
use crate::coap::message::{Code, Kind, MAX_DATAGRAM, Message, Token, option};

/// All CoAP Nodes of the link-local network (RFC 7252, 12.8).
const ALL_NODES: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 187);

/// Where devices say what they have (RFC 6690).
const CORE: &str = "/.well-known/core";

/// Manufacturer, model number and firmware version of the object Device (OMA LwM2M, object 3).
const IDENTITY: [&str; 3] = ["/3/0/0", "/3/0/1", "/3/0/3"];

/// Longest text of an identity that is told.
const LONGEST: usize = 64;

/// Most answers to one multicast.
const ANSWERS: usize = 1024;

/// A device that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub address: BusAddress,
    /// What it says to have; none if it does not say.
    pub links: Vec<Link>,
    /// Manufacturer, model and firmware, as far as it has OMA's object 3.
    pub identity: Vec<String>,
    /// How it refuses to say what it has.
    pub refusal: Option<String>,
}

/// Asks at one address. `None`: nobody answers.
///
/// Errors: nothing can be sent there.
pub async fn look(address: &BusAddress, within: Duration) -> Result<Option<Found>, String> {
    let told = Arc::new(Mailbox::new(Arc::default()));
    let link = link::Link::open(None, (address, 0), None, (told, Arc::default())).await;
    let link = link.map_err(|error| format!("{address}: {error}"))?;
    let (orders, taken) = mpsc::channel(1);
    let task = tokio::spawn(link.run(taken));
    let asker = Asker { orders, within };
    let found = asker.look(address).await;
    drop(asker);
    // It takes leave and ends, now that nobody can ask.
    task.await.ok();
    Ok(found)
}

struct Asker {
    orders: mpsc::Sender<link::Order>,
    within: Duration,
}

impl Asker {
    async fn get(&self, path: &str) -> Result<Response, Failure> {
        let ended = || Failure::Unreachable("its link has ended".to_owned());
        let (caller, answer) = oneshot::channel();
        let request = Request::get(codec::resource(path), Manner::new(self.within));
        self.orders.send(link::Order::Ask(request, caller)).await.map_err(|_| ended())?;
        answer.await.map_or_else(|_| Err(ended()), |(answer, _)| answer)
    }

    async fn look(&self, address: &BusAddress) -> Option<Found> {
        let mut found =
            Found { address: address.clone(), links: Vec::new(), identity: Vec::new(), refusal: None };
        match self.get(CORE).await {
            Ok(response) if response.code.is_success() => {
                found.links = parse(&String::from_utf8_lossy(&response.body));
            }
            Ok(response) => found.refusal = Some(codec::refusal(&response).to_string()),
            // It is there, and that is all that it says.
            Err(Failure::Reset) => found.refusal = Some("it rejects the question".to_owned()),
            Err(Failure::Garbled(what)) => found.refusal = Some(what),
            Err(Failure::Timeout(_) | Failure::Unreachable(_) | Failure::Unsent(_)) => return None,
        }
        if found.links.iter().any(|link| link.path.starts_with("/3/")) {
            for path in IDENTITY {
                found.identity.extend(self.get(path).await.ok().and_then(|response| text(&response)));
            }
        }
        Some(found)
    }
}

/// A short text that can be shown.
fn text(response: &Response) -> Option<String> {
    let text = std::str::from_utf8(&response.body).ok().filter(|_| response.code.is_success())?;
    let shown: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    Some(shown).filter(|text| !text.is_empty())
}

/// Asks all CoAP Nodes of the local network at once, and tells who has answered within the time. Not every device listens to
/// that.
///
/// Errors: nothing can be sent.
pub async fn all_nodes(interface: Ipv4Addr, within: Duration) -> Result<Vec<SocketAddr>, String> {
    ask_all((ALL_NODES, 5683).into(), interface, within).await
}

async fn ask_all(to: SocketAddr, interface: Ipv4Addr, within: Duration) -> Result<Vec<SocketAddr>, String> {
    let words = |error: std::io::Error| format!("cannot ask all at {to}: {error}");
    let socket = UdpSocket::bind((interface, 0)).await.map_err(words)?;
    let question =
        Message { code: Code::GET, token: Token::new(1), ..Message::empty(Kind::NonConfirmable, 1) };
    let path = codec::resource(CORE).path.into_iter().map(|part| (option::URI_PATH, part.into_bytes()));
    let question = Message { options: path.collect(), ..question };
    socket.send_to(&question.to_bytes(), to).await.map_err(words)?;
    let until = Instant::now() + within;
    let (mut found, mut buffer) = (Vec::new(), [0; MAX_DATAGRAM]);
    while let Ok(received) = timeout_at(until, socket.recv_from(&mut buffer)).await {
        let Ok((length, peer)) = received else { continue };
        let answer = Message::parse(buffer.get(..length).unwrap_or_default());
        let fits = answer.is_ok_and(|answer| answer.token == question.token && answer.code.is_response());
        if fits && !found.contains(&peer) && found.len() < ANSWERS {
            found.push(peer);
        }
    }
    found.sort_by_key(|peer| match peer.ip() {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(5);

    /// A device that answers one question after the other with these bodies; no body is a 4.04.
    async fn device(bodies: &'static [&'static str]) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; MAX_DATAGRAM];
            for body in bodies {
                let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
                let request = Message::parse(&buffer[..length]).unwrap();
                assert_eq!(request.code, Code::GET);
                let kind = if request.kind == Kind::Confirmable {
                    Kind::Acknowledgement
                } else {
                    Kind::NonConfirmable
                };
                let code = Code(if body.is_empty() { 0x84 } else { 0x45 });
                let answer =
                    Message { kind, code, options: Vec::new(), payload: body.as_bytes().into(), ..request };
                socket.send_to(&answer.to_bytes(), peer).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_device_says_what_it_has_and_who_it_is() {
        let address = device(&["</3/0>,</3303/0/5700>;obs", "ACME", "Sensor 1\n", ""]).await;
        let found = look(&BusAddress::Socket(address), WITHIN).await.unwrap().unwrap();
        assert_eq!((found.links.len(), found.identity), (2, vec!["ACME".to_owned(), "Sensor 1".to_owned()]));
    }

    #[tokio::test]
    async fn a_refusal_is_somebody_and_a_closed_port_is_nobody() {
        let address = device(&[""]).await;
        let found = look(&BusAddress::Socket(address), WITHIN).await.unwrap().unwrap();
        assert!(found.refusal.unwrap().contains("4.04"));
        let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(look(&BusAddress::Socket(closed), WITHIN).await, Ok(None));
    }

    #[tokio::test]
    async fn whoever_answers_a_question_to_all_is_told_once() {
        let address = device(&["</a>"]).await;
        let found = ask_all(address, Ipv4Addr::LOCALHOST, Duration::from_millis(500)).await.unwrap();
        assert_eq!(found, [address]);
    }
}
