//! Who exists: agencies with their codes, names, places in the country and periods of validity, who
//! succeeds them, and the systems that host their mailboxes.
//!
//! A [`Directory`] is an immutable snapshot read from one dated source. Depth is data: the
//! four-level country before 1 July 2025 and the three-level one after it are both just agencies
//! with parents and dates. Nothing here guesses: a closed code leads on only by a recorded rule.

mod agency;
mod building;
mod builtin;
mod canonical;
mod code;
pub mod csv;
mod difference;
mod layers;
mod record;
mod rule;
mod succession;
mod system;
mod text;

pub use agency::{Agency, Kind, Scope, Succession, Successor, of_word};
pub use builtin::built_in;
pub use canonical::NotCanonical;
pub use code::{CODE_LENGTH_MAX, Code, SystemId};
pub use difference::{Changed, difference};
pub use rule::{Effect, List, Prefix, Rule, Selector};
pub use succession::{Chain, Ending};
pub use system::{Role, System};
pub use text::is_name;

use std::collections::HashMap;

use crate::clock::Date;

/// What a directory is made of.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The day whose state they describe.
    pub as_of: Date,
    /// Agencies in all their periods and revisions.
    pub agencies: Vec<Agency>,
    /// Systems.
    pub systems: Vec<System>,
    /// Named lists.
    pub lists: Vec<List>,
    /// Prefixes behind neighbours.
    pub prefixes: Vec<Prefix>,
    /// Who may send what, in the order of evaluation.
    pub rules: Vec<Rule>,
}

/// The directory contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two agencies share a code.
    #[error("agency code {0} stands twice")]
    CodeTwice(Code),
    /// Two systems share an id or an identity.
    #[error("system or identity {0} stands twice")]
    SystemTwice(String),
    /// Two lists, prefixes or rules share a name.
    #[error("list, prefix or rule {0:?} stands twice")]
    NameTwice(String),
    /// A list, prefix or rule is not as it must be.
    #[error("list, prefix or rule {0:?}: {1}")]
    Name(String, String),
    /// A parent, successor or host is not in the directory.
    #[error("agency {0} names {1}, which is not in the directory")]
    Dangling(Code, String),
    /// The parents of an agency form a circle.
    #[error("agency {0} lies below itself")]
    Circle(Code),
    /// The successors of an agency form a circle.
    #[error("agency {0} succeeds itself")]
    SuccessionCircle(Code),
    /// Agencies below each other, or successors after each other, are too many.
    #[error("{0} form a chain of {1}, more than {2}")]
    TooDeep(&'static str, usize, usize),
    /// Too many agencies.
    #[error("{0} records of agencies are more than {1}")]
    TooMany(usize, usize),
    /// An agency ends before it begins.
    #[error("agency {0} ends before it begins")]
    Backwards(Code),
    /// Two periods of an agency overlap.
    #[error("agency {0} has two records for one day")]
    Overlap(Code),
    /// A record is wrong by itself.
    #[error("agency {0} {1}")]
    Record(Code, &'static str),
    /// A system is a gateway without a name, or has the name of one without being one; or the name is
    /// that of another, or the code of an agency.
    #[error(
        "system {0}: a gateway has a name of its own, of 1-35 of 0-9 a-z . -, and only a gateway"
    )]
    GatewayName(SystemId),
}

/// An immutable snapshot. A hundred thousand agencies are sorted rows whose codes share their texts;
/// everything else is indexes into them.
#[derive(Debug)]
pub struct Directory {
    as_of: Date,
    /// By code, then by period.
    rows: Vec<Agency>,
    /// The row of each code that counts on `as_of`, in the order of the codes.
    current: Vec<u32>,
    /// Rows with a code of QCVN 102, by that code.
    by_qcvn: Vec<u32>,
    /// Rows with a parent, by its code, then as `rows`.
    by_parent: Vec<u32>,
    systems: HashMap<SystemId, System>,
    by_identity: HashMap<String, SystemId>,
    lists: Vec<List>,
    prefixes: Vec<Prefix>,
    rules: Vec<Rule>,
}

