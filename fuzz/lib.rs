//! What the targets check: the same properties that the crates' tests run on fewer bytes.

#[path = "../crates/plane/tests/pure/fuzz_properties.rs"]
pub mod plane;

#[path = "../crates/codec/tests/codec/fuzz_properties.rs"]
pub mod codec;

#[path = "../crates/stack/tests/raw/harness.rs"]
pub mod harness;

#[path = "../crates/stack/tests/raw/fuzz_properties.rs"]
pub mod stack;
