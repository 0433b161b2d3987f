//! Dossiers of one-stop systems.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::admission::ClientCertificate;
use super::reads::query;
use super::status::to_status;
use super::{Door, convert, paging};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::{Code, Role};
use crate::document::DossierCode;
use crate::dossier::{Dossier, State, Step, Worktime};
use crate::gateway::{Asked, DossierStep, Error, Peer, note_text};
use crate::limits::SCAN_PAGE;
use crate::log::{Entry, Grade};
use crate::proto::v1;
use crate::proto::v1::dossier_service_server::DossierService;
use crate::refusal::{Reason, Refusal};

/// Dossiers looked at for one page: at some 20 us each, a tenth of a second.
const LOOKED_AT_MAX: usize = 20 * SCAN_PAGE;

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl DossierService for Door {
    type WatchIndicatorsStream = Messages<v1::WatchIndicatorsResponse>;

    async fn record_step(
        &self,
        request: Request<v1::RecordStepRequest>,
    ) -> Result<Response<v1::RecordStepResponse>, Status> {
        let peer = self.peer(&request)?;
        let step = step_of(request.into_inner()).map_err(to_status)?;
        let code = step.dossier.clone();
        let recorded = self.gateway.record_step(&peer, step).await.map_err(to_status)?;
        let dossier = self.gateway.store().dossier(&code).map_err(to_status)?;
        Ok(Response::new(v1::RecordStepResponse {
            receipt: Some(convert::receipt(recorded.receipt)),
            repeated: recorded.repeated,
            dossier: dossier.map(|dossier| to_wire(&dossier, self.gateway.now())),
        }))
    }

    async fn get_dossier(
        &self,
        request: Request<v1::GetDossierRequest>,
    ) -> Result<Response<v1::GetDossierResponse>, Status> {
        let peer = self.peer(&request)?;
        let code = request.into_inner().dossier_code;
        let asked = query(Asked::Trace, "dossier", &[("dossier_code", &code)]);
        self.noted(&peer, &mut String::new(), &asked).await?;
        let door = self.clone();
        let found = tokio::task::spawn_blocking(move || door.shown(&peer, &code));
        let found = super::submission::blocking(found).await?.map_err(to_status)?;
        Ok(Response::new(found))
    }

    async fn list_dossiers(
        &self,
        request: Request<v1::ListDossiersRequest>,
    ) -> Result<Response<v1::ListDossiersResponse>, Status> {
        let peer = self.peer(&request)?;
        let mut request = request.into_inner();
        let state = request.state.to_string();
        let fields = [("agency", request.agency.as_str()), ("state", state.as_str())];
        let asked = query(Asked::Trace, "dossiers", &fields);
        let mark = self.noted(&peer, &mut request.page_token, &asked).await?;
        let door = self.clone();
        let found = tokio::task::spawn_blocking(move || door.listed_dossiers(&peer, &request));
        let mut page = super::submission::blocking(found).await?.map_err(to_status)?;
        page.next_page_token = mark.onto(page.next_page_token);
        Ok(Response::new(page))
    }

    async fn get_indicators(
        &self,
        request: Request<v1::GetIndicatorsRequest>,
    ) -> Result<Response<v1::GetIndicatorsResponse>, Status> {
        let peer = self.peer(&request)?;
        Ok(Response::new(self.indicators(&peer, request.into_inner()).await?))
    }

    async fn watch_indicators(
        &self,
        request: Request<v1::WatchIndicatorsRequest>,
    ) -> Result<Response<Self::WatchIndicatorsStream>, Status> {
        let peer = self.peer(&request)?;
        let certificate =
            request.extensions().get::<Option<Arc<ClientCertificate>>>().cloned().flatten();
        let agency = self.followed(&peer, &request.get_ref().agency).map_err(to_status)?;
        let place = self.watches.take(&peer.system).map_err(to_status)?;
        let named = agency.as_ref().map_or("", Code::as_str);
        let asked = query(Asked::Statistics, "watch-indicators", &[("agency", named)]);
        self.noted(&peer, &mut String::new(), &asked).await?;
        Ok(Response::new(Box::pin(self.watch_numbers(agency, certificate, place))))
    }
}

