//! Looking for documents: every condition must hold. A page costs a bounded number of entries, so
//! it may be short although more follow.

use super::ports::Which;
use super::{Error, Gateway};
use crate::clock::Time;
use crate::delivery::{Delivery, Term, Transport};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode};
use crate::limits::{RECIPIENTS_MAX, SCAN_PAGE, SEARCHED_ENTRIES_MAX};
use crate::log::{Entry, EntryId, Event, Status};

/// What a document must be; `None` is no condition.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its consignment.
    pub consignment: Option<ConsignmentId>,
    /// Identifier of the document.
    pub document: Option<String>,
    /// Number and notation, folded by [`crate::delivery::fold_spelling`].
    pub number: Option<String>,
    /// The dossier it belongs to.
    pub dossier: Option<DossierCode>,
    /// SHA-256 of its envelope.
    pub envelope: Option<Sha256>,
    /// Who sent it.
    pub sender: Option<Code>,
    /// To whom it was consigned.
    pub recipient: Option<Code>,
    /// Who sent it or to whom it was consigned; in the place of both.
    pub agency: Option<Code>,
    /// Accepted or rejected at this time or later.
    pub since: Option<Time>,
    /// Accepted or rejected before this time.
    pub until: Option<Time>,
    /// How far its content came: at the recipient that is asked for, or at any.
    pub transport: Option<Transport>,
    /// Its business status, in the same way.
    pub business: Option<Status>,
    /// Whether it was taken in charge.
    pub accepted: Option<bool>,
}

/// A document that fits.
#[derive(Debug)]
pub struct Found {
    /// Its acceptance or rejection.
    pub id: EntryId,
    /// The bytes of that entry.
    pub leaf: Vec<u8>,
    /// What they say.
    pub entry: Entry,
    /// Its delivery to the agency that was asked for, if it is a recipient.
    pub delivery: Option<Delivery>,
}

/// Some of what fits.
#[derive(Debug)]
pub struct Findings {
    /// In the order of the log.
    pub found: Vec<Found>,
    /// Where the next page begins to look; `None` if there is no more.
    pub next: Option<EntryId>,
}

/// How entries are come by.
enum Way {
    /// These, and no other.
    Only(Vec<EntryId>),
    /// Those under any of these terms.
    Terms(Vec<Term>),
    /// All.
    Every,
}

impl Wanted {
    /// Whether everything in a period is asked for, whoever sent it to whomever.
    pub fn is_open(&self) -> bool {
        let Self { consignment, document, number, dossier, envelope, .. } = self;
        let named = consignment.is_some() || document.is_some() || number.is_some();
        let named = named || dossier.is_some() || envelope.is_some();
        !named && self.sender.is_none() && self.recipient.is_none() && self.agency.is_none()
    }

    /// What the acceptance or rejection must bear, the most telling first.
    fn terms(&self) -> Vec<Term> {
        let mut terms = Vec::new();
        terms.extend(self.envelope.map(Term::Envelope));
        terms.extend(self.document.clone().map(Term::Document));
        terms.extend(self.number.clone().map(Term::Number));
        terms.extend(self.dossier.clone().map(Term::Dossier));
        terms.extend(self.sender.clone().map(Term::Sender));
        terms
    }

    /// What the index is asked for: the rarest thing that is known.
    fn ways(&self) -> Vec<Term> {
        let mut terms = self.terms();
        if !terms.is_empty() && (terms.len() > 1 || self.sender.is_none()) {
            terms.truncate(1);
            return terms;
        }
        match (&self.recipient, terms.pop(), &self.agency) {
            (Some(recipient), _, _) => vec![Term::Recipient(recipient.clone())],
            (None, Some(sender), _) => vec![sender],
            (None, None, Some(agency)) => {
                vec![Term::Sender(agency.clone()), Term::Recipient(agency.clone())]
            }
            (None, None, None) => Vec::new(),
        }
    }

    fn asks_for_state(&self) -> bool {
        self.transport.is_some() || self.business.is_some()
    }

    fn has_state(&self, delivery: &Delivery) -> bool {
        self.transport.is_none_or(|wanted| delivery.transport == wanted)
            && self.business.is_none_or(|wanted| delivery.business == wanted)
    }
}

impl Gateway {
    /// Up to `max` documents that fit and that `may_see` lets through, behind `after`. Blocks.
    ///
    /// # Errors
    /// The store's, and those of `may_see`.
    pub fn search(
        &self,
        wanted: &Wanted,
        after: EntryId,
        max: usize,
        mut may_see: impl FnMut(&Entry) -> Result<bool, Error>,
    ) -> Result<Findings, Error> {
        let mut looking = Looking { gateway: self, wanted, terms: wanted.terms(), looked_at: 0 };
        let way = looking.way()?;
        let begin = wanted.since.map(|since| self.reading.first_since(since)).transpose()?;
        let mut last = after.max(begin.map_or(EntryId::ZERO, EntryId::before));
        let mut found = Vec::new();
        loop {
            let candidates = looking.candidates(&way, last)?;
            if candidates.is_empty() {
                return Ok(Findings { found, next: None });
            }
            for (id, leaf) in candidates {
                if found.len() == max || looking.looked_at >= SEARCHED_ENTRIES_MAX {
                    return Ok(Findings { found, next: Some(last) });
                }
                last = id;
                looking.looked_at += 1;
                let Ok(entry) = Entry::from_leaf(&leaf) else { continue };
                if wanted.until.is_some_and(|until| entry.time >= until) {
                    return Ok(Findings { found, next: None });
                }
                let Some((subject, recipient)) = looking.subject(id, entry, leaf)? else {
                    continue;
                };
                let fitting = looking.fitting(subject, recipient)?;
                // Whoever may see a delivery may see the acceptance before it.
                if let Some(one) = fitting
                    && may_see(&one.entry)?
                {
                    found.push(one);
                }
            }
        }
    }
}

