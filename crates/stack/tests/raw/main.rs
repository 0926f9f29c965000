//! The stack against packets that no honest host sends, and hosts that do not behave.

mod floods;
mod fuzz_properties;
mod harness;
mod segments;
mod windows;
