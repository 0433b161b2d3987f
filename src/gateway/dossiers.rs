//! Steps of dossiers: what one-stop systems record for their agencies, and what the gateway writes by
//! itself when a time has come.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::command::{Command, Context, Decided, repeated};
use super::peer::Peer;
use super::ports::Place;
use super::recording::{Fact, Recording};
use super::stage::Stage;
use super::submitting::request_key;
use super::{AnswerReceipt, Error, Fault, Gateway, Surroundings, note_text};
use crate::calendar::{Calendar, Counting};
use crate::clock::Time;
use crate::delivery::{Prior as _, Term};
use crate::digest::Sha256;
use crate::directory::{Code, Directory, Ending};
use crate::document::{ConsignmentId, DossierCode, RequestId};
use crate::dossier::{
    By, Catalogue, Dossier, Extra, Procedure, Step, consent_rule, is_procedure_code,
};
use crate::limits::{
    DEADLINES_LOOK, DOSSIER_STEPS_MAX, DOSSIER_TIME_MAX, OPINION_WORKING_DAYS_MAX,
    PROCEDURE_LENGTH_MAX, RECORDED_AT_ONCE,
};
use crate::log::{Actor, Entry, EntryId, Event, Grade};
use crate::refusal::{Reason, Refusal};

/// A step as a one-stop system tells it.
#[derive(Debug)]
pub struct DossierStep {
    /// The acting agency, as the caller wrote it.
    pub agency: Code,
    /// Which dossier.
    pub dossier: DossierCode,
    /// The agency's name for this request.
    pub request: RequestId,
    /// What was done.
    pub step: Step,
    /// The agency that gets it or is asked.
    pub to: Option<Code>,
    /// The consignment that carries the result.
    pub consignment: Option<ConsignmentId>,
    /// Words, kept outside the log; empty if none.
    pub note: String,
    /// The procedure's code; empty if none.
    pub procedure: String,
    /// The caller's commitment to who the applicant is.
    pub applicant: Option<Sha256>,
    /// Until when.
    pub due: Option<Time>,
    /// After so many working days of silence who is asked consents; 0 if nobody is asked.
    pub consent_working_days: u32,
    /// How satisfied the citizen was.
    pub grade: Option<Grade>,
}

/// A step that is well-formed and whose words are kept.
#[derive(Debug)]
pub(super) struct Taken {
    actor: Actor,
    key: Sha256,
    asked: DossierStep,
    note: Option<Sha256>,
    pub(super) contents: Vec<(Sha256, Place)>,
    calendar: Arc<Calendar>,
    surroundings: Arc<Surroundings>,
    /// Why the agency may begin none any more.
    closed: Option<Refusal>,
}

/// Names of [`Extra`] fields in requests.
const FIELDS: [(Extra, &str); 8] = [
    (Extra::To, "to"),
    (Extra::Consignment, "consignment_id"),
    (Extra::Note, "note"),
    (Extra::Procedure, "procedure_code"),
    (Extra::Applicant, "applicant_sha256"),
    (Extra::Due, "due_time"),
    (Extra::Rule, "consent_working_days"),
    (Extra::Grade, "grade"),
];

impl Gateway {
    /// Records a step; returns when it is durable and proven.
    ///
    /// # Errors
    /// A refusal (not this agency's step, not in this state, a field that is missing or does not belong
    /// to it), or a fault.
    pub async fn record_step(
        &self,
        peer: &Peer,
        step: DossierStep,
    ) -> Result<AnswerReceipt, Error> {
        let surroundings = self.surroundings();
        let directory = &surroundings.directory;
        let agency = peer.speak_for(directory, &step.agency, "agency")?.code.clone();
        let key = request_key(&agency, step.request);
        // What was recorded is so for ever, whatever became since of the agency that it names, or of the
        // catalogue by which its date was counted.
        let repeats = self.store.request(&key)?.is_some();
        let known = step.received(&surroundings.procedures);
        step.check_fields(repeats || known.is_some_and(|known| known.working_days.is_some()))?;
        let to = match &step.to {
            Some(to) if repeats => Some(directory.agency(to).map_or(to, |it| &it.code).clone()),
            Some(to) => Some(self.named(directory, &agency, to)?),
            None => None,
        };
        let closed = closed(directory, &agency, self.now());
        let asked = DossierStep { agency, to, ..step };
        let (text, due) = (asked.note.clone(), asked.due);
        let (note, contents) = match repeats {
            true => (None, Vec::new()),
            false => self.noted(peer, &asked.note, "note").await?,
        };
        let taken = Taken {
            actor: peer.actor(),
            key,
            asked,
            note,
            contents,
            calendar: self.calendar.clone(),
            surroundings,
            closed,
        };
        let answered = self.answered(Command::Step(Box::new(taken))).await?;
        if answered.repeated && !self.says(&answered, &text, due)? {
            let refusal = Refusal::of_field(Reason::RequestIdReused, "request_id");
            return Err(refusal.with("first_entry", answered.receipt.id).into());
        }
        Ok(answered)
    }

