//! The sockets that send ICMP errors: raw sockets of the interface's network namespace, so that the
//! kernel chooses the source address as for its own errors, and no check for packets from a peer applies.
//! A third socket asks connection tracking for the sender of a packet whose address was translated.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::RawFd;

use holloway_packet::icmp::{self, Sender};
use holloway_poll::duplicate;

use crate::conntrack;

/// The sockets. Without one for a family, no errors are sent in that family.
#[derive(Debug, Default)]
pub struct IcmpSockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    conntrack: Option<File>,
}

impl IcmpSockets {
    /// Use raw ICMP sockets for each family and a netlink socket to connection tracking, as far as they
    /// exist. The caller keeps its descriptors.
    pub fn new(v4: Option<RawFd>, v6: Option<RawFd>, tracking: Option<RawFd>) -> io::Result<Self> {
        Ok(Self {
            v4: v4.map(duplicate).transpose()?.map(UdpSocket::from),
            v6: v6.map(duplicate).transpose()?.map(UdpSocket::from),
            conntrack: tracking.map(duplicate).transpose()?.map(File::from),
        })
    }

    /// Send an error for `packet` to `sender`, using `message` as a buffer.
    pub fn answer(
        &self,
        packet: &[u8],
        sender: IpAddr,
        message: &mut [u8; icmp::MAX_MESSAGE],
    ) -> io::Result<()> {
        let socket = if sender.is_ipv4() { &self.v4 } else { &self.v6 };
        let Some(socket) = socket else {
            return Ok(());
        };
        let translated = self.translated(packet);
        let length = icmp::host_unreachable(packet, translated, message);
        let to = translated.map_or(sender, |sender| sender.address);
        socket.send_to(&message[..length], SocketAddr::new(to, 0))?;
        Ok(())
    }

    /// The sender before address translation, if there was one. The kernel responds to a query before
    /// `write` returns.
    fn translated(&self, packet: &[u8]) -> Option<Sender> {
        let mut socket = self.conntrack.as_ref()?;
        let mut message = [0; conntrack::MAX_MESSAGE];
        let length = conntrack::query(packet, &mut message)?;
        socket.write_all(&message[..length]).ok()?;
        let length = socket.read(&mut message).ok()?;
        conntrack::sender(packet, &message[..length])
    }
}