impl Directory {
    /// A snapshot of these agencies and systems, as they were registered on `as_of`.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn new(as_of: Date, agencies: Vec<Agency>, systems: Vec<System>) -> Result<Self, Error> {
        let (lists, prefixes, rules) = (Vec::new(), Vec::new(), Vec::new());
        Self::of(Rows { as_of, agencies, systems, lists, prefixes, rules })
    }

    /// The day whose state this snapshot describes.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    /// The agency with this code, in either notation, open or closed, as it is on the day of the
    /// snapshot.
    pub fn agency(&self, code: &Code) -> Option<&Agency> {
        Some(self.row(self.current[self.place(self.registered(code)?)?]))
    }

    /// The same as it was or will be on `date`: in the last period that has begun by then, or in its
    /// first.
    pub fn at(&self, code: &Code, date: Date) -> Option<&Agency> {
        self.in_force(self.registered(code)?, date).map(|row| &self.rows[row])
    }

    /// The registered code for one in either notation.
    fn registered<'a>(&'a self, code: &'a Code) -> Option<&'a Code> {
        let qcvn = |row: u32| self.row(row).code_qcvn.as_ref();
        match self.by_qcvn.binary_search_by(|row| qcvn(*row).cmp(&Some(code))) {
            Ok(found) => Some(&self.row(self.by_qcvn[found]).code),
            Err(_) => Some(code),
        }
    }

    fn place(&self, code: &Code) -> Option<usize> {
        self.current.binary_search_by(|row| self.row(*row).code.cmp(code)).ok()
    }

    fn row(&self, row: u32) -> &Agency {
        &self.rows[row as usize]
    }

    /// The row of a registered code that counts on `date`.
    fn in_force(&self, code: &Code, date: Date) -> Option<usize> {
        let mut row = self.current[self.place(code)?] as usize;
        let same = |other: usize| self.rows.get(other).is_some_and(|one| one.code == *code);
        while self.rows[row].valid_from > date && row > 0 && same(row - 1) {
            row -= 1;
        }
        while same(row + 1) && self.rows[row + 1].valid_from <= date {
            row += 1;
        }
        Some(row)
    }

    /// All agencies in the order of their codes, as they are on the day of the snapshot.
    pub fn agencies(&self) -> impl ExactSizeIterator<Item = &Agency> {
        self.current.iter().map(|row| self.row(*row))
    }

    /// All periods of all agencies, by code and time.
    pub fn records(&self) -> &[Agency] {
        &self.rows
    }

    /// The agencies open on `date` that lie below `code` at any depth, in the order of their codes.
    pub fn below(&self, code: &Code, date: Date) -> Vec<&Agency> {
        let mut found = Vec::new();
        let mut open = vec![code];
        while let Some(next) = open.pop() {
            for row in self.children(next) {
                let agency = self.row(row);
                if self.in_force(&agency.code, date) != Some(row as usize) {
                    continue;
                }
                open.push(&agency.code);
                found.extend(agency.is_open(date).then_some(row));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|row| self.row(row)).collect()
    }

    fn children(&self, parent: &Code) -> impl Iterator<Item = u32> {
        let parent_of = |row: u32| self.row(row).parent.as_ref();
        let start = self.by_parent.partition_point(|row| parent_of(*row) < Some(parent));
        let rows = self.by_parent[start..].iter().copied();
        rows.take_while(move |row| parent_of(*row) == Some(parent))
    }

    /// Whether `code` lies below `top` on `date`, at any depth.
    pub fn is_below(&self, code: &Code, top: &Code, date: Date) -> bool {
        let mut above = self.at(code, date).and_then(|agency| agency.parent.as_ref());
        while let Some(parent) = above {
            if parent == top {
                return true;
            }
            above = self.at(parent, date).and_then(|agency| agency.parent.as_ref());
        }
        false
    }

    /// The list with this name.
    pub fn list(&self, name: &str) -> Option<&List> {
        let found = self.lists.binary_search_by(|list| list.name.as_str().cmp(name)).ok()?;
        Some(&self.lists[found])
    }

    /// The longest prefix, on whole groups, behind which a code without a host is.
    pub fn prefix_of(&self, code: &Code) -> Option<&Prefix> {
        let mut groups = code.as_str();
        loop {
            let found = self.prefixes.binary_search_by(|one| one.prefix.as_str().cmp(groups)).ok();
            if let Some(found) = found {
                return Some(&self.prefixes[found]);
            }
            if groups.is_empty() {
                return None;
            }
            groups = groups.rsplit_once('.').map_or("", |(above, _)| above);
        }
    }

    /// Who may send what, in the order of evaluation.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The system whose certificate carries this identity.
    pub fn system_of(&self, identity: &str) -> Option<&System> {
        self.systems.get(self.by_identity.get(identity)?)
    }

    /// The neighbour gateway of this name.
    pub fn gateway(&self, name: &str) -> Option<&System> {
        self.systems.values().find(|system| system.gateway.as_deref() == Some(name))
    }

    /// The system with this id.
    pub fn system(&self, id: &SystemId) -> Option<&System> {
        self.systems.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        Code::parse(text).expect("a code")
    }

    fn agency(text: &str, parent: Option<&str>) -> Agency {
        Agency {
            parent: parent.map(code),
            ..Agency::new(code(text), text, Kind::State, jiff::civil::date(2021, 1, 1))
        }
    }

    fn directory(agencies: Vec<Agency>) -> Result<Directory, Error> {
        Directory::new(jiff::civil::date(2026, 1, 1), agencies, Vec::new())
    }

    #[test]
    fn contradictions_are_named() {
        let twice = directory(vec![agency("H49", None), agency("H49", None)]);
        assert_eq!(twice.expect_err("twice"), Error::CodeTwice(code("H49")));
        let dangling = directory(vec![agency("H49.1", Some("H49"))]);
        assert_eq!(dangling.expect_err("dangling"), Error::Dangling(code("H49.1"), "H49".into()));
        let circle = directory(vec![agency("A1", Some("B1")), agency("B1", Some("A1"))]);
        assert_eq!(circle.expect_err("circle"), Error::Circle(code("A1")));
        let mut backwards = agency("H49", None);
        backwards.valid_until = Some(jiff::civil::date(2020, 1, 1));
        let backwards = directory(vec![backwards]);
        assert_eq!(backwards.expect_err("backwards"), Error::Backwards(code("H49")));
    }

    #[test]
    fn below_reaches_every_depth_and_skips_closed_agencies() {
        let mut closed = agency("H49.61", Some("H49"));
        closed.valid_until = Some(jiff::civil::date(2025, 6, 30));
        let all = vec![
            agency("H49", None),
            closed,
            agency("H49.61.8", Some("H49.61")),
            agency("H49.151", Some("H49")),
        ];
        let directory = directory(all).expect("a directory");
        let below = |date| -> Vec<String> {
            let found = directory.below(&code("H49"), date);
            found.iter().map(|agency| agency.code.to_string()).collect()
        };
        assert_eq!(below(jiff::civil::date(2025, 6, 30)), ["H49.151", "H49.61", "H49.61.8"]);
        assert_eq!(below(jiff::civil::date(2025, 7, 1)), ["H49.151", "H49.61.8"]);
    }

    #[test]
    fn both_notations_find_the_same_agency() {
        let mut office = agency("G22", None);
        office.code_qcvn = Some(code("000.00.00.G22"));
        let directory = directory(vec![office]).expect("a directory");
        assert_eq!(directory.agency(&code("000.00.00.G22")), directory.agency(&code("G22")));
        assert!(directory.agency(&code("G23")).is_none());
    }
}
