//! The listening port, and who is let in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

use super::connection;
use crate::config::WebSocketConfig;
use crate::mtp::{ACCEPT_PAUSE, Gateway, Places};

/// Connections that the system keeps waiting.
const BACKLOG: i32 = 128;

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error("[websocket] listen = \"{0}\": the port is in use")]
    InUse(SocketAddr),
    /// The system says so.
    #[error("[websocket] listen = \"{address}\": {source}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// What.
        source: io::Error,
    },
}

/// A bound port.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Arc<WebSocketConfig>,
}

impl Server {
    /// Binds the configured address.
    ///
    /// Errors: the port is in use, or the address is not one of this machine.
    pub(crate) fn bind(config: &WebSocketConfig) -> Result<Self, BindError> {
        let wrong = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(config.listen),
            _ => BindError::Io { address: config.listen, source },
        };
        let listener = listen(config.listen).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { listener, address, config: Arc::new(config.clone()) })
    }

    /// What it is bound to: with the real port if any was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets peers in until the gateway stops.
    pub(crate) async fn serve(self, gateway: Gateway) {
        let places = Places::new(&gateway.limits);
        loop {
            let accepted = tokio::select! {
                () = gateway.stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &gateway, &places),
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, gateway: &Gateway, places: &Places) {
        // Small Records at once; without it a write may wait for an acknowledgement.
        stream.set_nodelay(true).ok();
        let visitor = connection::Visitor {
            stream,
            peer,
            config: Arc::clone(&self.config),
            shaking: places.handshake(),
            places: places.clone(),
        };
        gateway.tasks.spawn(connection::run(visitor, gateway.clone()));
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart need not wait for the former process' connections to fade away.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
