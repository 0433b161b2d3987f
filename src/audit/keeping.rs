//! What the entries say of bodies that are held and erased (`log/FORMAT.md` §7, rule 12).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::leaf::{Field, Kind, Leaf};
use super::report::{Findings, Rule};
use crate::log::EntryId;

/// Holds that last, and what was erased. `Number` is the number of a consignment.
#[derive(Default)]
pub(super) struct Keeping {
    holds: HashMap<u32, BTreeSet<Box<str>>>,
    erased: HashSet<u32>,
}

impl Keeping {
    /// Takes an erasure, a hold or a release of a consignment.
    pub(super) fn take(
        &mut self,
        id: EntryId,
        consignment: u32,
        leaf: &Leaf<'_>,
        findings: &mut Findings,
    ) {
        let reason = leaf.value(Field::Reason).unwrap_or_default();
        let broken = match leaf.kind {
            Kind::Hold if self.erased.contains(&consignment) => {
                Some((Rule::HoldOrder, "its bodies were erased already".to_owned()))
            }
            Kind::Hold => {
                let new = self.holds.entry(consignment).or_default().insert(reason.into());
                let message = || format!("it was held for {reason} already");
                (!new).then(|| (Rule::HoldOrder, message()))
            }
            Kind::Release => {
                let held = self.holds.get_mut(&consignment);
                let ended = held.is_some_and(|held| held.remove(reason));
                let message = || format!("it was not held for {reason}");
                (!ended).then(|| (Rule::HoldOrder, message()))
            }
            _ => self.erase(consignment),
        };
        if let Some((rule, message)) = broken {
            findings.add(Some(id), rule, message);
        }
    }

    fn erase(&mut self, consignment: u32) -> Option<(Rule, String)> {
        if !self.erased.insert(consignment) {
            return Some((Rule::ErasureTwice, "its bodies were erased before".to_owned()));
        }
        let held = self.holds.get(&consignment).and_then(|held| held.first());
        held.map(|reason| (Rule::ErasureHeld, format!("its bodies were held for {reason}")))
    }
}
