//! The stack against packets that no honest host sends, and hosts that do not behave.

mod bodies;
mod floods;
mod segments;
mod side;
mod windows;
