//! Why a document goes where it goes: the steps of routing as data, without a document.

use std::fmt;

use super::recipient::Router;
use super::{Destination, Hop};
use crate::clock::Date;
use crate::directory::{Agency, Code, Directory, Rule};
use crate::document::Urgency;
use crate::refusal::Refusal;

/// What is sent, and when.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The day in Vietnam.
    pub today: Date,
    /// Name of the kind of document; empty for none in particular, which fits no rule about kinds.
    pub type_name: &'a str,
    /// Urgency; none in particular fits no rule about urgency.
    pub urgency: Option<Urgency>,
}

/// One step. Words and names of values are stable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `found`, `closed`, `forwarded`, `rule`, `mailbox` or `neighbour`.
    pub word: &'static str,
    /// What it was about.
    pub values: Vec<(&'static str, String)>,
}

/// The steps, and where they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// In order.
    pub steps: Vec<Step>,
    /// Who gets it and how, or why nobody does.
    pub outcome: Result<(Code, Destination), Refusal>,
}

/// Explains the way from one agency to another, exactly as [`super::route`] would go it.
pub fn explain(
    directory: &Directory,
    question: Question<'_>,
    from: &Code,
    to: &Code,
) -> Explanation {
    let mut router = match Router::of(directory, question, from) {
        Ok(router) => router,
        Err(refusal) => return Explanation { steps: Vec::new(), outcome: Err(refusal) },
    };
    router.steps = Some(Vec::new());
    let found = router.find(to, "recipients[0]");
    let outcome = found.map(|found| {
        let recipient = found.agency.code.clone();
        let addressed = (*to != recipient).then(|| to.clone());
        (recipient, Destination { addressed, hop: found.hop })
    });
    Explanation { steps: router.steps.unwrap_or_default(), outcome }
}

impl Step {
    pub(super) fn found(written: &Code, agency: &Agency, today: Date) -> Self {
        let state = if agency.is_open(today) { "open" } else { "closed" };
        let values = vec![
            ("written", written.to_string()),
            ("code", agency.code.to_string()),
            ("name", agency.name.clone()),
            ("date", today.to_string()),
            ("state", state.to_owned()),
        ];
        Self { word: "found", values }
    }

    pub(super) fn closed(agency: &Agency) -> Self {
        let until = agency.valid_until.map(|date| date.to_string()).unwrap_or_default();
        let successors: Vec<_> = agency.successors.iter().map(ToString::to_string).collect();
        let values = vec![
            ("code", agency.code.to_string()),
            ("valid_until", until),
            ("succession", agency.succession.word().to_owned()),
            ("successors", successors.join("|")),
            ("uncertain", agency.uncertain.to_string()),
        ];
        Self { word: "closed", values }
    }

    pub(super) fn forwarded(from: &Code, to: &Code) -> Self {
        let values = vec![("from", from.to_string()), ("to", to.to_string())];
        Self { word: "forwarded", values }
    }

    pub(super) fn rule(rule: &Rule) -> Self {
        let values = vec![("rule", rule.name.clone()), ("effect", rule.effect.word().to_owned())];
        Self { word: "rule", values }
    }

    pub(super) fn way(agency: &Agency, hop: &Hop, directory: &Directory) -> Self {
        let code = ("code", agency.code.to_string());
        match hop {
            Hop::Mailbox(system) => {
                Self { word: "mailbox", values: vec![code, ("system", system.to_string())] }
            }
            Hop::Neighbour(name) => {
                let prefix = directory.prefix_of(&agency.code).filter(|_| agency.host.is_none());
                let prefix = prefix.map(|one| one.prefix.clone()).unwrap_or_default();
                let values = vec![code, ("gateway", name.clone()), ("prefix", prefix)];
                Self { word: "neighbour", values }
            }
        }
    }

    fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |name| self.value(name);
        match self.word {
            "found" => {
                let (code, name) = (value("code"), value("name"));
                write!(f, "{code} ({name}) is {} on {}", value("state"), value("date"))?;
                if value("written") == code {
                    Ok(())
                } else {
                    write!(f, "; written {}", value("written"))
                }
            }
            "closed" => {
                let successors =
                    if value("successors").is_empty() { "none" } else { value("successors") };
                let unsure = if value("uncertain") == "true" { ", uncertain" } else { "" };
                let (code, until) = (value("code"), value("valid_until"));
                let rule = value("succession");
                write!(
                    f,
                    "{code} was closed after {until}: {rule}{unsure}; successors: {successors}"
                )
            }
            "forwarded" => write!(f, "{} leads to {} alone", value("from"), value("to")),
            "rule" => write!(f, "rule {} says {}", value("rule"), value("effect")),
            "mailbox" => write!(f, "{} hosts the mailbox of {}", value("system"), value("code")),
            _ => {
                let (code, gateway) = (value("code"), value("gateway"));
                write!(f, "{code} is behind the gateway {gateway}")?;
                match value("prefix") {
                    "" => Ok(()),
                    prefix => write!(f, ", by the prefix {prefix}"),
                }
            }
        }
    }
}
