//! Packets of the other side, up to the program.

use holloway_packet::offload::VNET_HEADER;
use holloway_packet::transport::TCP_HEADER;
use smoltcp::socket::tcp::{RecvError, Socket, State};
use smoltcp::time::Duration;

use super::recovering::inner_scale;
use super::{ACK_DELAY, FIN_TIMEOUT, MIN_SEGMENT, Phase, Stream, instant, is_later};
use crate::counts::Reason;
use crate::memory::FLOOR;
use crate::net::Net;
use crate::packet::{Flow, ip_header};
use crate::recovery::Recovery;
use crate::segment::{Segment, replace_mss, replace_scale, replace_window, write_ack};
use crate::sequence::Verdict;
use crate::window::Window;

impl Stream {
    /// Receive a packet, with its vnet_hdr.
    pub fn receive(&mut self, net: &mut Net, packet: Vec<u8>, segment: &Segment) {
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let state = socket.state();
        match self.sequence.judge(socket, segment, self.window.edge) {
            _ if matches!(state, State::Listen | State::SynSent) => {
                self.begin(net, packet, segment, state);
            }
            Verdict::Take => self.take(net, packet, segment),
            Verdict::Challenge => self.challenge(net, packet),
            Verdict::Drop => net.link.recycle(packet),
        }
    }

    /// Receive a packet before the connection is established. Its options count only now.
    fn begin(&mut self, net: &mut Net, mut packet: Vec<u8>, segment: &Segment, before: State) {
        let most = net.link.mtu() - ip_header(self.flow.local.is_ipv4()) - TCP_HEADER;
        let size = usize::from(segment.mss).max(MIN_SEGMENT).min(most);
        replace_mss(&mut packet, size as u16);
        let recovery = segment.permits_sack.then(|| self.recovery(segment, size));
        if let Some(recovery) = &recovery {
            replace_window(&mut packet, recovery.allowed() as u16);
            replace_scale(&mut packet, inner_scale(self.buffers.send.size()));
        }
        net.link.offer(packet);
        let mut interface = net.beginning(self.sequence.ours);
        interface.poll_ingress_single(instant(net.now), &mut net.link, &mut self.set);
        if self.socket().state() != before {
            self.sequence.begin(segment.sequence);
            let scale = scale(self.buffers.receive.size());
            let shift = if segment.scale.is_some() { scale } else { 0 };
            self.window.begin(segment.sequence.wrapping_add(1), shift);
            self.segment = size;
            self.scale = segment.scale.unwrap_or(0);
            self.has_scale = segment.scale.is_some();
            if recovery.is_some() {
                let none = smoltcp::socket::tcp::CongestionControl::None;
                self.socket().set_congestion_control(none);
            }
            self.given = recovery.as_ref().map_or(0, Recovery::allowed);
            self.recovery = recovery;
        }
        self.last_received = net.now;
    }

    /// Receive a packet of the established connection.
    fn take(&mut self, net: &mut Net, mut packet: Vec<u8>, segment: &Segment) {
        if !self.has_room(net, segment) {
            net.counts.add(Reason::Memory);
            net.link.recycle(packet);
            return;
        }
        // Acknowledge several segments in one packet at once: there may be no second packet.
        let is_long = segment.payload > net.link.mtu();
        let delay = if is_long { Duration::ZERO } else { ACK_DELAY };
        self.socket().set_ack_delay(Some(delay));
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let before = self.sequence.unacknowledged(socket);
        net.link.segment = self.segment;
        if self.is_new(segment, net.now) {
            if self.recovery.is_some() {
                replace_window(&mut packet, self.field());
            }
            self.offer(net, packet);
        } else {
            net.link.recycle(packet);
        }
        self.sequence.record_received(segment);
        self.buffers.receive.wrote(segment.payload);
        self.charge(net);
        self.buffers.touch(net.now);
        self.last_received = net.now;
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let is_progress = self.sequence.unacknowledged(socket) != before;
        if is_progress && matches!(self.phase, Phase::Orphan) {
            self.deadline = Some(net.now + FIN_TIMEOUT);
        }
    }

    /// Whether the memory budget has room for the data of a segment. What follows next always has a little, so
    /// that each stream goes on.
    fn has_room(&mut self, net: &mut Net, segment: &Segment) -> bool {
        let payload = segment.payload;
        let is_next = payload <= FLOOR.max(2 * net.link.mtu());
        if payload == 0 || net.memory.may_hold(self.charged, self.cost(net, payload)) {
            return true;
        }
        let (received, queued) = self.held();
        self.buffers.trim(received, queued);
        self.charge(net);
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let is_next = is_next && segment.sequence == self.sequence.expected(socket);
        let has_queue = socket.recv_queue() >= FLOOR;
        is_next && !has_queue || net.memory.may_hold(self.charged, self.cost(net, payload))
    }

