//! The sequence numbers of a stream, and which segments smoltcp may see: who does not know the numbers exactly
//! cannot end a stream (RFC 5961).
//!
//! smoltcp keeps its numbers to itself; they follow from the initial ones and from how many bytes went in and
//! out. It accepts a reset anywhere in the window, and an acknowledgement of what was not sent yet.

use smoltcp::socket::tcp::{Socket, State};

use crate::segment::{ACK, RST, SYN, Segment};
use crate::window::distance;

/// What is to be done with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// smoltcp processes it.
    Take,
    /// It is answered with an acknowledgement, with which the real other side can reset us exactly.
    Challenge,
    /// It is dropped.
    Drop,
}

/// The numbers from which those of a stream follow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    /// Our initial number.
    pub ours: u32,
    /// The other side's initial number.
    pub theirs: u32,
    /// How many received bytes the program took.
    pub delivered: u32,
    /// How many bytes of the program smoltcp took.
    pub collected: u32,
    /// The number after the last one that was sent.
    pub sent: u32,
    /// The number after the last one that came, perhaps beyond a gap.
    pub reached: u32,
}

impl Sequence {
    /// The other side's initial number has come.
    pub fn begin(&mut self, theirs: u32) {
        self.theirs = theirs;
        self.reached = theirs.wrapping_add(1);
    }

    /// The number after the last one that the program has read.
    #[must_use]
    pub fn read(&self) -> u32 {
        self.theirs.wrapping_add(1).wrapping_add(self.delivered)
    }

    /// How many received bytes the buffer holds, with those beyond a gap and the gap.
    #[must_use]
    pub fn held(&self, socket: &Socket<'_>) -> usize {
        let reached = distance(self.read(), self.reached) as usize;
        socket.recv_queue().max(reached)
    }

    /// Record that smoltcp has taken a segment.
    pub fn record_received(&mut self, segment: &Segment) {
        let end = segment.sequence.wrapping_add(segment.payload as u32);
        if segment.payload > 0 && distance(self.reached, end) > 0 {
            self.reached = end;
        }
    }

    /// The next number that we expect (RCV.NXT).
    #[must_use]
    pub fn expected(&self, socket: &Socket<'_>) -> u32 {
        let state = socket.state();
        let has_ended = matches!(
            state,
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        self.read()
            .wrapping_add(socket.recv_queue() as u32)
            .wrapping_add(u32::from(has_ended))
    }

    /// The first number that is not acknowledged (SND.UNA).
    #[must_use]
    pub fn unacknowledged(&self, socket: &Socket<'_>) -> u32 {
        let is_ended = matches!(socket.state(), State::FinWait2 | State::TimeWait);
        self.ours
            .wrapping_add(1)
            .wrapping_add(self.collected)
            .wrapping_sub(socket.send_queue() as u32)
            .wrapping_add(u32::from(is_ended))
    }

    /// Record that all before `end` was sent, perhaps again.
    pub fn record_sent(&mut self, end: u32) {
        if distance(self.sent, end) > 0 {
            self.sent = end;
        }
    }

    /// What is to be done with a segment, where the other side may send up to `edge`.
    #[must_use]
    pub fn judge(&self, socket: &Socket<'_>, segment: &Segment, edge: u32) -> Verdict {
        if matches!(
            socket.state(),
            State::Closed | State::Listen | State::SynSent
        ) {
            return Verdict::Take;
        }
        let is_synchronized = socket.state() != State::SynReceived;
        let ahead = segment.sequence.wrapping_sub(self.expected(socket));
        let room = socket.recv_capacity() - socket.recv_queue();
        let end = segment.sequence.wrapping_add(segment.payload as u32);
        let is_beyond = segment.payload > 0 && distance(edge, end) > 0;
        let is_ahead = distance(self.sent, segment.ack) > 0;
        match segment.flags {
            // RFC 5961, 3.2.
            flags if flags & RST != 0 => match ahead {
                0 => Verdict::Take,
                _ if (ahead as usize) < room => Verdict::Challenge,
                _ => Verdict::Drop,
            },
            // RFC 5961, 4.2.
            flags if flags & SYN != 0 => Verdict::Challenge,
            // RFC 5961, 5.2. smoltcp has the other half: an acknowledgement that is too old.
            flags if flags & ACK != 0 && is_ahead && is_synchronized => Verdict::Challenge,
            _ if is_beyond => Verdict::Challenge,
            _ => Verdict::Take,
        }
    }
}
