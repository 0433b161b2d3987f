//! Who exists: agencies with their codes, names, places in the country and periods of validity, and
//! the systems that host their mailboxes.
//!
//! A [`Directory`] is an immutable snapshot read from one dated source. Depth is data: the
//! four-level country before 1 July 2025 and the three-level one after it are both just agencies
//! with parents and dates.

mod code;

pub use code::{CODE_LENGTH_MAX, Code, SystemId};

use std::collections::{BTreeMap, HashMap};

use crate::clock::Date;
use crate::digest::Sha256;

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
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// One agency.
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
    pub successors: Vec<Code>,
    /// The system that hosts its mailbox and speaks for it.
    pub host: Option<SystemId>,
    /// SHA-256 of the certificates registered as its seals, besides those that carry its code.
    pub seals: Vec<Sha256>,
}

impl Agency {
    /// Whether the code is valid on `date`.
    pub fn is_open(&self, date: Date) -> bool {
        self.valid_from <= date && self.valid_until.is_none_or(|last| date <= last)
    }

    /// The codes of the successors in one line, as refusals name them.
    pub fn successors_line(&self) -> String {
        self.successors.iter().map(Code::as_str).collect::<Vec<_>>().join(",")
    }
}

/// What a system may do; everything not named is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends and receives for the agencies that it hosts.
    Agency,
    /// As [`Role::Agency`], for the National Public Service Portal.
    Portal,
    /// Reads the log, traces and evidence of everything; changes nothing.
    Auditor,
    /// Reads the directory and the state of the gateway; changes nothing over the network.
    Operator,
    /// A neighbour gateway: brings and takes documents of the agencies behind it.
    Gateway,
}

impl Role {
    /// Every role with its word in files.
    pub const WORDS: &'static [(&'static str, Role)] = &[
        ("agency", Role::Agency),
        ("portal", Role::Portal),
        ("auditor", Role::Auditor),
        ("operator", Role::Operator),
        ("gateway", Role::Gateway),
    ];
}

/// One system: whoever holds this client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Its name.
    pub id: SystemId,
    /// How its certificate is recognised: a SAN URI, or `issuer-serial:` and the SHA-256 of issuer
    /// name and serial number, for certificates without one.
    pub identities: Vec<String>,
    /// What it may do.
    pub role: Role,
    /// Name of the gateway that it is: the origin of its log, at most [`CODE_LENGTH_MAX`] characters.
    /// Only with [`Role::Gateway`], and then always.
    pub gateway: Option<String>,
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
    /// A parent, successor or host is not in the directory.
    #[error("agency {0} names {1}, which is not in the directory")]
    Dangling(Code, String),
    /// The parents of an agency form a circle.
    #[error("agency {0} lies below itself")]
    Circle(Code),
    /// An agency ends before it begins.
    #[error("agency {0} ends before it begins")]
    Backwards(Code),
    /// A system is a gateway without a name, or has the name of one without being one; or the name is
    /// that of another, or the code of an agency.
    #[error(
        "system {0}: a gateway has a name of its own, of 1-35 of 0-9 a-z . -, and only a gateway"
    )]
    GatewayName(SystemId),
}

/// An immutable snapshot.
#[derive(Debug)]
pub struct Directory {
    as_of: Date,
    agencies: BTreeMap<Code, Agency>,
    by_qcvn: HashMap<Code, Code>,
    children: HashMap<Code, Vec<Code>>,
    systems: HashMap<SystemId, System>,
    by_identity: HashMap<String, SystemId>,
}

