//! One agency as one record of the registry states it.

use std::fmt;
use std::sync::Arc;

use super::code::{Code, SystemId};
use super::text;
use crate::clock::Date;
use crate::digest::Sha256;
use crate::limits::DIRECTORY_TEXT_LENGTH_MAX;

/// What an agency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A state administrative agency.
    State,
    /// A Party organisation.
    Party,
    /// A public-service unit (đơn vị sự nghiệp công lập).
    PublicService,
    /// A mass organisation or association.
    Organisation,
    /// The National Public Service Portal.
    Portal,
}

impl Kind {
    /// Every kind with its word in files and answers.
    pub const WORDS: &'static [(&'static str, Kind)] = &[
        ("state", Kind::State),
        ("party", Kind::Party),
        ("public-service", Kind::PublicService),
        ("organisation", Kind::Organisation),
        ("portal", Kind::Portal),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        word_of(Self::WORDS, self)
    }
}

/// What becomes of a document to a closed code: the rule that the registry recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Succession {
    /// It goes to the successor, if at the end of all chains there is exactly one.
    Forward,
    /// It is refused, and the sender learns the successors.
    #[default]
    Ask,
    /// It is refused, and so is everything that would only pass through this code.
    Refuse,
}

impl Succession {
    /// Every rule with its word in files and answers.
    pub const WORDS: &'static [(&'static str, Succession)] =
        &[("forward", Self::Forward), ("ask", Self::Ask), ("refuse", Self::Refuse)];

    /// Its word.
    pub fn word(self) -> &'static str {
        word_of(Self::WORDS, self)
    }
}

/// The value that a word stands for.
pub fn of_word<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

/// The word of a value.
pub(super) fn word_of<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// Which part of a closed agency a successor took over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The people and places of this area.
    Area(Box<str>),
    /// This function.
    Function(Box<str>),
}

/// Who took over. Written `CODE`, `CODE area NAME` or `CODE function NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Successor {
    /// The agency.
    pub code: Code,
    /// What it took over; everything if `None`.
    pub scope: Option<Scope>,
}

impl Successor {
    /// The successor in `text`.
    pub fn parse(written: &str) -> Option<Self> {
        let mut parts = written.splitn(3, ' ');
        let code = Code::parse(parts.next()?)?;
        let scope = match (parts.next(), parts.next()) {
            (None, None) => None,
            (Some("area"), Some(name)) if text::is_item(name) => Some(Scope::Area(name.into())),
            (Some("function"), Some(name)) if text::is_item(name) => {
                Some(Scope::Function(name.into()))
            }
            _ => return None,
        };
        Some(Self { code, scope })
    }
}

impl From<Code> for Successor {
    fn from(code: Code) -> Self {
        Self { code, scope: None }
    }
}

impl fmt::Display for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            None => write!(f, "{}", self.code),
            Some(Scope::Area(name)) => write!(f, "{} area {name}", self.code),
            Some(Scope::Function(name)) => write!(f, "{} function {name}", self.code),
        }
    }
}

/// One agency in one period: a code that goes on under another name or parent has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agency {
    /// Code in the notation of QĐ 20/2020.
    pub code: Code,
    /// Code in the notation of QCVN 102, where it has one; deeper codes do not convert by rule.
    pub code_qcvn: Option<Code>,
    /// Official name.
    pub name: String,
    /// 1 for the top of a tree, counted as the registry states it.
    pub level: u8,
    /// The agency above.
    pub parent: Option<Code>,
    /// What it is.
    pub kind: Kind,
    /// First day on which the code is valid.
    pub valid_from: Date,
    /// Last day on which it is valid; `None` while it is open.
    pub valid_until: Option<Date>,
    /// Who took over, once it is closed.
    pub successors: Vec<Successor>,
    /// What becomes of documents to it then.
    pub succession: Succession,
    /// The system that hosts its mailbox and speaks for it.
    pub host: Option<SystemId>,
    /// SHA-256 of the certificates registered as its seals, besides those that carry its code.
    pub seals: Vec<Sha256>,
    /// The record with the highest revision counts, with all others of the same revision and code.
    pub revision: u32,
    /// The source does not settle it; nothing is ever forwarded because of it.
    pub uncertain: bool,
    /// Where the record comes from.
    pub source: Option<Arc<str>>,
}

impl Agency {
    /// An agency at the top of a tree, open from `valid_from` on, that nobody hosts; the rest is to be
    /// filled in.
    pub fn new(code: Code, name: &str, kind: Kind, valid_from: Date) -> Self {
        Self {
            code,
            code_qcvn: None,
            name: name.to_owned(),
            level: 1,
            parent: None,
            kind,
            valid_from,
            valid_until: None,
            successors: Vec::new(),
            succession: Succession::default(),
            host: None,
            seals: Vec::new(),
            revision: 1,
            uncertain: false,
            source: None,
        }
    }

    /// Whether the code is valid on `date`.
    pub fn is_open(&self, date: Date) -> bool {
        self.valid_from <= date && self.valid_until.is_none_or(|last| date <= last)
    }

    /// The codes of the successors in one line, as refusals name them.
    pub fn successors_line(&self) -> String {
        let codes: Vec<_> = self.successors.iter().map(|one| one.code.as_str()).collect();
        codes.join(",")
    }

    /// What is wrong with the record taken by itself.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let scoped = self.successors.iter().filter(|one| one.scope.is_some()).count();
        let twice = self.successors.windows(2).any(|pair| pair[0] == pair[1]);
        let length = self.name.chars().count();
        if !text::is_line(&self.name) || length > DIRECTORY_TEXT_LENGTH_MAX {
            Some("has a name that is empty, too long, or no line of text")
        } else if !self.source.as_deref().is_none_or(text::is_line) {
            Some("has a source that is no line of text")
        } else if self.valid_until.is_none() && !self.successors.is_empty() {
            Some("has successors and no last day")
        } else if twice {
            Some("names a successor twice")
        } else if scoped == 1 || (scoped > 0 && scoped < self.successors.len()) {
            Some("is split, so each of several successors needs an area or a function")
        } else {
            None
        }
    }
}
