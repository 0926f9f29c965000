//! The TUN of the namespace, with its addresses and routes.

use std::fs::OpenOptions;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Step};
use crate::netlink::{IFF_MULTICAST, IFLA_GSO_MAX_SIZE, IFLA_MTU, IFLA_TXQLEN, Netlink, V4, V6};
use crate::request::Start;
use crate::system;

/// Make the interface as asked, up and routed; its descriptor.
///
/// All traffic of a family in which we have an address goes into it: which addresses there are
/// beyond is for the tunnel to say, and may change.
pub fn create(start: &Start) -> Result<OwnedFd, Failure> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")
        .step("open /dev/net/tun")?;
    let device = OwnedFd::from(device);
    let name = system::attach_tun(&device, &start.name).step("tun interface")?;
    let link = system::interface_index(&name).step("find the interface")?;
    let netlink = Netlink::open().step("netlink")?;
    netlink.up(LOOPBACK).step("loopback up")?;
    netlink.set(link, IFLA_MTU, start.mtu).step("set the mtu")?;
    configure(&netlink, link, start.gso);
    netlink.up(link).step("interface up")?;
    for &(address, length) in &start.addresses {
        netlink
            .add_address(link, address, length)
            .step("add an address")?;
    }
    for (family, present) in [
        (
            V4,
            start.addresses.iter().any(|(address, _)| address.is_ipv4()),
        ),
        (
            V6,
            start
                .addresses
                .iter()
                .any(|(address, _)| IpAddr::is_ipv6(address)),
        ),
    ] {
        if present {
            netlink
                .add_default_route(link, family)
                .step("add a route")?;
        }
    }
    for &(address, _) in &start.addresses {
        wait_for_address(&netlink, address).step("wait for an address")?;
    }
    Ok(device)
}

/// Wait until an address receives: what is answered before would be lost.
fn wait_for_address(netlink: &Netlink, address: IpAddr) -> io::Result<()> {
    let began = Instant::now();
    while !netlink.receives(address)? {
        if began.elapsed() > LONGEST_WAIT {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Make it like WireGuard's interface. What an older kernel refuses changes nothing that passes.
///
/// A TUN never stops its queue (tun.c, tun_net_xmit): a queueing discipline would be one more lock.
fn configure(netlink: &Netlink, link: u32, gso: u32) {
    let _ = netlink.set(link, IFLA_TXQLEN, 1000);
    let _ = netlink.clear(link, IFF_MULTICAST);
    let _ = netlink.without_link_local(link);
    let _ = netlink.without_queue(link);
    if gso != 0 {
        let _ = netlink.set(link, IFLA_GSO_MAX_SIZE, gso);
    }
}

/// The first interface of every network namespace.
const LOOPBACK: u32 = 1;

/// The worker that makes addresses ready is a matter of microseconds; of more on a busy machine.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
