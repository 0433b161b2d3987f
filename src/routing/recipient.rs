//! From one written code to the way to whoever gets it.

use super::Hop;
use super::explain::{Question, Step};
use super::policy;
use crate::directory::{Agency, Chain, Code, Directory, Ending};
use crate::refusal::{Reason, Refusal};

/// Looks for recipients of one sender on one day, and notes its steps if it is asked to.
pub(super) struct Router<'a> {
    pub(super) directory: &'a Directory,
    pub(super) question: Question<'a>,
    sender: &'a Agency,
    /// What was done, if somebody wants to know.
    pub(super) steps: Option<Vec<Step>>,
}

/// Who gets it, and how.
pub(super) struct Found<'a> {
    /// The agency whose code was written.
    pub(super) named: &'a Agency,
    /// The one that gets it.
    pub(super) agency: &'a Agency,
    pub(super) hop: Hop,
}

impl<'a> Router<'a> {
    /// # Errors
    /// [`Reason::SenderUnknown`], [`Reason::SenderClosed`].
    pub(super) fn of(
        directory: &'a Directory,
        question: Question<'a>,
        sender: &Code,
    ) -> Result<Self, Refusal> {
        let refusal = |reason| Refusal::of_field(reason, "sender").with("code", sender);
        let chain = directory.chain(sender, question.today);
        let chain = chain.ok_or_else(|| refusal(Reason::SenderUnknown))?;
        if chain.ending != Ending::Open {
            let refusal = refusal(Reason::SenderClosed);
            return Err(refusal.with("successors", chain.successors_line()));
        }
        Ok(Self::for_sender(directory, question, chain.named))
    }

    /// For a sender that is known.
    pub(super) fn for_sender(
        directory: &'a Directory,
        question: Question<'a>,
        sender: &'a Agency,
    ) -> Self {
        Self { directory, question, sender, steps: None }
    }

    pub(super) fn sender(&self) -> &'a Agency {
        self.sender
    }

    pub(super) fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.steps {
            steps.push(step());
        }
    }

    /// Who gets what is addressed to `code`.
    ///
    /// # Errors
    /// Why nobody does.
    pub(super) fn find(&mut self, code: &Code, field: &str) -> Result<Found<'a>, Refusal> {
        let refusal = |reason| Refusal::of_field(reason, field).with("code", code);
        let (directory, today) = (self.directory, self.question.today);
        let chain = directory.chain(code, today);
        let chain = chain.ok_or_else(|| refusal(Reason::RecipientUnknown))?;
        self.note(|| Step::found(code, chain.named, today));
        for closed in &chain.passed {
            self.note(|| Step::closed(closed));
        }
        let agency = match &chain.ending {
            Ending::Open => chain.named,
            Ending::Forward(agency) => {
                self.note(|| Step::forwarded(&chain.named.code, &agency.code));
                agency
            }
            Ending::NotYet => {
                let from = chain.named.valid_from;
                return Err(refusal(Reason::AgencyNotOpen).with("valid_from", from));
            }
            Ending::Closed { at, .. } => {
                let refusal = refusal(Reason::AgencyClosed);
                let refusal = refusal.with("successors", chain.successors_line());
                return Err(refusal.with("rule", rule_of(&chain, at)));
            }
        };
        if agency.code == self.sender.code {
            return Err(Refusal::of_field(Reason::RecipientIsSender, field));
        }
        self.may_send(agency, field)?;
        let hop = self.hop(agency).ok_or_else(|| refusal(Reason::MailboxMissing))?;
        self.note(|| Step::way(agency, &hop, directory));
        Ok(Found { named: chain.named, agency, hop })
    }

    /// Whether a rule forbids it.
    ///
    /// # Errors
    /// [`Reason::RouteForbidden`] with the name of the rule.
    pub(super) fn may_send(&mut self, to: &Agency, field: &str) -> Result<(), Refusal> {
        let rule = policy::deciding(self.directory, &self.question, self.sender, to);
        if let Some(rule) = rule {
            self.note(|| Step::rule(rule));
        }
        match rule.filter(|rule| rule.effect == crate::directory::Effect::Deny) {
            None => Ok(()),
            Some(rule) => {
                let refusal = Refusal::of_field(Reason::RouteForbidden, field);
                Err(refusal.with("code", &to.code).with("rule", &rule.name))
            }
        }
    }

    /// The way to an agency; `None` if there is none.
    pub(super) fn hop(&self, agency: &Agency) -> Option<Hop> {
        let prefix = || self.directory.prefix_of(&agency.code).map(|one| &one.via);
        let host = agency.host.as_ref().or_else(prefix)?;
        match self.directory.system(host)?.gateway.as_deref() {
            None => Some(Hop::Mailbox(host.clone())),
            Some(name) => Some(Hop::Neighbour(name.to_owned())),
        }
    }
}

/// What ended the chain, in a word.
fn rule_of(chain: &Chain<'_>, at: &Agency) -> &'static str {
    use crate::directory::Succession::Forward;
    match at.succession {
        Forward if at.uncertain => "uncertain",
        Forward if chain.named.successors.is_empty() => "none",
        Forward => "several",
        rule => rule.word(),
    }
}
