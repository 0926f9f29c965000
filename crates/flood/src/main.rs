//! Floods a WireGuard device that runs in another network namespace of this machine.
//!
//! It measures how devices bear floods (`bench/floods.py`) and tests ours (`tests/root/test_floods.py`).
//! It only sends to an address of a given network namespace, for at most a minute, and neither end may be
//! the network namespace of process 1: see `target`. It prints what it sent as JSON.

mod arguments;
mod messages;
mod packets;
mod random;
mod sending;
mod system;
mod target;

use std::process::ExitCode;

use arguments::Arguments;
use packets::Packets;
use random::Random;
use system::RawSocket;
use target::Target;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("{reason}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, String> {
    let target = Target::check(&arguments.namespace, arguments.target)?;
    let mut random = Random::seeded();
    let messages = messages::make(&arguments.kind, &mut random);
    let sources = arguments.sources(&target);
    let mut packets = Packets::new(&messages, sources, arguments.target, random);
    let socket = RawSocket::open(arguments.target)
        .map_err(|error| format!("A raw socket needs root: {error}"))?;
    let report = sending::send(&socket, &mut packets, arguments.rate, arguments.duration);
    Ok(report.json())
}