    /// The registered code of an agency that gets a dossier or is asked about it.
    fn named(&self, directory: &Directory, from: &Code, to: &Code) -> Result<Code, Refusal> {
        let refusal = |reason| Refusal::of_field(reason, "to").with("code", to);
        let today = self.now().date_in_vietnam();
        let chain = directory.chain(to, today).ok_or_else(|| refusal(Reason::AgencyUnknown))?;
        if chain.ending != Ending::Open {
            let refusal = refusal(Reason::AgencyClosed);
            return Err(refusal.with("successors", chain.successors_line()));
        }
        if chain.named.code == *from {
            return Err(refusal(Reason::RecipientIsSender));
        }
        // Only a system of ours can take the next step; a neighbour gateway cannot.
        let host = chain.named.host.as_ref().and_then(|host| directory.system(host));
        if host.is_none_or(|host| host.gateway.is_some()) {
            return Err(refusal(Reason::MailboxMissing));
        }
        Ok(chain.named.code.clone())
    }

    /// Whether the first request under the key had these words and this date; words that are gone cannot
    /// be held against it.
    fn says(&self, answered: &AnswerReceipt, note: &str, due: Option<Time>) -> Result<bool, Error> {
        let Ok(entry) = Entry::from_leaf(&answered.receipt.leaf) else { return Ok(false) };
        if due.is_some() && entry.due != due {
            return Ok(false);
        }
        let Some(digest) = entry.note else { return Ok(note.is_empty()) };
        let Some(place) = self.store.place(&digest, None)? else { return Ok(true) };
        let source = self.contents.read(&digest, place)?;
        let mut bytes = vec![0; usize::try_from(source.size()).unwrap_or(0)];
        source.read_at(0, &mut bytes).map_err(|error| Fault::Content(error.to_string()))?;
        Ok(note_text(&bytes) == Some(note))
    }

    /// The steps of a dossier, in order.
    ///
    /// # Errors
    /// The store's.
    pub fn steps_of(&self, code: &DossierCode) -> Result<Vec<(EntryId, Entry)>, Error> {
        let term = Term::DossierSteps(code.clone());
        // The gateway writes beyond what it lets others write.
        let ids = self.store.find(&term, EntryId::ZERO, 2 * DOSSIER_STEPS_MAX)?;
        let mut steps = Vec::with_capacity(ids.len());
        for id in ids {
            let entry = self.reading.entry(id)?;
            if term.is_of(&entry) {
                steps.push((id, entry));
            }
        }
        Ok(steps)
    }

    /// Writes what is due about dossiers, for as long as the gateway runs.
    ///
    /// # Errors
    /// The writer's, once it has stopped, and the store's.
    pub async fn keep_dossiers(&self) -> Result<(), Error> {
        loop {
            let due = self.store.alarms(self.now(), RECORDED_AT_ONCE)?;
            let full = due.len() == RECORDED_AT_ONCE;
            if !due.is_empty() {
                let facts = due.into_iter().map(Fact::Alarm).collect();
                self.record(Recording { facts, ..Recording::default() }).await?;
            }
            if !full {
                tokio::time::sleep(DEADLINES_LOOK).await;
            }
        }
    }
}

