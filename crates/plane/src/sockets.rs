//! The UDP sockets of a device: IPv4 and IPv6 on one port, and of each family one for data and one for
//! everything else, so that a flood of handshake messages fills no queue that data needs.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::session::TRANSPORT;
use crate::udp::Udp;

/// How often binding tries another ephemeral port if the number is taken for IPv6.
const PORT_ATTEMPTS: usize = 16;

/// The sockets of one port, of at least one family.
#[derive(Debug)]
pub struct Sockets {
    /// IPv4, if the system has it.
    pub v4: Option<Pair>,
    /// IPv6, if the system has it.
    pub v6: Option<Pair>,
    /// The port of all.
    pub port: u16,
}

/// The sockets of one family.
///
/// The kernel may join datagrams of one sender to a train, and sorts it by its first datagram. So either
/// socket can have messages of any type.
#[derive(Debug)]
pub struct Pair {
    /// Receives trains that begin with a transport message. All that the brain and the shard send leaves here.
    pub data: Udp,
    /// Receives all others. None where the kernel cannot sort them: `data` receives all then.
    pub handshakes: Option<Udp>,
}

impl Sockets {
    /// Open all on `port`, 0 for any.
    pub fn bind(port: u16, mark: u32) -> io::Result<Self> {
        let mut attempts = PORT_ATTEMPTS;
        loop {
            attempts -= 1;
            match Self::bind_once(port, mark) {
                Err(error) if port == 0 && attempts > 0 && in_use(&error) => {}
                result => return result,
            }
        }
    }

    fn bind_once(port: u16, mark: u32) -> io::Result<Self> {
        let v4 = present(Udp::bind((Ipv4Addr::UNSPECIFIED, port).into(), mark))?;
        let bound = match &v4 {
            Some(socket) => socket.address()?.port(),
            None => port,
        };
        let v6 = present(Udp::bind((Ipv6Addr::UNSPECIFIED, bound).into(), mark))?;
        let port = match (&v4, &v6) {
            (None, Some(socket)) => socket.address()?.port(),
            (None, None) => return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
            _ => bound,
        };
        let pair = |data: Udp| Pair::new(data, mark);
        Ok(Self {
            v4: v4.map(pair),
            v6: v6.map(pair),
            port,
        })
    }

    /// Change the mark of sent packets.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        self.all().try_for_each(|socket| socket.set_mark(mark))
    }

    /// The socket that sends to an address.
    #[must_use]
    pub fn toward(&self, remote: &SocketAddr) -> Option<&Udp> {
        let pair = match remote {
            SocketAddr::V4(_) => &self.v4,
            SocketAddr::V6(_) => &self.v6,
        };
        pair.as_ref().map(|pair| &pair.data)
    }

    /// The sockets that exist.
    pub fn all(&self) -> impl Iterator<Item = &Udp> {
        let pairs = self.v4.iter().chain(&self.v6);
        pairs.flat_map(|pair| [&pair.data].into_iter().chain(&pair.handshakes))
    }
}

impl Pair {
    fn new(data: Udp, mark: u32) -> Self {
        let handshakes = data.share(mark, &program()).ok();
        Self { data, handshakes }
    }
}

/// Return 0 if the first byte of the payload is that of a transport message, else 1.
fn program() -> [libc::sock_filter; 4] {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let branch = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    [
        statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0),
        libc::sock_filter {
            jf: 1,
            ..statement(branch, TRANSPORT.into())
        },
        statement(libc::BPF_RET | libc::BPF_K, 0),
        statement(libc::BPF_RET | libc::BPF_K, 1),
    ]
}

/// Turn the error of an address family that the system lacks or has disabled into None.
fn present(result: io::Result<Udp>) -> io::Result<Option<Udp>> {
    match result {
        Ok(socket) => Ok(Some(socket)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL) => Ok(None),
            _ => Err(error),
        },
    }
}

fn in_use(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EADDRINUSE)
}
