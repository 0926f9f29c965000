//! What the targets check: the same bodies that the crates' tests run on fewer bytes.

#[path = "../crates/plane/tests/pure/bodies.rs"]
pub mod bodies;

#[path = "../crates/text/tests/texts/bodies.rs"]
pub mod texts;

#[path = "../crates/stack/tests/raw/side.rs"]
pub mod side;

#[path = "../crates/stack/tests/raw/bodies.rs"]
pub mod stack;
