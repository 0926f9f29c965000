//! A lossy link between two peers: delays every datagram and loses some, for kernels without netem.
//!
//!     netem LISTEN REMOTE DELAY_MS LOST        (LOST of a thousand, each way)
//!
//! One peer sends to LISTEN; the other, REMOTE, sees the address of the link. Each direction has two
//! threads: one receives, the other waits until each datagram is due and sends it.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The most datagrams in flight in a direction; more are dropped.
const LIMIT: usize = 1 << 15;

type Datagram = (Instant, Vec<u8>);

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
    loss: u64,
    queue: &SyncSender<Datagram>,
) {
    let mut random: u64 = 0x9E37_79B9_7F4A_7C15 ^ loss;
    let mut buffer = vec![0; 1 << 16];
    loop {
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
            let _ = queue.try_send((Instant::now() + delay, buffer[..length].to_vec()));
        }
    }
}

fn send(socket: &UdpSocket, target: &Mutex<Option<SocketAddr>>, queue: &Receiver<Datagram>) {
    for (due, bytes) in queue {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let target = *target.lock().expect("nobody panics");
        if let Some(target) = target {
            let _ = socket.send_to(&bytes, target);
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [listen, remote, delay, loss] = words.as_slice() else {
        panic!("netem LISTEN REMOTE DELAY_MS LOST");
    };
    let delay = Duration::from_micros((delay.parse::<f64>().expect("a number") * 1000.0) as u64);
    let loss: u64 = loss.parse().expect("a number");
    let remote: SocketAddr = remote.parse().expect("an address");
    let client_side = Arc::new((bind(listen), Mutex::new(None)));
    let remote_side = Arc::new((bind("0.0.0.0:0"), Mutex::new(Some(remote))));
    let mut threads = Vec::new();
    for (one, other) in [(&client_side, &remote_side), (&remote_side, &client_side)] {
        let (give, take) = sync_channel(LIMIT);
        let (from, to) = (Arc::clone(one), Arc::clone(other));
        threads.push(thread::spawn(move || {
            receive(&from.0, &from.1, delay, loss, &give)
        }));
        threads.push(thread::spawn(move || send(&to.0, &to.1, &take)));
    }
    println!("ready");
    for thread in threads {
        let _ = thread.join();
    }
}
