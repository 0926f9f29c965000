//! What all parts of the engine work with: the interface, the link, and the queues to the owner.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use holloway_poll::Epoll;
use smoltcp::iface::{Config, Interface};
use smoltcp::wire::HardwareAddress;

use crate::addresses::Addresses;
use crate::buffers::Spares;
use crate::counts::Counts;
use crate::events::{Events, Id};
use crate::link::Link;
use crate::memory::Memory;
use crate::numbers::{InitialNumbers, seed_for};
use crate::ports::random;
use crate::shared::Shared;
use crate::timers::Micros;

/// The settings of a stack.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our addresses.
    pub addresses: Addresses,
    /// The MTU.
    pub mtu: usize,
    /// The size of each of a stream's two buffers, which bounds its rate to one buffer per round trip.
    pub buffer: usize,
    /// How much memory all streams may hold.
    pub memory: usize,
}

impl Settings {
    /// The size of a socket pair's buffers.
    #[must_use]
    pub fn pair_buffer(&self) -> usize {
        self.buffer.min(256 * 1024)
    }
}

/// The context of all parts of the engine.
pub struct Net {
    /// smoltcp's interface.
    pub interface: Interface,
    /// Another one that sends one segment at a time.
    pub narrow: Interface,
    /// Our initial sequence numbers.
    pub numbers: InitialNumbers,
    /// The link to the plane.
    pub link: Link,
    /// The owner's queues.
    pub events: EventsOf,
    /// The memory of all streams.
    pub memory: Memory,
    /// Buffers for new streams.
    pub spares: Spares,
    /// What was dropped.
    pub counts: Arc<Counts>,
    /// The descriptors that are watched.
    pub epoll: Epoll,
    /// The size of a socket pair's buffers.
    pub pair_buffer: usize,
    /// The time of this turn.
    pub now: Micros,
    shared: Arc<Shared>,
}

/// Dereferences to the events of `Shared`.
#[derive(Clone, Debug)]
pub struct EventsOf(Arc<Shared>);

impl std::ops::Deref for EventsOf {
    type Target = Events;

    fn deref(&self) -> &Events {
        &self.0.events
    }
}

impl Net {
    /// Create the context of a new engine.
    #[must_use]
    pub fn new(shared: Arc<Shared>, settings: &Settings, epoll: Epoll) -> Self {
        let mut link = Link::new(
            shared.endpoint.clone(),
            shared.counts.clone(),
            settings.addresses.clone(),
            settings.mtu,
        );
        let wide = interface(&mut link, random());
        link.is_narrow = true;
        let narrow = interface(&mut link, random());
        link.is_narrow = false;
        Self {
            interface: wide,
            narrow,
            numbers: InitialNumbers::default(),
            link,
            events: EventsOf(shared.clone()),
            memory: Memory::new(settings.memory),
            spares: Spares::default(),
            counts: shared.counts.clone(),
            epoll,
            pair_buffer: settings.pair_buffer(),
            now: 0,
            shared,
        }
    }

    /// An interface for the beginning of a connection, which gets this initial sequence number.
    #[must_use]
    pub fn beginning(&mut self, number: u32) -> Interface {
        interface(&mut self.link, seed_for(number))
    }

    /// A new number.
    #[must_use]
    pub fn next_id(&self) -> Id {
        self.shared.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn interface(link: &mut Link, seed: u64) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let now = smoltcp::time::Instant::from_micros(0_i64);
    let mut interface = Interface::new(config, link, now);
    // Which addresses are ours is checked before smoltcp sees a packet.
    interface.set_any_ip(true);
    interface
}
