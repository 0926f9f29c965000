//! `holloway-namespace run`: executes a program in the namespace of a helper process.
//!
//! The program keeps everything that it has outside (user, directory, environment, open files, terminal),
//! and gets another network with its own name servers. It gets no capabilities. It replaces this process,
//! so it is a child of the process that started us.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::failure::{Failure, Step};
use crate::system;

/// The program to execute, and where.
struct Invocation {
    /// A process of the namespace.
    helper: u32,
    /// The process that starts us. When it ends, the program gets `signal`.
    parent: i32,
    signal: i32,
    /// A descriptor with the contents of resolv.conf.
    resolv_conf: RawFd,
    /// An inotify instance that is to report the first look-up of a name, or -1.
    watch: RawFd,
    command: Vec<OsString>,
}

/// Execute the command in the arguments after `run`. Returns only if this fails.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(invocation) = invocation(arguments) else {
        return crate::usage();
    };
    let name = invocation.command[0].to_string_lossy().into_owned();
    match prepare(&invocation) {
        Err(Failure { step, errno }) => {
            let reason = io::Error::from_raw_os_error(errno);
            eprintln!("holloway run: {step}: {}", words(&reason));
            ExitCode::from(OWN_FAILURE)
        }
        Ok(()) => {
            let Err(error) = become_command(&invocation.command);
            eprintln!("holloway run: {name}: {}", words(&error));
            ExitCode::from(if error.kind() == ErrorKind::NotFound {
                NOT_FOUND
            } else {
                NOT_EXECUTABLE
            })
        }
    }
}

fn invocation(mut arguments: impl Iterator<Item = OsString>) -> Option<Invocation> {
    let mut next = || arguments.next()?.into_string().ok();
    let invocation = Invocation {
        helper: next()?.parse().ok()?,
        parent: next()?.parse().ok()?,
        signal: next()?.parse().ok()?,
        resolv_conf: next()?.parse().ok()?,
        watch: next()?.parse().ok()?,
        command: arguments.collect(),
    };
    (!invocation.command.is_empty()).then_some(invocation)
}

fn prepare(invocation: &Invocation) -> Result<(), Failure> {
    let mut resolv_conf = Vec::new();
    File::from(system::own(invocation.resolv_conf).step("name servers")?)
        .read_to_end(&mut resolv_conf)
        .step("name servers")?;
    join(invocation.helper)?;
    system::unshare(libc::CLONE_NEWNS).step("mount namespace")?;
    look_up_names_here(&resolv_conf)?;
    if invocation.watch >= 0 {
        let watch = system::own(invocation.watch).step("watch name servers")?;
        // Without a file there is nothing to watch, and who started us knows.
        let _ = system::watch_first_open(&watch, RESOLV_CONF);
    }
    system::drop_capabilities(&OF_PROGRAMS).step("drop capabilities")?;
    system::die_with_parent(invocation.parent, invocation.signal).step("watch the parent")
}

/// Enter the user and the network namespace of a helper process.
fn join(helper: u32) -> Result<(), Failure> {
    let own = fs::metadata("/proc/self/ns/user").step("user namespace")?;
    let path = format!("/proc/{helper}/ns/user");
    let user = File::open(&path).step("user namespace")?;
    let network = File::open(format!("/proc/{helper}/ns/net")).step("network namespace")?;
    // They are the same if the helper was privileged and needed no user namespace; setns refuses that.
    if user.metadata().step("user namespace")?.ino() != own.ino() {
        system::join(&user, libc::CLONE_NEWUSER).step("user namespace")?;
    }
    system::join(&network, libc::CLONE_NEWNET).step("network namespace")
}

/// Make the program use the given name servers, and no service that resolves names for it.
fn look_up_names_here(resolv_conf: &[u8]) -> Result<(), Failure> {
    system::keep_mounts_private().step("mounts")?;
    // A bind mount needs a file of a mounted file system. Mounting on /proc hides nothing that is used.
    system::mount_tmpfs(SCRATCH).step("scratch file system")?;
    let ours = format!("{SCRATCH}/resolv.conf");
    let nobody = format!("{SCRATCH}/nobody");
    let result = fs::write(&ours, resolv_conf)
        .and_then(|()| fs::write(&nobody, ""))
        .step("scratch file")
        .and_then(|()| bind_over(&ours, RESOLV_CONF))
        .and_then(|()| SOCKETS.iter().try_for_each(|path| bind_over(&nobody, path)));
    system::unmount(SCRATCH).step("scratch file system")?;
    result
}

/// Mount a file over another. If there is none, nothing has to be hidden.
fn bind_over(file: &str, place: &'static str) -> Result<(), Failure> {
    match system::bind(file, place) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.step(place),
    }
}

fn become_command(command: &[OsString]) -> Result<Infallible, io::Error> {
    Err(Command::new(&command[0]).args(&command[1..]).exec())
}

/// The system's message for an error, without the number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Capabilities that a file may give to its program (`ping` on many systems), in this network only.
/// Without them such a program could not be executed at all (capabilities(7)).
const OF_PROGRAMS: [u32; 3] = [CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW];

/// linux/capability.h
const CAP_NET_BIND_SERVICE: u32 = 10;
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

const SCRATCH: &str = "/proc";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Services of the system's network that resolve names for programs: nscd, systemd-resolved, Avahi.
const SOCKETS: [&str; 3] = [
    "/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/avahi-daemon/socket",
];

/// Exit statuses like those of env(1), timeout(1) and the shell.
const OWN_FAILURE: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Option<Invocation> {
        invocation(words.iter().map(OsString::from))
    }

    #[test]
    fn an_invocation_has_five_numbers_and_a_command() {
        let invocation = parsed(&["12", "34", "15", "5", "-1", "curl", "-s"]).expect("well formed");
        assert_eq!((invocation.helper, invocation.parent), (12, 34));
        assert_eq!((invocation.signal, invocation.resolv_conf), (15, 5));
        assert_eq!(invocation.command, ["curl", "-s"]);
    }

    #[test]
    fn less_is_no_invocation() {
        for words in [
            &[][..],
            &["12", "34", "15", "5", "-1"],
            &["12", "34", "TERM", "5", "-1", "curl"],
        ] {
            assert!(parsed(words).is_none(), "{words:?}");
        }
    }
}
