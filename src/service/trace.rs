//! What happened to a document.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::reads::query;
use super::status::to_status;
use super::submission::blocking;
use super::{Door, convert, paging, search};
use crate::delivery::{Term, fold_spelling};
use crate::digest::{Sha256, hex};
use crate::directory::Role;
use crate::document::{ConsignmentId, DossierCode};
use crate::gateway::ports::Which;
use crate::gateway::{Asked, Error, Peer, Query, Surroundings};
use crate::limits::{PAGE_SIZE_MAX, RECIPIENTS_MAX};
use crate::log::{Entry, EntryId, Event};
use crate::proto::v1;
use crate::proto::v1::trace_request::Term as WireTerm;
use crate::proto::v1::trace_service_server::TraceService;
use crate::refusal::{Reason, Refusal};

/// Documents of one dossier that are looked at for one trace.
const DOSSIER_DOCUMENTS_MAX: usize = 1_000;
/// Entries looked at for one page; who may see few of them gets the rest with the next page.
const LOOKED_AT_MAX: usize = 10_000;

#[tonic::async_trait]
impl TraceService for Door {
    async fn trace(
        &self,
        request: Request<v1::TraceRequest>,
    ) -> Result<Response<v1::TraceResponse>, Status> {
        let peer = self.peer(&request)?;
        let mut request = request.into_inner();
        let asked = query_of(&request);
        let mark = self.noted(&peer, &mut request.page_token, &asked).await?;
        let mut page = self.traced(&peer, &request).map_err(to_status)?;
        page.next_page_token = mark.onto(page.next_page_token);
        Ok(Response::new(page))
    }

    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let peer = self.peer(&request)?;
        let mut request = request.into_inner();
        let fields = [("consignment_id", request.consignment_id.as_str())];
        let asked = query(Asked::Trace, "deliveries", &fields);
        let mark = self.noted(&peer, &mut request.page_token, &asked).await?;
        let mut page = self.deliveries(&peer, &request).map_err(to_status)?;
        page.next_page_token = mark.onto(page.next_page_token);
        Ok(Response::new(page))
    }

    async fn search(
        &self,
        request: Request<v1::SearchRequest>,
    ) -> Result<Response<v1::SearchResponse>, Status> {
        let peer = self.peer(&request)?;
        let (door, mut request) = (self.clone(), request.into_inner());
        let asked = search::query_of(&request);
        let mark = self.noted(&peer, &mut request.page_token, &asked).await?;
        let found = tokio::task::spawn_blocking(move || door.found(&peer, &request));
        let mut page = blocking(found).await?.map_err(to_status)?;
        page.next_page_token = mark.onto(page.next_page_token);
        Ok(Response::new(page))
    }
}

impl Door {
    fn traced(&self, peer: &Peer, request: &v1::TraceRequest) -> Result<v1::TraceResponse, Error> {
        peer.require(&[Role::Agency, Role::Portal, Role::Auditor])?;
        let size = paging::size(request.page_size)?;
        let after = paging::entry(&request.page_token)?;
        let surroundings = self.gateway.surroundings();
        let mut eyes = Eyes::new(self, peer, &surroundings);
        let term = searched(request)?;
        let (mut entries, mut last, mut looked_at) = (Vec::new(), after, 0);
        let more = 'page: loop {
            let candidates = self.candidates(&term, last, size)?;
            if candidates.is_empty() {
                break false;
            }
            for id in candidates {
                if entries.len() == size || looked_at == LOOKED_AT_MAX {
                    break 'page true;
                }
                let leaf = self.gateway.reading().leaf(id)?;
                (last, looked_at) = (id, looked_at + 1);
                let entry = Entry::from_leaf(&leaf).ok();
                // What belongs to a dossier was asked of its acceptances.
                let fits = matches!(term, Term::Dossier(_))
                    || entry.as_ref().is_none_or(|entry| term.is_of(entry));
                if fits && eyes.may_see(entry.as_ref())? {
                    entries.push(v1::TracedEntry {
                        entry_id: Some(convert::entry_id(id)),
                        leaf: Bytes::from(leaf),
                    });
                }
            }
        };
        if entries.is_empty() && after == EntryId::ZERO && !more {
            return Err(Refusal::of_field(Reason::NothingFound, "term").into());
        }
        let token = if more { last.to_string() } else { String::new() };
        let checkpoint = self.gateway.reading().latest()?.unwrap_or_default();
        Ok(v1::TraceResponse { entries, next_page_token: token, checkpoint: checkpoint.into() })
    }

    /// What the index offers under the term after `after`, in order and without a gap; at least a
    /// page and one more if there are.
    fn candidates(
        &self,
        term: &Term,
        after: EntryId,
        size: usize,
    ) -> Result<BTreeSet<EntryId>, Error> {
        if matches!(term, Term::Dossier(_)) {
            return self.of_dossier(term, after, size);
        }
        let page = PAGE_SIZE_MAX.max(size + 1);
        Ok(self.gateway.store().find(term, after, page)?.into_iter().collect())
    }

    fn of_dossier(
        &self,
        term: &Term,
        after: EntryId,
        size: usize,
    ) -> Result<BTreeSet<EntryId>, Error> {
        let store = self.gateway.store();
        let documents = store.find(term, EntryId::ZERO, DOSSIER_DOCUMENTS_MAX)?;
        let mut entries = BTreeSet::new();
        for accepted in documents {
            let entry = self.gateway.reading().entry(accepted)?;
            if let Some(id) = entry.consignment.filter(|_| term.is_of(&entry)) {
                entries.extend(store.find(&Term::Consignment(id), after, size + 1)?);
            }
        }
        if let Term::Dossier(code) = term {
            entries.extend(store.find(&Term::DossierSteps(code.clone()), after, size + 1)?);
        }
        // Beyond these, entries of a document that has more of them would be missing.
        Ok(entries.into_iter().take(size + 1).collect())
    }

    fn deliveries(
        &self,
        peer: &Peer,
        request: &v1::ListDeliveriesRequest,
    ) -> Result<v1::ListDeliveriesResponse, Error> {
        peer.require(&[Role::Agency, Role::Portal, Role::Auditor])?;
        let id = convert::consignment_id(&request.consignment_id)?;
        let size = paging::size(request.page_size)?;
        let after = paging::code(&request.page_token)?;
        let consignment = self.consignment(id)?;
        let surroundings = self.gateway.surroundings();
        let sees_all = peer.may_read(&surroundings.directory, &[&consignment.sender]);
        if !sees_all && !self.is_party(peer, &surroundings, id)? {
            return Err(Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id").into());
        }
        let mut found =
            self.gateway.store().deliveries(id, Which::After(after.as_ref(), size + 1))?;
        let more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| more).map(|one| one.recipient.to_string());
        found.retain(|one| sees_all || peer.may_read(&surroundings.directory, &[&one.recipient]));
        Ok(v1::ListDeliveriesResponse {
            deliveries: found.iter().map(convert::delivery).collect(),
            next_page_token: last.unwrap_or_default(),
        })
    }

    /// Whether the peer may read what concerns this consignment as a whole or as one recipient.
    pub(super) fn is_party(
        &self,
        peer: &Peer,
        surroundings: &Surroundings,
        id: ConsignmentId,
    ) -> Result<bool, Error> {
        let Some(consignment) = self.gateway.store().consignment(id)? else { return Ok(false) };
        if peer.may_read(&surroundings.directory, &[&consignment.sender]) {
            return Ok(true);
        }
        let all = self.gateway.store().deliveries(id, Which::After(None, RECIPIENTS_MAX))?;
        Ok(all.iter().any(|one| peer.may_read(&surroundings.directory, &[&one.recipient])))
    }
}

