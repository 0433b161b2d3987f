//! What the stand-in got, and what it checks before it takes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::procedures;
use crate::courier::portal::desk::{Denial, denied};
use crate::courier::portal::{Field, Service, question_id};
use crate::limits::PORTAL_STAND_IN_DOSSIERS_MAX;

/// Dossiers by code.
#[derive(Default)]
pub(super) struct Book {
    dossiers: BTreeMap<String, Kept>,
    /// Steps that came again.
    repeated: u64,
    /// Questions by their names.
    questions: BTreeMap<String, Value>,
    /// Answers by the names of their questions.
    answers: BTreeMap<String, Map<String, Value>>,
}

struct Kept {
    record: Map<String, Value>,
    /// Times that the record was replaced.
    replaced: u64,
    steps: Vec<Map<String, Value>>,
}

impl Book {
    /// Takes records, all or none of them.
    pub(super) fn take(
        &mut self,
        service: Service,
        is_updating: &str,
        records: &[Value],
    ) -> Result<(), Denial> {
        let records: Result<Vec<_>, _> =
            records.iter().map(|record| checked(service, record)).collect();
        let records = records?;
        for record in &records {
            let is_known = self.dossiers.contains_key(code(record));
            match (service, is_updating, is_known) {
                (Service::Dossier, "False", false) | (Service::Dossier, "True", true) => {}
                (Service::Dossier, "False", true) => return Err(denied("MaHoSo: known already")),
                (Service::Dossier, "True", false) | (Service::Step | Service::Status, _, false) => {
                    return Err(denied("MaHoSo: not known"));
                }
                (Service::Dossier, ..) => return Err(denied("isUpdating")),
                (Service::Step | Service::Status, _, true) | (Service::Answer, ..) => {}
            }
        }
        if self.dossiers.len() + records.len() > PORTAL_STAND_IN_DOSSIERS_MAX {
            return Err(denied("too many dossiers"));
        }
        records.into_iter().for_each(|record| self.keep(service, record));
        Ok(())
    }

    fn keep(&mut self, service: Service, record: Map<String, Value>) {
        let code = code(&record).to_owned();
        match (service, self.dossiers.get_mut(&code)) {
            (Service::Dossier, None) => {
                self.dossiers.insert(code, Kept { record, replaced: 0, steps: Vec::new() });
            }
            (Service::Dossier, Some(kept)) => {
                kept.record = record;
                kept.replaced += 1;
            }
            (Service::Step, Some(kept)) if kept.steps.contains(&record) => self.repeated += 1,
            (Service::Step, Some(kept)) => {
                let moment = |step: &Map<String, Value>| {
                    step.get("ThoiDiemXuLy").and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                if kept.steps.iter().all(|before| moment(before) <= moment(&record)) {
                    let state = record.get("TrangThai").cloned().unwrap_or_default();
                    kept.record.insert("TrangThaiHoSo".to_owned(), state);
                }
                kept.steps.push(record);
            }
            (Service::Status, Some(kept)) => {
                let state = record.get("TrangThai").cloned().unwrap_or_default();
                kept.record.insert("TrangThaiHoSo".to_owned(), state);
            }
            (Service::Step | Service::Status, None) | (Service::Answer, _) => {}
        }
    }

    /// A citizen asks.
    pub(super) fn ask(&mut self, question: &Value) -> Result<(), Denial> {
        if self.questions.len() >= PORTAL_STAND_IN_DOSSIERS_MAX {
            return Err(denied("too many questions"));
        }
        let id = question.as_object().and_then(question_id).ok_or_else(|| denied("id"))?;
        self.questions.insert(id, question.clone());
        Ok(())
    }

    /// Questions that are not answered.
    pub(super) fn open_questions(&self) -> Vec<Value> {
        let open = self.questions.iter().filter(|(id, _)| !self.answers.contains_key(*id));
        open.map(|(_, question)| question.clone()).collect()
    }

    /// Takes answers to questions that there are.
    pub(super) fn answer(&mut self, records: &[Value]) -> Result<(), Denial> {
        for record in records {
            let record = record.as_object().ok_or_else(|| denied("data"))?;
            let id = question_id(record).filter(|id| self.questions.contains_key(id));
            self.answers.insert(id.ok_or_else(|| denied("id"))?, record.clone());
        }
        Ok(())
    }

    /// What TraCuuHoSo says of a dossier.
    pub(super) fn find(&self, code: &str) -> Vec<Value> {
        let told = |kept: &Kept| {
            let mut told = Value::Object(kept.record.clone());
            told["TienDoXuLy"] = json!(kept.steps);
            told
        };
        self.dossiers.get(code).map(told).into_iter().collect()
    }

    /// Everything.
    pub(super) fn told(&self) -> Value {
        let dossiers = self.dossiers.iter().map(|(code, kept)| {
            let Kept { record, replaced, steps } = kept;
            (code.clone(), json!({ "record": record, "replaced": replaced, "steps": steps }))
        });
        json!({
            "dossiers": Map::from_iter(dossiers),
            "repeated_steps": self.repeated,
            "answers": self.answers,
        })
    }
}

fn code(record: &Map<String, Value>) -> &str {
    record.get("MaHoSo").and_then(Value::as_str).unwrap_or_default()
}

/// The record, if the portal would take it; otherwise the field at fault.
fn checked(service: Service, record: &Value) -> Result<Map<String, Value>, Denial> {
    let record = record.as_object().ok_or_else(|| denied("data"))?;
    for field in service.fields() {
        let wrong = || denied(field.name);
        match record.get(field.name) {
            None if field.compulsory => return Err(wrong()),
            None | Some(Value::Array(_)) => {}
            Some(Value::String(text)) => {
                let is_missing = text.is_empty() && field.compulsory;
                if is_missing || !text.is_empty() && !fits(field, text) {
                    return Err(wrong());
                }
            }
            Some(_) => return Err(wrong()),
        }
    }
    let procedure = record.get("MaTTHC").and_then(Value::as_str);
    if procedure.is_some_and(|code| procedures::find(code).is_none()) {
        return Err(denied("MaTTHC"));
    }
    Ok(record.clone())
}

fn fits(field: &Field, text: &str) -> bool {
    let is_moment =
        || text.len() == 14 && jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", text).is_ok();
    let is_state = || text.parse().is_ok_and(|state: u32| (1..=10).contains(&state));
    match field.name {
        name if name.starts_with("Ngay") || name == "ThoiDiemXuLy" => is_moment(),
        "TrangThaiHoSo" | "TrangThai" => is_state(),
        _ => true,
    }
}
