//! Changes of a peer's allowed IPs, collected in the order of the text.

use std::collections::HashSet;

use crate::address::Network;

/// The changes so far.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whether all are removed first.
    pub replace: bool,
    changes: Vec<(Network, bool)>,
    takes_away: bool,
}

impl Changes {
    /// Remove all.
    pub fn clear(&mut self) {
        *self = Self {
            replace: true,
            ..Self::default()
        };
    }

    /// Add a network.
    pub fn add(&mut self, network: Network) {
        self.changes.push((network, true));
    }

    /// Remove a network, including one that was added before.
    pub fn remove(&mut self, network: Network) {
        self.changes.push((network, false));
        self.takes_away = true;
    }

    /// The networks to remove, and those to add after that, in order.
    #[must_use]
    pub fn result(self) -> (Vec<Network>, Vec<Network>) {
        if !self.takes_away {
            return (
                Vec::new(),
                self.changes
                    .into_iter()
                    .map(|(network, _)| network)
                    .collect(),
            );
        }
        let mut seen = HashSet::new();
        let mut removed: Vec<_> = self.changes.iter().filter(|change| !change.1).collect();
        removed.retain(|change| seen.insert(change.0));
        let removed = removed.into_iter().map(|change| change.0).collect();
        // The last change of each network counts, at its position.
        seen.clear();
        let last = self
            .changes
            .iter()
            .rev()
            .filter(|change| seen.insert(change.0));
        let mut added: Vec<_> = last
            .filter(|change| change.1)
            .map(|change| change.0)
            .collect();
        added.reverse();
        (removed, added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_network_counts_at_its_place() {
        let network = |text: &str| Network::parse(text.as_bytes()).expect(text);
        let (a, b) = (network("10.0.0.0/8"), network("fd00::/8"));
        let mut changes = Changes::default();
        changes.add(a);
        changes.remove(b);
        changes.add(b);
        changes.remove(a);
        changes.remove(b);
        changes.add(a);
        assert_eq!(changes.result(), (vec![b, a], vec![a]));
    }

    #[test]
    fn without_a_removal_all_are_kept_as_they_are_written() {
        let a = Network::parse(b"10.0.0.0/8").expect("a network");
        let mut changes = Changes::default();
        changes.remove(a);
        changes.clear();
        changes.add(a);
        changes.add(a);
        assert!(changes.replace);
        assert_eq!(changes.result(), (vec![], vec![a, a]));
    }
}