impl Directory {
    /// A snapshot of these agencies and systems, as they were registered on `as_of`.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn new(as_of: Date, agencies: Vec<Agency>, systems: Vec<System>) -> Result<Self, Error> {
        let mut directory = Self {
            as_of,
            agencies: BTreeMap::new(),
            by_qcvn: HashMap::new(),
            children: HashMap::new(),
            systems: HashMap::new(),
            by_identity: HashMap::new(),
        };
        for system in systems {
            directory.add_system(system)?;
        }
        for agency in agencies {
            directory.add_agency(agency)?;
        }
        for agency in directory.agencies.values() {
            directory.check(agency)?;
        }
        Ok(directory)
    }

    fn add_system(&mut self, system: System) -> Result<(), Error> {
        let name = system.gateway.as_deref();
        let fits = |name: &str| {
            let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.' | b'-');
            (1..=CODE_LENGTH_MAX).contains(&name.len()) && name.bytes().all(allowed)
        };
        let new =
            !self.systems.values().any(|other| name.is_some() && other.gateway.as_deref() == name);
        if !new || name.is_some() != (system.role == Role::Gateway) || !name.is_none_or(fits) {
            return Err(Error::GatewayName(system.id));
        }
        for identity in &system.identities {
            if self.by_identity.insert(identity.clone(), system.id.clone()).is_some() {
                return Err(Error::SystemTwice(identity.clone()));
            }
        }
        match self.systems.insert(system.id.clone(), system) {
            Some(twice) => Err(Error::SystemTwice(twice.id.to_string())),
            None => Ok(()),
        }
    }

    fn add_agency(&mut self, agency: Agency) -> Result<(), Error> {
        if agency.valid_until.is_some_and(|last| last < agency.valid_from) {
            return Err(Error::Backwards(agency.code));
        }
        if let Some(other) = &agency.code_qcvn
            && self.by_qcvn.insert(other.clone(), agency.code.clone()).is_some()
        {
            return Err(Error::CodeTwice(other.clone()));
        }
        if let Some(parent) = &agency.parent {
            self.children.entry(parent.clone()).or_default().push(agency.code.clone());
        }
        match self.agencies.insert(agency.code.clone(), agency) {
            Some(twice) => Err(Error::CodeTwice(twice.code)),
            None => Ok(()),
        }
    }

    fn check(&self, agency: &Agency) -> Result<(), Error> {
        let dangling = |name: &dyn std::fmt::Display| {
            Err(Error::Dangling(agency.code.clone(), name.to_string()))
        };
        for code in agency.parent.iter().chain(&agency.successors) {
            if !self.agencies.contains_key(code) {
                return dangling(code);
            }
        }
        if let Some(host) = &agency.host
            && !self.systems.contains_key(host)
        {
            return dangling(host);
        }
        let named = |system: &&System| system.gateway.as_deref() == Some(agency.code.as_str());
        if let Some(gateway) = self.systems.values().find(named) {
            return Err(Error::GatewayName(gateway.id.clone()));
        }
        let mut above = agency.parent.as_ref();
        for _ in 0..self.agencies.len() {
            match above {
                None => return Ok(()),
                Some(code) if *code == agency.code => break,
                Some(code) => above = self.agencies.get(code).and_then(|next| next.parent.as_ref()),
            }
        }
        Err(Error::Circle(agency.code.clone()))
    }

    /// The day whose state this snapshot describes.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    /// The agency with this code, in either notation, open or closed.
    pub fn agency(&self, code: &Code) -> Option<&Agency> {
        self.agencies.get(self.by_qcvn.get(code).unwrap_or(code))
    }

    /// All agencies in the order of their codes.
    pub fn agencies(&self) -> impl Iterator<Item = &Agency> {
        self.agencies.values()
    }

    /// The agencies open on `date` that lie below `code` at any depth, in the order of their codes.
    pub fn below(&self, code: &Code, date: Date) -> Vec<&Agency> {
        let mut found = BTreeMap::new();
        let mut open = vec![code];
        while let Some(next) = open.pop() {
            for child in self.children.get(next).into_iter().flatten() {
                open.push(child);
                if let Some(agency) = self.agencies.get(child).filter(|one| one.is_open(date)) {
                    found.insert(child, agency);
                }
            }
        }
        found.into_values().collect()
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
            code: code(text),
            code_qcvn: None,
            name: text.to_owned(),
            level: 1,
            parent: parent.map(code),
            kind: Kind::State,
            valid_from: jiff::civil::date(2021, 1, 1),
            valid_until: None,
            successors: Vec::new(),
            host: None,
            seals: Vec::new(),
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
