//! What the entries say of the services around the gateway (`log/FORMAT.md` §7, rules 10 and 11).

use std::collections::{HashMap, VecDeque};

use super::leaf::{Field, Kind, Leaf};
use super::report::{Findings, Head, Rule};
use crate::digest::Sha256;
use crate::limits::AUDIT_HEADS_KEPT_MAX;
use crate::log::EntryId;

/// What must be remembered of services and checkpoints.
#[derive(Default)]
pub(super) struct Services {
    /// Since when a service has been out, as the entry writes it.
    outages: HashMap<Box<str>, Box<str>>,
    /// The newest checkpoints that were compared and right.
    heads: VecDeque<Head>,
}

impl Services {
    /// What follows an audit at whose end these services were out, each with its time.
    pub(super) fn after(outages: &[(String, String)]) -> Self {
        let out =
            |(service, since): &(String, String)| (service.as_str().into(), since.as_str().into());
        Self { outages: outages.iter().map(out).collect(), ..Self::default() }
    }

    /// Which services are out, and since when, in the order of their names.
    pub(super) fn outages(&self) -> Vec<(String, String)> {
        let mut outages: Vec<_> = self
            .outages
            .iter()
            .map(|(service, since)| (service.to_string(), since.to_string()))
            .collect();
        outages.sort();
        outages
    }

    /// A checkpoint was compared and right.
    pub(super) fn signed(&mut self, head: Head) {
        if self.heads.len() == AUDIT_HEADS_KEPT_MAX {
            self.heads.pop_front();
        }
        self.heads.push_back(head);
    }

    /// Takes the next entry.
    pub(super) fn take(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        let own = !leaf.is_a_neighbours_word();
        if own && leaf.since().is_some_and(|since| since > leaf.moment) {
            findings.add(Some(id), Rule::SinceLater, "its since lies after its time");
        }
        match leaf.kind {
            Kind::Stamp => self.stamp(id, leaf, findings),
            Kind::Outage | Kind::Repair => self.outage(id, leaf, findings),
            _ => {}
        }
    }

    /// Holds what a time-stamp covers against the checkpoints that are remembered. One that is
    /// not among them is passed over: it may be older than all of them.
    fn stamp(&self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        let Some((epoch, size, root)) = leaf.head(Field::Covers) else { return };
        let own = u64::from(id.epoch);
        if epoch > own || (epoch == own && size > id.index) {
            let message =
                format!("it covers {size} entries of epoch {epoch}, which lie not before it");
            findings.add(Some(id), Rule::StampCovers, message);
            return;
        }
        let same = |head: &&Head| (u64::from(head.epoch), head.size) == (epoch, size);
        if let Some(head) = self.heads.iter().rev().find(same)
            && head.root != Sha256(root)
        {
            let message =
                format!("it covers the root {}; the entries have {}", Sha256(root), head.root);
            findings.add(Some(id), Rule::StampCovers, message);
        }
    }

    fn outage(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        let (Some(service), Some(since)) = (leaf.value(Field::Service), leaf.value(Field::Since))
        else {
            return;
        };
        let before = match leaf.kind {
            Kind::Outage => self.outages.insert(service.into(), since.into()),
            _ => self.outages.remove(service),
        };
        let message = match (leaf.kind, before) {
            (Kind::Outage, None) => return,
            (Kind::Outage, Some(_)) => format!("{service} was out already"),
            (_, None) => format!("{service} was not out"),
            (_, Some(before)) if *before == *since => return,
            (_, Some(before)) => format!("{service} was out since {before}"),
        };
        findings.add(Some(id), Rule::OutageOrder, message);
    }
}
