//! One dossier as its entries tell it.

use super::state::State;
use super::step::{By, Step};
use crate::clock::Time;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode};
use crate::limits::{
    DOSSIER_FEEDBACK_MAX, DOSSIER_OPINIONS_MAX, DOSSIER_PARTIES_MAX, DOSSIER_REMINDER,
    DOSSIER_STEPS_MAX,
};
use crate::log::{Entry, EntryId, Grade};
use crate::refusal::{Reason, Refusal};

/// A dossier as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dossier {
    /// Its code.
    pub code: DossierCode,
    /// The state.
    pub state: State,
    /// The procedure's code (mã TTHC).
    pub procedure: String,
    /// The agency that took its first step.
    pub origin: Code,
    /// The agency that received it, which need not be the one that decides.
    pub reception: Code,
    /// The agency that has it.
    pub holder: Code,
    /// Every agency that had it or was asked, in the order of their codes.
    pub parties: Vec<Code>,
    /// The first entry.
    pub began: EntryId,
    /// The latest entry.
    pub latest: EntryId,
    /// When that was.
    pub changed_at: Time,
    /// How many entries it has.
    pub steps: u32,
    /// When it was validly received.
    pub received_at: Option<Time>,
    /// Until when it is to be done: the first date, moved by the times in which it was suspended.
    pub due: Option<Time>,
    /// The date that the citizen was told last.
    pub appointment: Option<Time>,
    /// When the reminder of the appointment is to be written; none once it is, or if it never will be.
    pub remind_at: Option<Time>,
    /// Whether it is written that the appointment has passed.
    pub overdue: bool,
    /// Since when the clock stands still.
    pub suspended_at: Option<Time>,
    /// How often the citizen was asked for more.
    pub supplements: u32,
    /// Opinions that were asked and are not given.
    pub opinions: Vec<Opinion>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The consignment that carries the result.
    pub result: Option<ConsignmentId>,
    /// When the citizen said something about how it is handled.
    pub feedback: Vec<Time>,
    /// How satisfied the citizen was, and when that was said.
    pub grade: Option<(Grade, Time)>,
}

/// An opinion that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Of whom.
    pub asked: Code,
    /// Until when.
    pub due: Time,
    /// What follows if nothing is said until then.
    pub rule: String,
}

/// Something that the gateway writes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// The time that is named ends soon.
    Reminder(Time),
    /// It has ended.
    Overdue(Time),
    /// Who was asked consents.
    Consent(Opinion),
}

impl Dossier {
    /// What an entry begins; `None` if it says too little.
    pub fn begin(id: EntryId, entry: &Entry) -> Option<Self> {
        let from = entry.from.clone()?;
        let registered = entry.reason.as_deref() == Some(Step::Registration.word());
        let reception = entry.to.clone().filter(|_| registered).unwrap_or_else(|| from.clone());
        let mut fresh = Self {
            code: entry.dossier.clone()?,
            state: State::Registered,
            procedure: entry.procedure.clone()?,
            origin: from.clone(),
            reception: reception.clone(),
            holder: reception.clone(),
            parties: vec![from],
            began: id,
            latest: id,
            changed_at: entry.time,
            steps: 0,
            received_at: None,
            due: None,
            appointment: None,
            remind_at: None,
            overdue: false,
            suspended_at: None,
            supplements: 0,
            opinions: Vec::new(),
            ended_at: None,
            result: None,
            feedback: Vec::new(),
            grade: None,
        };
        fresh.admit(&reception);
        Some(fresh.after(id, entry))
    }

    /// The dossier after an entry, which was checked before it was written; what is not as it must be
    /// is named by the audit.
    #[must_use]
    pub fn after(&self, id: EntryId, entry: &Entry) -> Self {
        let mut next = self.clone();
        (next.latest, next.changed_at) = (id, entry.time);
        next.steps = next.steps.saturating_add(1);
        let Some(step) = entry.reason.as_deref().and_then(Step::from_word) else { return next };
        next.state = step.transition().to.unwrap_or(self.state);
        if next.state.is_suspended() {
            next.suspended_at = next.suspended_at.or(Some(entry.time));
        } else {
            next.suspended_at = None;
        }
        if next.state.has_ended() {
            next.ended_at = next.ended_at.or(Some(entry.time));
        }
        next.take(step, entry);
        next
    }

