//! Trust domains: whose word counts, for what and until when.
//!
//! The government's own authorities and the public ones are different worlds: a domain keeps its
//! anchors, what they may vouch for and the algorithms that its signers may use apart from others.

use super::crypto_policy::CryptoPolicy;
use crate::clock::Time;

/// What the anchors of a domain may vouch for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DomainUse {
    /// Signatures on documents.
    Documents,
    /// Time-stamps.
    Timestamps,
}

impl DomainUse {
    /// Every use.
    pub const ALL: [Self; 2] = [Self::Documents, Self::Timestamps];

    /// Its word in profiles.
    pub fn word(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Timestamps => "time-stamps",
        }
    }
}

/// A trust domain. The default has no name, no end, may vouch for everything and holds nothing.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Short, as reports name it: `gov`. Empty for one that needs no name.
    pub name: String,
    /// What its anchors may vouch for.
    pub uses: Vec<DomainUse>,
    /// Not trusted before.
    pub valid_from: Option<Time>,
    /// Trusted afterwards only for what is proven to be older.
    pub valid_until: Option<Time>,
    /// Which algorithms are accepted until when.
    pub algorithms: CryptoPolicy,
    /// Certificates whose word counts, DER.
    pub anchors: Vec<Vec<u8>>,
    /// Certificates between those and signers, DER; only candidates.
    pub intermediates: Vec<Vec<u8>>,
    /// Revocation lists, DER.
    pub crls: Vec<Vec<u8>>,
}

impl Default for Domain {
    fn default() -> Self {
        Self {
            name: String::new(),
            uses: DomainUse::ALL.to_vec(),
            valid_from: None,
            valid_until: None,
            algorithms: CryptoPolicy::built_in().clone(),
            anchors: Vec::new(),
            intermediates: Vec::new(),
            crls: Vec::new(),
        }
    }
}
