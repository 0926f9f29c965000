//! Joining packets for the interface.

use holloway_packet::coalesce::Coalescer;
use holloway_packet::offload::VnetHeader;
use proptest::prelude::*;

use crate::packets::{ACK, Flow, PSH, flow, payload};
use crate::split::cut;

/// The header and bytes of each write, as the interface gets them.
fn joined(packets: &[Vec<u8>], tso: bool, uso: bool) -> Vec<(VnetHeader, Vec<u8>)> {
    let mut buffer = packets.concat();
    let mut coalescer = Coalescer::new(tso, uso);
    let mut start = 0;
    for packet in packets {
        coalescer.push(&mut buffer, start..start + packet.len());
        start += packet.len();
    }
    coalescer.finish(&mut buffer);
    let bytes = |write: holloway_packet::coalesce::Write<'_>| {
        (
            write.header,
            write.flat_map(|range| buffer[range].to_vec()).collect(),
        )
    };
    coalescer.writes().map(bytes).collect()
}

/// The packets into which the kernel cuts the writes.
fn seen(writes: &[(VnetHeader, Vec<u8>)]) -> Vec<Vec<u8>> {
    writes
        .iter()
        .flat_map(|(header, packet)| cut(header, packet).expect("well-formed"))
        .collect()
}

fn lengths(writes: &[(VnetHeader, Vec<u8>)]) -> Vec<usize> {
    writes.iter().map(|(_, packet)| packet.len()).collect()
}

fn tcp() -> Flow {
    Flow {
        is_v4: true,
        is_tcp: true,
        source: [10; 16],
        destination: [11; 16],
        ports: [0x12, 0x34, 0, 80],
        tos: 2,
        ttl: 64,
        dont_fragment: true,
        id: 0,
        sequence: 1000,
        acknowledgement: 7,
        window: 500,
        flags: ACK,
        options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
    }
}

/// What is unusual about a packet.
#[derive(Clone, Debug)]
enum Oddity {
    None,
    Gap,
    Flags(u8),
    BadChecksum(usize, u8),
    Fragment,
    Window,
    Short,
    Empty,
}

fn oddity() -> impl Strategy<Value = Oddity> {
    prop_oneof![
        20 => Just(Oddity::None),
        1 => Just(Oddity::Gap),
        1 => any::<u8>().prop_map(Oddity::Flags),
        1 => (any::<usize>(), 1..=255u8).prop_map(|(at, bits)| Oddity::BadChecksum(at, bits)),
        1 => Just(Oddity::Fragment),
        1 => Just(Oddity::Window),
        1 => Just(Oddity::Short),
        1 => Just(Oddity::Empty),
    ]
}

/// Generates the packets of a flow, each with an oddity.
struct Source {
    flow: Flow,
    size: usize,
    number: usize,
    offset: usize,
}

impl Source {
    fn next(&mut self, oddity: &Oddity) -> Vec<u8> {
        let mut flow = self.flow.clone();
        let mut flags = flow.flags;
        let mut length = self.size;
        match oddity {
            Oddity::Gap => self.offset += 1,
            Oddity::Flags(odd) => flags = *odd,
            Oddity::Window => flow.window ^= 1,
            Oddity::Short => length = self.size / 2,
            Oddity::Empty => length = 0,
            _ => {}
        }
        let data = payload(length, self.number as u8);
        let mut packet = flow.packet(self.number, self.offset, flags, &data);
        match oddity {
            Oddity::BadChecksum(at, bits) => {
                let at = flow.headers() + at % length;
                packet[at] ^= bits;
            }
            Oddity::Fragment => packet[6] ^= if flow.is_v4 { 0x20 } else { 44 ^ packet[6] },
            _ => {}
        }
        self.number += 1;
        self.offset += length;
        packet
    }
}

