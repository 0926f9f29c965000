//! Compiles the lists of `calls` and gives them to the kernel.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::io;

use libc::{c_ulong, c_ushort};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, sock_filter,
};

use crate::calls;

/// System calls, each with the rules of its arguments: any of them must hold, if there are any.
pub type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// From now on allow this thread, and the threads that it starts, the listed calls alone.
///
/// No privilege is needed if PR_SET_NO_NEW_PRIVS is set.
pub fn confine() -> io::Result<()> {
    let refused = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let allowed = calls::allowed().map_err(invalid)?;
    let filters = [
        compile(
            calls::fatal(),
            SeccompAction::Allow,
            SeccompAction::KillProcess,
        ),
        compile(allowed, refused, SeccompAction::Allow),
    ];
    for filter in filters {
        install(&filter.map_err(invalid)?)?;
    }
    Ok(())
}

fn compile(
    calls: Calls,
    others: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(calls, others, listed, arch)?.try_into()
}

fn invalid(error: BackendError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// struct sock_fprog, linux/filter.h.
#[repr(C)]
struct Program {
    length: c_ushort,
    filter: *const sock_filter,
}

/// Install a filter, with refused calls in the kernel's log, and without the mitigations against
/// speculation that kernels before 5.16 combine with it: they are for code that others wrote, and
/// slow down every packet.
fn install(filter: &BpfProgram) -> io::Result<()> {
    let flags = libc::SECCOMP_FILTER_FLAG_LOG | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    match set_filter(filter, flags) {
        // Before Linux 4.17.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => set_filter(filter, 0),
        result => result,
    }
}

fn set_filter(filter: &BpfProgram, flags: c_ulong) -> io::Result<()> {
    let program = Program {
        length: filter.len() as c_ushort,
        filter: filter.as_ptr(),
    };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel copies the filter, which `program` points to, before the call returns.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
