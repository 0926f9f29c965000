//! A helper process that lives in a network namespace of its own and makes sockets there.
//!
//! `holloway-namespace FD` speaks over FD, one end of a SOCK_SEQPACKET pair: it is told what the
//! interface shall be, makes namespace and TUN without root, hands the TUN over, and then a socket
//! for every request. A socket stays in the namespace where it was made, so the program that
//! started us, which stays outside, holds sockets that live inside. It ends with that program,
//! however that ends. It is a program of its own so that a security profile can name its path.
//!
//! `holloway-namespace run` is the other use: it becomes a program inside such a namespace.

mod failure;
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
