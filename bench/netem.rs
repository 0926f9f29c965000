//! A bad link between two peers: delays every datagram and loses some, for kernels without netem.
//!
//!     netem LISTEN REMOTE DELAY_MS LOST [JITTER_MS]        (LOST of a thousand, each way)
//!
//! One peer sends to LISTEN; the other, REMOTE, sees the address of the link. Each datagram is delayed
//! by DELAY_MS and up to JITTER_MS more, so that jitter reorders. Each direction has two threads: one
//! receives, the other waits until each datagram is due and sends it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The most datagrams in flight in a direction; more are dropped.
const LIMIT: usize = 1 << 15;

/// When it is due, its number, so that those due at once keep their order, and its bytes.
type Datagram = (Instant, u64, Vec<u8>);

unsafe extern "C" {
    fn setsockopt(fd: i32, level: i32, name: i32, value: *const i32, length: u32) -> i32;
}

/// Bind a socket with buffers for bursts.
fn bind(address: &str) -> UdpSocket {
    const SOL_SOCKET: i32 = 1;
    const SO_SNDBUFFORCE: i32 = 32;
    const SO_RCVBUFFORCE: i32 = 33;
    let socket = UdpSocket::bind(address).expect("the address is free");
    let size: i32 = 16 << 20;
    for option in [SO_SNDBUFFORCE, SO_RCVBUFFORCE] {
        // SAFETY: the descriptor is open, and the value lives through the call.
        unsafe { setsockopt(socket.as_raw_fd(), SOL_SOCKET, option, &raw const size, 4) };
    }
    socket
}

/// Receive datagrams, record the sender, and queue all except the lost ones.
fn receive(
    socket: &UdpSocket,
    sender: &Mutex<Option<SocketAddr>>,
    delay: Duration,
    jitter: Duration,
    loss: u64,
    queue: &SyncSender<Datagram>,
) {
    let mut random: u64 = 0x9E37_79B9_7F4A_7C15 ^ loss;
    let mut buffer = vec![0; 1 << 16];
    for number in 0.. {
        // An error is about an earlier datagram that nothing received (ECONNREFUSED).
        let Ok((length, address)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        // The latest sender: a peer's address may change.
        *sender.lock().expect("nobody panics") = Some(address);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (random >> 11) % 1000 >= loss {
            let late = jitter.mul_f64((random & 0xFFFF) as f64 / 65_536.0);
            let due = Instant::now() + delay + late;
            let _ = queue.try_send((due, number, buffer[..length].to_vec()));
        }
    }
}

fn send(socket: &UdpSocket, target: &Mutex<Option<SocketAddr>>, queue: &Receiver<Datagram>) {
    let mut waiting: BinaryHeap<Reverse<Datagram>> = BinaryHeap::new();
    loop {
        let next = waiting.peek().map(|Reverse((due, _, _))| *due);
        let received = match next {
            Some(due) => queue.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(datagram) if waiting.len() < LIMIT => waiting.push(Reverse(datagram)),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        while waiting
            .peek()
            .is_some_and(|Reverse((due, _, _))| *due <= now)
        {
            let Some(Reverse((_, _, bytes))) = waiting.pop() else {
                break;
            };
            let target = *target.lock().expect("nobody panics");
            if let Some(target) = target {
                let _ = socket.send_to(&bytes, target);
            }
        }
    }
}

/// Return a number of milliseconds, which may have a fraction.
fn milliseconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse::<f64>().expect("a number") / 1000.0)
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [listen, remote, delay, loss, more @ ..] = words.as_slice() else {
        panic!("netem LISTEN REMOTE DELAY_MS LOST [JITTER_MS]");
    };
    let delay = milliseconds(delay);
    let jitter = milliseconds(more.first().map_or("0", String::as_str));
    let loss: u64 = loss.parse().expect("a number");
    let remote: SocketAddr = remote.parse().expect("an address");
    let client_side = Arc::new((bind(listen), Mutex::new(None)));
    let remote_side = Arc::new((bind("0.0.0.0:0"), Mutex::new(Some(remote))));
    let mut threads = Vec::new();
    for (one, other) in [(&client_side, &remote_side), (&remote_side, &client_side)] {
        let (give, take) = sync_channel(LIMIT);
        let (from, to) = (Arc::clone(one), Arc::clone(other));
        threads.push(thread::spawn(move || {
            receive(&from.0, &from.1, delay, jitter, loss, &give)
        }));
        threads.push(thread::spawn(move || send(&to.0, &to.1, &take)));
    }
    println!("ready");
    for thread in threads {
        let _ = thread.join();
    }
}
