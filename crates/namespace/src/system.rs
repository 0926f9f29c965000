//! System calls as safe functions. All unsafe code is here.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_int, c_short, c_uint, c_ulong};

/// Take over a descriptor, and close it in programs that are executed.
pub fn own(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; an invalid descriptor is an error.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, as the call shows, and it was given to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ignore signals by which terminals and supervisors end or stop the whole group: we end with the program.
pub fn ignore(signals: &[c_int]) {
    for &signal in signals {
        // SAFETY: SIG_IGN runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// A descriptor that becomes readable when our parent ends. An error if it has ended.
pub fn watch_parent() -> io::Result<OwnedFd> {
    // SAFETY: no arguments.
    let parent = unsafe { libc::getppid() };
    // SAFETY: no pointers.
    let watch = new_fd(unsafe { libc::syscall(libc::SYS_pidfd_open, parent, 0) } as c_int)?;
    // SAFETY: no arguments.
    if unsafe { libc::getppid() } != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(watch)
}

/// Wait until a descriptor is readable. True if the first has something to read or its other end is closed;
/// false if only the second is readable.
pub fn wait(first: &OwnedFd, second: &OwnedFd) -> io::Result<bool> {
    let entry = |fd: &OwnedFd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut entries = [entry(first), entry(second)];
    loop {
        // SAFETY: an array of two entries.
        match check(unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) }) {
            Ok(()) => return Ok(entries[1].revents == 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Receive one message. It is empty if the other end is closed.
pub fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let space = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer is as long as is said.
    let size = unsafe { libc::recv(socket.as_raw_fd(), space, buffer.len(), libc::MSG_TRUNC) };
    let size = usize::try_from(size).map_err(|_| io::Error::last_os_error())?;
    let message = buffer.get(..size);
    message.ok_or_else(|| io::Error::from_raw_os_error(libc::EMSGSIZE))
}

/// Send one message.
pub fn send(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    let data = message.as_ptr().cast();
    let fd = socket.as_raw_fd();
    // SAFETY: the message is as long as is said.
    let sent = unsafe { libc::send(fd, data, message.len(), libc::MSG_NOSIGNAL) };
    check(sent as c_int)
}

/// Send one message with at most `request::MOST` descriptors. The receiver gets duplicates.
pub fn send_descriptors(socket: &OwnedFd, message: &[u8], handed: &[OwnedFd]) -> io::Result<()> {
    let numbers: Vec<c_int> = handed.iter().map(AsRawFd::as_raw_fd).collect();
    let size = mem::size_of_val(numbers.as_slice()) as c_uint;
    let mut part = libc::iovec {
        iov_base: message.as_ptr().cast_mut().cast(),
        iov_len: message.len(),
    };
    let mut control = [0u64; 16]; // aligned as cmsghdr
    // SAFETY: msghdr is plain data, for which zeros are valid.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE only computes.
    let space = unsafe { libc::CMSG_SPACE(size) } as usize;
    assert!(space <= mem::size_of_val(&control), "too many descriptors");
    header.msg_controllen = space as _;
    // SAFETY: msg_control has room for one header with these descriptors.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(size) as _;
        let place = libc::CMSG_DATA(first);
        ptr::copy_nonoverlapping(numbers.as_ptr().cast::<u8>(), place, size as usize);
    }
    let fd = socket.as_raw_fd();
    // SAFETY: everything the header points to lives until the call returns.
    check(unsafe { libc::sendmsg(fd, &raw const header, libc::MSG_NOSIGNAL) } as c_int)
}

/// Move to new namespaces.
pub fn unshare(kinds: c_int) -> io::Result<()> {
    // SAFETY: no pointers; this process has one thread.
    check(unsafe { libc::unshare(kinds) })
}

/// Enter a namespace.
pub fn join(namespace: &File, kind: c_int) -> io::Result<()> {
    // SAFETY: no pointers; this process has one thread.
    check(unsafe { libc::setns(namespace.as_raw_fd(), kind) })
}

/// Make mounts private, so that they do not propagate.
pub fn keep_mounts_private() -> io::Result<()> {
    mount(None, "/", None, libc::MS_REC | libc::MS_SLAVE)
}

/// Mount a small tmpfs.
pub fn mount_tmpfs(place: &str) -> io::Result<()> {
    mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        libc::MS_NODEV | libc::MS_NOEXEC,
    )
}

/// Bind-mount a file over another.
pub fn bind(file: &str, place: &str) -> io::Result<()> {
    mount(Some(file), place, None, libc::MS_BIND)
}

/// Unmount the last mount there. Bind mounts of its files stay.
pub fn unmount(place: &str) -> io::Result<()> {
    let place = CString::new(place)?;
    // SAFETY: a string that ends in NUL.
    check(unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) })
}

