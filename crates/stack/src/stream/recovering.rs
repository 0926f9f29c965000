//! How much smoltcp may send, and what is sent past it because it was lost.
//!
//! smoltcp has no selective acknowledgements, and counts acknowledgements where segments come in trains. So
//! `Recovery` decides, and smoltcp sees a window that ends where it may send to.

use holloway_packet::offload::VNET_HEADER;
use holloway_packet::transport::TCP_HEADER;
use smoltcp::socket::tcp::{Socket, State};

use super::Stream;
use crate::net::Net;
use crate::packet::ip_header;
use crate::recovery::Recovery;
use crate::segment::{ACK, Segment, write_tcp};
use crate::timers::Micros;
use crate::window::distance;

impl Stream {
    /// The state of a connection whose SYN is `segment`.
    pub(super) fn recovery(&self, segment: &Segment, size: usize) -> Recovery {
        let first = self.sequence.ours.wrapping_add(1);
        let mut recovery = Recovery::new(first, size, self.buffers.send.size());
        recovery.open(usize::from(segment.window));
        recovery
    }

    /// Receive what a segment says about what we sent. False if smoltcp need not see it: it would take it for a
    /// duplicate acknowledgement, and send again by itself.
    pub(super) fn is_new(&mut self, segment: &Segment, now: Micros) -> bool {
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let expected = self.sequence.expected(socket);
        let before = self.sequence.unacknowledged(socket);
        let is_open = socket.state() != State::SynReceived;
        let Some(recovery) = &mut self.recovery else {
            return true;
        };
        let window = usize::from(segment.window) << self.scale;
        recovery.acknowledged(segment, window, now);
        let is_plain = segment.flags & !PUSH == ACK && segment.payload == 0;
        let given = self.given;
        let field = self.field();
        self.given = usize::from(field) << self.inner_scale();
        let is_repeated = is_open && segment.ack == before && segment.sequence == expected;
        !(is_plain && is_repeated && self.given == given)
    }

    /// The window field for smoltcp in place of the other side's.
    pub(super) fn field(&self) -> u16 {
        let Some(recovery) = &self.recovery else {
            return 0;
        };
        let allowed = recovery.allowed();
        let units = (allowed >> self.inner_scale()).max(usize::from(allowed > 0));
        units.min(usize::from(u16::MAX)) as u16
    }

    /// Tell smoltcp how much it may send, where no segment of the other side does.
    fn regulate(&mut self, net: &mut Net) {
        let field = self.field();
        let given = usize::from(field) << self.inner_scale();
        let socket = self.set.get::<Socket<'static>>(self.handle);
        // In LAST-ACK smoltcp answers everything but progress.
        if given == self.given || socket.state() == State::LastAck {
            return;
        }
        self.given = given;
        self.imitate(net, Vec::new(), 0, field);
    }

    /// Record what smoltcp has sent.
    pub(super) fn sent(&mut self, net: &mut Net, start: u32, end: u32) {
        self.sequence.record_sent(end);
        let is_data = distance(self.sequence.ours, start) > 0;
        let now = net.now;
        let is_timeout = match &mut self.recovery {
            Some(recovery) if is_data => recovery.record_sent(start, end, now),
            _ => false,
        };
        if is_timeout {
            self.regulate(net);
        }
    }

    /// Send again what is lost.
    pub(super) fn resend(&mut self, net: &mut Net) {
        let header = ip_header(self.flow.local.is_ipv4());
        let most = net.link.train(header);
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let ack = self.sequence.expected(socket);
        let first = self.sequence.unacknowledged(socket);
        let end = first.wrapping_add(socket.send_queue() as u32);
        let window = self.window.repeat(ack);
        while let Some(recovery) = &mut self.recovery
            && let Some((start, length)) = recovery.resend(most)
            && net
                .link
                .has_room(VNET_HEADER + header + TCP_HEADER + length)
        {
            let before = distance(start, end) as usize;
            let length = length.min(before);
            if length == 0 {
                return;
            }
            let (flow, size, ring) = (&self.flow, self.segment, &self.buffers.send);
            // SAFETY: smoltcp uses its slice within its own calls only.
            #[allow(unsafe_code)]
            let payload = unsafe { ring.parts(before, length) };
            let whole = VNET_HEADER + header + TCP_HEADER + length;
            net.link.send(whole, |out| {
                write_tcp(out, flow, start, ack, window, payload, size);
            });
            recovery.record_resent(start, length);
        }
    }

    fn inner_scale(&self) -> u8 {
        match self.has_scale {
            true => inner_scale(self.buffers.send.size()),
            false => 0,
        }
    }
}

const PUSH: u8 = 0x08;

/// The scale of the windows that smoltcp gets, which is fine enough for one segment.
pub(super) const fn inner_scale(size: usize) -> u8 {
    let units = size.div_ceil(1 << 16);
    units.next_power_of_two().trailing_zeros() as u8
}
