//! A stack without its thread; tests write the other side's packets and control the clock.

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;

use holloway_packet::checksum;
use holloway_plane::{READ_SIZE, Tun};
use holloway_stack::addresses::{Addresses, Own};
use holloway_stack::attempt::Attempt;
use holloway_stack::engine::Engine;
use holloway_stack::events::{Events, Id};
use holloway_stack::local::Local;
use holloway_stack::net::Settings;
use holloway_stack::shared::{Answer, Request, Shared};
use holloway_stack::socket_pair::{DatagramEnd, StreamEnd};

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

pub const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const THEM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub const PORT: u16 = 80;
pub const BUFFER: usize = 64 * 1024;
pub const MEMORY: usize = 4 * 1024 * 1024;

const LISTENER: Id = 1_000_000;

/// A TCP segment.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    pub source: u16,
    pub destination: u16,
    pub sequence: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
    /// In what we send: the size of the segments that the plane cuts it into; 0 if it is one.
    pub size: u16,
}

impl Segment {
    /// A request for a connection to `PORT`.
    pub fn syn(source: u16) -> Self {
        Self {
            source,
            destination: PORT,
            sequence: 7,
            flags: SYN,
            window: 1000,
            ..Self::default()
        }
    }

    /// The IP packet from the other side to us, behind an empty vnet_hdr.
    pub fn packet(&self) -> Vec<u8> {
        self.packet_between(THEM, US)
    }

    /// The same with other addresses.
    pub fn packet_between(&self, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4).min(40), 0);
        let header = 20 + options.len();
        let length = header + self.payload.len();
        let mut out = vec![0; 10];
        out.extend_from_slice(&[0x45, 0]);
        out.extend_from_slice(&((20 + length) as u16).to_be_bytes());
        out.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
        out.extend_from_slice(&source.octets());
        out.extend_from_slice(&destination.octets());
        checksum::write_ipv4_header(&mut out[10..30]);
        for port in [self.source, self.destination] {
            out.extend_from_slice(&port.to_be_bytes());
        }
        for number in [self.sequence, self.ack] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&[((header / 4) << 4) as u8, self.flags]);
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&options);
        out.extend_from_slice(&self.payload);
        let addresses = [source.octets(), destination.octets()].concat();
        let sum = checksum::pseudo_header(&addresses, 6, length) + checksum::sum(&out[30..]);
        out[46..48].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
        out
    }

    pub fn parse(packet: &[u8]) -> Option<Self> {
        let body = packet.get(30..).filter(|_| packet[19] == 6)?;
        let number =
            |at: usize| u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        let header = usize::from(body[12] >> 4) * 4;
        Some(Self {
            source: u16::from_be_bytes([body[0], body[1]]),
            destination: u16::from_be_bytes([body[2], body[3]]),
            sequence: number(4),
            ack: number(8),
            flags: body[13],
            window: u16::from_be_bytes([body[14], body[15]]),
            options: body[20..header].to_vec(),
            payload: body[header..].to_vec(),
            size: u16::from_ne_bytes([packet[4], packet[5]]),
        })
    }
}

/// The stack and its surroundings.
pub struct Harness {
    pub engine: Engine,
    pub now: i64,
    shared: Arc<Shared>,
    tun: Tun,
    listener: Option<UnixStream>,
}

impl Harness {
    pub fn new() -> Self {
        Self::with(BUFFER, MEMORY)
    }

    /// A stack with buffers of this size and this memory budget.
    pub fn with(buffer: usize, memory: usize) -> Self {
        let (tun, endpoint) = Tun::to_stack("inner").expect("a pair");
        let shared = Arc::new(Shared {
            endpoint: Arc::new(endpoint),
            events: Events::new().expect("an eventfd"),
            requests: Default::default(),
            counts: Default::default(),
            last_id: AtomicU64::new(0),
        });
        let own = Own {
            address: US.into(),
            length: 24,
        };
        let settings = Settings {
            addresses: Addresses::new(vec![own]),
            mtu: 1420,
            buffer,
            memory,
        };
        let engine = Engine::new(shared.clone(), &settings).expect("an engine");
        Self {
            engine,
            now: 1,
            shared,
            tun,
            listener: None,
        }
    }

    /// A harness with a listener, and the listener's number.
    pub fn listening() -> (Self, Id) {
        let mut harness = Self::new();
        let listener = harness.listen();
        (harness, listener)
    }

    /// Start a listener, and return its number.
    pub fn listen(&mut self) -> Id {
        self.listen_on(US)
    }

    /// The same on another address.
    pub fn listen_on(&mut self, address: Ipv4Addr) -> Id {
        let (ours, theirs) = StreamEnd::pair(BUFFER).expect("a pair");
        self.ask(Request::Stream(LISTENER, ours));
        let local = Local {
            address: (address, PORT).into(),
            is_dual: false,
        };
        self.answer(|answer| Request::Bind(LISTENER, local, answer));
        self.answer(|answer| Request::Listen(LISTENER, 16, answer));
        self.listener = Some(UnixStream::from(theirs));
        LISTENER
    }