/// One search.
struct Looking<'a> {
    gateway: &'a Gateway,
    wanted: &'a Wanted,
    terms: Vec<Term>,
    /// Entries and deliveries.
    looked_at: usize,
}

impl<'a> Looking<'a> {
    fn way(&self) -> Result<Way, Error> {
        if let Some(id) = self.wanted.consignment {
            let consignment = self.gateway.store.consignment(id)?;
            return Ok(Way::Only(consignment.map(|found| found.accepted).into_iter().collect()));
        }
        let terms = self.wanted.ways();
        Ok(if terms.is_empty() { Way::Every } else { Way::Terms(terms) })
    }

    /// Entries behind `last`, in order and without a gap; none at the end of the log.
    fn candidates(&self, way: &Way, last: EntryId) -> Result<Vec<(EntryId, Vec<u8>)>, Error> {
        let reading = &self.gateway.reading;
        let with_leaf = |id: EntryId| Ok((id, reading.leaf(id)?));
        match way {
            Way::Only(ids) => ids.iter().copied().filter(|id| *id > last).map(with_leaf).collect(),
            Way::Terms(terms) => {
                let ids = self.gateway.under_any(terms, last)?;
                ids.into_iter().map(with_leaf).collect()
            }
            Way::Every => Ok(reading.behind(last, SCAN_PAGE)?),
        }
    }

    /// The acceptance or rejection that an entry leads to, and the recipient that is asked for.
    fn subject(
        &self,
        id: EntryId,
        entry: Entry,
        leaf: Vec<u8>,
    ) -> Result<Option<(Found, Option<&'a Code>)>, Error> {
        let Wanted { agency, recipient, .. } = self.wanted;
        let found = |id, entry, leaf| Found { id, leaf, entry, delivery: None };
        match entry.event {
            Event::ContentConsignment => {
                let recipient = recipient.as_ref().or(agency.as_ref());
                let Some(of) = entry.consignment.filter(|_| entry.to.as_ref() == recipient) else {
                    return Ok(None);
                };
                let Some(of) = self.gateway.store.consignment(of)? else { return Ok(None) };
                let leaf = self.gateway.reading.leaf(of.accepted)?;
                let entry = Entry::from_leaf(&leaf).ok();
                Ok(entry.map(|entry| (found(of.accepted, entry, leaf), recipient)))
            }
            Event::SubmissionAcceptance | Event::SubmissionRejection => {
                // Found by something else than the agency, which may still be a recipient.
                let agency = agency.as_ref().filter(|agency| entry.from.as_ref() != Some(agency));
                Ok(Some((found(id, entry, leaf), recipient.as_ref().or(agency))))
            }
            _ => Ok(None),
        }
    }

    /// The document, if all conditions hold.
    fn fitting(
        &mut self,
        mut found: Found,
        recipient: Option<&Code>,
    ) -> Result<Option<Found>, Error> {
        let wanted = self.wanted;
        let (entry, store) = (&found.entry, &self.gateway.store);
        let fits = self.terms.iter().all(|term| term.is_of(entry))
            && wanted.consignment.is_none_or(|wanted| entry.consignment == Some(wanted))
            && wanted
                .accepted
                .is_none_or(|wanted| wanted == (entry.event == Event::SubmissionAcceptance));
        if !fits {
            return Ok(None);
        }
        let fits = match (recipient, entry.consignment) {
            (Some(code), Some(of)) => {
                found.delivery = store.deliveries(of, Which::At(code))?.pop();
                found.delivery.as_ref().is_some_and(|delivery| wanted.has_state(delivery))
            }
            (Some(_), None) => false,
            (None, _) if !wanted.asks_for_state() => true,
            (None, None) => false,
            (None, Some(of)) => {
                let all = store.deliveries(of, Which::After(None, RECIPIENTS_MAX))?;
                self.looked_at += all.len();
                all.iter().any(|delivery| wanted.has_state(delivery))
            }
        };
        Ok(fits.then_some(found))
    }
}

impl Gateway {
    /// Entries under any of the terms behind `last`, in order and without a gap.
    ///
    /// # Errors
    /// The store's.
    pub fn under_any(&self, terms: &[Term], last: EntryId) -> Result<Vec<EntryId>, Error> {
        let (mut ids, mut gapless) = (Vec::new(), None);
        for term in terms {
            let page = self.store.find(term, last, SCAN_PAGE)?;
            if page.len() == SCAN_PAGE {
                // Beyond the end of a full page, others of its term would be missing.
                let end = page.last().copied();
                gapless = gapless.min(end).or(end);
            }
            ids.extend(page);
        }
        ids.retain(|id| gapless.is_none_or(|end| *id <= end));
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}
