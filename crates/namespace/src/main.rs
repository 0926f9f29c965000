//! A helper process in a network namespace of its own, which creates sockets there.
//!
//! `holloway-namespace FD` communicates over FD, one end of a SOCK_SEQPACKET pair. It receives the settings
//! of an interface, creates namespace and TUN without root, and sends the TUN's descriptor; then it sends a
//! socket for each request. A socket stays in the namespace where it was created, so the program that
//! started the helper holds sockets of the namespace while it stays outside. The helper ends with that
//! program, however it ends. It is a separate program so that a security profile can name its path.
//!
//! `holloway-namespace run` instead executes a program inside such a namespace.

mod answer;
mod failure;
#[cfg(test)]
mod fuzz_properties;
mod interface;
mod namespace;
mod netlink;
mod program;
mod request;
mod server;
mod system;

use std::os::fd::RawFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().and_then(|text| text.into_string().ok());
    match first.as_deref() {
        Some("run") => program::run(arguments),
        Some(control) if arguments.next().is_none() => {
            control.parse().map_or_else(|_| usage(), serve)
        }
        _ => usage(),
    }
}

fn serve(control: RawFd) -> ExitCode {
    match server::serve(control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn usage() -> ExitCode {
    eprintln!("holloway-namespace is started by Holloway and is of no use by itself");
    ExitCode::from(2)
}
