//! What is CoAP's own in the language: paths, methods, endpoints.
//!
//! Source: RFC 7252 (CoAP), RFC 7641 (Observe), RFC 7959 (block-wise transfer).

mod compile;
mod draft;
pub(crate) mod read;
mod site;

use std::net::SocketAddr;
use std::time::Duration;

pub use self::draft::{CoapDraft, CoapPlaceDraft};

use crate::mapping::BusAddress;
use crate::payload::{BodyFormat, Pick, Put};
use crate::secret::SecretRef;

/// Where a value is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoapRead {
    /// Path and query of the resource, beginning with `/`: `/3303/0/5700`.
    pub path: String,
    /// What the value is in the body.
    pub pick: Pick,
    /// Whether the device is asked to tell changes by itself (RFC 7641).
    pub observe: bool,
    /// The format that is asked for (RFC 7252, 5.10.4); `None`: that which the device prefers.
    pub accept: Option<BodyFormat>,
}

/// Where and how a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoapWrite {
    /// Path and query of the resource, beginning with `/`.
    pub path: String,
    /// PUT or POST.
    pub method: CoapMethod,
    /// How the body is made.
    pub put: Put,
}

/// How a resource is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoapMethod {
    /// PUT.
    #[default]
    Put,
    /// POST.
    Post,
}

/// How devices of a model behave on CoAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoapOptions {
    /// How long one exchange may take, retransmissions included.
    pub timeout: Duration,
    /// Whether requests are confirmable messages.
    pub confirmable: bool,
    /// Largest block of a body, 16 to 1024, a power of two (RFC 7959).
    pub block: u16,
    /// How long a device that is observed may say nothing before it is asked whether it is still there, however long what it
    /// said stays fresh.
    pub silence: Duration,
}

impl Default for CoapOptions {
    fn default() -> Self {
        let (timeout, silence) = (Duration::from_secs(5), Duration::from_secs(300));
        Self { timeout, confirmable: true, block: 1024, silence }
    }
}

/// A socket of our own, from which devices are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoapEndpoint {
    /// Its address; `None`: any, of the family of each device.
    pub local: Option<SocketAddr>,
}

/// Where a device is, and how one gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoapAddress {
    /// `host:port`; a name is resolved when the device is asked first, and again after it did not answer.
    pub host: BusAddress,
    /// With it DTLS 1.2 is spoken; `None`: no security.
    pub psk: Option<CoapPsk>,
}

/// A pre-shared key (RFC 4279).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoapPsk {
    /// Its public name.
    pub identity: String,
    /// Where the key is; in hexadecimal if it begins with `hex:`, otherwise its bytes.
    pub key: SecretRef,
}
