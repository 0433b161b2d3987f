//! Path validation alone, for those who bring a certificate instead of a document.

use std::sync::Arc;

use super::certificate::Certificate;
use super::der::Der;
use super::path::{Purpose, Request, find};
use super::policy::{InitialPolicies, ValidPolicy};
use super::report::{Findings, SubIndication, Verdict};
use super::trust::Trust;
use crate::clock::Time;

/// The inputs of RFC 5280 §6.1.1 beyond anchors, certificates and time, and what lies outside of
/// that section. The default asks for revocation and strong algorithms, and nothing of policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathInputs {
    /// What is asked of certificate policies.
    pub policies: InitialPolicies,
    /// Whether each certificate's status must be known.
    pub revocation: RevocationRule,
    /// Whether algorithms must be strong.
    pub algorithms: AlgorithmRule,
}

/// Whether a path needs to be known as not revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RevocationRule {
    /// A certificate whose status is unknown leaves the path undecided.
    #[default]
    Required,
    /// RFC 5280 §6.1 without its step (a)(3).
    Ignored,
}

/// Whether algorithms and keys must be strong as well as right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AlgorithmRule {
    /// What this version takes for too weak leaves the path undecided.
    #[default]
    Required,
    /// RFC 5280 alone: it calls no algorithm too weak.
    Ignored,
}

/// What was found about one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathOutcome {
    /// The path, target first and anchor last; empty if none was found.
    pub chain: Vec<Der>,
    /// CRLs that were used, as indices into those given to [`Trust::new`].
    pub crls: Vec<usize>,
    /// The policies under which the path is valid (user-constrained-policy-set); empty if it names
    /// none, which says nothing against it unless a policy was asked for.
    pub policies: Vec<ValidPolicy>,
    /// What speaks against the path; `None` if it is valid.
    pub objection: Option<Verdict>,
}

impl PathOutcome {
    /// Whether the path is valid under the inputs.
    pub fn is_valid(&self) -> bool {
        self.objection.is_none()
    }
}

/// Looks for a path from `target` (DER) to an anchor of `trust` that is valid at `now`, with
/// `intermediates` (DER) as further candidates; those that cannot be read are left aside.
///
/// This is RFC 5280 §6 alone: what the target's key may be used for is not asked. The outcome is a
/// report, never the proof that a signature needs.
pub fn validate_path(
    trust: &Trust,
    now: Time,
    target: &[u8],
    intermediates: &[Vec<u8>],
    inputs: &PathInputs,
) -> PathOutcome {
    let Ok(target) = trust.certificate(target) else {
        return unreadable();
    };
    let candidates: Vec<Arc<Certificate>> =
        intermediates.iter().filter_map(|der| trust.certificate(der).ok()).collect();
    let request = Request {
        trust,
        now,
        candidates: &candidates,
        purpose: Purpose::Any,
        policies: &inputs.policies,
        asks_revocation: inputs.revocation == RevocationRule::Required,
        asks_strength: inputs.algorithms == AlgorithmRule::Required,
    };
    let path = find(&request, &target);
    let objection = path.holds.is_none().then(|| path.findings.conclude(None));
    PathOutcome {
        chain: path.chain.iter().map(|certificate| certificate.der.clone()).collect(),
        crls: path.crls,
        policies: path.policies,
        objection,
    }
}

fn unreadable() -> PathOutcome {
    let mut findings = Findings::default();
    findings.doubt(
        SubIndication::CertificateChainGeneralFailure,
        "CERTIFICATE_UNREADABLE",
        "The certificate cannot be read.",
    );
    PathOutcome {
        chain: Vec::new(),
        crls: Vec::new(),
        policies: Vec::new(),
        objection: Some(findings.conclude(None)),
    }
}