    /// What a step changes besides the state.
    fn take(&mut self, step: Step, entry: &Entry) {
        let gone = |code: &Option<Code>, opinion: &Opinion| Some(&opinion.asked) != code.as_ref();
        match step {
            Step::Reception => {
                self.received_at = Some(entry.time);
                if let Some(procedure) = &entry.procedure {
                    self.procedure.clone_from(procedure);
                }
                self.set_due(entry);
            }
            Step::Supplement | Step::Payment => self.set_due(entry),
            Step::Apology => self.appoint(self.appointment.max(entry.due), entry.time),
            Step::SupplementRequest => self.supplements = self.supplements.saturating_add(1),
            Step::Handover => {
                if let Some(to) = &entry.to {
                    self.holder = to.clone();
                    self.admit(to);
                }
            }
            Step::OpinionRequest => {
                let asked = entry.to.clone().zip(entry.due).zip(entry.rule.clone());
                if let Some(((asked, due), rule)) = asked {
                    self.admit(&asked);
                    self.opinions.push(Opinion { asked, due, rule });
                }
            }
            Step::Opinion => self.opinions.retain(|opinion| gone(&entry.from, opinion)),
            Step::DeemedConsent => self.opinions.retain(|opinion| gone(&entry.to, opinion)),
            Step::Completion => self.result = entry.consignment,
            Step::Reminder => self.remind_at = None,
            Step::Overdue => (self.remind_at, self.overdue) = (None, true),
            Step::Feedback => self.feedback.push(entry.time),
            Step::Satisfaction => {
                self.grade = self.grade.or(entry.grade.map(|grade| (grade, entry.time)));
            }
            Step::Succession => {
                if let Some((closed, successor)) = entry.from.as_ref().zip(entry.to.as_ref()) {
                    self.succeed(closed, successor);
                }
            }
            Step::Registration
            | Step::NonReception
            | Step::Appraisal
            | Step::Approval
            | Step::Sealing
            | Step::PaymentRequest
            | Step::Withdrawal
            | Step::Stop
            | Step::Return => {}
        }
    }

    /// Another agency takes the place of one that was closed.
    fn succeed(&mut self, closed: &Code, successor: &Code) {
        for place in [&mut self.origin, &mut self.reception, &mut self.holder] {
            if place == closed {
                place.clone_from(successor);
            }
        }
        let was_asked = self.opinions.iter().any(|opinion| opinion.asked == *successor);
        self.opinions.retain(|opinion| opinion.asked != *closed || !was_asked);
        for opinion in self.opinions.iter_mut().filter(|opinion| opinion.asked == *closed) {
            opinion.asked.clone_from(successor);
        }
        self.admit(successor);
    }

    /// Whether an agency has a part in it that another must take over if it is closed.
    pub fn needs(&self, agency: &Code) -> bool {
        let asked = || self.opinions.iter().any(|opinion| opinion.asked == *agency);
        Step::Succession.transition().from.contains(&self.state)
            && ([&self.origin, &self.reception, &self.holder].contains(&agency) || asked())
    }

    fn set_due(&mut self, entry: &Entry) {
        self.due = entry.due;
        self.appoint(self.appointment.max(entry.due), entry.time);
    }

    fn appoint(&mut self, appointment: Option<Time>, now: Time) {
        if appointment == self.appointment {
            return;
        }
        (self.appointment, self.overdue) = (appointment, false);
        let reminder = appointment.map(|end| end.before(DOSSIER_REMINDER));
        self.remind_at = reminder.filter(|moment| *moment > now);
    }

    fn admit(&mut self, agency: &Code) {
        if let Err(place) = self.parties.binary_search(agency) {
            self.parties.insert(place, agency.clone());
        }
    }

    /// Whether an agency may take this step of a dossier that stands so, or does not exist yet.
    ///
    /// # Errors
    /// [`Reason::DossierUnknown`], [`Reason::DossierStepNotAllowed`], [`Reason::DossierStepNotYours`],
    /// [`Reason::DossierGraded`], [`Reason::DossierFull`].
    pub fn check(
        before: Option<&Self>,
        step: Step,
        from: &Code,
        to: Option<&Code>,
    ) -> Result<(), Refusal> {
        let transition = step.transition();
        let named = |refusal: Refusal| refusal.with("step", step.word());
        let Some(dossier) = before else {
            return match transition.begins {
                true => Ok(()),
                false => Err(Refusal::of_field(Reason::DossierUnknown, "dossier_code")),
            };
        };
        if dossier.parties.binary_search(from).is_err() {
            // To others than its parties it does not exist; only that the code is taken cannot be hidden.
            return Err(match transition.begins {
                true => named(Refusal::of_field(Reason::DossierStepNotAllowed, "step")),
                false => Refusal::of_field(Reason::DossierUnknown, "dossier_code"),
            });
        }
        if !transition.from.contains(&dossier.state) {
            let refusal = named(Refusal::of_field(Reason::DossierStepNotAllowed, "step"));
            return Err(refusal.with("state", dossier.state.number()));
        }
        if !dossier.may(transition.by, from) {
            let refusal = named(Refusal::of_field(Reason::DossierStepNotYours, "agency"));
            return Err(refusal.with("by", transition.by.word()).with("holder", &dossier.holder));
        }
        dossier.has_room(step, to)
    }

