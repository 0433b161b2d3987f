//! The signature room: who signed these bytes, and does it hold?
//!
//! Pure and synchronous: bytes, trust material and `now` in, a [`Report`] out. Nothing here reads a
//! clock, a file or the network, and no input makes it panic, hang or use unbounded memory.
//! TOTAL-PASSED is a proof that only this room can make; whatever is not judged is INDETERMINATE.

mod algorithm;
mod algorithm_name;
mod archive;
mod asn1;
mod bare_rsa;
mod certificate;
mod cms;
mod content;
mod counter;
mod crl;
#[cfg(test)]
mod crl_scenarios;
mod crypto_policy;
mod der;
mod distribution;
mod domain;
mod dsa_key;
mod ecdsa_value;
mod evidence;
mod evidence_record;
mod extension;
mod general_name;
mod legal;
mod message;
mod name;
mod name_constraints;
mod ocsp;
mod package;
mod past;
mod path;
mod pdf;
mod policy;
#[cfg(test)]
mod policy_tree;
mod purpose;
mod report;
mod revocation;
mod rsa_value;
mod signer;
mod stamps;
#[cfg(test)]
mod testing;
mod timestamp;
mod trust;
mod validate;
mod validation;
mod value;
mod vietnamese;
mod weak_key;
#[cfg(test)]
mod wycheproof_tests;
mod xml;

pub use crypto_policy::{CryptoPolicy, CryptoPolicyError};
pub use der::Der;
pub use domain::{Domain, DomainUse};
pub use legal::{DocumentForm, LegalJudgement, LegalValue, Role, Rule, legal_value};
pub use message::{judge, judge_detached};
pub(crate) use pdf::outline;
pub use policy::{InitialPolicies, PolicyId, PolicyIdError, ValidPolicy};
pub use report::{
    Coverage, Format, Indication, Kind, Passed, Reason, Report, Signature, Signer, SubIndication,
    Timestamp, TimestampKind, Verdict, word,
};
pub use timestamp::judge_token;
pub use trust::{Trust, TrustError};
pub use validate::{AlgorithmRule, PathInputs, PathOutcome, RevocationRule, validate_path};
pub use vietnamese::{note_in_vietnamese, reason_in_vietnamese};
