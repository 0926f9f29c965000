//! A helper process that lives in a network namespace of its own and makes sockets there.
//!
//! `holloway-namespace FD` speaks over FD, one end of a SOCK_SEQPACKET pair: it is told what the
//! interface shall be, makes namespace and TUN without root, hands the TUN over, and then a socket
//! for every request. A socket stays in the namespace where it was made, so the program that
//! started us, which stays outside, holds sockets that live inside. It ends with that program,
//! however that ends. It is a program of its own so that a security profile can name its path.

mod failure;
mod interface;
mod namespace;
mod netlink;
mod request;
mod server;
mod system;

use std::os::fd::RawFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let control = arguments.next().and_then(|text| text.parse::<RawFd>().ok());
    let (Some(control), None) = (control, arguments.next()) else {
        eprintln!("holloway-namespace is started by Holloway and is of no use by itself");
        return ExitCode::from(2);
    };
    match server::serve(control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