impl Door {
    fn shown(&self, peer: &Peer, code: &str) -> Result<v1::GetDossierResponse, Error> {
        peer.require(&[Role::Agency, Role::Portal, Role::Auditor])?;
        let code = dossier_code(code)?;
        let surroundings = self.gateway.surroundings();
        let unknown = || Refusal::of_field(Reason::DossierUnknown, "dossier_code");
        let dossier = self.gateway.store().dossier(&code)?.ok_or_else(unknown)?;
        if !peer.may_read(&surroundings.directory, &dossier.parties.iter().collect::<Vec<_>>()) {
            return Err(unknown().into());
        }
        // What the citizen says is for those who answer to the citizen.
        let answering = [&dossier.origin, &dossier.reception, &dossier.holder];
        let answers = peer.may_read(&surroundings.directory, &answering);
        let (mut entries, mut steps) = (Vec::new(), Vec::new());
        for (id, entry) in self.gateway.steps_of(&code)? {
            let receipt = self.gateway.reading().receipt(id)?;
            let step = entry.reason.as_deref().and_then(Step::from_word);
            steps.push(v1::RecordedStep {
                receipt: Some(convert::receipt(receipt)),
                step: step.map_or(v1::DossierStep::Unspecified, step_to_wire).into(),
                note: match step {
                    Some(Step::Feedback | Step::Satisfaction) if !answers => String::new(),
                    _ => self.words_of(&entry),
                },
            });
            entries.push(entry);
        }
        let now = self.gateway.now();
        let worktime = Worktime::of(&entries, self.gateway.calendar(), now);
        let (dossier, clock) = (Some(to_wire(&dossier, now)), Some(clock_to_wire(&worktime)));
        Ok(v1::GetDossierResponse { dossier, clock, steps })
    }

    /// The text behind an entry's note; empty if there is none, or no more.
    fn words_of(&self, entry: &Entry) -> String {
        let kept = entry.note.and_then(|digest| self.content(&digest, None).ok());
        kept.as_deref().and_then(note_text).unwrap_or_default().to_owned()
    }

    fn listed_dossiers(
        &self,
        peer: &Peer,
        request: &v1::ListDossiersRequest,
    ) -> Result<v1::ListDossiersResponse, Error> {
        let agency = match peer.role {
            Role::Auditor => convert::agency_code(&request.agency)?,
            _ => self.own(peer, &request.agency)?,
        };
        let size = paging::size(request.page_size)?;
        let mut after = match request.page_token.as_str() {
            "" => None,
            token => Some(
                DossierCode::parse(token)
                    .ok_or_else(|| Refusal::of_field(Reason::PageTokenMalformed, "page_token"))?,
            ),
        };
        let now = self.gateway.now();
        let (mut dossiers, mut looked_at) = (Vec::new(), 0);
        loop {
            let store = self.gateway.store();
            let codes = store.dossiers_of(&agency, after.as_ref(), SCAN_PAGE)?;
            if codes.is_empty() {
                return Ok(v1::ListDossiersResponse { dossiers, next_page_token: String::new() });
            }
            for code in codes {
                if dossiers.len() == size || looked_at == LOOKED_AT_MAX {
                    let next_page_token = after.map(|code| code.to_string()).unwrap_or_default();
                    return Ok(v1::ListDossiersResponse { dossiers, next_page_token });
                }
                looked_at += 1;
                let found = store.dossier(&code)?;
                let found = found.filter(|dossier| fits(dossier, &agency, request, now));
                dossiers.extend(found.map(|dossier| to_wire(&dossier, now)));
                after = Some(code);
            }
        }
    }
}

fn fits(dossier: &Dossier, agency: &Code, request: &v1::ListDossiersRequest, now: Time) -> bool {
    let state = request.state();
    (state == v1::DossierState::Unspecified || state_to_wire(dossier.state) == state)
        && (!request.held || dossier.holder == *agency && !dossier.state.has_ended())
        && (!request.late || dossier.is_late(now))
}

fn dossier_code(text: &str) -> Result<DossierCode, Refusal> {
    let malformed = || Refusal::of_field(Reason::DossierCodeMalformed, "dossier_code");
    DossierCode::parse(text).ok_or_else(malformed)
}

