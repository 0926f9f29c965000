//! Ephemeral ports: for connections and UDP sockets that ask for no specific port.

use ring::rand::{SecureRandom, SystemRandom};

/// The range of ports, like that of Linux (ip_local_port_range).
const FIRST: u16 = 32_768;
const COUNT: u16 = 28_232;

/// A free port: the first from a random one on, so that a stranger has to guess it (RFC 6056, 3.3.1). None if
/// there is none.
pub fn choose(is_free: impl Fn(u16) -> bool) -> Option<u16> {
    let start = (random() % u64::from(COUNT)) as u16;
    let from = (start..COUNT).chain(0..start);
    from.map(|offset| FIRST + offset)
        .find(|&port| is_free(port))
}

/// A random number of the system.
///
/// # Panics
/// Where the system has no random numbers.
#[must_use]
pub fn random() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has random numbers");
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_follows_from_those_before() {
        let ports: Vec<_> = (0..200).filter_map(|_| choose(|_| true)).collect();
        let steps: std::collections::HashSet<_> = ports
            .windows(2)
            .map(|pair| pair[1].wrapping_sub(pair[0]))
            .collect();
        assert!(steps.len() > 150, "{} different steps", steps.len());
    }

    #[test]
    fn the_last_free_port_is_found() {
        assert_eq!(choose(|port| port == FIRST + 7), Some(FIRST + 7));
        assert_eq!(choose(|_| false), None);
    }
}
