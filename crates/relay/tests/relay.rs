//! A relay between real sockets: bytes, ends, errors and limits.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use holloway_relay::{End, Failure, Options, PairHandle, Relay};

const TIMEOUT: Duration = Duration::from_secs(20);

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_read_timeout(Some(TIMEOUT)).unwrap();
    (near, far)
}

fn unix() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_read_timeout(Some(TIMEOUT)).unwrap();
    (near, far)
}

/// A client and a server with a relay between them.
fn joined(relay: &Relay, limit: Option<u64>) -> (TcpStream, TcpStream, PairHandle) {
    let (client, first) = tcp();
    let (server, second) = tcp();
    let options = Options {
        limit,
        ..Options::default()
    };
    let link = relay
        .join(OwnedFd::from(first), OwnedFd::from(second), options)
        .unwrap();
    (client, server, link)
}

fn end(relay: &Relay) -> End {
    let start = Instant::now();
    loop {
        if let Some(end) = relay.ends().pop() {
            return end;
        }
        assert!(start.elapsed() < TIMEOUT, "the pair did not end");
        thread::sleep(Duration::from_millis(1));
    }
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 % 251) as u8).collect()
}

fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let relay = Relay::new().unwrap();
    let (mut client, mut server, link) = joined(&relay, None);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&server), b"question");
    server.write_all(b"answer").unwrap();
    drop(server);
    assert_eq!(read_all(&client), b"answer");
    let end = end(&relay);
    assert_eq!((end.id, end.failure), (link.id(), None));
    assert_eq!(link.moved(), [8, 6]);
    assert_eq!(relay.moved(), [8, 6]);
}

