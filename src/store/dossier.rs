//! Dossiers as they are stored and found.

use prost::Message as _;

use super::keyspace as key;
use super::kv::{Medium, Write};
use super::record::{VERSION, decode, entry, known, read_entry, read_id, unreadable};
use super::table::Table;
use crate::clock::Time;
use crate::directory::Code;
use crate::document::DossierCode;
use crate::dossier::{Dossier, Opinion, State};
use crate::gateway::ports::{Filing, StoreError};
use crate::log::Grade;
use crate::proto::storage;

/// What a dossier writes.
pub fn write(record: &Dossier) -> Write {
    let opinion = |opinion: &Opinion| storage::DossierOpinion {
        asked: opinion.asked.to_string(),
        due_ms: opinion.due.millis(),
        rule: opinion.rule.clone(),
    };
    let value = storage::Dossier {
        version: VERSION,
        code: record.code.to_string(),
        state: record.state.number(),
        procedure: record.procedure.clone(),
        origin: record.origin.to_string(),
        reception: record.reception.to_string(),
        holder: record.holder.to_string(),
        parties: record.parties.iter().map(Code::to_string).collect(),
        began: Some(entry(record.began)),
        latest: Some(entry(record.latest)),
        changed_at_ms: record.changed_at.millis(),
        steps: record.steps,
        received_at_ms: record.received_at.map(Time::millis),
        due_ms: record.due.map(Time::millis),
        appointment_ms: record.appointment.map(Time::millis),
        remind_at_ms: record.remind_at.map(Time::millis),
        overdue: record.overdue,
        suspended_at_ms: record.suspended_at.map(Time::millis),
        supplements: record.supplements,
        opinions: record.opinions.iter().map(opinion).collect(),
        ended_at_ms: record.ended_at.map(Time::millis),
        result: record.result.map(|id| id.0.as_bytes().to_vec()),
        feedback_ms: record.feedback.iter().map(|at| at.millis()).collect(),
        grade: record.grade.map_or(0, |(grade, _)| grade.number()),
        graded_at_ms: record.grade.map_or(0, |(_, at)| at.millis()),
    };
    Write::put(key::dossier(&record.code), value.encode_to_vec())
}

/// Reads a dossier.
pub fn read(bytes: &[u8]) -> Result<Dossier, StoreError> {
    let record: storage::Dossier = decode("dossier", bytes)?;
    known("dossier", record.version)?;
    let opinion = |opinion: &storage::DossierOpinion| {
        let (asked, due) = (Code::parse(&opinion.asked)?, Time::from_millis(opinion.due_ms));
        Some(Opinion { asked, due, rule: opinion.rule.clone() })
    };
    let read = || {
        Some(Dossier {
            code: DossierCode::parse(&record.code)?,
            state: State::from_number(record.state)?,
            procedure: record.procedure.clone(),
            // Records had none at first; `store check` tells where it is another than the reception.
            origin: Code::parse(&record.origin).or_else(|| Code::parse(&record.reception))?,
            reception: Code::parse(&record.reception)?,
            holder: Code::parse(&record.holder)?,
            parties: record.parties.iter().map(|code| Code::parse(code)).collect::<Option<_>>()?,
            began: read_entry(&record.began)?,
            latest: read_entry(&record.latest)?,
            changed_at: Time::from_millis(record.changed_at_ms),
            steps: record.steps,
            received_at: record.received_at_ms.map(Time::from_millis),
            due: record.due_ms.map(Time::from_millis),
            appointment: record.appointment_ms.map(Time::from_millis),
            remind_at: record.remind_at_ms.map(Time::from_millis),
            overdue: record.overdue,
            suspended_at: record.suspended_at_ms.map(Time::from_millis),
            supplements: record.supplements,
            opinions: record.opinions.iter().map(opinion).collect::<Option<_>>()?,
            ended_at: record.ended_at_ms.map(Time::from_millis),
            result: match &record.result {
                None => None,
                Some(id) => Some(read_id(id)?),
            },
            feedback: record.feedback_ms.iter().copied().map(Time::from_millis).collect(),
            grade: match record.grade {
                0 => None,
                number => Some((Grade::new(number)?, Time::from_millis(record.graded_at_ms))),
            },
        })
    };
    read().ok_or_else(|| unreadable("dossier"))
}

impl<M: Medium> Filing for Table<M> {
    fn dossier(&self, code: &DossierCode) -> Result<Option<Dossier>, StoreError> {
        let found = self.reading()?.kv.get(&key::dossier(code))?;
        found.map(|bytes| read(&bytes)).transpose()
    }

    fn dossiers(
        &self,
        after: Option<&DossierCode>,
        max: usize,
    ) -> Result<Vec<Dossier>, StoreError> {
        let from = after.map_or_else(|| b"f".to_vec(), |code| key::next(key::dossier(code)));
        let pairs = self.reading()?.kv.scan(&from, &key::end_of(b"f"), max)?;
        pairs.iter().map(|(_, value)| read(value)).collect()
    }

    fn dossiers_of(
        &self,
        agency: &Code,
        after: Option<&DossierCode>,
        max: usize,
    ) -> Result<Vec<DossierCode>, StoreError> {
        let prefix = key::dossiers_of(agency);
        let from =
            after.map_or_else(|| prefix.clone(), |code| key::next(key::dossier_of(agency, code)));
        self.listed(&from, &key::end_of(&prefix), prefix.len(), max)
    }

    fn alarms(&self, until: Time, max: usize) -> Result<Vec<DossierCode>, StoreError> {
        let until = key::alarms_at(until);
        self.listed(b"u", &until, until.len(), max)
    }
}

impl<M: Medium> Table<M> {
    /// The dossiers at the ends of keys, behind `size` bytes.
    fn listed(
        &self,
        from: &[u8],
        to: &[u8],
        size: usize,
        max: usize,
    ) -> Result<Vec<DossierCode>, StoreError> {
        let pairs = self.reading()?.kv.scan(from, to, max)?;
        let code = |(key, _): &(Vec<u8>, Vec<u8>)| {
            key::dossier_behind(key, size).ok_or_else(|| unreadable("dossier list"))
        };
        pairs.iter().map(code).collect()
    }
}
