//! Which code seals and opens runs of packets: the fastest that the processor has.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::{avx2, wide};

/// The environment variable that selects a `Variant`.
pub const VARIANT: &str = "HOLLOWAY_AEAD";

/// An implementation of sealing and opening runs of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// ring, one packet at a time.
    Ring,
    /// Eight packets at a time, with AVX2.
    Avx2,
    /// Eight packets at a time, with AVX-512.
    Avx512,
}

impl Variant {
    /// All variants, the fastest last.
    pub const ALL: [Self; 3] = [Self::Ring, Self::Avx2, Self::Avx512];

    /// Its name in `HOLLOWAY_AEAD`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The fastest variant of this processor, or the one in `HOLLOWAY_AEAD` if the processor has it.
    /// Determined once per process.
    #[must_use]
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<Variant> = OnceLock::new();
        *CHOSEN.get_or_init(|| Self::of(std::env::var(VARIANT).ok().as_deref()))
    }

    /// The variant of this name if this processor has it, else the fastest one.
    #[must_use]
    pub fn of(name: Option<&str>) -> Self {
        let mut available = Self::ALL.into_iter().rev().filter(|it| it.available());
        let fastest = available.clone().next().unwrap_or(Self::Ring);
        available
            .find(|it| Some(it.name()) == name)
            .unwrap_or(fastest)
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn available(self) -> bool {
        match self {
            Self::Ring => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => wide::available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}
