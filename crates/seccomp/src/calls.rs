//! The lists: which system calls, with which arguments.
//!
//! They were derived from what the tests trace (tests/root/test_confinement.py), and widened by what
//! other versions of the C library, of Python and of the kernel use in place of those.

use libc::{c_int, c_long};
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use crate::filter::Calls;

/// Calls that are allowed whatever their arguments.
const ANY: &[c_long] = &[
    // Descriptors that are open.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    // Sockets.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    // Files: only to look at; `openat` is below.
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    // Memory; `mmap` and `mprotect` are below.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // Threads and signals of this process; `clone` is below.
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_getcpu,
    // What changes nothing.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    // Calls that x86-64 has besides, and that newer processors no longer have.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pipe,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_select,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
];

/// Calls that a device never makes, and that an intruder in it would.
const FATAL: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
];

/// The requests of `ioctl` that a device makes; none changes an interface, except how it ends.
const REQUESTS: &[u32] = &[
    0x5401,      // TCGETS: whether a file is a terminal (asm-generic/ioctls.h)
    0x802c_542a, // TCGETS2, which newer C libraries use for that
    0x5413,      // TIOCGWINSZ
    0x5421,      // FIONBIO
    0x541b,      // FIONREAD
    0x5450,      // FIONCLEX
    0x5451,      // FIOCLEX
    0x8910,      // SIOCGIFNAME (linux/sockios.h)
    0x8913,      // SIOCGIFFLAGS
    0x8921,      // SIOCGIFMTU
    0x8933,      // SIOCGIFINDEX
    0x8004_54d2, // TUNGETIFF (linux/if_tun.h)
    0x4004_54cb, // TUNSETPERSIST
];

/// What sockets are made for: clients of the UAPI and systemd, the underlay, and netlink.
const FAMILIES: &[c_int] = &[
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];

/// Flags of `clone` by which a process or thread enters new namespaces.
const NAMESPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

const PR_SET_VMA: c_int = 0x5356_4d41; // linux/prctl.h: the C library names its memory

/// The calls that are allowed.
pub fn allowed() -> Result<Calls, BackendError> {
    let mut calls: Calls = ANY.iter().map(|&call| (call, Vec::new())).collect();
    let write = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE;
    let reads = |argument| masked(argument, write & !libc::O_DIRECTORY, libc::O_RDONLY);
    calls.insert(libc::SYS_openat, vec![reads(2)?]);
    #[cfg(target_arch = "x86_64")]
    calls.insert(libc::SYS_open, vec![reads(1)?]);
    // Memory is writable or executable, as with systemd's MemoryDenyWriteExecute.
    let (writable, executable) = (libc::PROT_WRITE, libc::PROT_EXEC);
    let not = |bit| masked(2, bit, 0);
    calls.insert(libc::SYS_mmap, vec![not(writable)?, not(executable)?]);
    calls.insert(libc::SYS_mprotect, vec![not(executable)?]);
    // A thread, in the same namespaces. The flags of `clone3` cannot be seen; without it, the C
    // library uses `clone`.
    let thread = masked(0, libc::CLONE_THREAD | NAMESPACES, libc::CLONE_THREAD)?;
    calls.insert(libc::SYS_clone, vec![thread]);
    calls.insert(libc::SYS_socket, one_of(0, FAMILIES)?);
    calls.insert(libc::SYS_socketpair, one_of(0, &[libc::AF_UNIX])?);
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, PR_SET_VMA];
    calls.insert(libc::SYS_prctl, one_of(0, &names)?);
    // CAP_SYS_NICE is for threads of this process: a thread may change itself.
    let itself = |argument| SeccompRule::new(vec![equal(argument, 0)?]);
    let process = libc::PRIO_PROCESS as c_int;
    let priority = SeccompRule::new(vec![equal(0, process)?, equal(1, 0)?])?;
    calls.insert(libc::SYS_setpriority, vec![priority]);
    calls.insert(libc::SYS_sched_setaffinity, vec![itself(0)?]);
    // Limits may be read and not set.
    let no_limit = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    calls.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![no_limit])?]);
    #[cfg(target_arch = "x86_64")]
    calls.insert(libc::SYS_getrlimit, Vec::new());
    // Only to abort: a process can signal itself.
    let own = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    calls.insert(libc::SYS_tgkill, one_of(0, &[own])?);
    let requests: Vec<c_int> = REQUESTS
        .iter()
        .map(|request| request.cast_signed())
        .collect();
    calls.insert(libc::SYS_ioctl, one_of(1, &requests)?);
    Ok(calls)
}

/// The calls that end the process.
pub fn fatal() -> Calls {
    FATAL.iter().map(|&call| (call, Vec::new())).collect()
}

/// A rule: an argument, with all but the bits of `mask` cleared, is `value`.
fn masked(argument: u8, mask: c_int, value: c_int) -> Result<SeccompRule, BackendError> {
    let operator = SeccompCmpOp::MaskedEq(mask.cast_unsigned().into());
    compare(argument, operator, value)
}

/// Rules: an argument is any of `values`.
fn one_of(argument: u8, values: &[c_int]) -> Result<Vec<SeccompRule>, BackendError> {
    values
        .iter()
        .map(|&value| compare(argument, SeccompCmpOp::Eq, value))
        .collect()
}

fn compare(
    argument: u8,
    operator: SeccompCmpOp,
    value: c_int,
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition(argument, operator, value)?])
}

fn equal(argument: u8, value: c_int) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: c_int,
) -> Result<SeccompCondition, BackendError> {
    let (length, value) = (SeccompCmpArgLen::Dword, value.cast_unsigned().into());
    SeccompCondition::new(argument, length, operator, value)
}
