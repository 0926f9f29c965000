//! Fields of IP headers, and ECN bits across the tunnel.

use holloway_packet::{ecn, ip};
use proptest::prelude::*;

use crate::packets::{ACK, flow, payload, plain_sum};

const NOT_ECT: u8 = 0;
const ECT1: u8 = 1;
const ECT0: u8 = 2;
const CE: u8 = 3;

proptest! {
    #[test]
    fn addresses_length_and_tos_are_read_as_they_were_written(
        flow in flow(), padding in 0usize..16,
    ) {
        let mut packet = flow.packet(0, 0, ACK, &payload(50, 1));
        let length = packet.len();
        packet.extend(vec![0; padding]);
        let width = if flow.is_v4 { 4 } else { 16 };
        let octets = |address: std::net::IpAddr| match address {
            std::net::IpAddr::V4(address) => address.octets().to_vec(),
            std::net::IpAddr::V6(address) => address.octets().to_vec(),
        };
        prop_assert_eq!(ip::total_length(&packet), Some(length));
        prop_assert_eq!(ip::tos(&packet), flow.tos);
        prop_assert_eq!(ip::source(&packet).map(octets), Some(flow.source[..width].to_vec()));
        let destination = ip::destination(&packet).map(octets);
        prop_assert_eq!(destination, Some(flow.destination[..width].to_vec()));
    }

    #[test]
    fn a_packet_shorter_than_it_says_is_malformed(flow in flow(), missing in 1usize..90) {
        let packet = flow.packet(0, 0, ACK, &payload(30, 1));
        let packet = &packet[..packet.len().saturating_sub(missing)];
        prop_assert_eq!(ip::total_length(packet), None);
    }

    #[test]
    fn outer_congestion_is_told_to_whoever_understands_it(flow in flow(), congested: bool) {
        let before = flow.packet(0, 0, ACK, &payload(30, 1));
        let mut after = before.clone();
        ecn::decapsulate(&mut after, congested);
        let expected = if congested && flow.tos & CE != NOT_ECT { flow.tos | CE } else { flow.tos };
        prop_assert_eq!(ip::tos(&after), expected);
        if flow.is_v4 {
            prop_assert_eq!(plain_sum(&[&after[..20]]), 0xffff);
        }
        let start = if flow.is_v4 { 12 } else { 2 };
        prop_assert_eq!(&after[start..], &before[start..]);
    }
}

#[test]
fn a_length_below_the_header_is_malformed() {
    let mut packet = vec![0; 60];
    packet[0] = 0x45;
    packet[3] = 19;
    assert_eq!(ip::total_length(&packet), None);
    packet[3] = 20;
    assert_eq!(ip::total_length(&packet), Some(20));
}

#[test]
fn what_is_no_ip_packet_has_no_addresses() {
    for packet in [&[][..], &[0x45], &[0x45; 19], &[0x60; 39], &[0x55; 60]] {
        assert_eq!(ip::destination(packet), None);
        assert_eq!(ip::source(packet), None);
    }
}

#[test]
fn congestion_met_before_the_tunnel_stays_inside() {
    let outer = [NOT_ECT, ECT1, ECT0, CE].map(|bits| ecn::encapsulate(0xfc | bits) & CE);
    assert_eq!(outer, [NOT_ECT, ECT1, ECT0, ECT0]);
    assert!(ecn::is_congested(0xff) && !ecn::is_congested(0xfe));
}
