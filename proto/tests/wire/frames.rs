//! UDS frames: any split of the stream gives the same frames.

use proptest::collection::vec;
use proptest::prelude::*;
use usp_proto::uds_frame::{Frame, FrameDecoder, FrameError, Tlv};

const MAX: usize = 4096;

fn tlv() -> impl Strategy<Value = Tlv> {
    prop_oneof![
        ".{0,20}".prop_map(Tlv::Handshake),
        ".{0,20}".prop_map(Tlv::Error),
        vec(any::<u8>(), 0..300).prop_map(Tlv::Record),
        (4u8..).prop_map(|kind| Tlv::Unknown { kind }),
    ]
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    vec(vec(tlv(), 1..4).prop_map(|tlvs| Frame { tlvs }), 0..6)
}

/// Frames of a stream that comes in pieces of the sizes given, in turn, and how it ended.
fn read(stream: &[u8], sizes: &[usize]) -> (Vec<Frame>, Option<FrameError>) {
    let (mut decoder, mut frames, mut rest) = (FrameDecoder::new(MAX), Vec::new(), stream);
    for size in sizes.iter().cycle() {
        let (piece, later) = rest.split_at(rest.len().min(*size));
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(decoder.pending() <= MAX + 8, "more is held than one frame");
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    (frames, None)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_split_gives_the_same_frames(frames in frames(), sizes in vec(1usize..50, 1..9)) {
        let stream: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        prop_assert_eq!(read(&stream, &sizes), (frames, None));
    }

    #[test]
    fn any_split_of_a_damaged_stream_ends_the_same(
        frames in frames(),
        sizes in vec(1usize..50, 1..9),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut stream: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        stream.push(0);
        let at = at.index(stream.len());
        stream[at] = byte;
        prop_assert_eq!(read(&stream, &sizes), read(&stream, &[stream.len()]));
    }
}
