//! Serves one program until it ends: the namespace first, then sockets.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::str::from_utf8;

use crate::failure::{Failure, Step};
use crate::request::{Sockets, Start};
use crate::{interface, namespace, system};

/// Serve the program at the other end of `control`.
///
/// An error is one of `control` itself; every other is told to the program.
pub fn serve(control: RawFd) -> io::Result<()> {
    let control = system::own(control)?;
    // A terminal and a supervisor signal the whole group, when the program may have much to end.
    system::ignore(&[libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP]);
    // And stops it, when the program may go on: a shell's job control is for who has the terminal.
    system::ignore(&[libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]);
    // Its end of `control` may live on in a fork of it, so the program itself is watched too.
    let parent = system::watch_parent()?;
    let mut buffer = vec![0; MOST];
    let Some(message) = next(&control, &parent, &mut buffer)? else {
        return Ok(());
    };
    let (number, start) = numbered(message);
    if !answer(
        &control,
        number,
        start.parse().and_then(|start| begin(&start)),
    )? {
        return Ok(());
    }
    while let Some(message) = next(&control, &parent, &mut buffer)? {
        let (number, request) = numbered(message);
        answer(
            &control,
            number,
            request.parse().and_then(|request| open(&request)),
        )?;
    }
    Ok(())
}

/// The next request; none when the program has gone or wants no more.
fn next<'a>(
    control: &OwnedFd,
    parent: &OwnedFd,
    buffer: &'a mut [u8],
) -> io::Result<Option<&'a [u8]>> {
    if !system::wait(control, parent)? {
        return Ok(None);
    }
    let message = system::receive(control, buffer)?;
    Ok((!message.is_empty()).then_some(message))
}

/// A request begins with a number, which its answer repeats: the program may have been interrupted
/// before it took the last one.
fn numbered(message: &[u8]) -> (&str, &str) {
    let text = from_utf8(message).unwrap_or_default();
    text.split_once(' ').unwrap_or_default()
}

/// Send what came of a request; whether it was good.
fn answer(
    control: &OwnedFd,
    number: &str,
    result: Result<Vec<OwnedFd>, Failure>,
) -> io::Result<bool> {
    match result {
        Ok(descriptors) => {
            let message = format!("{number} ok");
            system::send_descriptors(control, message.as_bytes(), &descriptors).map(|()| true)
        }
        Err(Failure { step, errno }) => {
            let message = format!("{number} error {errno} {step}");
            system::send(control, message.as_bytes()).map(|()| false)
        }
    }
}

fn begin(start: &Start) -> Result<Vec<OwnedFd>, Failure> {
    namespace::enter()?;
    interface::create(start).map(|tun| vec![tun])
}

/// As many as were asked for, or as can be had; an error if that is none.
fn open(request: &Sockets) -> Result<Vec<OwnedFd>, Failure> {
    let make = || system::socket(request.family, request.kind, request.protocol);
    let mut made = vec![make().step("socket")?];
    made.extend((1..request.number).map_while(|_| make().ok()));
    Ok(made)
}

/// The longest request: many addresses.
const MOST: usize = 1 << 16;
