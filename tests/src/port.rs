//! A port for a server in another process.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A TCP port of the loopback address that the system gives to nobody else for as long as this is there: it is bound, but
/// not listened at. A server that asks for exactly this port, with `SO_REUSEADDR` as servers do, gets it nevertheless, and
/// gets it again after a restart. A port that was only free a moment ago may be anybody's by the time the server is there.
pub struct Port {
    held: TcpSocket,
}

impl Port {
    /// Any port.
    pub fn keep() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { held }
    }

    /// Where its server is to listen.
    pub fn address(&self) -> SocketAddr {
        self.held.local_addr().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn nobody_but_its_server_gets_a_port_that_is_kept() {
        let port = Port::keep();
        assert!(TcpStream::connect(port.address()).is_err());
        let others: Vec<_> = (0..256).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap() != port.address()));
        for _restart in 0..2 {
            let server = TcpListener::bind(port.address()).unwrap();
            TcpStream::connect(port.address()).unwrap();
            assert!(TcpListener::bind(port.address()).is_err());
            drop(server);
        }
    }
}