impl DossierStep {
    /// `counted`: a reception needs no date.
    fn check_fields(&self, counted: bool) -> Result<(), Refusal> {
        let transition = self.step.transition();
        if transition.by == By::Gateway {
            let refusal = Refusal::of_field(Reason::DossierStepNotYours, "agency");
            return Err(refusal.with("step", self.step.word()).with("by", By::Gateway.word()));
        }
        for (field, name) in FIELDS {
            let takes = transition.takes(field) && !(field == Extra::Due && self.counts_due());
            let counted = counted && field == Extra::Due && self.step == Step::Reception;
            let refusal = |reason| Refusal::of_field(reason, name).with("step", self.step.word());
            match self.has(field) {
                true if !takes => return Err(refusal(Reason::FieldNotOfStep)),
                false if takes && !counted && transition.must.contains(&field) => {
                    return Err(refusal(Reason::FieldMissing));
                }
                _ => {}
            }
        }
        if self.procedure.len() > PROCEDURE_LENGTH_MAX {
            let refusal = Refusal::of_field(Reason::FieldTooLong, "procedure_code");
            let refusal = refusal.with("size", self.procedure.len());
            return Err(refusal.with("limit", PROCEDURE_LENGTH_MAX));
        }
        if !self.procedure.is_empty() && !is_procedure_code(&self.procedure) {
            return Err(Refusal::of_field(Reason::FieldMalformed, "procedure_code"));
        }
        if self.consent_working_days > OPINION_WORKING_DAYS_MAX {
            let refusal = Refusal::of_field(Reason::OpinionDaysOutside, "consent_working_days");
            return Err(refusal.with("limit", OPINION_WORKING_DAYS_MAX));
        }
        Ok(())
    }

    fn has(&self, field: Extra) -> bool {
        match field {
            Extra::To => self.to.is_some(),
            Extra::Consignment => self.consignment.is_some(),
            Extra::Note => !self.note.trim().is_empty(),
            Extra::Procedure => !self.procedure.is_empty(),
            Extra::Applicant => self.applicant.is_some(),
            Extra::Due => self.due.is_some(),
            Extra::Rule => self.consent_working_days > 0,
            Extra::Grade => self.grade.is_some(),
            Extra::Since => false,
        }
    }

    /// What the law says of a dossier that is received with this step.
    fn received<'a>(&self, procedures: &'a Catalogue) -> Option<&'a Procedure> {
        procedures.procedure(&self.procedure).filter(|_| self.step == Step::Reception)
    }

    /// Whether the gateway counts the date itself.
    fn counts_due(&self) -> bool {
        matches!(self.step, Step::Supplement | Step::Payment | Step::OpinionRequest)
    }

    /// The date of the step, counted or as it was named.
    fn due(
        &self,
        before: Option<&Dossier>,
        calendar: &Calendar,
        procedures: &Catalogue,
        now: Time,
    ) -> Result<Option<Time>, Refusal> {
        let legal = self.received(procedures).and_then(|known| known.end(now, calendar));
        let appointment = before.and_then(|before| before.appointment);
        match self.step {
            Step::OpinionRequest => {
                let days = NonZeroU32::new(self.consent_working_days);
                Ok(days.and_then(|days| calendar.due(now, days, Counting::default())))
            }
            Step::Supplement | Step::Payment => Ok(before.and_then(|before| {
                let stood = calendar.between(before.suspended_at.unwrap_or(now), now);
                // No office time at all moves no date, not even out of a weekend.
                before.due.map(|due| if stood.is_zero() { due } else { calendar.after(due, stood) })
            })),
            _ => match self.due {
                None => Ok(legal),
                Some(due) => {
                    let apologizes = self.step == Step::Apology;
                    let after = appointment.filter(|_| apologizes).map_or(now, |end| end.max(now));
                    let until = now.after(DOSSIER_TIME_MAX);
                    // No office may take more time than the law gives it.
                    let until = legal.map_or(until, |legal| legal.min(until));
                    if after < due && due <= until {
                        return Ok(Some(due));
                    }
                    let refusal = Refusal::of_field(Reason::DossierDateOutside, "due_time");
                    Err(refusal.with("after", after).with("until", until))
                }
            },
        }
    }
}

