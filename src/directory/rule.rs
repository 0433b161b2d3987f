//! What the directory says about ways: named lists, prefixes behind neighbours, who may send what.

use super::agency::Kind;
use super::code::{Code, SystemId};

/// A named list of recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// 1–64 of `0-9 a-z -`.
    pub name: String,
    /// Its members, in either notation.
    pub members: Vec<Code>,
}

/// Agencies without a host of their own whose code begins so are behind a neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// Whole groups of the code: `H49` is `H49` and everything that begins with `H49.`. Empty: all.
    pub prefix: String,
    /// The neighbour's system.
    pub via: SystemId,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It may be sent.
    Allow,
    /// It may not.
    Deny,
}

impl Effect {
    /// Both with their words.
    pub const WORDS: &'static [(&'static str, Effect)] =
        &[("allow", Self::Allow), ("deny", Self::Deny)];

    /// Its word.
    pub fn word(self) -> &'static str {
        super::agency::word_of(Self::WORDS, self)
    }
}

/// Some agencies: those that any of the three names, or all if none names any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// These.
    pub codes: Vec<Code>,
    /// Those below these at any depth.
    pub below: Vec<Code>,
    /// Those of these kinds.
    pub kinds: Vec<Kind>,
}

/// Who may send what to whom. The first rule that fits decides; without one it may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// 1–64 of `0-9 a-z -`; refusals name it.
    pub name: String,
    /// What it says.
    pub effect: Effect,
    /// The sender.
    pub from: Selector,
    /// The recipient who would get it.
    pub to: Selector,
    /// Names of kinds of document, as in envelopes; every kind if empty.
    pub types: Vec<String>,
    /// Words of urgency; every urgency if empty.
    pub urgencies: Vec<String>,
}
