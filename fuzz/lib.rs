//! What the targets check: the same properties that the crates' tests check on shorter inputs.

pub use holloway_plane::fuzz_properties as plane;

#[path = "../crates/packet/tests/packet/fuzz_properties.rs"]
pub mod packet;

#[path = "../crates/codec/tests/codec/fuzz_properties.rs"]
pub mod codec;

#[path = "../crates/stack/tests/raw/harness.rs"]
pub mod harness;

#[path = "../crates/stack/tests/raw/fuzz_properties.rs"]
pub mod stack;