impl Taken {
    /// Decides; on success the entry is on the stage.
    pub(super) fn decide(
        self,
        stage: &mut Stage<'_>,
        context: &Context<'_>,
    ) -> Result<Decided, Error> {
        let asked = self.asked;
        let entry = Entry {
            from: Some(asked.agency.clone()),
            to: asked.to.clone(),
            dossier: Some(asked.dossier.clone()),
            request: Some(self.key),
            consignment: asked.consignment,
            reason: Some(asked.step.word().to_owned()),
            note: self.note,
            procedure: Some(asked.procedure.clone()).filter(|code| !code.is_empty()),
            applicant: asked.applicant,
            rule: (asked.consent_working_days > 0)
                .then(|| consent_rule(asked.consent_working_days)),
            grade: asked.grade,
            ..Entry::new(Event::DossierStep, context.now, self.actor)
        };
        if let Some((used_for, first)) = stage.request(&self.key)? {
            return repeated(used_for, entry.used_for().unwrap_or(self.key), first);
        }
        // What a passed time brought about stands before what is done after it.
        while let Some(entry) = alarm(stage, context, &asked.dossier)? {
            stage.push(&entry)?;
        }
        let before = stage.dossier(&asked.dossier)?;
        let (agency, to) = (&asked.agency, asked.to.as_ref());
        let procedures = &self.surroundings.procedures;
        if let (None, Some(closed)) = (&before, self.closed) {
            return Err(closed.into());
        }
        Dossier::check(before.as_ref(), asked.step, agency, to)?;
        if let Some(result) = asked.consignment {
            check_result(stage, result, &asked)?;
        } else if asked.step == Step::Completion {
            need_no_result(procedures, before.as_ref())?;
        }
        let due = asked.due(before.as_ref(), &self.calendar, procedures, context.now)?;
        Ok(Decided::New(stage.push(&Entry { due, ..entry })?))
    }
}

/// What became of an agency that is open no longer; it may go on with what it has, and begin nothing.
fn closed(directory: &Directory, agency: &Code, now: Time) -> Option<Refusal> {
    let chain = directory.chain(agency, now.date_in_vietnam())?;
    let refusal = Refusal::of_field(Reason::SenderClosed, "agency").with("code", agency);
    let is_closed = chain.ending != Ending::Open;
    is_closed.then(|| refusal.with("successors", chain.successors_line()))
}

/// A dossier may be completed without a signed result unless its procedure asks for one.
fn need_no_result(procedures: &Catalogue, dossier: Option<&Dossier>) -> Result<(), Refusal> {
    let procedure = dossier.and_then(|dossier| procedures.procedure(&dossier.procedure));
    let Some(procedure) = procedure.filter(|procedure| procedure.signed_result) else {
        return Ok(());
    };
    let refusal = Refusal::of_field(Reason::DossierResultMissing, "consignment_id");
    Err(refusal.with("procedure", &procedure.code))
}

/// A result is a document of the agency, of this dossier, that the law counts as signed.
fn check_result(stage: &Stage<'_>, id: ConsignmentId, asked: &DossierStep) -> Result<(), Error> {
    let found = stage.consignment(id)?.filter(|found| found.sender == asked.agency);
    let unknown = || Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id");
    let found = found.ok_or_else(unknown)?;
    let signed = matches!(found.verdict.legal_value.as_str(), "ORIGINAL" | "COPY");
    if signed && found.dossier.as_ref() == Some(&asked.dossier) {
        return Ok(());
    }
    let refusal = Refusal::of_field(Reason::DossierResultUnfit, "consignment_id");
    let of = found.dossier.map(|code| code.to_string()).unwrap_or_default();
    Err(refusal.with("legal_value", found.verdict.legal_value).with("dossier", of).into())
}

/// The entry about a time of a dossier that has come; none if it has not, or is written already.
pub(super) fn alarm(
    stage: &Stage<'_>,
    context: &Context<'_>,
    code: &DossierCode,
) -> Result<Option<Entry>, Error> {
    let Some(dossier) = stage.dossier(code)? else { return Ok(None) };
    let alarm = dossier.alarm(context.now);
    let bare = Entry::new(Event::DossierStep, context.now, context.gateway.clone());
    Ok(alarm.map(|alarm| alarm.entry(&dossier, bare)))
}