/// Have an inotify instance report the first time that a file is opened.
pub fn watch_first_open(watch: &OwnedFd, file: &str) -> io::Result<()> {
    let file = CString::new(file)?;
    let events = libc::IN_OPEN | libc::IN_ONESHOT;
    // SAFETY: a string that ends in NUL.
    check(unsafe { libc::inotify_add_watch(watch.as_raw_fd(), file.as_ptr(), events) })
}

fn mount(source: Option<&str>, place: &str, kind: Option<&str>, flags: c_ulong) -> io::Result<()> {
    let source = source.map(CString::new).transpose()?;
    let kind = kind.map(CString::new).transpose()?;
    let place = CString::new(place)?;
    let or_null = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let (from, of) = (or_null(&source), or_null(&kind));
    // SAFETY: strings that end in NUL and live until the call returns, or null where it may be.
    check(unsafe { libc::mount(from, place.as_ptr(), of, flags, ptr::null()) })
}

/// Drop all capabilities. Executed programs get none, even as root (capabilities(7), securebits), except
/// those in `left` that their files have.
pub fn drop_capabilities(left: &[u32]) -> io::Result<()> {
    const NO_ROOT: c_ulong = 0b11; // linux/securebits.h: SECBIT_NOROOT and its lock
    for capability in (0..64).filter(|number| !left.contains(number)) {
        // SAFETY: no pointers. The kernel refuses unknown numbers, which is equivalent.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, c_ulong::from(capability), 0, 0, 0) };
    }
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_ROOT, 0, 0, 0) })?;
    // linux/capability.h: struct __user_cap_header_struct and two __user_cap_data_struct.
    let header: [u32; 2] = [0x2008_0522, 0];
    let none = [0u32; 6];
    // SAFETY: a header and two sets, as long as this version has them.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } as c_int)
}

/// Get a signal when the parent ends. An error if it has ended. An executed program may ignore the signal.
pub fn die_with_parent(parent: c_int, signal: c_int) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, c_ulong::from(signal.unsigned_abs())) })?;
    // SAFETY: no arguments.
    if unsafe { libc::getppid() } != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

/// Our user and group.
pub fn identity() -> (u32, u32) {
    // SAFETY: no arguments, and they cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// socket(2).
pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    new_fd(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })
}

/// Create a TUN with a vnet_hdr from an opened /dev/net/tun, and return its name.
pub fn attach_tun(device: &OwnedFd, name: &str) -> io::Result<String> {
    // SAFETY: ifreq is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as c_short;
    let number = libc::TUNSETIFF as c_ulong;
    // SAFETY: TUNSETIFF reads and writes one ifreq.
    check(unsafe { libc::ioctl(device.as_raw_fd(), number as _, &raw mut request) })?;
    let bytes = request.ifr_name.iter().map(|&byte| byte.cast_unsigned());
    let name = bytes.take_while(|&byte| byte != 0).collect();
    String::from_utf8(name).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The number of an interface of this namespace.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: a string that ends in NUL.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

fn new_fd(fd: c_int) -> io::Result<OwnedFd> {
    check(fd)?;
    // SAFETY: it is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
