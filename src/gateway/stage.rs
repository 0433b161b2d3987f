//! A batch in the making: entries that are decided but not yet durable, seen by the next decision
//! as if they were.

use std::collections::HashMap;

use super::ports::{Settled, Store, StoreError, Which};
use crate::delivery::{Change, Consignment, Delivery, Keeping, Prior, Term, project};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::log::{Entry, EntryId};

/// Entries and their consequences, in order.
pub(super) struct Stage<'a> {
    store: &'a dyn Store,
    next: EntryId,
    requests: HashMap<Sha256, (Sha256, EntryId)>,
    deliveries: HashMap<(ConsignmentId, Code), Delivery>,
    keepings: HashMap<ConsignmentId, Keeping>,
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) changes: Vec<Change>,
    pub(super) settled: Vec<Settled>,
    /// Agencies with something new in their mailbox or among their notices.
    pub(super) touched: Vec<Code>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(store: &'a dyn Store, next: EntryId) -> Self {
        Self {
            store,
            next,
            requests: HashMap::new(),
            deliveries: HashMap::new(),
            keepings: HashMap::new(),
            leaves: Vec::new(),
            changes: Vec::new(),
            settled: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Adds an entry; gives its place in the log to be.
    pub(super) fn push(&mut self, entry: &Entry) -> Result<EntryId, StoreError> {
        let id = self.next;
        self.next.index += 1;
        let changes = project(id, entry, &*self)?;
        for change in &changes {
            match change {
                Change::Index { term: Term::Request(key), entry: accepted } => {
                    self.requests.extend(entry.envelope.map(|used| (*key, (used, *accepted))));
                }
                Change::Delivery(delivery) => {
                    let key = (delivery.consignment, delivery.recipient.clone());
                    self.deliveries.insert(key, delivery.clone());
                }
                // An answer makes room for the next item.
                Change::Waiting { agency, .. }
                | Change::Notice { agency, .. }
                | Change::Answered { agency, .. } => {
                    self.touched.push(agency.clone());
                }
                Change::Keeping(consignment, keeping) => {
                    self.keepings.insert(*consignment, keeping.clone());
                }
                Change::Consignment(_)
                | Change::Outage { .. }
                | Change::Stamped { .. }
                | Change::Swept { .. }
                | Change::Index { .. }
                | Change::Erasing(_) => {}
            }
        }
        self.changes.extend(changes);
        self.leaves.push(entry.to_leaf());
        Ok(id)
    }

    /// A consignment that was accepted before this batch.
    pub(super) fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, StoreError> {
        self.store.consignment(id)
    }

    /// What a request key was used for, this batch included.
    pub(super) fn request(&self, key: &Sha256) -> Result<Option<(Sha256, EntryId)>, StoreError> {
        match self.requests.get(key) {
            Some(used) => Ok(Some(*used)),
            None => self.store.request(key),
        }
    }
}

impl Prior for Stage<'_> {
    type Error = StoreError;

    fn delivery(
        &self,
        consignment: ConsignmentId,
        recipient: &Code,
    ) -> Result<Option<Delivery>, StoreError> {
        match self.deliveries.get(&(consignment, recipient.clone())) {
            Some(delivery) => Ok(Some(delivery.clone())),
            None => Ok(self.store.deliveries(consignment, Which::At(recipient))?.pop()),
        }
    }

    fn keeping(&self, consignment: ConsignmentId) -> Result<Keeping, StoreError> {
        match self.keepings.get(&consignment) {
            Some(keeping) => Ok(keeping.clone()),
            None => self.store.keeping(consignment),
        }
    }
}