/// What an auditor's trace is recorded as.
fn query_of(request: &v1::TraceRequest) -> Query {
    let field = match &request.term {
        None => ("term", String::new()),
        Some(WireTerm::ConsignmentId(id)) => ("consignment_id", id.clone()),
        Some(WireTerm::DocumentId(id)) => ("document_id", id.clone()),
        Some(WireTerm::Number(number)) => ("number", number.clone()),
        Some(WireTerm::EnvelopeSha256(digest)) => ("envelope_sha256", hex(digest)),
        Some(WireTerm::DossierCode(code)) => ("dossier_code", code.clone()),
    };
    query(Asked::Trace, "trace", &[(field.0, &field.1)])
}

/// What is looked for.
fn searched(request: &v1::TraceRequest) -> Result<Term, Error> {
    let malformed = |field: &str| Refusal::of_field(Reason::FieldMalformed, field);
    Ok(match &request.term {
        None => return Err(Refusal::of_field(Reason::SearchEmpty, "term").into()),
        Some(WireTerm::ConsignmentId(id)) => Term::Consignment(convert::consignment_id(id)?),
        Some(WireTerm::DocumentId(id)) => Term::Document(id.clone()),
        Some(WireTerm::Number(number)) => Term::Number(fold_spelling(number)),
        Some(WireTerm::EnvelopeSha256(digest)) => {
            Term::Envelope(Sha256::from_slice(digest).ok_or_else(|| malformed("envelope_sha256"))?)
        }
        Some(WireTerm::DossierCode(code)) => {
            Term::Dossier(DossierCode::parse(code).ok_or_else(|| malformed("dossier_code"))?)
        }
    })
}

/// What one caller may see.
pub(super) struct Eyes<'a> {
    door: &'a Door,
    peer: &'a Peer,
    surroundings: &'a Surroundings,
    parties: HashMap<ConsignmentId, bool>,
}

impl<'a> Eyes<'a> {
    pub(super) fn new(door: &'a Door, peer: &'a Peer, surroundings: &'a Surroundings) -> Self {
        Self { door, peer, surroundings, parties: HashMap::new() }
    }

    /// Auditors see everything; a party sees the acceptance and what is about itself.
    pub(super) fn may_see(&mut self, entry: Option<&Entry>) -> Result<bool, Error> {
        if self.peer.role == Role::Auditor {
            return Ok(true);
        }
        let Some(entry) = entry else { return Ok(false) };
        let named: Vec<_> = entry.from.iter().chain(&entry.to).collect();
        if self.peer.may_read(&self.surroundings.directory, &named) {
            return Ok(true);
        }
        if let (Event::DossierStep, Some(code)) = (entry.event, &entry.dossier) {
            let dossier = self.door.gateway.store().dossier(code)?;
            let parties = dossier.as_ref().map_or(&[][..], |dossier| &dossier.parties);
            let parties: Vec<_> = parties.iter().collect();
            return Ok(self.peer.may_read(&self.surroundings.directory, &parties));
        }
        let (Event::SubmissionAcceptance, Some(id)) = (entry.event, entry.consignment) else {
            return Ok(false);
        };
        if let Some(known) = self.parties.get(&id) {
            return Ok(*known);
        }
        let is_party = self.door.is_party(self.peer, self.surroundings, id)?;
        self.parties.insert(id, is_party);
        Ok(is_party)
    }
}
