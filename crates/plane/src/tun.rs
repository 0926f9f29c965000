//! A TUN interface, created or taken over: its offloads, and reads and gathered writes of packets.
//!
//! If the interface has a vnet_hdr, ten bytes (virtio_net_hdr) before each packet say how it is segmented
//! and whether its checksum is complete. Kernel: drivers/net/tun.c. If the system allows no TUN, a
//! `ChannelTun` to a TCP/IP stack within the program takes its place.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use holloway_packet::offload::VNET_HEADER;
use libc::{Ioctl, c_int, c_short, c_uint};

use crate::channel_tun::{self, ChannelTun, LinkEndpoint};
use crate::interface;

/// Room for one read of the interface: a vnet_hdr and the largest IP packet.
pub const READ_SIZE: usize = VNET_HEADER + 65535;

const CSUM: c_uint = 0x01; // linux/if_tun.h: TUN_F_*
const TSO: c_uint = 0x02 | 0x04 | 0x08; // TSO4, TSO6, TSO_ECN
const USO: c_uint = 0x20 | 0x40; // USO4, USO6: Linux 6.2

/// The interface. Callers need no lock to read and write; the descriptor is non-blocking.
#[derive(Debug)]
pub struct Tun {
    backend: Backend,
    offloads: Offloads,
}

/// What is behind the interface.
#[derive(Debug)]
enum Backend {
    Kernel(File),
    Channel(ChannelTun),
}

/// The offloads that the kernel granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Packets are preceded by a virtio_net_hdr.
    pub vnet_header: bool,
    /// Packets may be large TCP packets.
    pub tso: bool,
    /// Packets may be large UDP packets.
    pub uso: bool,
}

impl Tun {
    /// Create an interface with this MTU, or attach to a persistent one, which keeps its own.
    pub fn create(name: &str, mtu: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")?;
        let mut request = interface_request(name)?;
        let exists = interface::index_of(name).is_some();
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = flags as c_short;
        // SAFETY: TUNSETIFF reads and writes one ifreq.
        unsafe { ioctl(&file, libc::TUNSETIFF, &raw mut request)? };
        let tun = Self::configured(file, true)?;
        if !exists {
            tun.set_mtu(mtu)?;
        }
        Ok(tun)
    }

    /// Take over an open descriptor. If this fails, the descriptor stays the caller's.
    pub fn from_raw_fd(fd: RawFd) -> io::Result<Self> {
        let request = attached(&fd)?;
        // SAFETY: TUNGETIFF has written the flags.
        let flags = c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        let wanted = libc::IFF_TUN | libc::IFF_NO_PI;
        if flags & (libc::IFF_TUN | libc::IFF_TAP | libc::IFF_NO_PI) != wanted {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        set_nonblocking(fd)?;
        // SAFETY: it is open, as the calls above show, and the caller gives up its ownership.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        Self::configured(file, flags & libc::IFF_VNET_HDR != 0)
    }

    /// Create an interface to a stack within the program, and the stack's end of it.
    pub fn to_stack(name: &str) -> io::Result<(Self, LinkEndpoint)> {
        let (tun, endpoint) = channel_tun::pair(name)?;
        let offloads = Offloads {
            vnet_header: true,
            tso: true,
            uso: false,
        };
        let backend = Backend::Channel(tun);
        Ok((Self { backend, offloads }, endpoint))
    }

    fn configured(file: File, vnet_header: bool) -> io::Result<Self> {
        let mut offloads = Offloads {
            vnet_header,
            ..Offloads::default()
        };
        if vnet_header {
            let mut size = VNET_HEADER as c_int;
            // SAFETY: TUNSETVNETHDRSZ reads one int.
            unsafe { ioctl(&file, libc::TUNSETVNETHDRSZ, &raw mut size)? };
            // An old kernel refuses all bits if it does not know one: ask for fewer.
            let granted = [CSUM | TSO | USO, CSUM | TSO, CSUM, 0]
                .into_iter()
                .find(|&bits| set_offload(&file, bits).is_ok())
                .unwrap_or(0);
            offloads.tso = granted & TSO != 0;
            offloads.uso = granted & USO != 0;
        }
        let backend = Backend::Kernel(file);
        Ok(Self { backend, offloads })
    }

    /// Its current name.
    pub fn name(&self) -> io::Result<String> {
        let file = match &self.backend {
            Backend::Kernel(file) => file,
            Backend::Channel(tun) => return Ok(tun.name().into()),
        };
        let request = attached(file)?;
        let bytes = request.ifr_name.iter().map(|&byte| byte.cast_unsigned());
        let name = bytes.take_while(|&byte| byte != 0).collect();
        String::from_utf8(name).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
    }

    /// Set whether the interface outlives the last of its descriptors, with its addresses and routes.
    pub fn set_persistent(&self, persistent: bool) -> io::Result<()> {
        // SAFETY: TUNSETPERSIST takes its argument by value.
        let result = unsafe {
            libc::ioctl(
                self.as_raw_fd(),
                libc::TUNSETPERSIST,
                c_int::from(persistent),
            )
        };
        check(result)
    }

    /// The offloads that the kernel granted.
    #[must_use]
    pub const fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// Read one packet with its vnet_hdr, if there is one.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.backend {
            Backend::Kernel(file) => (&*file).read(buffer),
            Backend::Channel(tun) => tun.read(buffer),
        }
    }

    /// Write one packet from its parts, the vnet_hdr first if there is one.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.backend {
            Backend::Kernel(file) => (&*file).write_vectored(parts),
            Backend::Channel(tun) => tun.write(parts),
        }
    }

    fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
        let mut request = interface_request(&self.name()?)?;
        request.ifr_ifru.ifru_mtu = c_int::try_from(mtu).map_err(invalid)?;
        // SAFETY: no pointers; the result is checked before it is owned.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is new and nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: SIOCSIFMTU reads one ifreq.
        unsafe { ioctl(&socket, libc::SIOCSIFMTU as Ioctl, &raw mut request)? };
        Ok(())
    }
}

impl AsRawFd for Tun {
    fn as_raw_fd(&self) -> RawFd {
        match &self.backend {
            Backend::Kernel(file) => file.as_raw_fd(),
            Backend::Channel(tun) => tun.as_raw_fd(),
        }
    }
}

fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() || name.bytes().any(|byte| byte == 0) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    Ok(request)
}

fn attached(file: &impl AsRawFd) -> io::Result<libc::ifreq> {
    let mut request = interface_request("")?;
    // SAFETY: TUNGETIFF writes one ifreq.
    unsafe { ioctl(file, libc::TUNGETIFF, &raw mut request)? };
    Ok(request)
}

fn set_offload(file: &File, bits: c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its bits by value.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, bits) };
    check(result)
}

/// Make a descriptor non-blocking, and close it in programs that are executed.
fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: these commands of fcntl take no pointers.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    check(flags)?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })
}

/// # Safety
/// `argument` must be valid for what `request` reads and writes.
unsafe fn ioctl<T>(file: &impl AsRawFd, request: Ioctl, argument: *mut T) -> io::Result<()> {
    // SAFETY: the caller guarantees it.
    check(unsafe { libc::ioctl(file.as_raw_fd(), request, argument) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
