//! Serves one program until it ends: first the namespace, then sockets.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::str::from_utf8;

use crate::failure::{Failure, Step};
use crate::request::{Sockets, Start};
use crate::{interface, namespace, system};

/// Serve the program at the other end of `control`.
///
/// Returns only errors of `control` itself; all others are sent to the program.
pub fn serve(control: RawFd) -> io::Result<()> {
    let control = system::own(control)?;
    // Terminals and supervisors signal the whole group, but the program may need us to end in order.
    system::ignore(&[libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP]);
    // They also stop the whole group, but the program may ignore this.
    system::ignore(&[libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]);
    // A fork of the program may keep its end of `control` open, so the program itself is watched too.
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

/// The next request. None if the program has ended or closed its end.
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

/// Split off the number of a request, which the response repeats: the program may have been interrupted
/// before it received the last response.
fn numbered(message: &[u8]) -> (&str, &str) {
    let text = from_utf8(message).unwrap_or_default();
    text.split_once(' ').unwrap_or_default()
}

/// Send the result of a request, and return whether it succeeded.
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

/// Create the requested number of sockets, or as many as possible. An error if there are none.
fn open(request: &Sockets) -> Result<Vec<OwnedFd>, Failure> {
    let make = || system::socket(request.family, request.kind, request.protocol);
    let mut made = vec![make().step("socket")?];
    made.extend((1..request.number).map_while(|_| make().ok()));
    Ok(made)
}

/// The longest request: many addresses.
const MOST: usize = 1 << 16;
