//! Rows of the registers.

use bytes::Bytes;

use super::{Pages, Period};
use crate::clock::{Date, Time};
use crate::delivery::{Consignment, Term, Transport};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{Addressee, Envelope};
use crate::gateway::ports::Which;
use crate::gateway::{Error, Surroundings};
use crate::limits::{RECIPIENTS_MAX, REGISTER_NAMES_LENGTH_MAX, REGISTER_ROWS_AT_ONCE, SCAN_PAGE};
use crate::log::{Entry, EntryId, Event};
use crate::proto::v1;
use crate::service::{Door, convert};
use crate::statistics::names;

/// The entries under a term in a period, from a place on.
struct Walk {
    term: Term,
    period: Period,
    last: EntryId,
}

impl Walk {
    fn begin(door: &Door, term: Term, period: Period) -> Result<Self, Error> {
        Ok(Self { term, period, last: door.begin_of(period)? })
    }

    /// Some more of them, perhaps none; `None` at the end.
    fn step(&mut self, door: &Door) -> Result<Option<Vec<(EntryId, Entry)>>, Error> {
        let ids = door.gateway.store().find(&self.term, self.last, REGISTER_ROWS_AT_ONCE)?;
        if ids.is_empty() {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for id in ids {
            let entry = door.gateway.reading().entry(id)?;
            if self.period.is_behind(entry.time) {
                return Ok((!entries.is_empty()).then_some(entries));
            }
            self.last = id;
            if self.term.is_of(&entry) {
                entries.push((id, entry));
            }
        }
        Ok(Some(entries))
    }
}

/// The register of outgoing documents.
pub(super) struct OutgoingPages(Walk);

impl OutgoingPages {
    pub(super) fn begin(door: &Door, agency: Code, period: Period) -> Result<Self, Error> {
        Ok(Self(Walk::begin(door, Term::Sender(agency), period)?))
    }
}

impl Pages for OutgoingPages {
    type Message = v1::ListOutgoingResponse;

    fn next(&mut self, door: &Door) -> Result<Option<v1::ListOutgoingResponse>, Error> {
        let surroundings = door.gateway.surroundings();
        let Some(entries) = self.0.step(door)? else { return Ok(None) };
        let mut rows = Vec::new();
        for (id, entry) in entries {
            if entry.event == Event::SubmissionAcceptance {
                rows.extend(door.outgoing(&surroundings, id, &entry)?);
            }
        }
        Ok(Some(v1::ListOutgoingResponse { rows }))
    }
}

/// The register of incoming documents.
pub(super) struct IncomingPages {
    walk: Walk,
    year: i16,
    /// Arrivals in that year so far; counted with the first page.
    arrived: Option<u64>,
}

impl IncomingPages {
    pub(super) fn begin(door: &Door, agency: Code, period: Period) -> Result<Self, Error> {
        let walk = Walk::begin(door, Term::Recipient(agency), period)?;
        // Without a beginning, the years begin as they come.
        let year = period.since.map_or(0, |since| since.date_in_vietnam().year());
        Ok(Self { walk, year, arrived: None })
    }
}

/// Counts what arrived in the year before the walk begins: entries of the index, none of the log.
fn arrived_before(door: &Door, walk: &Walk, year: i16) -> Result<u64, Error> {
    let begin = Date::new(year, 1, 1).ok().filter(|_| walk.period.since.is_some());
    let Some(begin) = begin.and_then(Time::begin_in_vietnam) else { return Ok(0) };
    let mut after = door.gateway.reading().first_since(begin)?.before();
    let mut arrived = 0;
    loop {
        let ids = door.gateway.store().find(&walk.term, after, SCAN_PAGE)?;
        let before = ids.iter().take_while(|id| **id <= walk.last).count();
        arrived += before as u64;
        match ids.last() {
            Some(last) if before == ids.len() => after = *last,
            _ => return Ok(arrived),
        }
    }
}

impl Pages for IncomingPages {
    type Message = v1::ListIncomingResponse;

    fn next(&mut self, door: &Door) -> Result<Option<v1::ListIncomingResponse>, Error> {
        let surroundings = door.gateway.surroundings();
        let mut arrived = match self.arrived {
            Some(arrived) => arrived,
            None => arrived_before(door, &self.walk, self.year)?,
        };
        let Some(entries) = self.walk.step(door)? else { return Ok(None) };
        let mut rows = Vec::new();
        for (id, entry) in entries {
            let year = entry.time.date_in_vietnam().year();
            arrived = if year == self.year { arrived + 1 } else { 1 };
            self.year = year;
            rows.extend(door.incoming(&surroundings, id, &entry, arrived)?);
        }
        self.arrived = Some(arrived);
        Ok(Some(v1::ListIncomingResponse { rows }))
    }
}

impl Door {
    /// Behind which entry a period begins.
    pub(super) fn begin_of(&self, period: Period) -> Result<EntryId, Error> {
        let first = period.since.map(|since| self.gateway.reading().first_since(since));
        Ok(first.transpose()?.map_or(EntryId::ZERO, EntryId::before))
    }

