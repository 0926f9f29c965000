//! Losses that the other side's selective acknowledgements show. smoltcp does not look at them.

use crate::packet::Segment;

/// So many segments beyond a gap show that it is a loss (RFC 6675, 4), and so many acknowledgements
/// without news (RFC 5681, 3.2).
pub const DUPLICATES: u32 = 3;

/// What a stream knows of its own segments.
#[derive(Debug, Default)]
pub struct LossDetector {
    /// The end of the last byte sent.
    sent: Option<u32>,
    /// What was acknowledged when the last loss showed.
    lost: Option<u32>,
}

impl LossDetector {
    /// Whether `acknowledgement` shows for the first time that the segment after what it acknowledges is
    /// lost. `size` is the largest segment that the other side takes.
    pub fn shows(&mut self, acknowledgement: Segment, size: usize) -> bool {
        let Segment {
            ack,
            beyond,
            payload,
            ..
        } = acknowledgement;
        let end = ack.wrapping_add(beyond);
        // Or it has the last one, and so nothing more will come to show it (RFC 5827).
        let is_beyond = beyond >= DUPLICATES * size as u32 || beyond > 0 && self.sent == Some(end);
        let is_loss = payload == 0 && is_beyond && self.lost != Some(ack);
        if is_loss {
            self.lost = Some(ack);
        }
        is_loss
    }

    /// Bytes up to `sent` were sent, perhaps again.
    pub fn record_sent(&mut self, sent: Option<u32>) {
        if let Some(sent) = sent
            && self
                .sent
                .is_none_or(|before| sent.wrapping_sub(before) < 1 << 31)
        {
            self.sent = Some(sent);
        }
    }
}
