//! What the steps of dossiers say together (`log/FORMAT.md` §7, rules 16 and 17).

use std::collections::HashMap;

use super::leaf::{Field, Leaf};
use super::report::{Findings, Rule};
use crate::log::EntryId;
use Field as F;

/// §2: what a step asks.
struct Row {
    word: &'static str,
    /// States in which it is taken; `–` is no dossier.
    states: &'static str,
    /// The state after it; empty if it stays.
    next: &'static str,
    by: &'static str,
    must: &'static [Field],
    may: &'static [Field],
}

const fn row(
    word: &'static str,
    states: &'static str,
    next: &'static str,
    by: &'static str,
    must: &'static [Field],
) -> Row {
    Row { word, states, next, by, must, may: &[F::Note] }
}

const ROWS: [Row; 24] = [
    Row {
        may: &[F::To, F::Note, F::Applicant],
        ..row("REGISTRATION", "–", "1", "reception", &[F::Procedure])
    },
    Row {
        may: &[F::Note, F::Applicant],
        ..row("RECEPTION", "– 1", "2", "reception", &[F::Procedure, F::Due])
    },
    row("NON_RECEPTION", "1", "3", "reception", &[F::Note]),
    row("HANDOVER", "2 4", "4", "holder", &[F::To]),
    row("APPRAISAL", "2 4", "4", "holder", &[]),
    row("APPROVAL", "2 4", "4", "holder", &[]),
    row("SEALING", "2 4", "4", "holder", &[]),
    row("SUPPLEMENT_REQUEST", "2 4", "5", "holder", &[F::Note]),
    row("SUPPLEMENT", "5", "4", "either", &[F::Due]),
    row("PAYMENT_REQUEST", "2 4", "6", "holder", &[]),
    row("PAYMENT", "6", "4", "either", &[F::Due]),
    row("WITHDRAWAL", "1 2 4 5 6", "7", "either", &[]),
    row("STOP", "2 4 5 6", "8", "holder", &[F::Note]),
    Row { may: &[F::Consignment, F::Note], ..row("COMPLETION", "2 4", "9", "holder", &[]) },
    row("RETURN", "9", "10", "reception", &[]),
    row("OPINION_REQUEST", "2 4", "4", "holder", &[F::To, F::Due, F::Rule]),
    row("OPINION", "2 4 5 6", "", "asked", &[]),
    Row {
        may: &[],
        ..row("DEEMED_CONSENT", "2 4 5 6", "", "gateway", &[F::To, F::Since, F::Rule])
    },
    row("APOLOGY", "2 4 5 6", "", "either", &[F::Note, F::Due]),
    Row { may: &[], ..row("REMINDER", "2 4", "", "gateway", &[F::Due]) },
    Row { may: &[], ..row("OVERDUE", "2 4", "", "gateway", &[F::Since]) },
    row("FEEDBACK", "1 2 3 4 5 6 7 8 9 10", "", "origin", &[F::Note]),
    row("SATISFACTION", "10", "", "origin", &[F::Grade]),
    Row { may: &[], ..row("SUCCESSION", "1 2 4 5 6 9", "", "gateway", &[F::To]) },
];

/// The fields that only some steps have.
const EXTRA: [Field; 9] = [
    F::To,
    F::Consignment,
    F::Note,
    F::Since,
    F::Procedure,
    F::Applicant,
    F::Due,
    F::Rule,
    F::Grade,
];

/// An opinion that was asked and is not given.
struct Asked {
    of: Box<str>,
    due: u64,
    rule: Box<str>,
}

/// One dossier. Times are numbers that order like them, 0 for none.
struct File {
    state: &'static str,
    /// Empty if the dossier may have begun before what is audited: it may be anybody then.
    origin: Box<str>,
    reception: Box<str>,
    holder: Box<str>,
    asked: Vec<Asked>,
    appointment: u64,
    reminded: u64,
    overdue: u64,
    graded: bool,
}

/// Every dossier so far.
#[derive(Default)]
pub(super) struct Dossiers(HashMap<Box<str>, File>);