    /// Close the listener, as the program does.
    pub fn stop_listening(&mut self) {
        self.listener = None;
    }

    /// Connect to the other side. Returns the program's end, and what is to become of the attempt.
    pub fn connect(&mut self, id: Id, timeout: i64) -> (UnixStream, Arc<Attempt>) {
        let (ours, theirs) = StreamEnd::pair(BUFFER).expect("a pair");
        self.ask(Request::Stream(id, ours));
        let attempt = Arc::new(Attempt::default());
        let remote = (THEM, PORT).into();
        self.ask(Request::Connect(id, remote, timeout, attempt.clone()));
        (UnixStream::from(theirs), attempt)
    }

    /// Connect a UDP socket to the other side. Returns the program's end, and its address.
    pub fn datagrams(&mut self, id: Id) -> (OwnedFd, SocketAddr) {
        let (ours, theirs) = DatagramEnd::pair(BUFFER).expect("a pair");
        self.ask(Request::Datagrams(id, ours));
        let remote = (THEM, PORT).into();
        let local = self.answer(|answer| Request::Associate(id, remote, answer));
        (theirs, local)
    }

    pub fn ask(&mut self, request: Request) {
        self.shared.requests.push(request);
        self.shared.endpoint.wake();
        self.turn();
    }

    /// Make a request that succeeds, and return its answer.
    pub fn answer(&mut self, request: impl FnOnce(Answer) -> Request) -> SocketAddr {
        let (answer, answered) = mpsc::sync_channel(1);
        self.ask(request(answer));
        answered.recv().expect("an answer").expect("success")
    }

    /// Run the stack until it is idle.
    pub fn turn(&mut self) {
        let now = self.now;
        for _ in 0..4 {
            let going = self.engine.turn_at(0, |_| now, 0).expect("an interface");
            assert!(going);
        }
    }

    /// Send packets to the stack, each with its vnet_hdr.
    pub fn give(&mut self, packets: &[Vec<u8>]) {
        for packet in packets {
            let _ = self.tun.write(0, &[IoSlice::new(packet)]);
        }
        self.turn();
    }

    pub fn send(&mut self, segment: &Segment) -> Vec<Segment> {
        self.give(&[segment.packet()]);
        self.sent()
    }

    /// The TCP segments that the stack has sent since the last call.
    pub fn sent(&mut self) -> Vec<Segment> {
        let packets = self.packets();
        packets
            .iter()
            .filter_map(|packet| Segment::parse(packet))
            .collect()
    }

    /// The packets that the stack has sent since the last call, each with its vnet_hdr.
    pub fn packets(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; READ_SIZE];
        let mut sent = Vec::new();
        while let Ok(length) = self.tun.read(0, &mut buffer) {
            sent.push(buffer[..length].to_vec());
        }
        sent
    }

    /// Connect to the listener from `source`. Returns the program's end and the other side's next segment.
    pub fn connected(&mut self, listener: Id, source: u16) -> (UnixStream, Segment) {
        self.connected_with(listener, source, vec![2, 4, 5, 0x64, 4, 2])
    }

    /// The same with these options in the SYN.
    pub fn connected_with(
        &mut self,
        listener: Id,
        source: u16,
        options: Vec<u8>,
    ) -> (UnixStream, Segment) {
        let mut next = Segment {
            source,
            destination: PORT,
            sequence: 1000,
            flags: SYN,
            window: 65_000,
            options,
            ..Segment::default()
        };
        let answers = self.send(&next);
        let answer = answers.iter().find(|segment| segment.flags == SYN | ACK);
        let answer = answer.expect("a listener answers").clone();
        next.options.clear();
        (next.flags, next.sequence) = (ACK, 1001);
        next.ack = answer.sequence.wrapping_add(1);
        self.send(&next);
        assert_eq!(listener, LISTENER);
        let end = self.listener.as_ref().expect("a listener");
        let stream = accept(end.as_raw_fd()).expect("a connection");
        stream.set_nonblocking(true).expect("a socket");
        (stream, next)
    }

    /// Advance the clock in steps, and collect what is sent.
    pub fn wait(&mut self, seconds: i64) -> Vec<Segment> {
        let mut sent = Vec::new();
        for _ in 0..seconds * 10 {
            self.now += 100_000;
            self.turn();
            sent.extend(self.sent());
        }
        sent
    }
}

/// Accept a connection, as the program does.
#[allow(unsafe_code)]
fn accept(listener: RawFd) -> Option<UnixStream> {
    let mut names = [0_u8; 36];
    let mut part = libc::iovec {
        iov_base: names.as_mut_ptr().cast(),
        iov_len: names.len(),
    };
    let mut control = [0_u64; 4];
    // SAFETY: plain data, for which zeros are valid; it names two valid buffers.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of_val(&control) as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        if libc::recvmsg(listener, &raw mut message, flags) < 0 {
            return None;
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let fd = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Some(UnixStream::from(OwnedFd::from_raw_fd(fd)))
    }
}