#[test]
fn megabytes_both_ways_at_once_arrive_whole() {
    let relay = Relay::new().unwrap();
    let (client, server, _) = joined(&relay, None);
    let sent = pattern(20_000_000);
    let sent_bytes = &sent[..];
    thread::scope(|scope| {
        for mut stream in [&client, &server] {
            scope.spawn(move || {
                stream.write_all(sent_bytes).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
        }
        let received = scope.spawn(|| read_all(&server));
        assert!(read_all(&client) == sent);
        assert!(received.join().unwrap() == sent);
    });
    assert_eq!(end(&relay).failure, None);
}

#[test]
fn sockets_of_another_family_are_served_alike() {
    let relay = Relay::new().unwrap();
    let (client, first) = tcp();
    let (server, second) = unix();
    relay
        .join(
            OwnedFd::from(first),
            OwnedFd::from(second),
            Options::default(),
        )
        .unwrap();
    let sent = pattern(5_000_000);
    thread::scope(|scope| {
        scope.spawn(|| {
            (&client).write_all(&sent).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        let received = read_all(&server);
        assert!(received == sent);
        (&server).write_all(&received[..1_000_000]).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
    });
    assert!(read_all(&client) == sent[..1_000_000]);
    assert_eq!(end(&relay).failure, None);
}

#[test]
fn a_reset_on_one_side_is_a_reset_on_the_other() {
    let relay = Relay::new().unwrap();
    let (client, mut server, _) = joined(&relay, None);
    server.write_all(b"unread").unwrap();
    // Closing with unread bytes is a reset.
    while client.peek(&mut [0; 1]).unwrap() == 0 {}
    drop(client);
    let Failure { side, errno } = end(&relay).failure.unwrap();
    assert_eq!((side, errno), (Some(0), libc::ECONNRESET));
    let error = server.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn what_a_server_says_before_it_resets_is_passed_on() {
    let relay = Relay::new().unwrap();
    let (mut client, mut server, _) = joined(&relay, None);
    client.write_all(&pattern(100_000)).unwrap();
    while server.peek(&mut [0; 1]).unwrap() == 0 {}
    server.write_all(b"too large").unwrap();
    drop(server);
    let mut heard = [0; 9];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"too large");
}

#[test]
fn a_reader_that_stops_stops_its_writer_and_costs_others_nothing() {
    let relay = Relay::new().unwrap();
    let (client, server, link) = joined(&relay, None);
    client
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let piece = pattern(1 << 20);
    let mut written = 0;
    while let Ok(size) = (&client).write(&piece) {
        written += size;
        assert!(written < 1 << 28, "nothing holds the writer back");
    }
    let (mut other, mut other_server, _) = joined(&relay, None);
    other.write_all(b"still here").unwrap();
    let mut heard = [0; 10];
    other_server.read_exact(&mut heard).unwrap();
    // The reader continues, and nothing is lost.
    let reader = thread::spawn(move || read_all(&server).len());
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(reader.join().unwrap(), written);
    assert_eq!(link.moved()[0], written as u64);
}

#[test]
fn no_more_than_the_limit_goes_up_and_the_answer_still_comes_whole() {
    let relay = Relay::new().unwrap();
    let (mut client, mut server, _) = joined(&relay, Some(5));
    client
        .write_all(b"first and what was not asked for")
        .unwrap();
    let mut heard = [0; 5];
    server.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"first");
    server
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert_eq!(
        server.read(&mut [0; 1]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let answer = pattern(3_000_000);
    let sender = thread::spawn(move || {
        server.write_all(&answer).unwrap();
    });
    assert_eq!(read_all(&client).len(), 3_000_000);
    sender.join().unwrap();
    assert_eq!(end(&relay).failure, None);
}

#[test]
fn an_aborted_pair_is_reset_on_both_sides() {
    let relay = Relay::new().unwrap();
    let (mut client, mut server, link) = joined(&relay, None);
    relay.abort(link.id());
    let failure = Some(Failure {
        side: None,
        errno: libc::ECONNABORTED,
    });
    let end = end(&relay);
    assert_eq!((end.id, end.failure), (link.id(), failure));
    assert!(end.unconnected.is_none());
    for stream in [&mut client, &mut server] {
        assert_eq!(
            stream.read(&mut [0; 1]).unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
    }
}

#[test]
fn closing_ends_every_pair_and_refuses_new_ones() {
    let relay = Relay::new().unwrap();
    let streams: Vec<_> = (0..100).map(|_| joined(&relay, None)).collect();
    relay.close();
    assert_eq!(relay.ends().len(), 100);
    for (mut client, _, _) in streams {
        assert_eq!(
            client.read(&mut [0; 1]).unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
    }
    let (_, first) = tcp();
    let (_, second) = tcp();
    let refused = relay.join(
        OwnedFd::from(first),
        OwnedFd::from(second),
        Options::default(),
    );
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::ESHUTDOWN));
}

#[test]
fn what_is_no_socket_ends_at_once_with_its_error() {
    let relay = Relay::new().unwrap();
    let (_client, first) = tcp();
    let file = std::fs::File::open("/dev/null").unwrap();
    relay
        .join(
            OwnedFd::from(first),
            OwnedFd::from(file),
            Options::default(),
        )
        .unwrap();
    let failure = end(&relay).failure.unwrap();
    assert_eq!((failure.side, failure.errno), (Some(1), libc::EPERM));
}

#[test]
fn a_hundred_pairs_at_once_each_keep_their_own_bytes() {
    let relay = Relay::new().unwrap();
    thread::scope(|scope| {
        for seed in 0..100_usize {
            let (client, server, _) = joined(&relay, None);
            let sent: Vec<u8> = pattern(7 + seed * 2029);
            scope.spawn(move || {
                let mut at = 0;
                // In pieces of many sizes, so that directions end in every state of the other one.
                for size in (1..).map(|turn| 1 + (turn * (seed + 13)) % 4099) {
                    let end = (at + size).min(sent.len());
                    (&client).write_all(&sent[at..end]).unwrap();
                    at = end;
                    if at == sent.len() {
                        break;
                    }
                }
                client.shutdown(Shutdown::Write).unwrap();
                assert!(read_all(&client) == sent);
            });
            scope.spawn(move || {
                let heard = read_all(&server);
                (&server).write_all(&heard).unwrap();
            });
        }
    });
}

#[test]
fn a_thousand_pairs_leave_no_descriptor_behind() {
    let relay = Relay::new().unwrap();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let relayed = |_| {
        let (mut client, server, _) = joined(&relay, None);
        client.write_all(b"x").unwrap();
        drop(client);
        assert_eq!(read_all(&server), b"x");
        drop(server);
        end(&relay);
        probe.as_raw_fd()
    };
    (0..1000).for_each(|round| {
        relayed(round);
    });
    // Other tests of this process have sockets too, but never so many.
    assert!(open() < 800);
}