impl Dossiers {
    /// Takes the next step; `false` if the dossier is not known and may have begun before an audit that is
    /// not `whole`.
    pub(super) fn take(
        &mut self,
        id: EntryId,
        leaf: &Leaf<'_>,
        whole: bool,
        findings: &mut Findings,
    ) -> bool {
        let word = leaf.reason();
        let Some(row) = ROWS.iter().find(|row| row.word == word) else {
            findings.add(Some(id), Rule::DossierStep, format!("{word} is no step"));
            return true;
        };
        if let Some(message) = row.misfit(leaf) {
            findings.add(Some(id), Rule::DossierStep, message);
        }
        let (Some(code), Some(from)) = (leaf.value(F::Dossier), leaf.value(F::From)) else {
            return true; // Its missing fields were named already.
        };
        let Some(file) = self.0.get_mut(code) else {
            if row.is_taken_in("–") {
                let is_first = whole || row.word == "REGISTRATION";
                self.0.insert(code.into(), File::begin(row, leaf, from, is_first));
            } else if whole {
                let message = format!("{word} of a dossier that does not exist");
                findings.add(Some(id), Rule::DossierStep, message);
            }
            return row.is_taken_in("–") || whole;
        };
        if !row.is_taken_in(file.state) {
            let message = format!("{word} in state {}", file.state);
            findings.add(Some(id), Rule::DossierStep, message);
        } else if !file.may(row, from) {
            let message = format!("{from} cannot take the step {word}");
            findings.add(Some(id), Rule::DossierParty, message);
        }
        if let Some((rule, message)) = file.untrue(row, leaf) {
            findings.add(Some(id), rule, message);
        }
        file.take(row, leaf, from);
        true
    }
}

impl Row {
    fn is_taken_in(&self, state: &str) -> bool {
        self.states.split(' ').any(|known| known == state)
    }

    /// The first field that is not one of the step, or of its actor.
    fn misfit(&self, leaf: &Leaf<'_>) -> Option<String> {
        let by_gateway = leaf.actor().0 == "gateway";
        if by_gateway != (self.by == "gateway") {
            return Some(format!("{} cannot be the actor of {}", leaf.actor().0, self.word));
        }
        if by_gateway == leaf.value(F::Request).is_some() {
            return Some(format!("{} and its request", self.word));
        }
        let wrong = EXTRA.iter().find(|field| {
            let must = self.must.contains(field);
            match leaf.value(**field) {
                Some(_) => !must && !self.may.contains(field),
                None => must,
            }
        })?;
        Some(format!("{} and its {wrong:?}", self.word))
    }
}

impl File {
    fn begin(row: &Row, leaf: &Leaf<'_>, from: &str, is_first: bool) -> Self {
        let named = leaf.value(F::To).filter(|_| row.word == "REGISTRATION");
        let reception = named.unwrap_or(from);
        let mut file = Self {
            state: "",
            origin: if is_first { from } else { "" }.into(),
            reception: reception.into(),
            holder: reception.into(),
            asked: Vec::new(),
            appointment: 0,
            reminded: 0,
            overdue: 0,
            graded: false,
        };
        file.take(row, leaf, from);
        file
    }

    fn may(&self, row: &Row, from: &str) -> bool {
        let was_asked = || self.asked.iter().any(|asked| *asked.of == *from);
        let is_origin = self.origin.is_empty() || *self.origin == *from;
        match row.by {
            _ if row.word == "SUCCESSION" => {
                is_origin || *self.reception == *from || *self.holder == *from || was_asked()
            }
            "reception" => *self.reception == *from,
            "origin" => is_origin || *self.reception == *from,
            "asked" => was_asked(),
            "either" => *self.reception == *from || *self.holder == *from,
            _ => *self.holder == *from,
        }
    }

    /// What denies a word about a time, or a question.
    fn untrue(&self, row: &Row, leaf: &Leaf<'_>) -> Option<(Rule, &'static str)> {
        let to = leaf.value(F::To).unwrap_or_default();
        let asked = self.asked.iter().find(|asked| *asked.of == *to);
        let (since, due) = (leaf.since().unwrap_or(0), leaf.due().unwrap_or(0));
        let message = match (row.word, asked) {
            ("OPINION_REQUEST", Some(_)) => {
                return Some((Rule::DossierStep, "who is asked was asked before"));
            }
            ("SATISFACTION", _) if self.graded => {
                return Some((Rule::DossierStep, "it was graded before"));
            }
            ("DEEMED_CONSENT", None) => "nothing was asked",
            ("DEEMED_CONSENT", Some(asked)) if leaf.value(F::Rule) != Some(&asked.rule) => {
                "another rule was agreed"
            }
            ("DEEMED_CONSENT", Some(asked)) if asked.due != since => "another time was set",
            ("DEEMED_CONSENT", _) if since >= leaf.moment => "its time had not ended",
            ("REMINDER", _) if due != self.appointment => "another date was set",
            ("REMINDER", _) if due < leaf.moment => "its time had ended",
            ("REMINDER", _) if due == self.reminded => "it stood there before",
            ("OVERDUE", _) if since != self.appointment => "another date was set",
            ("OVERDUE", _) if since >= leaf.moment => "its time had not ended",
            ("OVERDUE", _) if since == self.overdue => "it stood there before",
            _ => return None,
        };
        Some((Rule::DossierTime, message))
    }

