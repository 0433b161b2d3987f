//! Bells: who watches a mailbox is told when something new lies in it.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::watch;

use crate::directory::Code;

/// One bell per watched agency. Only agencies that someone has watched have one.
#[derive(Debug, Default)]
pub struct Dispatcher {
    bells: Mutex<HashMap<Code, watch::Sender<u64>>>,
}

impl Dispatcher {
    /// The bell of an agency; it has rung at least once, so that the watcher looks first.
    pub fn bell(&self, agency: &Code) -> watch::Receiver<u64> {
        let mut bells = self.bells.lock().expect("no panic while ringing");
        bells.retain(|code, bell| bell.receiver_count() > 0 || code == agency);
        let bell = bells.entry(agency.clone()).or_insert_with(|| watch::channel(0).0);
        let mut receiver = bell.subscribe();
        receiver.mark_changed();
        receiver
    }

    /// Something new lies in these mailboxes.
    pub(super) fn ring(&self, agencies: &[Code]) {
        if agencies.is_empty() {
            return;
        }
        let bells = self.bells.lock().expect("no panic while ringing");
        for agency in agencies {
            if let Some(bell) = bells.get(agency) {
                bell.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }
}