/// Reads a step off the wire.
fn step_of(wire: v1::RecordStepRequest) -> Result<DossierStep, Refusal> {
    let malformed = |field: &str| Refusal::of_field(Reason::FieldMalformed, field);
    let missing = || Refusal::of_field(Reason::FieldMissing, "step");
    let to = match wire.to.as_str() {
        "" => None,
        to => Some(Code::parse(to).ok_or_else(|| malformed("to"))?),
    };
    let consignment = match wire.consignment_id.as_str() {
        "" => None,
        id => Some(convert::consignment_id(id)?),
    };
    let applicant = match &wire.applicant_sha256[..] {
        [] => None,
        digest => Some(Sha256::from_slice(digest).ok_or_else(|| malformed("applicant_sha256"))?),
    };
    let due = match &wire.due_time {
        None => None,
        Some(time) => Some(convert::time(time).ok_or_else(|| malformed("due_time"))?),
    };
    let grade = match wire.grade {
        0 => None,
        grade => Some(Grade::new(grade).ok_or_else(|| malformed("grade"))?),
    };
    Ok(DossierStep {
        request: convert::request_id(&wire.request_id)?,
        agency: convert::agency_code(&wire.agency)?,
        dossier: dossier_code(&wire.dossier_code)?,
        step: step_from_wire(wire.step()).ok_or_else(missing)?,
        to,
        consignment,
        note: wire.note,
        procedure: wire.procedure_code,
        applicant,
        due,
        consent_working_days: wire.consent_working_days,
        grade,
    })
}

/// The numbers of the wire are the places of the room's table, from 1 on; a test holds them together.
fn step_from_wire(step: v1::DossierStep) -> Option<Step> {
    let place = usize::try_from(i32::from(step)).ok()?.checked_sub(1)?;
    Step::ALL.get(place).copied()
}

fn step_to_wire(step: Step) -> v1::DossierStep {
    let place = i32::try_from(step as usize).unwrap_or(-1);
    v1::DossierStep::try_from(place + 1).unwrap_or_default()
}

fn state_to_wire(state: State) -> v1::DossierState {
    let number = i32::try_from(state.number()).unwrap_or(0);
    v1::DossierState::try_from(number).unwrap_or_default()
}

fn to_wire(dossier: &Dossier, now: Time) -> v1::Dossier {
    let time = |time: Option<Time>| time.map(convert::timestamp);
    let opinion = |opinion: &crate::dossier::Opinion| v1::OpenOpinion {
        agency: opinion.asked.to_string(),
        due_time: Some(convert::timestamp(opinion.due)),
        rule: opinion.rule.clone(),
    };
    v1::Dossier {
        code: dossier.code.to_string(),
        state: state_to_wire(dossier.state).into(),
        procedure_code: dossier.procedure.clone(),
        reception: dossier.reception.to_string(),
        holder: dossier.holder.to_string(),
        parties: dossier.parties.iter().map(Code::to_string).collect(),
        latest_entry: Some(convert::entry_id(dossier.latest)),
        change_time: Some(convert::timestamp(dossier.changed_at)),
        receive_time: time(dossier.received_at),
        due_time: time(dossier.due),
        appointment_time: time(dossier.appointment),
        suspend_time: time(dossier.suspended_at),
        supplements: dossier.supplements,
        opinions: dossier.opinions.iter().map(opinion).collect(),
        end_time: time(dossier.ended_at),
        result_consignment_id: dossier.result.map(|id| id.to_string()).unwrap_or_default(),
        late: dossier.is_late(now),
        origin: dossier.origin.to_string(),
        feedback: u32::try_from(dossier.feedback.len()).unwrap_or(u32::MAX),
        grade: dossier.grade.map_or(0, |(grade, _)| grade.number()),
    }
}

fn clock_to_wire(worktime: &Worktime) -> v1::DossierClock {
    let wire = |span: std::time::Duration| prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    };
    let worked = |worked: &crate::dossier::Worked| v1::AgencyWorktime {
        agency: worked.agency.to_string(),
        working: Some(wire(worked.working)),
    };
    v1::DossierClock {
        worked: worktime.worked.iter().map(worked).collect(),
        suspended: Some(wire(worktime.suspended)),
        remaining: worktime.remaining.map(wire),
        exceeded: Some(wire(worktime.exceeded)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_states_have_one_name_on_the_wire_and_in_the_log() {
        for step in Step::ALL {
            let wire = step_to_wire(*step);
            assert_eq!(wire.as_str_name(), format!("DOSSIER_STEP_{}", step.word()));
            assert_eq!(step_from_wire(wire), Some(*step));
        }
        assert_eq!(step_from_wire(v1::DossierStep::Unspecified), None);
        for (number, state) in State::NUMBERS {
            assert_eq!(i32::from(state_to_wire(*state)).unsigned_abs(), *number);
        }
    }
}
