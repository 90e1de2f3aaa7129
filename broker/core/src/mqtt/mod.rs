//! `Device.MQTT.Client.`: the broker as client of MQTT servers, and the peers reached through them (TR-369 4.6).
//!
//! The edge holds the network connections; which servers, which topics and which peers there are is decided here.
//!
//! Who may do what: whoever may publish on our topic can claim any Endpoint ID. So a Controller has the role of its row only
//! if that row names this client in an MTP of its own, and if the way to the server is vouched for: the server is on this
//! machine, or `X_USPBROKER_Insecure` says that the server itself can be believed. Anybody else is Untrusted. A Service
//! registers only over such a server too, and only what `USPServices.Trust.` lets it.

mod clients;
mod early;
pub(crate) mod peers;
mod plan;
pub mod port;
mod records;
mod seed;
pub(crate) mod silence;
pub mod state;
pub(crate) mod topics;
