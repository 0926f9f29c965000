//! Which queue of the interface gets a packet: an eBPF program looks its destination up in a table that
//! the shards write, so that both directions of a peer come to one shard.
//!
//! The kernel's own flow steering (tun.c, tun_flow_update) would do for a host, whose packets go in one
//! direction only. Of what passes from peer to peer, both directions are written to the interface, by two
//! shards; it would lead each packet to the queue of whichever wrote last, and reorder the flow.
#![allow(unsafe_code)]

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{c_int, c_long};

use crate::peer::PeerId;

/// Addresses with the same hash share a place, which belongs to one peer. The other one's packets go to
/// the same queue, in order.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 14;
const SIZE: usize = PLACES * size_of::<AtomicU32>();
const _: () = assert!(SIZE.is_multiple_of(1 << 16)); // whole pages, of any size

/// 2^32 / golden ratio: Fibonacci hashing.
const GOLDEN: u32 = 0x9e37_79b9;

/// The table. A place holds the number of its peer and, in its low byte, one more than that of a shard.
#[derive(Debug)]
pub struct Steering {
    places: NonNull<[AtomicU32; PLACES]>,
}

// SAFETY: the places are atomics, and the mapping lives as long as this.
unsafe impl Send for Steering {}
// SAFETY: as above.
unsafe impl Sync for Steering {}

impl Steering {
    /// Create a table and the program that reads it. Fails without CAP_BPF or before Linux 5.5.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let map = create_map()?;
        let (read, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping of SIZE bytes, wherever the kernel puts it.
        let at =
            unsafe { libc::mmap(std::ptr::null_mut(), SIZE, read, shared, map.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let places = NonNull::new(at.cast()).ok_or(io::ErrorKind::Other)?;
        let steering = Self { places };
        let program = load_program(&map)?;
        Ok((steering, program))
    }

    /// Have packets to an inner address of a peer come to `shard` from now on.
    pub fn learn(&self, address: IpAddr, peer: PeerId, shard: usize) {
        let place = &self.places()[place_of(address)];
        let wanted = peer << 8 | (shard as u32 + 1) & 0xff;
        let before = place.load(Ordering::Relaxed);
        let is_own = before == 0 || before >> 8 == wanted >> 8;
        if is_own && before != wanted {
            place.store(wanted, Ordering::Relaxed);
        }
    }

    /// Leave the places of a peer to others.
    pub fn forget(&self, peer: PeerId) {
        for place in self.places() {
            let before = place.load(Ordering::Relaxed);
            if before != 0 && before >> 8 == (peer << 8) >> 8 {
                place.store(0, Ordering::Relaxed);
            }
        }
    }

    const fn places(&self) -> &[AtomicU32; PLACES] {
        // SAFETY: the mapping has this size, is zeroed at first, and lives as long as `self`.
        unsafe { self.places.as_ref() }
    }
}

impl Drop for Steering {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, to which no reference is left.
        unsafe { libc::munmap(self.places.as_ptr().cast(), SIZE) };
    }
}

/// The words of an address, mixed. The program computes the same.
fn place_of(address: IpAddr) -> usize {
    let mix = |hash: u32, word: u32| (hash ^ word).wrapping_mul(GOLDEN);
    let hash = match address {
        IpAddr::V4(address) => mix(0, address.to_bits()),
        IpAddr::V6(address) => {
            let words = address.octets();
            let (words, _) = words.as_chunks::<4>();
            let words = words.iter().map(|word| u32::from_be_bytes(*word));
            words.fold(0, mix)
        }
    };
    (hash >> (u32::BITS - PLACE_BITS)) as usize
}

/// One instruction of eBPF: code, destination and source register, offset, immediate.
type Instruction = (u8, u8, u8, i16, u32);

const LOAD_BYTE: u8 = 0x30; // BPF_LD | BPF_ABS | BPF_B, from the packet to r0; r6 is the context
const LOAD_WORD: u8 = 0x20;
const LOAD_CONSTANT: u8 = 0x18; // BPF_LD | BPF_DW | BPF_IMM, of two instructions
const LOAD_MEMORY: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const MOVE: u8 = 0xbf; // BPF_ALU64 | BPF_MOV | BPF_X
const ADD: u8 = 0x0f;
const MOVE_32: u8 = 0xb4; // BPF_ALU | BPF_MOV | BPF_K
const COPY_32: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const XOR_32: u8 = 0xac; // BPF_ALU | BPF_XOR | BPF_X
const MULTIPLY_32: u8 = 0x24;
const SHIFT_RIGHT_32: u8 = 0x74;
const SHIFT_LEFT_32: u8 = 0x64;
const SUBTRACT_32: u8 = 0x14;
const AND_32: u8 = 0x54;
const JUMP: u8 = 0x05;
const JUMP_EQUAL: u8 = 0x15;
const JUMP_UNEQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;
const MAP_VALUE: u8 = 2; // BPF_PSEUDO_MAP_VALUE

const R0: u8 = 0;
const R1: u8 = 1;
const R6: u8 = 6;
const HASH: u8 = 7;

/// It sees the packet from its IP header on, and returns the number of a queue, modulo their number
/// (tun.c, tun_ebpf_select_queue). To an address that no shard has seen, the hash is taken for it.
fn program(map: c_int) -> Vec<Instruction> {
    let word = |at: u32| (LOAD_WORD, 0, 0, 0, at);
    let mix = [(XOR_32, HASH, R0, 0, 0), (MULTIPLY_32, HASH, 0, 0, GOLDEN)];
    let mut program = vec![
        (MOVE, R6, R1, 0, 0),
        (MOVE_32, HASH, 0, 0, 0),
        (LOAD_BYTE, 0, 0, 0, 0),
        (SHIFT_RIGHT_32, R0, 0, 0, 4),
        (JUMP_EQUAL, R0, 0, 12, 4),   // to the word of IPv4
        (JUMP_UNEQUAL, R0, 0, 27, 6), // to the end
    ];
    for at in [24, 28, 32] {
        program.push(word(at));
        program.extend(mix);
    }
    program.extend([word(36), (JUMP, 0, 0, 1, 0), word(16)]);
    program.extend(mix);
    program.extend([
        (SHIFT_RIGHT_32, HASH, 0, 0, u32::BITS - PLACE_BITS),
        (LOAD_CONSTANT, R1, MAP_VALUE, 0, map.cast_unsigned()),
        (0, 0, 0, 0, 0),
        (COPY_32, R0, HASH, 0, 0),
        (SHIFT_LEFT_32, R0, 0, 0, 2),
        (ADD, R1, R0, 0, 0),
        (LOAD_MEMORY, R0, R1, 0, 0),
        (AND_32, R0, 0, 0, 0xff),
        (JUMP_EQUAL, R0, 0, 2, 0),
        (SUBTRACT_32, R0, 0, 0, 1),
        (EXIT, 0, 0, 0, 0),
        (COPY_32, R0, HASH, 0, 0),
        (EXIT, 0, 0, 0, 0),
    ]);
    program.extend([(MOVE_32, R0, 0, 0, 0), (EXIT, 0, 0, 0, 0)]);
    program
}

fn encode((code, to, from, offset, immediate): Instruction) -> u64 {
    let registers = if cfg!(target_endian = "little") {
        from << 4 | to
    } else {
        to << 4 | from
    };
    let [a, b] = offset.to_ne_bytes();
    let [c, d, e, f] = immediate.to_ne_bytes();
    u64::from_ne_bytes([code, registers, a, b, c, d, e, f])
}

/// BPF_MAP_CREATE: an array of one element, which programs and user space share.
fn create_map() -> io::Result<OwnedFd> {
    const MAP_CREATE: c_int = 0;
    const ARRAY: u32 = 2;
    const MAPPABLE: u32 = 1 << 10;
    let attributes = [ARRAY, 4, SIZE as u32, 1, MAPPABLE];
    bpf(MAP_CREATE, &attributes)
}

/// BPF_PROG_LOAD: a socket filter, as TUNSETSTEERINGEBPF takes it.
fn load_program(map: &OwnedFd) -> io::Result<OwnedFd> {
    const PROG_LOAD: c_int = 5;
    const SOCKET_FILTER: u32 = 1;
    #[repr(C)]
    struct Attributes {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        rest: [u64; 3], // no log of the verifier
    }
    let program = program(map.as_raw_fd()).into_iter().map(encode);
    let program: Vec<u64> = program.collect();
    let attributes = Attributes {
        kind: SOCKET_FILTER,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
        rest: [0; 3],
    };
    bpf(PROG_LOAD, &attributes)
}

fn bpf<T>(command: c_int, attributes: &T) -> io::Result<OwnedFd> {
    let (at, size) = (std::ptr::from_ref(attributes), size_of::<T>());
    // SAFETY: `attributes` are those of the command, with their size; what they point to outlives the call.
    let fd: c_long = unsafe { libc::syscall(libc::SYS_bpf, command, at, size) };
    let Ok(fd @ 0..) = c_int::try_from(fd) else {
        return Err(io::Error::last_os_error());
    };
    // SAFETY: `fd` is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// None without CAP_BPF.
    fn steering() -> Option<Steering> {
        match Steering::new() {
            Ok((steering, _)) => Some(steering),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                None
            }
        }
    }

