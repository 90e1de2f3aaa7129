//! Frames of Modbus TCP: a header that says which request of which unit it is about, and a PDU. Pure.
//!
//! Source: Modbus Messaging on TCP/IP V1.0b, 3.1.3.

use usp_mapping::port::DeviceFault;

use crate::modbus::codec::Query;
use crate::modbus::pdu;

/// Most bytes of a frame.
pub(crate) const LONGEST: usize = HEAD + PDU;

/// Bytes of the header.
const HEAD: usize = 7;

/// Most bytes of a PDU.
const PDU: usize = 253;

/// By what a response is known as that to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Which request of this connection.
    pub(crate) transaction: u16,
    /// Unit identifier.
    pub(crate) unit: u8,
}

/// The bytes that ask.
pub(crate) fn request(head: Head, query: &Query) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + 5);
    frame.extend(head.transaction.to_be_bytes());
    // The protocol identifier, and the length, which is known at the end.
    frame.extend([0; 4]);
    frame.push(head.unit);
    pdu::put(query, &mut frame);
    let length = (frame.len() - (HEAD - 1)) as u16;
    if let Some(place) = frame.get_mut(4..6) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    frame
}

/// The PDU of the response to that request, and whether more has come than that; `None`: it is not whole yet. `Err`: it is
/// no response to it, so that the connection cannot be trusted.
pub(crate) fn response(head: Head, received: &[u8]) -> Result<Option<(&[u8], bool)>, DeviceFault> {
    let garbled = |why: &str| Err(DeviceFault::Garbled(why.to_owned()));
    let [t0, t1, p0, p1, l0, l1, unit, rest @ ..] = received else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    // A unit identifier and at least a function.
    if [*p0, *p1] != [0; 2] || !(2..=PDU + 1).contains(&length) {
        return garbled("it is no Modbus response");
    }
    if head != (Head { transaction: u16::from_be_bytes([*t0, *t1]), unit: *unit }) {
        return garbled("it belongs to another request");
    }
    Ok(rest.split_at_checked(length - 1).map(|(pdu, surplus)| (pdu, !surplus.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::poll::Block;
    use usp_mapping::mapping::ModbusTable;

    const ASKED: Head = Head { transaction: 0x1501, unit: 0xff };

    /// The example of the guide, 3.1.3 and appendix.
    #[test]
    fn a_request_is_that_of_the_standard() {
        let query = Query::Read(Block::new(ModbusTable::Holding, 4, 1).into());
        assert_eq!(request(ASKED, &query), [0x15, 1, 0, 0, 0, 6, 0xff, 3, 0, 4, 0, 1]);
        let longest = Query::WriteRegisters(0, vec![0; 123]);
        assert_eq!(request(ASKED, &longest).len(), LONGEST - 1);
    }

    #[test]
    fn a_response_is_taken_when_it_is_whole() {
        let frame = [0x15, 1, 0, 0, 0, 5, 0xff, 3, 2, 0, 5];
        for part in 0..frame.len() {
            assert_eq!(response(ASKED, &frame[..part]), Ok(None), "{part}");
        }
        assert_eq!(response(ASKED, &frame), Ok(Some((&frame[7..], false))));
        let twice = [frame, frame].concat();
        assert_eq!(response(ASKED, &twice), Ok(Some((&frame[7..], true))));
    }

    #[test]
    fn what_is_no_response_to_the_request_is_refused() {
        for frame in [
            [0x15, 2, 0, 0, 0, 5, 0xff, 3, 2, 0, 5],
            [0x15, 1, 0, 0, 0, 5, 1, 3, 2, 0, 5],
            [0x15, 1, 0, 1, 0, 5, 0xff, 3, 2, 0, 5],
            [0x15, 1, 0, 0, 0, 1, 0xff, 3, 2, 0, 5],
            [0x15, 1, 0, 0, 0, 0, 0xff, 3, 2, 0, 5],
            [0x15, 1, 0, 0, 0, 255, 0xff, 3, 2, 0, 5],
        ] {
            assert!(matches!(response(ASKED, &frame), Err(DeviceFault::Garbled(_))), "{frame:?}");
        }
    }
}
