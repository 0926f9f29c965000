//! What the targets check: the same properties that the crates' tests check on shorter inputs.

pub use holloway_plane::fuzz_properties as plane;

#[path = "../crates/packet/tests/packet/fuzz_properties.rs"]
pub mod packet;

#[path = "../crates/codec/tests/codec/fuzz_properties.rs"]
pub mod codec;

#[allow(dead_code)]
#[path = "../crates/namespace/src/answer.rs"]
mod answer;
#[allow(dead_code)]
#[path = "../crates/namespace/src/failure.rs"]
mod failure;
#[path = "../crates/namespace/src/fuzz_properties.rs"]
pub mod namespace;
#[allow(dead_code)]
#[path = "../crates/namespace/src/request.rs"]
mod request;

#[path = "../crates/stack/tests/raw/harness.rs"]
pub mod harness;

#[path = "../crates/stack/tests/raw/fuzz_properties.rs"]
pub mod stack;