    fn word(steering: &Steering, address: IpAddr) -> u32 {
        steering.places()[place_of(address)].load(Ordering::Relaxed)
    }

    #[test]
    fn a_place_belongs_to_the_first_peer_until_that_is_removed() {
        let Some(steering) = steering() else { return };
        let address = IpAddr::from([10, 0, 0, 1]);
        steering.learn(address, 7, 2);
        assert_eq!(word(&steering, address), 7 << 8 | 3);
        steering.learn(address, 8, 1);
        assert_eq!(word(&steering, address), 7 << 8 | 3);
        steering.learn(address, 7, 0);
        assert_eq!(word(&steering, address), 7 << 8 | 1);
        steering.forget(8);
        assert_eq!(word(&steering, address), 7 << 8 | 1);
        steering.forget(7);
        steering.learn(address, 8, 1);
        assert_eq!(word(&steering, address), 8 << 8 | 2);
    }

    #[test]
    fn addresses_of_both_families_are_spread_over_the_places() {
        let v4 = (0..1000_u32)
            .map(|number| place_of(IpAddr::from((0x0a00_0000 | number).to_be_bytes())));
        let v6 = (0..1000_u16).map(|number| place_of([0xfd, 0, 0, number, 0, 0, 0, 1].into()));
        for places in [v4.collect::<Vec<_>>(), v6.collect()] {
            let mut different = places.clone();
            different.sort_unstable();
            different.dedup();
            assert!(different.len() > 900, "{}", different.len());
            assert!(places.iter().all(|place| *place < PLACES));
        }
    }
}
