//! Which process started a thread.

/// The process that made an object. A fork has a copy of the object, but none of its threads, and it shares
/// the epoll sets, eventfds and sockets with the original: it must not close them down.
#[derive(Debug, Clone, Copy)]
pub struct Process(u32);

impl Process {
    /// The process that calls.
    #[must_use]
    pub fn current() -> Self {
        Self(std::process::id())
    }

    /// Whether the process that calls is this one, and not a fork of it.
    #[must_use]
    pub fn is_current(self) -> bool {
        self.0 == std::process::id()
    }
}
