//! A user namespace in which the helper has all capabilities, and a network namespace that it owns.

use std::fs;
use std::io;

use crate::failure::{Failure, Step};
use crate::system;

/// Move to a network namespace of our own.
///
/// Users and groups keep their numbers. If user namespaces are forbidden but the helper is privileged
/// anyway (root in a container with CAP_SYS_ADMIN), a network namespace alone is sufficient.
pub fn enter() -> Result<(), Failure> {
    let (user, group) = system::identity();
    match system::unshare(libc::CLONE_NEWUSER).step("user namespace") {
        Ok(()) => {
            // Kernel, user_namespace.c: without this, mapping a group needs privileges.
            fs::write("/proc/self/setgroups", "deny").step("deny setgroups")?;
            fs::write("/proc/self/uid_map", format!("{user} {user} 1")).step("map the user")?;
            fs::write("/proc/self/gid_map", format!("{group} {group} 1")).step("map the group")?;
            system::unshare(libc::CLONE_NEWNET).step("network namespace")?;
        }
        Err(failure) => system::unshare(libc::CLONE_NEWNET).map_err(|_| failure)?,
    }
    // Few programs need these settings: `ping` reports an error itself, and others do without low ports.
    let _ = set("ping_group_range", &format!("{group} {group}"));
    let _ = set("ip_unprivileged_port_start", "0");
    Ok(())
}

fn set(name: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/net/ipv4/{name}"), value)
}
