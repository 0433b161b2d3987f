//! Dossiers page by page, so that a long count holds no thread for long and ends with who asked for it.

use super::Door;
use crate::clock::Time;
use crate::delivery::{Term, Transport};
use crate::directory::{Code, Role};
use crate::document::DossierCode;
use crate::dossier::Dossier;
use crate::gateway::ports::Which;
use crate::gateway::{Error, Surroundings};
use crate::limits::{DOSSIER_DOCUMENTS_COUNTED_MAX, SCAN_PAGE};
use crate::log::EntryId;

/// Whose dossiers are still to be looked at, and behind which one.
pub(super) enum Walk {
    /// Those of these agencies, the last agency first.
    Of(Vec<Code>, Option<DossierCode>),
    /// All.
    All(Option<DossierCode>),
}

/// Some dossiers.
pub(super) struct Page {
    /// Whose they are: only those count that it had received; `None` if all count.
    pub(super) of: Option<Code>,
    /// As they stand.
    pub(super) dossiers: Vec<Dossier>,
}

/// The agencies of the portal's systems.
pub(super) fn portals(surroundings: &Surroundings) -> Vec<Code> {
    let directory = &surroundings.directory;
    let of_portal = |host| directory.system(host).is_some_and(|it| it.role == Role::Portal);
    let agencies = directory.agencies();
    let portals = agencies.filter(|agency| agency.host.as_ref().is_some_and(of_portal));
    portals.map(|agency| agency.code.clone()).collect()
}

impl Door {
    /// A page of them; `None` if that was all.
    pub(super) fn next_dossiers(&self, walk: &mut Walk) -> Result<Option<Page>, Error> {
        let store = self.gateway.store();
        let (agencies, after) = match walk {
            Walk::Of(agencies, after) => (agencies, after),
            Walk::All(after) => {
                let dossiers = store.dossiers(after.as_ref(), SCAN_PAGE)?;
                let Some(last) = dossiers.last() else { return Ok(None) };
                *after = Some(last.code.clone());
                return Ok(Some(Page { of: None, dossiers }));
            }
        };
        for _ in 0..SCAN_PAGE {
            let Some(agency) = agencies.last() else { return Ok(None) };
            let codes = store.dossiers_of(agency, after.as_ref(), SCAN_PAGE)?;
            let Some(last) = codes.last() else {
                agencies.pop();
                *after = None;
                continue;
            };
            *after = Some(last.clone());
            let mut dossiers = Vec::with_capacity(codes.len());
            for code in &codes {
                dossiers.extend(store.dossier(code)?);
            }
            return Ok(Some(Page { of: Some(agency.clone()), dossiers }));
        }
        Ok(Some(Page { of: None, dossiers: Vec::new() }))
    }

    /// A dossier as it stood then.
    pub(super) fn as_of(&self, dossier: Dossier, until: Time) -> Result<Option<Dossier>, Error> {
        if dossier.changed_at < until {
            return Ok(Some(dossier));
        }
        let mut then: Option<Dossier> = None;
        for (_, entry) in self.gateway.steps_of(&dossier.code)? {
            if entry.time >= until {
                break;
            }
            then = match then {
                Some(before) => Some(before.after(EntryId::ZERO, &entry)),
                None => Dossier::begin(EntryId::ZERO, &entry),
            };
        }
        Ok(then)
    }

    /// Whether the portal has a dossier: it began there, or one of the portal's agencies took a document of
    /// it over (03) before `until`.
    pub(super) fn is_synchronised(
        &self,
        dossier: &Dossier,
        portals: &[Code],
        until: Time,
    ) -> Result<bool, Error> {
        if portals.is_empty() || portals.contains(&dossier.origin) {
            return Ok(!portals.is_empty());
        }
        let (store, term) = (self.gateway.store(), Term::Dossier(dossier.code.clone()));
        for id in store.find(&term, EntryId::ZERO, DOSSIER_DOCUMENTS_COUNTED_MAX)? {
            let entry = self.gateway.reading().entry(id)?;
            let Some(consignment) = entry.consignment.filter(|_| term.is_of(&entry)) else {
                continue;
            };
            for portal in portals {
                let delivery = store.deliveries(consignment, Which::At(portal))?.pop();
                let delivery = delivery.filter(|it| it.transport == Transport::HandedOver);
                let taken_at = delivery.and_then(|it| it.milestones.answered_at);
                if taken_at.is_some_and(|taken| taken < until) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
