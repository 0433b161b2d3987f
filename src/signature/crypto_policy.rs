//! Which hash and which key is accepted, for what and until when: cryptographic constraints of
//! EN 319 102-1 §5.1.4.4 as a dated table.
//!
//! Everything cryptographic in this room is held against one table, at the time at which it is proven
//! to have been used. What the table does not name is never accepted.

use std::sync::LazyLock;

use super::algorithm::{Hash, KeyKind};
use super::past::Made;
use super::report::SubIndication as Sub;
use crate::clock::{Date, Time};
use crate::limits::ALGORITHM_ROWS_MAX;

/// What a value was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Used {
    /// `None` if the algorithm brings its own, or if only the key is asked about.
    pub hash: Option<Hash>,
    /// `None` if only the hash is asked about.
    pub key: Option<KeyKind>,
    /// A weakness of this very key or value, which no table could accept: a part of a sentence.
    pub flaw: Option<String>,
}

impl Used {
    pub fn hash(hash: &Hash) -> Self {
        Self { hash: Some(hash.clone()), key: None, flaw: None }
    }
}

/// Who used it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Use {
    /// The signer of a document.
    #[default]
    Signature,
    /// An authority, for a certificate.
    Certificate,
    /// An authority or responder, for a list or a response.
    Revocation,
    /// A time-stamping authority.
    Timestamp,
    /// Whoever names a certificate by its hash: it takes a second preimage to mislead.
    Reference,
}

/// A dated table of algorithms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CryptoPolicy {
    name: String,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    algorithm: String,
    bits_min: usize,
    /// `None` for any.
    purpose: Option<Use>,
    until: Option<Day>,
    stated_until: Option<Day>,
}

/// A day in Vietnam that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day(Date);

impl Day {
    fn contains(self, time: Time) -> bool {
        time.date_in_vietnam() <= self.0
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}/{:02}/{:04}", self.0.day(), self.0.month(), self.0.year())
    }
}

/// A table that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoPolicyError {
    /// The first line says something else.
    #[error("the first line must be `# Vanthu algorithm table 1: NAME`")]
    Heading,
    /// A line has another form.
    #[error(
        "line {line}: must be `algorithm | bits | for | until | stated until | source`: {what}"
    )]
    Line {
        /// Counted from 1.
        line: usize,
        /// The column that is wrong.
        what: &'static str,
    },
    /// There are more lines than any table needs.
    #[error("more than {} lines", ALGORITHM_ROWS_MAX)]
    TooLong,
}

const HEADING: &str = "# Vanthu algorithm table 1: ";

static BUILT_IN: LazyLock<CryptoPolicy> = LazyLock::new(|| {
    CryptoPolicy::parse(include_str!("algorithms.txt")).expect("the built-in table is well-formed")
});

impl CryptoPolicy {
    /// The table for Vietnamese documents.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads a table in the form of `algorithms.txt`.
    ///
    /// # Errors
    /// The first line that has another form.
    pub fn parse(text: &str) -> Result<Self, CryptoPolicyError> {
        let heading = text.lines().next().and_then(|line| line.strip_prefix(HEADING));
        let name = heading.map(str::trim).filter(|name| !name.is_empty());
        let name = name.ok_or(CryptoPolicyError::Heading)?.to_owned();
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let wrong = |what| CryptoPolicyError::Line { line: index + 1, what };
            rows.push(Row::parse(line).map_err(wrong)?);
            if rows.len() > ALGORITHM_ROWS_MAX {
                return Err(CryptoPolicyError::TooLong);
            }
        }
        Ok(Self { name, rows })
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn row(&self, algorithm: &str, bits: usize, purpose: Use) -> Option<&Row> {
        self.rows.iter().find(|row| {
            row.algorithm == algorithm
                && bits >= row.bits_min
                && row.purpose.is_none_or(|one| one == purpose)
        })
    }
}

impl Row {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [algorithm, bits, purpose, until, stated_until, source] = columns[..] else {
            return Err("six columns");
        };
        if algorithm.is_empty() {
            return Err("algorithm");
        }
        if source.is_empty() {
            return Err("source");
        }
        let bits_min = if bits == "-" { Ok(0) } else { bits.parse().map_err(|_| "bits") }?;
        let purpose = match purpose {
            "any" => None,
            "signature" => Some(Use::Signature),
            "certificate" => Some(Use::Certificate),
            "revocation" => Some(Use::Revocation),
            "time-stamp" => Some(Use::Timestamp),
            "reference" => Some(Use::Reference),
            _ => return Err("for"),
        };
        let day = |text: &str| match text {
            "-" => Ok(None),
            text => text.parse().map(|date| Some(Day(date))),
        };
        Ok(Self {
            algorithm: algorithm.to_owned(),
            bits_min,
            purpose,
            until: day(until).map_err(|_| "until")?,
            stated_until: day(stated_until).map_err(|_| "stated until")?,
        })
    }
}

/// A table and the times at which it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strength<'a> {
    pub policy: &'a CryptoPolicy,
    pub now: Time,
    /// When what is judged is proven to have been made.
    pub made: Made,
}

/// Why something is not strong enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weakness {
    pub sub: Sub,
    /// A part of a sentence.
    pub what: String,
}

impl Strength<'_> {
    /// What speaks against `used`; of several things, the one that weighs most.
    pub fn weakness(&self, used: &Used, purpose: Use) -> Option<Weakness> {
        let hash = used.hash.as_ref();
        let hash = hash.and_then(|hash| self.one(hash.name(), usize::MAX, purpose, hash.name()));
        let key = used.key.and_then(|key| self.one(key.name, key.bits, purpose, &key.to_string()));
        let flaw = used.flaw.clone();
        let flaw = flaw.map(|what| Weakness { sub: Sub::CryptoConstraintsFailure, what });
        flaw.into_iter().chain(key).chain(hash).min_by_key(|weakness| weakness.sub)
    }

    fn one(&self, algorithm: &str, bits: usize, purpose: Use, text: &str) -> Option<Weakness> {
        let Made { by, after, stated } = self.made;
        let Some(row) = self.policy.row(algorithm, bits, purpose) else {
            let what = format!("{text} is not accepted");
            return Some(Weakness { sub: Sub::CryptoConstraintsFailure, what });
        };
        let until = row.until?;
        let stated = stated.filter(|_| row.stated_until.is_some_and(|day| day.contains(self.now)));
        if [Some(self.now), by, stated].into_iter().flatten().any(|time| until.contains(time)) {
            return None;
        }
        let (sub, why) = match (by, after) {
            (_, Some(after)) if !until.contains(after) => {
                (Sub::CryptoConstraintsFailure, "it is proven to have been used later".to_owned())
            }
            (Some(by), _) => (
                Sub::CryptoConstraintsFailureNoPoe,
                format!("its use is not proven to be older than {}", by.in_vietnam()),
            ),
            (None, _) => (
                Sub::CryptoConstraintsFailureNoPoe,
                "nothing proves that it was used before".to_owned(),
            ),
        };
        Some(Weakness { sub, what: format!("{text} is accepted until {until} only, and {why}") })
    }
}

#[cfg(test)]
#[path = "crypto_policy_tests.rs"]
mod tests;
