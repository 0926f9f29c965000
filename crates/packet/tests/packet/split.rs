//! Cutting large packets of the kernel.

use holloway_packet::checksum;
use holloway_packet::offload::VnetHeader;
use holloway_packet::split::{BadOffload, Segments, split};
use proptest::prelude::*;

use crate::fuzz_properties::{CAPACITY, slots};
use crate::packets::{ACK, Flow, PSH, flow, payload};

pub fn cut(header: &VnetHeader, packet: &[u8]) -> Result<Vec<Vec<u8>>, BadOffload> {
    let mut out = vec![0xa5; CAPACITY];
    let segments = split(header, packet, &mut out, slots())?;
    Ok(packets_of(&segments, &out))
}

fn packets_of(segments: &Segments, out: &[u8]) -> Vec<Vec<u8>> {
    let packet = |number: usize| {
        let last = number + 1 == segments.count;
        let length = if last { segments.last } else { segments.length };
        let start = number * segments.stride + 16;
        out[start..start + length].to_vec()
    };
    (0..segments.count).map(packet).collect()
}

fn example(is_v4: bool, is_tcp: bool) -> Flow {
    Flow {
        is_v4,
        is_tcp,
        source: [10; 16],
        destination: [11; 16],
        ports: [0x12, 0x34, 0, 80],
        tos: 2,
        ttl: 64,
        dont_fragment: true,
        id: 0xfffe,
        sequence: u32::MAX - 100,
        acknowledgement: 7,
        window: 500,
        flags: ACK,
        options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
    }
}

proptest! {
    #[test]
    fn a_large_packet_becomes_the_segments_that_a_plain_sender_would_have_written(
        flow in flow(), length in 1usize..20_000, size in 100usize..1400, pushed: bool, seed: u8,
    ) {
        let data = payload(length, seed);
        let flags = flow.flags | if pushed { PSH } else { 0 };
        let segments = cut(&flow.vnet(size), &flow.large(flags, &data));
        prop_assert_eq!(segments, Ok(flow.packets(&data, size, pushed)));
    }

    #[test]
    fn a_checksum_left_to_the_device_is_completed(flow in flow(), length in 0usize..1400) {
        let data = payload(length, 3);
        let header = VnetHeader { gso_type: 0, gso_size: 0, ..flow.vnet(0) };
        let whole = cut(&header, &flow.large(flow.flags, &data));
        prop_assert_eq!(whole, Ok(vec![flow.packet(0, 0, flow.flags, &data)]));
    }

    #[test]
    fn folding_keeps_the_value_of_any_sum(sum: u64) {
        let folded = u64::from(checksum::fold(sum));
        prop_assert_eq!(folded % 0xffff, sum % 0xffff);
        prop_assert_eq!(folded == 0, sum == 0);
    }
}

#[test]
fn fin_and_push_go_to_the_last_segment_and_cwr_to_the_first() {
    let flow = example(true, true);
    let header = VnetHeader {
        gso_type: 0x81,
        ..flow.vnet(1000)
    };
    let packet = flow.large(0x80 | ACK | PSH | 1, &payload(2500, 1));
    let segments = cut(&header, &packet).expect("a well-formed packet");
    let flags: Vec<u8> = segments.iter().map(|segment| segment[33]).collect();
    assert_eq!(flags, [0x80 | ACK, ACK, ACK | PSH | 1]);
}

#[test]
fn identification_and_sequence_numbers_count_past_their_ends() {
    let flow = example(true, true);
    let segments = cut(&flow.vnet(60), &flow.large(ACK, &payload(180, 1))).expect("well-formed");
    let ids: Vec<&[u8]> = segments.iter().map(|segment| &segment[4..6]).collect();
    assert_eq!(ids, [[0xff, 0xfe], [0xff, 0xff], [0, 0]]);
    assert_eq!(segments[2][24..28], 19u32.to_be_bytes());
}

#[test]
fn a_plain_packet_is_copied_as_it_is() {
    let packet = payload(77, 9);
    assert_eq!(cut(&VnetHeader::default(), &packet), Ok(vec![packet]));
}

#[test]
fn segments_leave_room_for_header_padding_and_tag() {
    let flow = example(false, false);
    let mut out = vec![0; CAPACITY];
    let packet = flow.large(0, &payload(2000, 1));
    let segments = split(&flow.vnet(900), &packet, &mut out, slots()).expect("well-formed");
    assert_eq!(
        segments,
        Segments {
            count: 3,
            stride: 16 + 960 + 16,
            length: 948,
            last: 248
        }
    );
}

/// The longest IP packet, cut to any size: all segments fit, or it is refused.
#[test]
fn a_packet_of_65535_bytes_is_cut_whole_or_refused() {
    for (is_v4, is_tcp) in [(true, true), (true, false), (false, true), (false, false)] {
        let flow = example(is_v4, is_tcp);
        let data = payload(65_535 - flow.headers(), 5);
        for size in [1, 8, 48, 536, 1368, 9000, 65_000] {
            let segments = cut(&flow.vnet(size), &flow.large(ACK, &data));
            let least = 48; // TCP_MIN_SND_MSS
            assert_eq!(segments.is_ok(), size >= least, "{size}");
            let parts = segments.unwrap_or_default();
            let again: Vec<u8> = parts
                .iter()
                .flat_map(|segment| segment[flow.headers()..].to_vec())
                .collect();
            assert!(size < least || again == data, "{size}");
        }
    }
}

#[test]
fn a_buffer_that_is_too_small_is_refused_not_overrun() {
    let flow = example(true, false);
    let packet = flow.large(0, &payload(2000, 1));
    for room in [0, 16, 100, 2000] {
        let result = split(&flow.vnet(900), &packet, &mut vec![0; room], slots());
        assert_eq!(result, Err(BadOffload));
    }
}

#[test]
fn an_offload_header_that_contradicts_its_packet_is_refused() {
    let flow = example(true, true);
    let good = flow.vnet(500);
    let packet = flow.large(ACK, &payload(2000, 1));
    let bad = [
        VnetHeader {
            gso_type: 4,
            ..good
        },
        VnetHeader {
            gso_type: 3,
            ..good
        },
        VnetHeader {
            gso_type: 5,
            ..good
        },
        VnetHeader {
            gso_size: 0,
            ..good
        },
        VnetHeader {
            gso_size: 65_535,
            ..good
        },
        VnetHeader {
            csum_start: 24,
            ..good
        },
        VnetHeader {
            csum_start: 65_535,
            ..good
        },
        VnetHeader { flags: 0, ..good },
        VnetHeader {
            gso_type: 0,
            csum_start: 2051,
            ..good
        },
        VnetHeader {
            gso_type: 0,
            csum_offset: 65_535,
            ..good
        },
    ];
    assert!(cut(&good, &packet).is_ok());
    for header in bad {
        assert_eq!(cut(&header, &packet), Err(BadOffload), "{header:?}");
    }
}

#[test]
fn the_offload_header_survives_writing_and_reading() {
    let header = example(true, true).vnet(1234);
    assert_eq!(VnetHeader::parse(&header.to_bytes()), header);
}
