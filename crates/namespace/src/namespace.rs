//! A user namespace in which we may do everything, and a network namespace that belongs to it.

use std::fs;
use std::io;

use crate::failure::{Failure, Step};
use crate::system;

/// Leave the system's network for one of our own.
///
/// Users and groups keep their numbers. Where user namespaces are forbidden but we are privileged
/// anyway (root in a container that has CAP_SYS_ADMIN), the network namespace alone will do.
pub fn enter() -> Result<(), Failure> {
    let (user, group) = system::identity();
    match system::unshare(libc::CLONE_NEWUSER).step("user namespace") {
        Ok(()) => {
            // Kernel, user_namespace.c: else the group cannot be mapped without privilege.
            fs::write("/proc/self/setgroups", "deny").step("deny setgroups")?;
            fs::write("/proc/self/uid_map", format!("{user} {user} 1")).step("map the user")?;
            fs::write("/proc/self/gid_map", format!("{group} {group} 1")).step("map the group")?;
            system::unshare(libc::CLONE_NEWNET).step("network namespace")?;
        }
        Err(failure) => system::unshare(libc::CLONE_NEWNET).map_err(|_| failure)?,
    }
    // Neither is needed by most: `ping` says so itself, and the ports are the program's anyway.
    let _ = set("ping_group_range", &format!("{group} {group}"));
    let _ = set("ip_unprivileged_port_start", "0");
    Ok(())
}

fn set(name: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/net/ipv4/{name}"), value)
}
