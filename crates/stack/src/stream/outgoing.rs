//! What the program writes, down to packets.

use smoltcp::iface::PollResult;
use smoltcp::socket::tcp::{Socket, State};

use super::{FIN_TIMEOUT, LEAST_TIMEOUT, Phase, SEGMENTS, Stream, instant};
use crate::net::Net;
use crate::window::distance;

/// How many bytes may wait though nothing is on its way.
const UNSENT: usize = 128 * 1024;

impl Stream {
    /// Read what the program wrote, and close once all of it is read and the program has ended.
    pub(super) fn collect(&mut self, net: &Net) -> usize {
        let limit = self.send_limit(net);
        let socket = self.set.get_mut::<Socket<'static>>(self.handle);
        let Phase::Open(end) = &self.phase else {
            return 0;
        };
        let mut moved = 0;
        while self.is_readable && socket.can_send() {
            let room = limit.saturating_sub(socket.send_queue());
            let waiting = end.waiting();
            if waiting == 0 {
                self.is_readable = false;
                break;
            }
            let ring = &mut self.buffers.send;
            let result = socket.send(|buffer| {
                let length = waiting.min(buffer.len()).min(room);
                let count = match length {
                    0 => 0,
                    _ => end.read(&mut buffer[..length]).unwrap_or(0),
                };
                ring.moved_from(buffer.as_ptr(), count);
                ring.wrote(count);
                (count, count)
            });
            match result {
                Ok(count) if count > 0 => {
                    self.sequence.collected = self.sequence.collected.wrapping_add(count as u32);
                    moved += count;
                }
                _ => break,
            }
        }
        if self.is_finished && (!self.is_readable || !socket.may_send()) {
            socket.close();
            if self.is_abandoned {
                self.phase = Phase::Orphan;
                self.deadline = Some(self.buffers.last_used() + FIN_TIMEOUT);
            }
        }
        moved
    }

    /// How many bytes may wait to be sent or acknowledged: twice what is on its way, and a little, as far as the
    /// memory budget allows it.
    fn send_limit(&mut self, net: &Net) -> usize {
        let socket = self.set.get::<Socket<'static>>(self.handle);
        let unacknowledged = self.sequence.unacknowledged(socket);
        let in_flight = distance(unacknowledged, self.sequence.sent) as usize;
        (2 * in_flight + UNSENT).min(net.memory.share())
    }

    pub(super) fn emit(&mut self, net: &mut Net) -> bool {
        if self.is_quiet {
            return false;
        }
        // After its last acknowledgement smoltcp would soon drop what the program has not read.
        self.is_quiet = self.socket().state() == State::TimeWait;
        self.resend(net);
        for number in 0..SEGMENTS {
            if !self.emit_one(net) {
                return number > 0;
            }
        }
        true
    }

    /// Let smoltcp send a packet. False if it has none.
    fn emit_one(&mut self, net: &mut Net) -> bool {
        let may_time_out = self
            .recovery
            .as_ref()
            .is_some_and(|recovery| recovery.may_time_out(net.now, LEAST_TIMEOUT));
        net.link.segment = self.segment;
        net.link.sent = None;
        net.link.window = Some(self.window(net, 0));
        // The timer makes smoltcp send all again that its window allows.
        let interface = match may_time_out {
            true => &mut net.narrow,
            false => &mut net.interface,
        };
        let result = interface.poll_egress(instant(net.now), &mut net.link, &mut self.set);
        self.window = net.link.window.take().unwrap_or(self.window);
        if let Some((start, end)) = net.link.sent {
            self.sent(net, start, end);
        }
        result != PollResult::None
    }
}