    fn may(&self, by: By, from: &Code) -> bool {
        match by {
            By::Reception => *from == self.reception,
            By::Holder => *from == self.holder,
            By::Either => *from == self.reception || *from == self.holder,
            By::Origin => *from == self.origin || *from == self.reception,
            By::Asked => self.opinions.iter().any(|opinion| opinion.asked == *from),
            By::Gateway => false,
        }
    }

    fn has_room(&self, step: Step, to: Option<&Code>) -> Result<(), Refusal> {
        let full = |what: &'static str, limit: usize| {
            let refusal = Refusal::of_field(Reason::DossierFull, "dossier_code");
            Err(refusal.with("of", what).with("limit", limit))
        };
        if step == Step::Feedback {
            return match self.feedback.len() >= DOSSIER_FEEDBACK_MAX {
                true => full("feedback", DOSSIER_FEEDBACK_MAX),
                false => Ok(()),
            };
        }
        if step == Step::Satisfaction {
            let graded = Refusal::of_field(Reason::DossierGraded, "grade");
            return self.grade.map_or(Ok(()), |(grade, _)| Err(graded.with("grade", grade)));
        }
        // What ends it, or answers one of few questions, has room always; what citizens say takes no
        // room from agencies.
        let ends = step.transition().to.is_some_and(State::has_ended) || step == Step::Opinion;
        let steps = usize::try_from(self.steps).unwrap_or(usize::MAX);
        if !ends && steps.saturating_sub(self.feedback.len()) >= DOSSIER_STEPS_MAX {
            return full("steps", DOSSIER_STEPS_MAX);
        }
        let is_new = to.is_some_and(|to| self.parties.binary_search(to).is_err());
        if is_new && self.parties.len() >= DOSSIER_PARTIES_MAX {
            return full("agencies", DOSSIER_PARTIES_MAX);
        }
        if step != Step::OpinionRequest {
            return Ok(());
        }
        if self.opinions.len() >= DOSSIER_OPINIONS_MAX {
            return full("opinions", DOSSIER_OPINIONS_MAX);
        }
        match to.filter(|to| self.opinions.iter().any(|opinion| opinion.asked == **to)) {
            Some(to) => Err(Refusal::of_field(Reason::DossierOpinionWaits, "to").with("code", to)),
            None => Ok(()),
        }
    }

    /// The moment after which the gateway writes something by itself; none if nothing is to come.
    pub fn alarm_at(&self) -> Option<Time> {
        let open = !self.state.has_ended();
        let consents = self.opinions.iter().filter(|_| open).map(|opinion| opinion.due);
        let running = self.state.runs() && !self.overdue;
        let own = self.remind_at.or(self.appointment).filter(|_| running);
        consents.chain(own).min()
    }

    /// What the gateway writes now, one after the other; none if it is not yet time.
    pub fn alarm(&self, now: Time) -> Option<Alarm> {
        if self.state.has_ended() {
            return None;
        }
        let passed = self.opinions.iter().filter(|opinion| opinion.due < now);
        if let Some(opinion) = passed.min_by_key(|opinion| opinion.due) {
            return Some(Alarm::Consent(opinion.clone()));
        }
        let end = self.appointment.filter(|_| self.state.runs() && !self.overdue)?;
        if end < now {
            return Some(Alarm::Overdue(end));
        }
        self.remind_at.filter(|moment| *moment < now).map(|_| Alarm::Reminder(end))
    }

    /// Whether it is late by the rules of QĐ 766/QĐ-TTg: past its date, or asked for more than once.
    pub fn is_late(&self, now: Time) -> bool {
        let until = self.ended_at.or(self.suspended_at).unwrap_or(now);
        self.supplements > 1 || self.due.is_some_and(|due| until > due)
    }
}

impl Alarm {
    /// The step that it is.
    pub fn step(&self) -> Step {
        match self {
            Self::Reminder(_) => Step::Reminder,
            Self::Overdue(_) => Step::Overdue,
            Self::Consent(_) => Step::DeemedConsent,
        }
    }

    /// Its entry, from the gateway's that says nothing yet but `now`.
    #[must_use]
    pub fn entry(self, dossier: &Dossier, bare: Entry) -> Entry {
        let entry = Entry {
            from: Some(dossier.holder.clone()),
            dossier: Some(dossier.code.clone()),
            reason: Some(self.step().word().to_owned()),
            ..bare
        };
        match self {
            Self::Reminder(end) => Entry { due: Some(end), ..entry },
            Self::Overdue(end) => Entry { since: Some(end), ..entry },
            Self::Consent(opinion) => Entry {
                to: Some(opinion.asked),
                since: Some(opinion.due),
                rule: Some(opinion.rule),
                ..entry
            },
        }
    }
}