    fn outgoing(
        &self,
        surroundings: &Surroundings,
        id: EntryId,
        entry: &Entry,
    ) -> Result<Option<v1::OutgoingRow>, Error> {
        let store = self.gateway.store();
        let Some(of) = entry.consignment.map(|of| store.consignment(of)).transpose()?.flatten()
        else {
            return Ok(None);
        };
        let envelope = self.kept_envelope(&of)?;
        let deliveries = store.deliveries(of.id, Which::After(None, RECIPIENTS_MAX))?;
        let count = |state| {
            let all = deliveries.iter().filter(|delivery| delivery.transport == state).count();
            u32::try_from(all).unwrap_or(u32::MAX)
        };
        let paper = paper(envelope.as_ref());
        Ok(Some(v1::OutgoingRow {
            entry_id: Some(convert::entry_id(id)),
            consignment_id: of.id.to_string(),
            number: of.number.clone().unwrap_or_default(),
            issue_date: paper.issue_date,
            type_name: paper.type_name,
            subject: paper.subject,
            signer: paper.signer,
            recipients: envelope
                .as_ref()
                .map(|it| addressees(surroundings, it))
                .unwrap_or_default(),
            recipient_count: of.recipients.count,
            forward_time: Some(convert::timestamp(entry.time)),
            handed_over_count: count(Transport::HandedOver),
            refused_count: count(Transport::Rejected),
            legal_value: of.verdict.legal_value.clone(),
            erased: envelope.is_none(),
        }))
    }

    fn incoming(
        &self,
        surroundings: &Surroundings,
        id: EntryId,
        entry: &Entry,
        arrival_number: u64,
    ) -> Result<Option<v1::IncomingRow>, Error> {
        let store = self.gateway.store();
        let Some((of, to)) = entry.consignment.zip(entry.to.as_ref()) else { return Ok(None) };
        let Some(of) = store.consignment(of)? else { return Ok(None) };
        let Some(delivery) = store.deliveries(of.id, Which::At(to))?.pop() else { return Ok(None) };
        let answer = delivery.answered.map(|answer| self.gateway.reading().entry(answer));
        let answer = answer.transpose()?;
        let handed_over = answer.as_ref().filter(|answer| answer.event == Event::ContentHandover);
        let envelope = self.kept_envelope(&of)?;
        let paper = paper(envelope.as_ref());
        Ok(Some(v1::IncomingRow {
            entry_id: Some(convert::entry_id(id)),
            consignment_id: of.id.to_string(),
            arrival_time: Some(convert::timestamp(entry.time)),
            arrival_number,
            author: name_and_code(surroundings, &of.sender),
            number: of.number.clone().unwrap_or_default(),
            issue_date: paper.issue_date,
            type_name: paper.type_name,
            subject: paper.subject,
            receiver: name_and_code(surroundings, to),
            handover_time: handed_over.map(|answer| convert::timestamp(answer.time)),
            answer_entry: delivery.answered.map(convert::entry_id),
            answer_system: answer.map(|it| it.actor.system.to_string()).unwrap_or_default(),
            refused: delivery.transport == Transport::Rejected,
            status: delivery.business.code().to_owned(),
            legal_value: of.verdict.legal_value.clone(),
            erased: envelope.is_none(),
        }))
    }

    /// The envelope of a consignment; `None` once it is erased.
    fn kept_envelope(&self, of: &Consignment) -> Result<Option<Envelope>, Error> {
        let Some(bytes) = self.kept(&of.envelope, of)? else { return Ok(None) };
        // It was accepted once, on a day that is past.
        Ok(convert::envelope(&Bytes::from(bytes), Date::MAX).ok())
    }

    fn kept(&self, digest: &Sha256, of: &Consignment) -> Result<Option<Vec<u8>>, Error> {
        match self.gateway.store().place(digest, Some(of.id))? {
            None => Ok(None),
            Some(_) => self.content(digest, Some(of.id)).map(Some),
        }
    }
}

/// What both registers take from the envelope.
#[derive(Default)]
struct Paper {
    issue_date: Option<v1::Date>,
    type_name: String,
    subject: String,
    signer: String,
}

fn paper(envelope: Option<&Envelope>) -> Paper {
    let Some(envelope) = envelope else { return Paper::default() };
    let signer = &envelope.signer;
    let signer = [&signer.competence, &signer.position, &signer.full_name];
    let signer = signer.into_iter().filter(|text| !text.is_empty());
    Paper {
        issue_date: Some(convert::date(envelope.issue_date)),
        type_name: envelope.type_name.clone(),
        subject: envelope.subject.clone(),
        signer: signer.cloned().collect::<Vec<_>>().join(" "),
    }
}

fn addressees(surroundings: &Surroundings, envelope: &Envelope) -> String {
    let name = |addressee: &Addressee| match addressee {
        Addressee::Agency(code) => name_and_code(surroundings, code),
        Addressee::Below(code) => {
            format!("các cơ quan trực thuộc {}", name_and_code(surroundings, code))
        }
        Addressee::List(name) => format!("các cơ quan trong danh sách {name}"),
    };
    let all: Vec<_> = envelope.addressees.iter().map(name).collect();
    names(&all, REGISTER_NAMES_LENGTH_MAX)
}

/// `UBND tỉnh (H49)`; the code alone if the directory no longer has it.
fn name_and_code(surroundings: &Surroundings, code: &Code) -> String {
    match surroundings.directory.agency(code) {
        Some(agency) => format!("{} ({})", agency.name, agency.code),
        None => code.to_string(),
    }
}
