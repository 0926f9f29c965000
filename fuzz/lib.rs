//! What the targets check: the same bodies that the plane's tests run on fewer bytes.

#[path = "../crates/plane/tests/pure/bodies.rs"]
pub mod bodies;
