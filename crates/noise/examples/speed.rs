//! How long a handshake's steps take.
//!
//!     cargo run --release -p holloway-noise --example speed

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use holloway_noise::{Ephemeral, Identity, InitiatorState, StaticStatic, UnprovenInitiation};

const ROUNDS: u32 = 200;
const CALLS: u32 = 20;

fn main() {
    let us = Arc::new(Identity::new(&[1; 32]));
    let them = Arc::new(Identity::new(&[2; 32]));
    let to_them = StaticStatic::new(&us, them.public_key()).expect("a secret");
    let to_us = StaticStatic::new(&them, us.public_key()).expect("a secret");
    let initiate =
        || InitiatorState::initiate(&to_them, Ephemeral::from_private(&[3; 32]), 1, &[4; 12]);
    let (initiation, state) = initiate();
    let decrypt = || UnprovenInitiation::decrypt_static(&them, &initiation).expect("authentic");
    let unproven = decrypt();
    let prove = || unproven.decrypt_timestamp(&to_us).expect("authentic");
    let proven = prove();
    let respond = || proven.respond(&[0; 32], &Ephemeral::from_private(&[5; 32]), 2);
    let (response, _) = respond();
    measure("an ephemeral key", || Ephemeral::from_private(&[3; 32]));
    measure("static-static", || {
        StaticStatic::new(&us, them.public_key())
    });
    measure("initiate", initiate);
    measure("decrypt the static key", decrypt);
    measure("decrypt the timestamp", prove);
    measure("respond", respond);
    measure("consume the response", || {
        state.consume(&[0; 32], &response)
    });
}

/// Print the time of a call: the median of rounds, because others use the processor too.
fn measure<T>(name: &str, call: impl Fn() -> T) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..CALLS {
                let _ = black_box(call());
            }
            begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:24} {:6.1} us", times[times.len() / 2]);
}
