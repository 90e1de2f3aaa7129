//! One Modbus TCP request at a time, by a hand of its own: what a device itself says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One bit, of the coils (function 1) or of the discrete inputs (function 2).
pub fn bit(device: SocketAddr, unit: u8, function: u8, address: u16) -> bool {
    let mut stream = TcpStream::connect(device).unwrap();
    let [high, low] = address.to_be_bytes();
    stream.write_all(&[0, 1, 0, 0, 0, 6, unit, function, high, low, 0, 1]).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..9], [0, 1, 0, 0, 0, 4, unit, function, 1], "an answer with one byte");
    answer[9] & 1 == 1
}

/// The demo meter's relay: what was commanded, and its contact.
pub fn relay(device: SocketAddr, unit: u8) -> (bool, bool) {
    (bit(device, unit, 1, 3), bit(device, unit, 2, 515))
}
