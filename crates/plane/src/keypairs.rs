//! A peer's sessions: current, previous, and next, which awaits confirmation.
//!
//! They change as in the kernel's noise.c (add_new_keypair, wg_noise_received_with_keypair). It knows no
//! peer and no index table: the caller frees the indices of the sessions that are returned.

use std::sync::Arc;

use crate::session::Session;

/// The three sessions.
#[derive(Debug, Default)]
pub struct Keypairs {
    previous: Option<Arc<Session>>,
    current: Option<Arc<Session>>,
    next: Option<Arc<Session>>,
}

/// Sessions that were replaced; their indices are to be freed.
pub type Dropped = [Option<Arc<Session>>; 2];

impl Keypairs {
    /// The session to send with.
    #[must_use]
    pub const fn current(&self) -> Option<&Arc<Session>> {
        self.current.as_ref()
    }

    /// Install an initiator's session, which its response has confirmed.
    #[must_use]
    pub fn add_confirmed(&mut self, session: Arc<Session>) -> Dropped {
        let current = self.current.replace(session);
        match self.next.take() {
            // A responder's session that was never confirmed: the peer may still use it.
            Some(next) => [self.previous.replace(next), current],
            None => [std::mem::replace(&mut self.previous, current), None],
        }
    }

    /// Install a responder's session; the first packet under it will confirm it.
    #[must_use]
    pub fn add_unconfirmed(&mut self, session: Arc<Session>) -> Dropped {
        [self.next.replace(session), self.previous.take()]
    }

    /// Note that an authentic packet came under `session`. If that confirms it, it becomes current and
    /// the replaced sessions are returned.
    #[must_use]
    pub fn received_with(&mut self, session: &Arc<Session>) -> Option<Dropped> {
        let next = self.next.take_if(|next| Arc::ptr_eq(next, session))?;
        let current = self.current.replace(next);
        Some([std::mem::replace(&mut self.previous, current), None])
    }

    /// Remove and return all sessions.
    #[must_use]
    pub fn take(&mut self) -> [Option<Arc<Session>>; 3] {
        [self.previous.take(), self.current.take(), self.next.take()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Deadlines;

    fn session(local_index: u32) -> Arc<Session> {
        let deadlines = Deadlines {
            renew_on_send: u64::MAX,
            renew_on_receive: u64::MAX,
            reject: u64::MAX,
        };
        Arc::new(Session::new(local_index, 0, &[1; 32], &[2; 32], deadlines))
    }

    fn indices(sessions: &[Option<Arc<Session>>]) -> Vec<u32> {
        let indices = sessions.iter().flatten();
        indices.map(|session| session.local_index()).collect()
    }

    #[test]
    fn an_initiators_new_session_makes_the_current_one_previous() {
        let mut keypairs = Keypairs::default();
        assert!(indices(&keypairs.add_confirmed(session(1))).is_empty());
        assert!(indices(&keypairs.add_confirmed(session(2))).is_empty());
        assert_eq!(indices(&keypairs.add_confirmed(session(3))), [1]);
        assert_eq!(indices(&keypairs.take()), [2, 3]);
    }

    #[test]
    fn an_initiators_new_session_takes_the_place_of_an_unconfirmed_one() {
        let mut keypairs = Keypairs::default();
        let _ = keypairs.add_confirmed(session(1));
        let _ = keypairs.add_unconfirmed(session(2));
        assert_eq!(indices(&keypairs.add_confirmed(session(3))), [1]);
        assert_eq!(indices(&keypairs.take()), [2, 3]);
    }

    #[test]
    fn a_responders_new_session_waits_and_costs_the_previous_one() {
        let mut keypairs = Keypairs::default();
        let _ = keypairs.add_confirmed(session(1));
        let _ = keypairs.add_confirmed(session(2));
        assert_eq!(indices(&keypairs.add_unconfirmed(session(3))), [1]);
        assert_eq!(indices(&keypairs.add_unconfirmed(session(4))), [3]);
        assert_eq!(keypairs.current().map(|now| now.local_index()), Some(2));
        assert_eq!(indices(&keypairs.take()), [2, 4]);
    }

    #[test]
    fn the_first_packet_confirms_a_responders_session_and_the_second_changes_nothing() {
        let mut keypairs = Keypairs::default();
        let (first, second) = (session(1), session(2));
        let _ = keypairs.add_confirmed(first.clone());
        let _ = keypairs.add_unconfirmed(second.clone());
        assert!(keypairs.received_with(&first).is_none());
        let dropped = keypairs.received_with(&second).expect("confirmed");
        assert!(indices(&dropped).is_empty());
        assert!(keypairs.received_with(&second).is_none());
        assert_eq!(indices(&keypairs.take()), [1, 2]);
    }
}
