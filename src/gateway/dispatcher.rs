//! Bells: who watches a mailbox is told when something new lies in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::lock;
use crate::clock::Time;
use crate::directory::Code;

/// The bells of watched agencies, and when each mailbox was looked into last since the start.
#[derive(Debug, Default)]
pub struct Dispatcher {
    bells: Bells,
    looked: Mutex<HashMap<Code, Time>>,
}

/// Each with the number of those who hear it.
type Bells = Arc<Mutex<HashMap<Code, (watch::Sender<u64>, usize)>>>;

/// One watcher's ear. The bell is taken down with the last of them.
#[derive(Debug)]
pub struct Bell {
    agency: Code,
    rung: watch::Receiver<u64>,
    bells: Bells,
}

impl Dispatcher {
    /// The bell of an agency; it has rung at least once, so that the watcher looks first.
    pub fn bell(&self, agency: &Code) -> Bell {
        let mut bells = lock(&self.bells);
        let (bell, ears) = bells.entry(agency.clone()).or_insert_with(|| (watch::channel(0).0, 0));
        *ears += 1;
        let mut rung = bell.subscribe();
        rung.mark_changed();
        Bell { agency: agency.clone(), rung, bells: self.bells.clone() }
    }

    /// How many watch an agency's mailbox.
    pub fn watchers(&self, agency: &Code) -> usize {
        lock(&self.bells).get(agency).map_or(0, |(_, ears)| *ears)
    }

    /// Somebody looks into a mailbox of an agency of the directory.
    pub fn note_look(&self, agency: &Code, now: Time) {
        let mut looked = lock(&self.looked);
        match looked.get_mut(agency) {
            Some(last) => *last = now,
            None => drop(looked.insert(agency.clone(), now)),
        }
    }

    /// When somebody looked into a mailbox last; `None` if nobody has since the start.
    pub fn last_look(&self, agency: &Code) -> Option<Time> {
        lock(&self.looked).get(agency).copied()
    }

    /// Something new lies in these mailboxes.
    pub(super) fn ring(&self, agencies: &[Code]) {
        if agencies.is_empty() {
            return;
        }
        let bells = lock(&self.bells);
        for agency in agencies {
            if let Some((bell, _)) = bells.get(agency) {
                bell.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }
}

impl Bell {
    /// What it has rung for so far is being looked at.
    pub fn hear(&mut self) {
        self.rung.borrow_and_update();
    }

    /// Returns once it has rung since it was heard last.
    pub async fn rung(&mut self) {
        // The sender goes with the last ear, and this is one.
        let _rung = self.rung.changed().await;
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let mut bells = lock(&self.bells);
        let Some((_, ears)) = bells.get_mut(&self.agency) else { return };
        *ears -= 1;
        if *ears == 0 {
            bells.remove(&self.agency);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bell_rings_for_each_ear_and_goes_with_the_last() {
        let code = |text| Code::parse(text).expect("a code");
        let dispatcher = Dispatcher::default();
        let (mut one, other) = (dispatcher.bell(&code("H49")), dispatcher.bell(&code("H49")));
        one.rung().await;
        one.hear();
        dispatcher.ring(&[code("H50"), code("H49")]);
        one.rung().await;
        assert_eq!(dispatcher.watchers(&code("H49")), 2);
        drop(one);
        assert_eq!(dispatcher.watchers(&code("H49")), 1);
        drop(other);
        assert!(lock(&dispatcher.bells).is_empty());
    }
}
