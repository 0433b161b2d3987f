//! Where a code leads on a day: open, on to its one successor, or to a question.

use super::Directory;
use super::agency::{Agency, Succession};
use super::code::Code;
use crate::clock::Date;

/// The way from a code through its successors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain<'a> {
    /// The agency that was named.
    pub named: &'a Agency,
    /// The closed agencies that were passed, in the order in which they were met, `named` first.
    pub passed: Vec<&'a Agency>,
    /// Where it ends.
    pub ending: Ending<'a>,
}

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending<'a> {
    /// The named agency is open.
    Open,
    /// Its code is not valid yet.
    NotYet,
    /// Everything leads to this one open agency, by rules that say so.
    Forward(&'a Agency),
    /// This rule, or that there are several successors or none, ends it: who asks gets the successors.
    Closed {
        /// The closed agency that ends it.
        at: &'a Agency,
        /// The open agencies that its successors lead to, whatever the rules say.
        successors: Vec<&'a Agency>,
    },
}

impl Directory {
    /// Where `code`, in either notation, leads on `date`; `None` if nobody has it.
    pub fn chain(&self, code: &Code, date: Date) -> Option<Chain<'_>> {
        let named = self.at(code, date)?;
        let mut chain = Chain { named, passed: Vec::new(), ending: Ending::Open };
        if named.is_open(date) {
            return Some(chain);
        }
        if date < named.valid_from {
            chain.ending = Ending::NotYet;
            return Some(chain);
        }
        let mut ends: Vec<&Agency> = Vec::new();
        let mut stopped: Option<&Agency> = None;
        let mut waiting = vec![named];
        while let Some(next) = waiting.pop() {
            if next.is_open(date) {
                ends.push(next);
                continue;
            }
            if chain.passed.iter().any(|seen| seen.code == next.code) {
                continue;
            }
            chain.passed.push(next);
            let leads_on = next.succession == Succession::Forward
                && !next.uncertain
                && !next.successors.is_empty()
                && next.valid_from <= date;
            if !leads_on {
                stopped = stopped.or(Some(next));
            }
            if next.valid_from <= date {
                // The first successor is looked at first.
                let successors = next.successors.iter().rev();
                waiting.extend(successors.filter_map(|one| self.at(&one.code, date)));
            }
        }
        ends.sort_by(|one, other| one.code.cmp(&other.code));
        ends.dedup_by(|one, other| one.code == other.code);
        chain.ending = match (stopped, ends.as_slice()) {
            (None, [only]) => Ending::Forward(only),
            (at, _) => Ending::Closed { at: at.unwrap_or(named), successors: ends },
        };
        Some(chain)
    }
}

