//! Detects losses by the other side's selective acknowledgements, which smoltcp ignores.

use crate::packet::Segment;

/// How many segments beyond a gap indicate a loss (RFC 6675, 4), and how many duplicate acknowledgements
/// (RFC 5681, 3.2).
pub const DUPLICATES: u32 = 3;

/// The state of loss detection of one stream.
#[derive(Debug, Default)]
pub struct LossDetector {
    /// The acknowledgement number of the last loss.
    lost: Option<u32>,
}

impl LossDetector {
    /// Whether `acknowledgement` indicates, for the first time, that the segment after the acknowledged ones
    /// is lost. `size` is the largest segment that the other side accepts, `sent` the number after the last
    /// one sent.
    pub fn shows(&mut self, acknowledgement: &Segment, size: usize, sent: u32) -> bool {
        let Segment {
            ack,
            beyond,
            payload,
            ..
        } = *acknowledgement;
        let end = ack.wrapping_add(beyond);
        // Or the other side has the last segment, so there will be no further acknowledgement (RFC 5827).
        let is_beyond = beyond >= DUPLICATES * size as u32 || beyond > 0 && sent == end;
        let is_loss = payload == 0 && is_beyond && self.lost != Some(ack);
        if is_loss {
            self.lost = Some(ack);
        }
        is_loss
    }
}
