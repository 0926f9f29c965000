//! Sends packets evenly at a rate, or as fast as one processor does.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::packets::Packets;
use crate::system::{BATCH, RawSocket};

/// At most so many bursts a second: fewer, larger ones cost less, and more are smoother.
const BURSTS: u64 = 2000;
/// After a longer pause of the scheduler, what was missed is left out rather than sent at once.
const LONGEST_DEBT: Duration = Duration::from_millis(50);

/// What was sent.
#[derive(Debug, Default)]
pub struct Report {
    sent: u64,
    errors: u64,
    seconds: f64,
    last_error: Option<io::Error>,
}

impl Report {
    /// One line of JSON.
    pub fn json(&self) -> String {
        let error = match &self.last_error {
            Some(error) => format!(", \"last_error\": \"{error}\""),
            None => String::new(),
        };
        format!(
            "{{\"sent\": {}, \"seconds\": {:.3}, \"errors\": {}{error}}}",
            self.sent, self.seconds, self.errors
        )
    }
}

/// Send for some time, `rate` packets a second, or as many as possible if that is 0.
pub fn send(socket: &RawSocket, packets: &mut Packets, rate: u32, duration: Duration) -> Report {
    let burst = match u64::from(rate) {
        0 => BATCH as u64,
        rate => rate.div_ceil(BURSTS),
    };
    let mut report = Report::default();
    let began = Instant::now();
    let mut due = began;
    loop {
        let now = Instant::now();
        if now.duration_since(began) >= duration {
            break;
        }
        if rate > 0 {
            if due > now {
                thread::sleep(due - now);
            }
            due = due.max(now.checked_sub(LONGEST_DEBT).unwrap_or(due));
        }
        let sent = send_burst(socket, packets, burst as usize, &mut report);
        if rate > 0 {
            due += Duration::from_secs(1) * sent as u32 / rate;
        }
    }
    report.seconds = began.elapsed().as_secs_f64();
    report
}

/// Send a burst, and return how many packets were tried.
fn send_burst(
    socket: &RawSocket,
    packets: &mut Packets,
    burst: usize,
    report: &mut Report,
) -> usize {
    let mut tried = 0;
    while tried < burst {
        let (bytes, ranges) = packets.batch((burst - tried).min(BATCH));
        let mut left = &ranges[..];
        while !left.is_empty() {
            match socket.send(bytes, left) {
                Ok(sent) => {
                    report.sent += sent as u64;
                    left = &left[sent..];
                }
                Err(error) => {
                    report.errors += 1;
                    report.last_error = Some(error);
                    left = &left[1..];
                }
            }
        }
        tried += ranges.len();
    }
    tried
}