impl Chain<'_> {
    /// The codes of the open successors in one line, or, if none is open, those that the record names.
    pub fn successors_line(&self) -> String {
        match &self.ending {
            Ending::Forward(agency) => agency.code.to_string(),
            Ending::Closed { successors, .. } if !successors.is_empty() => {
                let codes: Vec<_> = successors.iter().map(|one| one.code.as_str()).collect();
                codes.join(",")
            }
            _ => self.named.successors_line(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Error, Kind, Succession, Successor};
    use super::*;
    use jiff::civil::date;

    const CLOSING: Date = date(2025, 6, 30);
    const AFTER: Date = date(2025, 7, 1);

    fn code(text: &str) -> Code {
        Code::parse(text).expect("a code")
    }

    fn open(text: &str) -> Agency {
        Agency::new(code(text), text, Kind::State, date(2021, 1, 1))
    }

    fn closed(text: &str, succession: Succession, successors: &[&str]) -> Agency {
        let successors = successors.iter().map(|one| Successor::parse(one).expect("a successor"));
        let successors = successors.collect();
        Agency { valid_until: Some(CLOSING), successors, succession, ..open(text) }
    }

    fn directory(agencies: Vec<Agency>) -> Result<Directory, Error> {
        Directory::new(AFTER, agencies, Vec::new())
    }

    /// `A` before and after it was closed, in one line each.
    fn ends(agencies: Vec<Agency>) -> [String; 2] {
        let directory = directory(agencies).expect("a directory");
        [CLOSING, AFTER].map(|day| {
            let chain = directory.chain(&code("A"), day).expect("known");
            match &chain.ending {
                Ending::Open => "open".into(),
                Ending::NotYet => "not yet".into(),
                Ending::Forward(to) => format!("forward {}", to.code),
                Ending::Closed { at, .. } => {
                    format!("closed {}: {}", at.code, chain.successors_line())
                }
            }
        })
    }

    #[test]
    fn a_code_leads_on_only_by_rules_to_one_open_agency() {
        use Succession::{Ask, Forward, Refuse};
        let uncertain = |agency| Agency { uncertain: true, ..agency };
        let cases = [
            (vec![open("A")], ["open", "open"]),
            (vec![closed("A", Forward, &["B"]), open("B")], ["open", "forward B"]),
            (vec![closed("A", Ask, &["B"]), open("B")], ["open", "closed A: B"]),
            (vec![closed("A", Refuse, &["B"]), open("B")], ["open", "closed A: B"]),
            (vec![closed("A", Forward, &[])], ["open", "closed A: "]),
            (
                vec![closed("A", Forward, &["B area x", "C area y"]), open("B"), open("C")],
                ["open", "closed A: B,C"],
            ),
            (
                vec![closed("A", Forward, &["B"]), closed("B", Forward, &["C"]), open("C")],
                ["open", "forward C"],
            ),
            (
                vec![closed("A", Forward, &["B"]), closed("B", Ask, &["C"]), open("C")],
                ["open", "closed B: C"],
            ),
            (
                vec![
                    closed("A", Forward, &["B function x", "C function y"]),
                    closed("B", Forward, &["D"]),
                    closed("C", Forward, &["D"]),
                    open("D"),
                ],
                ["open", "forward D"],
            ),
            (vec![uncertain(closed("A", Forward, &["B"])), open("B")], ["open", "closed A: B"]),
            (
                // Rolled back by a correction: the later record of A says that it was never closed.
                vec![closed("A", Forward, &["B"]), open("B"), Agency { revision: 2, ..open("A") }],
                ["open", "open"],
            ),
            (
                vec![
                    closed("A", Forward, &["B"]),
                    Agency { valid_from: date(2026, 1, 1), ..open("B") },
                ],
                ["open", "closed B: B"],
            ),
            (vec![Agency { valid_from: date(2026, 1, 1), ..open("A") }], ["not yet", "not yet"]),
        ];
        for (agencies, expected) in cases {
            let shown = format!("{agencies:?}");
            assert_eq!(ends(agencies), expected, "{shown}");
        }
    }

    #[test]
    fn circles_and_long_chains_are_found_when_the_directory_is_read() {
        use Succession::Forward;
        let circle = vec![closed("A", Forward, &["B"]), closed("B", Forward, &["A"])];
        assert_eq!(directory(circle).expect_err("a circle"), Error::SuccessionCircle(code("A")));
        let name = |index: usize| format!("A{index:02}");
        let chain = |length: usize| {
            let closed = (0..length).map(|at| closed(&name(at), Forward, &[&name(at + 1)]));
            directory(closed.chain([open(&name(length))]).collect())
        };
        let max = crate::limits::SUCCESSION_CHAIN_MAX;
        let longest = chain(max).expect("the longest chain");
        let end = longest.chain(&code("A00"), AFTER).expect("known").successors_line();
        assert_eq!(end, name(max));
        let error = chain(max + 1).expect_err("too long");
        assert_eq!(error, Error::TooDeep("successors", max + 1, max));
    }

    #[test]
    fn a_record_that_says_half_is_refused() {
        let split = "is split, so each of several successors needs an area or a function";
        let cases = [
            (closed("A", Succession::Ask, &["B area x"]), split),
            (closed("A", Succession::Ask, &["B area x", "C"]), split),
            (closed("A", Succession::Ask, &["B", "B"]), "names a successor twice"),
            (
                Agency { valid_until: None, ..closed("A", Succession::Ask, &["B"]) },
                "has successors and no last day",
            ),
        ];
        for (record, problem) in cases {
            let error = directory(vec![record, open("B"), open("C")]).expect_err(problem);
            assert_eq!(error, Error::Record(code("A"), problem));
        }
        let overlap =
            vec![Agency { valid_from: CLOSING, ..open("A") }, closed("A", Succession::Ask, &[])];
        assert_eq!(directory(overlap).expect_err("two for a day"), Error::Overlap(code("A")));
    }
}