proptest! {
    #[test]
    fn coalescing_is_the_opposite_of_splitting(
        flow in flow(), count in 2usize..=40, size in 100usize..1400, cut_off in 0usize..99,
        pushed: bool, seed: u8,
    ) {
        let data = payload(count * size - cut_off, seed);
        let pushed = pushed && flow.is_tcp;
        let flags = flow.flags | if pushed { PSH } else { 0 };
        let writes = joined(&flow.packets(&data, size, pushed), true, true);
        prop_assert_eq!(writes, vec![(flow.vnet(size), flow.large(flags, &data))]);
    }

    #[test]
    fn every_packet_arrives_unchanged_and_in_the_order_of_its_flow(
        flows in prop::collection::vec((flow(), 2usize..300), 1..12),
        batch in prop::collection::vec((any::<prop::sample::Index>(), oddity()), 1..128),
        tso: bool, uso: bool,
    ) {
        let mut sources: Vec<Source> = flows
            .into_iter()
            .enumerate()
            .map(|(number, (mut flow, size))| {
                flow.ports[0] = number as u8; // makes all flows different
                Source { flow, size, number: 0, offset: 0 }
            })
            .collect();
        let (mut packets, mut barriers) = (vec![], vec![]);
        for (index, oddity) in &batch {
            let owner = index.index(sources.len());
            if matches!(oddity, Oddity::Fragment) {
                barriers.push(packets.len());
            }
            packets.push(sources[owner].next(oddity));
        }
        let seen = seen(&joined(&packets, tso, uso));
        prop_assert_eq!(seen.len(), packets.len());
        for (owner, source) in sources.iter().enumerate() {
            let (version, at) = if source.flow.is_v4 { (4, 20) } else { (6, 40) };
            let of = |list: &[Vec<u8>]| -> Vec<Vec<u8>> {
                let mine = |packet: &&Vec<u8>| {
                    packet[0] >> 4 == version && usize::from(packet[at]) == owner
                };
                list.iter().filter(mine).cloned().collect()
            };
            prop_assert_eq!(of(&seen), of(&packets));
        }
        if tso || uso {
            for at in barriers {
                prop_assert_eq!(&seen[at], &packets[at], "a fragment was overtaken");
            }
        }
    }
}

#[test]
fn flows_that_alternate_are_joined_side_by_side() {
    let mut other = tcp();
    other.ports[1] ^= 1;
    let data = payload(3000, 1);
    let pairs = tcp()
        .packets(&data, 1000, false)
        .into_iter()
        .zip(other.packets(&data, 1000, false));
    let packets: Vec<_> = pairs.flat_map(|(one, two)| [one, two]).collect();
    assert_eq!(lengths(&joined(&packets, true, true)), [3052, 3052]);
}

#[test]
fn nothing_follows_a_pushed_segment() {
    let flow = tcp();
    let mut packets = flow.packets(&payload(2000, 1), 1000, true);
    packets.push(flow.packet(2, 2000, ACK, &payload(1000, 2)));
    assert_eq!(lengths(&joined(&packets, true, true)), [2052, 1052]);
}

#[test]
fn nothing_follows_a_short_segment() {
    let flow = tcp();
    let mut packets = flow.packets(&payload(1500, 1), 1000, false);
    packets.push(flow.packet(2, 1500, ACK, &payload(500, 2)));
    assert_eq!(lengths(&joined(&packets, true, true)), [1552, 552]);
}

#[test]
fn segments_that_are_not_plain_data_go_alone() {
    for flags in [ACK | 1, ACK | 2, ACK | 4, ACK | 0x20, ACK | 0x80, 0] {
        let flow = Flow { flags, ..tcp() };
        let packets = flow.packets(&payload(2000, 1), 1000, false);
        assert_eq!(
            lengths(&joined(&packets, true, true)),
            [1052, 1052],
            "flags {flags:#x}"
        );
    }
}

