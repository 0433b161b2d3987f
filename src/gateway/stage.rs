//! A batch in the making: entries that are decided but not yet durable, seen by the next decision
//! as if they were.

use std::collections::{HashMap, HashSet};

use super::ports::{Settled, Store, StoreError, Which};
use crate::delivery::{Change, Consignment, Delivery, Keeping, Prior, Term, project};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode};
use crate::dossier::Dossier;
use crate::limits::PAGE_SIZE_MAX;
use crate::log::{Entry, EntryId};

/// Entries and their consequences, in order.
pub(super) struct Stage<'a> {
    store: &'a dyn Store,
    next: EntryId,
    requests: HashMap<Sha256, (Sha256, EntryId)>,
    deliveries: HashMap<(ConsignmentId, Code), Delivery>,
    keepings: HashMap<ConsignmentId, Keeping>,
    consignments: HashMap<ConsignmentId, Consignment>,
    dossiers: HashMap<DossierCode, Dossier>,
    /// What a neighbour's word rests on, in this batch.
    contents: HashSet<Sha256>,
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
            consignments: HashMap::new(),
            dossiers: HashMap::new(),
            contents: HashSet::new(),
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
                    self.requests.extend(entry.used_for().map(|used| (*key, (used, *accepted))));
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
                Change::Consignment(consignment) => {
                    self.consignments.insert(consignment.id, consignment.clone());
                }
                Change::Dossier(dossier) => {
                    self.dossiers.insert(dossier.code.clone(), (**dossier).clone());
                }
                Change::Party { .. }
                | Change::Alarm { .. }
                | Change::Told { .. }
                | Change::Outage { .. }
                | Change::Stamped { .. }
                | Change::Swept { .. }
                | Change::Index { .. }
                | Change::Erasing(_) => {}
            }
        }
        self.changes.extend(changes);
        self.contents.extend(entry.content);
        self.leaves.push(entry.to_leaf());
        Ok(id)
    }

    /// Whether an entry about the consignment rests on this content already.
    pub(super) fn rests_on(
        &self,
        consignment: ConsignmentId,
        content: &Sha256,
    ) -> Result<bool, StoreError> {
        if self.contents.contains(content) {
            return Ok(true);
        }
        // Content that was never committed cannot have been named; only what is known is looked for.
        if self.store.place(content, None)?.is_none() {
            return Ok(false);
        }
        let (term, mut after) = (Term::Consignment(consignment), EntryId::ZERO);
        loop {
            let page = self.store.find(&term, after, PAGE_SIZE_MAX)?;
            let Some(last) = page.last() else { return Ok(false) };
            after = *last;
            for id in page {
                let leaf = self.store.leaves(id, 1)?.pop();
                let entry = leaf.and_then(|leaf| Entry::from_leaf(&leaf).ok());
                if entry.is_some_and(|entry| entry.content.as_ref() == Some(content)) {
                    return Ok(true);
                }
            }
        }
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

    fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, StoreError> {
        match self.consignments.get(&id) {
            Some(consignment) => Ok(Some(consignment.clone())),
            None => self.store.consignment(id),
        }
    }

    fn keeping(&self, consignment: ConsignmentId) -> Result<Keeping, StoreError> {
        match self.keepings.get(&consignment) {
            Some(keeping) => Ok(keeping.clone()),
            None => self.store.keeping(consignment),
        }
    }

    fn dossier(&self, code: &DossierCode) -> Result<Option<Dossier>, StoreError> {
        match self.dossiers.get(code) {
            Some(dossier) => Ok(Some(dossier.clone())),
            None => self.store.dossier(code),
        }
    }
}