    fn take(&mut self, row: &Row, leaf: &Leaf<'_>, from: &str) {
        if !row.next.is_empty() {
            self.state = row.next;
        }
        let to = leaf.value(F::To).unwrap_or_default();
        let (since, due) = (leaf.since().unwrap_or(0), leaf.due().unwrap_or(0));
        match row.word {
            "RECEPTION" | "SUPPLEMENT" | "PAYMENT" | "APOLOGY" => {
                self.appointment = self.appointment.max(due);
            }
            "HANDOVER" => self.holder = to.into(),
            "OPINION_REQUEST" => {
                let rule = leaf.value(F::Rule).unwrap_or_default().into();
                self.asked.push(Asked { of: to.into(), due, rule });
            }
            "OPINION" => self.asked.retain(|asked| *asked.of != *from),
            "DEEMED_CONSENT" => self.asked.retain(|asked| *asked.of != *to),
            "REMINDER" => self.reminded = due,
            "OVERDUE" => self.overdue = since,
            "SATISFACTION" => self.graded = true,
            "SUCCESSION" => self.succeed(from, to),
            _ => {}
        }
    }
}

impl File {
    /// Another agency stands wherever `closed` stood.
    fn succeed(&mut self, closed: &str, successor: &str) {
        for place in [&mut self.origin, &mut self.reception, &mut self.holder] {
            if **place == *closed {
                *place = successor.into();
            }
        }
        let doubled = self.asked.iter().any(|asked| *asked.of == *successor);
        self.asked.retain(|asked| *asked.of != *closed || !doubled);
        for asked in self.asked.iter_mut().filter(|asked| *asked.of == *closed) {
            asked.of = successor.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::key;
    use super::super::{Auditor, Rule};
    use super::*;

    const PAGE: &str = include_str!("../log/FORMAT.md");

    /// The entries of the fourth epoch of the page.
    fn documented() -> Vec<String> {
        let blocks = PAGE.split("\n```entry 4/").skip(1);
        let body = |block: &str| {
            let (_, rest) = block.split_once('\n').expect("an info line");
            rest[..=rest.find("\n```\n").expect("an end")].to_owned()
        };
        blocks.map(body).collect()
    }

    /// What an audit finds in these entries as a log of their own.
    fn found(leaves: &[String]) -> Vec<String> {
        let mut auditor = Auditor::new(key("gate.example", 7).public());
        leaves.iter().for_each(|leaf| auditor.entry(leaf.as_bytes()));
        let findings = auditor.finish().findings.into_iter();
        let found = findings
            .filter(|finding| !matches!(finding.rule, Rule::EpochOpening | Rule::EntriesUnsigned));
        found
            .map(|one| format!("{} {}", one.rule, one.entry.map_or(0, |entry| entry.index)))
            .collect()
    }

    #[test]
    fn the_dossier_of_the_page_holds_and_every_forgery_of_it_is_named() {
        assert_eq!(found(&documented()), [""; 0]);
        let (step, party, time) = ("dossier-step ", "dossier-party ", "dossier-time ");
        let cases: [(usize, &str, &str, &str); 27] = [
            (1, "REGISTRATION", "REGISTERED", step),
            (1, "procedure 1.004227\n", "", step),
            (2, "due 2026-12-03T16:59:59.999Z\n", "", step),
            (3, "to H49.11\n", "", step),
            (3, "from H49.151", "from H49.11", party),
            (4, "SUPPLEMENT_REQUEST", "NON_RECEPTION", step),
            (5, "from H49.151", "from G22", party),
            (6, "rule CONSENT-AFTER-3-WORKING-DAYS\n", "", step),
            (7, "due 2026-12-04", "due 2026-12-05", time),
            (7, "actor gateway", "actor province", step),
            (8, "since 2026-12-02", "since 2026-12-01", time),
            (8, "AFTER-3-", "AFTER-4-", time),
            (8, "to G22", "to G23", time),
            (8, "from H49.11", "from H49.151", party),
            (9, "APPRAISAL", "RETURN", step),
            (9, "from H49.11", "from H49.151", party),
            (11, "since 2026-12-04", "since 2026-12-05", time),
            (12, "from H49.151", "from G22", party),
            (13, "from H49", "consignment 019abd10-1f6b-7000-8000-000000000009\nfrom H49", step),
            (16, "-000000000005", "-000000000006", step),
            (17, "from H49.151", "from H49.11", party),
            (18, "from H49.151", "from H49.11", party),
            (18, "FEEDBACK", "APPRAISAL", step),
            (19, "from H49.151", "from G22", party),
            (19, "grade 5\n", "", step),
            (17, "RETURN", "FEEDBACK", step),
            (17, "RETURN\n", "SATISFACTION\ngrade 4\n", step),
        ];
        for (at, from, to, rule) in cases {
            let mut leaves = documented();
            assert!(leaves[at].contains(from), "{at} {from}");
            leaves[at] = leaves[at].replacen(from, to, 1);
            let named = found(&leaves);
            assert!(named.contains(&format!("{rule}{at}")), "{at} {from} -> {to}: {named:?}");
        }
    }

    #[test]
    fn an_audit_that_goes_on_does_not_know_who_began_a_dossier() {
        // G22 may have registered it before; now it says what the citizen says of it.
        let leaves = documented();
        let said = leaves[18].replace("from H49.151", "from G22");
        for (whole, expected) in [(true, 1), (false, 0)] {
            let (mut dossiers, mut findings) = (Dossiers::default(), Findings::default());
            for text in [&leaves[2], &said] {
                let leaf = Leaf::read(text.as_bytes()).expect("an entry");
                let id = EntryId { epoch: 4, index: 0 };
                assert!(dossiers.take(id, &leaf, whole, &mut findings));
            }
            assert_eq!(findings.kept.len(), expected, "{:?}", findings.kept);
        }
    }

    #[test]
    fn what_is_left_out_or_stands_twice_is_named() {
        let (step, party, time) = ("dossier-step ", "dossier-party ", "dossier-time ");
        let without = |at: usize| {
            let mut leaves = documented();
            leaves.remove(at);
            found(&leaves)
        };
        assert_eq!(without(5)[0], format!("{step}5"), "nothing can be asked while it waits");
        assert!(without(3)[0].starts_with(party), "nobody handed it over");
        assert!(without(6).contains(&format!("{time}7")), "nobody was asked: {:?}", without(6));
        assert_eq!(without(8), [""; 0], "who was asked may still answer");
        for (at, rule) in [(7, time), (11, time), (6, step), (8, time), (19, step)] {
            let mut leaves = documented();
            let again = leaves[at].clone();
            leaves.insert(at + 1, again);
            let named = found(&leaves);
            assert!(named.contains(&format!("{rule}{}", at + 1)), "{at}: {named:?}");
        }
    }

    #[test]
    fn the_table_of_the_page_is_the_table_of_the_auditor() {
        let cells = |row: &str| -> Vec<String> {
            row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
        };
        let (_, table) = PAGE.split_once("\n| step |").expect("the page has the table");
        let mut lines = table.lines();
        let names = cells(lines.next().expect("the names"));
        let rows: Vec<_> = lines.skip(1).take_while(|row| row.starts_with('|')).collect();
        assert_eq!(rows.len(), ROWS.len());
        for (row, text) in ROWS.iter().zip(rows) {
            let text = cells(text);
            assert_eq!([row.word, row.states, row.next, row.by], text[..4], "{}", row.word);
            for field in EXTRA {
                let name = format!("{field:?}").to_lowercase();
                let column = names.iter().position(|known| *known == name).expect("a column");
                let expected = match (row.must.contains(&field), row.may.contains(&field)) {
                    (true, _) => "●",
                    (_, true) => "○",
                    _ => "",
                };
                assert_eq!(text[column + 1], expected, "{} {name}", row.word);
            }
        }
    }
}