#[test]
fn a_difference_that_splitting_would_lose_keeps_packets_apart() {
    let packets = |second: &Flow| {
        vec![
            tcp().packet(0, 0, ACK, &payload(1000, 1)),
            second.packet(1, 1000, ACK, &payload(1000, 2)),
        ]
    };
    let apart = [
        Flow {
            acknowledgement: 8,
            ..tcp()
        },
        Flow {
            window: 501,
            ..tcp()
        },
        Flow { tos: 0, ..tcp() },
        Flow { ttl: 63, ..tcp() },
        Flow {
            dont_fragment: false,
            ..tcp()
        },
        Flow {
            options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 3],
            ..tcp()
        },
        Flow {
            options: vec![],
            ..tcp()
        },
        Flow {
            sequence: 1001,
            ..tcp()
        },
    ];
    assert_eq!(joined(&packets(&tcp()), true, true).len(), 1);
    for second in apart {
        assert_eq!(joined(&packets(&second), true, true).len(), 2, "{second:?}");
    }
}

#[test]
fn identification_matters_only_where_fragments_may_be_made() {
    for (dont_fragment, writes) in [(true, 1), (false, 2)] {
        let flow = Flow {
            dont_fragment,
            ..tcp()
        };
        let packets = vec![
            flow.packet(0, 0, ACK, &[1; 100]),
            flow.packet(5, 100, ACK, &[2; 100]),
        ];
        assert_eq!(joined(&packets, true, true).len(), writes);
    }
}

#[test]
fn packets_whose_checksum_is_wrong_reach_the_host_as_they_are() {
    for broken in 0..3 {
        let mut packets = tcp().packets(&payload(3000, 1), 1000, false);
        packets[broken][100] ^= 1;
        let writes = joined(&packets, true, true);
        let alone = writes.iter().find(|(_, packet)| packet == &packets[broken]);
        assert_eq!(
            alone.map(|(header, _)| *header),
            Some(VnetHeader::default())
        );
    }
}

#[test]
fn a_wrong_ip_checksum_is_not_made_right() {
    let mut packets = tcp().packets(&payload(2000, 1), 1000, false);
    packets[0][10] ^= 1;
    assert_eq!(seen(&joined(&packets, true, true)), packets);
}

#[test]
fn udp_without_a_checksum_goes_alone() {
    let mut packets = Flow {
        is_tcp: false,
        ..tcp()
    }
    .packets(&payload(2000, 1), 1000, false);
    for packet in &mut packets {
        packet[26..28].fill(0);
    }
    assert_eq!(seen(&joined(&packets, true, true)), packets);
}

#[test]
fn a_write_never_exceeds_what_an_ip_packet_can_be() {
    let flow = tcp();
    let packets = flow.packets(&payload(80_000, 1), 1400, false);
    let writes = joined(&packets, true, true);
    assert_eq!(lengths(&writes), [52 + 46 * 1400, 52 + 80_000 - 46 * 1400]);
    assert_eq!(seen(&writes), packets);
}

#[test]
fn only_what_the_interface_takes_is_joined() {
    let udp = Flow {
        is_tcp: false,
        ..tcp()
    };
    let data = payload(2000, 1);
    let packets = [
        tcp().packets(&data, 1000, false),
        udp.packets(&data, 1000, false),
    ]
    .concat();
    for (tso, uso, writes) in [
        (false, false, 4),
        (true, false, 3),
        (false, true, 3),
        (true, true, 2),
    ] {
        assert_eq!(joined(&packets, tso, uso).len(), writes);
    }
}

#[test]
fn a_coalescer_starts_anew_after_clear() {
    let mut buffer = tcp().packets(&payload(2000, 1), 1000, false).concat();
    let mut coalescer = Coalescer::new(true, true);
    coalescer.push(&mut buffer, 0..1052);
    coalescer.finish(&mut buffer);
    coalescer.clear();
    assert_eq!(coalescer.writes().len(), 0);
    coalescer.push(&mut buffer, 1052..2104);
    coalescer.finish(&mut buffer);
    assert!(coalescer.writes().flatten().eq(std::iter::once(1052..2104)));
}
