//! Where a flood may go: to an address of a network namespace that the caller names, and nowhere else.
//!
//! The address is bound there, and a datagram from here arrives there. Neither end is in the network
//! namespace of process 1, which has the machine's own interfaces.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::random::Random;
use crate::system;

const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A target that a flood may go to.
pub struct Target {
    /// A bound socket, whose address is the source of a flood that is not spoofed. Replies stay unread.
    own: UdpSocket,
}

impl Target {
    /// Check the target; the error is what the user reads.
    pub fn check(namespace: &Path, target: SocketAddr) -> Result<Self, String> {
        let first = identity("/proc/1")?;
        if identity("/proc/thread-self")? == first {
            return Err("This runs in the network namespace of process 1: enter another".into());
        }
        if target.ip().is_loopback() || target.ip().is_unspecified() || target.ip().is_multicast() {
            return Err(format!("{} is no address of an interface", target.ip()));
        }
        let path = namespace.display();
        let namespace = File::open(namespace).map_err(|error| format!("{path}: {error}"))?;
        let there = bind_in(namespace, target.ip(), first)?;
        let own = probe(&there).map_err(|error| {
            format!(
                "A datagram from here to {} does not arrive there: {error}",
                target.ip()
            )
        })?;
        Ok(Self { own })
    }

    /// Our own address and port towards the target.
    pub fn own_address(&self) -> SocketAddr {
        self.own.local_addr().expect("it is connected")
    }
}

/// What differs between the network namespaces of two processes: each namespace has its own files of
/// /proc/net. The links of /proc/PID/ns would be refused to root with fewer capabilities than process 1.
fn identity(process: &str) -> Result<u64, String> {
    let path = format!("{process}/net/dev");
    let known = fs::metadata(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(known.ino())
}

/// Bind a UDP socket in a namespace; only a thread of its own enters it.
fn bind_in(namespace: File, address: IpAddr, first: u64) -> Result<UdpSocket, String> {
    let inside = move || {
        system::enter_network(&namespace)
            .map_err(|error| format!("The target's namespace cannot be entered: {error}"))?;
        if identity("/proc/thread-self")? == first {
            return Err("The target's network namespace is that of process 1".into());
        }
        UdpSocket::bind((address, 0))
            .map_err(|error| format!("{address} is not assigned in that namespace: {error}"))
    };
    thread::spawn(inside).join().expect("it does not panic")
}

/// Send a datagram from this namespace to a socket in another, and return the sending socket.
fn probe(there: &UdpSocket) -> io::Result<UdpSocket> {
    let to = there.local_addr()?;
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let own = UdpSocket::bind((any, 0))?;
    own.connect(to)?;
    let (mut sent, mut received) = ([0; 16], [0; 16]);
    Random::seeded().fill(&mut sent);
    own.send(&sent)?;
    there.set_read_timeout(Some(PROBE_TIMEOUT))?;
    while received != sent {
        there.recv_from(&mut received)?;
    }
    Ok(own)
}
