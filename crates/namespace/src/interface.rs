//! The namespace's TUN, with addresses and routes.

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

/// Create the interface with addresses and routes, and return its descriptor.
///
/// It gets all traffic of each family in which it has an address: only the tunnel knows which addresses
/// are reachable, and they may change.
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

/// Wait until an address receives packets: replies to it are lost before.
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

/// Configure it like WireGuard's interface. If an older kernel refuses something, traffic still passes.
///
/// A TUN never stops its queue (tun.c, tun_net_xmit), so a queueing discipline would only add a lock.
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

/// The kernel's worker makes an address ready within microseconds, or later on a busy machine.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