    /// Make smoltcp acknowledge what we have, as it answers a keep-alive: at most once a second of its clock.
    fn challenge(&mut self, net: &mut Net, packet: Vec<u8>) {
        self.imitate(net, packet, 1, 0);
    }

    /// Let smoltcp receive an acknowledgement that the other side did not send, `before` the next number that
    /// is expected, and with this window field. It is written into `packet`.
    pub(super) fn imitate(&mut self, net: &mut Net, mut packet: Vec<u8>, before: u32, field: u16) {
        let flow = Flow {
            local: self.flow.remote,
            remote: self.flow.local,
        };
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let sequence = self.sequence.expected(socket).wrapping_sub(before);
        let ack = self.sequence.unacknowledged(socket);
        packet.clear();
        write_ack(&mut packet, &flow, sequence, ack, field);
        self.offer(net, packet);
    }

    fn offer(&mut self, net: &mut Net, packet: Vec<u8>) {
        net.link.offer(packet);
        net.link.window = Some(self.window(net, 0));
        let now = instant(net.now);
        net.interface
            .poll_ingress_single(now, &mut net.link, &mut self.set);
        self.window = net.link.window.take().unwrap_or(self.window);
    }

    /// The window after the program has read `count` bytes.
    pub(super) fn window(&self, net: &Net, count: usize) -> Window {
        let mut window = self.window;
        let most = self.buffers.receive.size();
        window.advance(count, self.sequence.read(), net.memory.share(), most);
        window
    }

    /// Announce room for more, where smoltcp does not: it does not know that the window was small.
    pub(super) fn reopen(&mut self, net: &mut Net) {
        let socket = self.set.get::<Socket<'static>>(self.handle);
        if !socket.may_recv() || !matches!(self.phase, Phase::Open(_)) {
            return;
        }
        let next = self.sequence.expected(socket);
        let mut window = self.window(net, 0);
        let Some(field) = window.reopen(next, self.segment) else {
            return;
        };
        let length = VNET_HEADER + ip_header(self.flow.local.is_ipv4()) + TCP_HEADER;
        if net.link.has_room(length) {
            let (flow, sent) = (self.flow, self.sequence.sent);
            net.link
                .send(length, |out| write_ack(out, &flow, sent, next, field));
            self.window = window;
        }
    }

    /// Write received bytes to the program.
    pub(super) fn deliver(&mut self, net: &mut Net) -> usize {
        let socket = self.set.get_mut::<Socket<'static>>(self.handle);
        let pair_buffer = net.pair_buffer;
        let Phase::Open(end) = &self.phase else {
            if matches!(self.phase, Phase::Orphan) && socket.can_recv() {
                socket.abort();
            }
            return 0;
        };
        let mut moved = 0;
        while self.is_writable && !self.is_abandoned {
            let ring = &mut self.buffers.receive;
            let result = socket.recv(|bytes| {
                let written = match bytes {
                    [] => Ok(0),
                    _ => end.write(bytes),
                };
                match written {
                    Ok(count) if count > 0 => {
                        ring.moved_from(bytes.as_ptr(), count);
                        (count, written)
                    }
                    _ => (0, written),
                }
            });
            match result {
                Ok(Ok(0)) | Err(RecvError::InvalidState) => break,
                Ok(Ok(count)) => {
                    self.sequence.delivered = self.sequence.delivered.wrapping_add(count as u32);
                    moved += count;
                }
                Ok(Err(error)) if is_later(&error) => {
                    if self.is_read && !self.is_grown && net.memory.has_room(2 * pair_buffer) {
                        end.grow(Some(pair_buffer));
                        self.is_grown = true;
                    } else {
                        self.is_writable = false;
                    }
                }
                Ok(Err(_)) => self.is_abandoned = true,
                Err(RecvError::Finished) => {
                    if !self.is_ended {
                        self.is_ended = true;
                        end.finish();
                    }
                    break;
                }
            }
        }
        if self.is_abandoned && (socket.can_recv() || end.is_reset()) {
            socket.abort();
        }
        if moved > 0 {
            self.window = self.window(net, moved);
        }
        moved
    }
}

/// The scale of the windows that smoltcp announces for a buffer of this size.
const fn scale(size: usize) -> u8 {
    (usize::BITS - size.leading_zeros()).saturating_sub(16) as u8
}
