//! One complete path, judged from its anchor to its target (RFC 5280 §6.1).
//!
//! The anchor is judged like any authority, its own constraints included (RFC 5937).

use std::sync::Arc;

use super::algorithm::{Key, Outcome};
use super::certificate::Certificate;
use super::crl::Revocation;
use super::crypto_policy::{Use, Used, Weakness};
use super::name_constraints::Breach;
use super::path::{Path, Purpose, Search, dead_end, link};
use super::policy::{NoPolicy, PolicyState};
use super::purpose::is_for_timestamps_only;
use super::report::{Findings, SubIndication as Sub};
use super::revocation::{self, Status};
use crate::limits::NAME_COMPARISONS_MAX;

/// Judges `chain`, target first and anchor last; whether it holds is for the search to say.
pub(super) fn judge(search: &Search<'_>, chain: &[Arc<Certificate>]) -> Path {
    let mut judge = Judge { search, chain, path: Path::default() };
    judge.path.chain = chain.to_vec();
    judge.all();
    judge.path
}

/// The signature on a certificate is not accepted.
pub(super) fn weakly_signed(
    findings: &mut Findings,
    certificate: &Certificate,
    weakness: Weakness,
) {
    let name = certificate.subject.short();
    let message = format!("The certificate of “{name}” is too weakly signed: {}.", weakness.what);
    findings.doubt(weakness.sub, "CERTIFICATE_ALGORITHM", message);
}

struct Judge<'a> {
    search: &'a Search<'a>,
    chain: &'a [Arc<Certificate>],
    path: Path,
}

impl Judge<'_> {
    fn all(&mut self) {
        for (depth, certificate) in self.chain.iter().enumerate() {
            self.extensions(certificate);
            self.validity(certificate);
            if depth == 0 {
                self.target(certificate);
            } else {
                self.authority(depth, certificate);
            }
            if let Some(issuer) = self.chain.get(depth + 1) {
                self.link(depth, certificate, issuer);
                if self.search.request.asks_revocation {
                    self.revocation(depth, certificate, issuer);
                }
            }
        }
        self.domain();
        self.names();
        self.policies();
    }

    /// Whether the anchor's domain may vouch for this, and still does.
    fn domain(&mut self) {
        let request = self.search.request;
        let Some(purpose) = request.purpose.domain_use() else { return };
        let Some(domain) = request.trust.domain(self.chain, Some(purpose)) else { return };
        let name = &domain.name;
        if !domain.uses.contains(&purpose) {
            let message = format!("The trust domain “{name}” is not for {}.", purpose.word());
            self.doubt(Sub::ChainConstraintsFailure, "DOMAIN_PURPOSE", message);
        }
        if let Some(begin) = domain.valid_from.filter(|begin| request.now < *begin) {
            let begin = begin.in_vietnam();
            let message = format!("The trust domain “{name}” is not trusted before {begin}.");
            self.doubt(Sub::NoCertificateChainFound, "DOMAIN_NOT_BEGUN", message);
        }
        if let Some(end) = domain.valid_until.filter(|end| request.now > *end) {
            let end = end.in_vietnam();
            let message = format!(
                "The trust domain “{name}” ended on {end}, and nothing proves that the signature \
                 is older."
            );
            self.doubt(Sub::NoCertificateChainFoundNoPoe, "DOMAIN_ENDED", message);
        }
    }

    fn doubt(&mut self, sub: Sub, code: &'static str, message: String) {
        self.path.findings.doubt(sub, code, message);
    }

    fn extensions(&mut self, certificate: &Certificate) {
        let name = certificate.subject.short();
        for oid in &certificate.constraints.unknown_critical {
            let message =
                format!("The certificate of “{name}” has the unknown critical extension {oid}.");
            self.doubt(Sub::ChainConstraintsFailure, "UNKNOWN_CRITICAL_EXTENSION", message);
        }
        for what in &certificate.constraints.unreadable {
            let message = format!("The certificate of “{name}” has {what} that cannot be read.");
            self.doubt(Sub::CertificateChainGeneralFailure, "EXTENSION_NOT_JUDGED", message);
        }
    }

    fn validity(&mut self, certificate: &Certificate) {
        if certificate.is_valid_at(self.search.request.now) {
            return;
        }
        let name = certificate.subject.short();
        let (code, message) = if self.search.request.now < certificate.not_before {
            let begin = certificate.not_before.in_vietnam();
            ("NOT_YET_VALID", format!("The certificate of “{name}” is not valid before {begin}."))
        } else {
            let end = certificate.not_after.in_vietnam();
            (
                "EXPIRED",
                format!(
                    "The certificate of “{name}” ran out on {end}, and nothing proves that the \
                     signature is older."
                ),
            )
        };
        self.doubt(Sub::OutOfBoundsNoPoe, code, message);
    }

    fn target(&mut self, certificate: &Certificate) {
        match self.search.request.purpose {
            Purpose::Document => self.signer(certificate),
            Purpose::Timestamp => self.timestamper(certificate),
            Purpose::RevocationList if !certificate.constraints.may_sign_crls() => {
                let name = certificate.subject.short();
                let message = format!("The key of “{name}” is not meant for revocation lists.");
                self.doubt(Sub::ChainConstraintsFailure, "KEY_USAGE", message);
            }
            Purpose::RevocationList => {}
            Purpose::Any => self.key(certificate),
        }
    }

    /// Where no signature of the target is judged, its key is.
    fn key(&mut self, certificate: &Certificate) {
        let name = certificate.subject.short();
        if let Key::Other(kind) = &certificate.key {
            let message =
                format!("The key of “{name}” is of a kind that is not judged here: {kind}.");
            self.doubt(Sub::CryptoConstraintsFailure, "ALGORITHM_NOT_JUDGED", message);
        } else if let Some(weakness) = self.weakness(&certificate.key.used()) {
            let message = format!("The key of “{name}” is too weak: {}.", weakness.what);
            self.doubt(weakness.sub, "CERTIFICATE_ALGORITHM", message);
        }
    }

    fn signer(&mut self, certificate: &Certificate) {
        let name = certificate.subject.short();
        if !certificate.constraints.may_sign_documents() {
            let message =
                format!("The certificate of “{name}” is not meant for signing documents.");
            self.doubt(Sub::ChainConstraintsFailure, "KEY_USAGE", message);
        }
        match certificate.constraints.foreign_purpose {
            Some(true) => {
                let message = format!("The certificate of “{name}” is restricted to other uses.");
                self.doubt(Sub::ChainConstraintsFailure, "EXTENDED_KEY_USAGE", message);
            }
            Some(false) => self
                .path
                .quirks
                .push(format!("the extended key usage of “{name}” names no use for documents")),
            None => {}
        }
    }

    fn timestamper(&mut self, certificate: &Certificate) {
        let name = certificate.subject.short();
        if !certificate.constraints.may_sign_documents() {
            let message = format!("The key of “{name}” is not meant for signing.");
            self.doubt(Sub::ChainConstraintsFailure, "KEY_USAGE", message);
        }
        if !is_for_timestamps_only(certificate) {
            let message = format!(
                "The certificate of “{name}” is not made for time-stamps and for nothing else."
            );
            self.doubt(Sub::ChainConstraintsFailure, "TSA_PURPOSE", message);
        }
    }

    fn authority(&mut self, depth: usize, certificate: &Certificate) {
        let name = certificate.subject.short();
        let constraints = &certificate.constraints;
        if !constraints.is_authority {
            let message = format!("“{name}” is not an authority but issued a certificate.");
            self.doubt(Sub::ChainConstraintsFailure, "NOT_AN_AUTHORITY", message);
        }
        if !constraints.may_sign_certificates() {
            let message = format!("The key of “{name}” is not meant for issuing certificates.");
            self.doubt(Sub::ChainConstraintsFailure, "KEY_USAGE", message);
        }
        // RFC 5280 §4.2.1.9: self-issued intermediates do not count.
        let below = self.chain.iter().take(depth).skip(1);
        let below = below.filter(|c| !c.is_self_issued()).count();
        let allowed = constraints.path_length.map(usize::try_from);
        if allowed.is_some_and(|allowed| allowed.is_ok_and(|allowed| below > allowed)) {
            let message = format!("“{name}” does not allow {below} authorities below it.");
            self.doubt(Sub::ChainConstraintsFailure, "PATH_LENGTH", message);
        }
    }

    fn link(&mut self, depth: usize, certificate: &Certificate, issuer: &Certificate) {
        let Some(outcome) = link(self.search.request.trust, self.chain, depth) else { return };
        match outcome {
            Outcome::Valid { used } => {
                if let Some(weakness) = self.weakness(&used) {
                    weakly_signed(&mut self.path.findings, certificate, weakness);
                }
            }
            outcome => {
                if let Some(end) = dead_end(certificate, issuer, &outcome) {
                    self.doubt(end.sub, end.code, end.message);
                }
            }
        }
    }

    fn weakness(&self, used: &Used) -> Option<Weakness> {
        self.search.request.weakness(self.chain, used, Use::Certificate)
    }

    /// RFC 5280 §6.1.3 (b) and (c): every authority's constraints hold for all below it.
    fn names(&mut self) {
        let mut budget = NAME_COMPARISONS_MAX;
        for (depth, authority) in self.chain.iter().enumerate().skip(1) {
            let Some(constraints) = &authority.constraints.names else { continue };
            for (below, certificate) in self.chain.iter().enumerate().take(depth) {
                // An authority may give itself a new key under its own name.
                if below > 0 && certificate.is_self_issued() {
                    continue;
                }
                let alternative = &certificate.constraints.alternative;
                let checked = constraints.check(&certificate.subject, alternative, &mut budget);
                if let Err(breach) = checked {
                    return self.name_breach(authority, certificate, breach);
                }
            }
        }
    }

    fn name_breach(&mut self, authority: &Certificate, certificate: &Certificate, breach: Breach) {
        let (authority, name) = (authority.subject.short(), certificate.subject.short());
        let (code, message) = match breach {
            Breach::Forbidden(forbidden) => (
                "NAME_CONSTRAINTS",
                format!(
                    "“{authority}” may not issue certificates for the name “{forbidden}”, which \
                     that of “{name}” has."
                ),
            ),
            Breach::Unjudged(form) => (
                "NAME_CONSTRAINTS",
                format!(
                    "“{authority}” limits names of the form {form}, which this version does not \
                     judge, and the certificate of “{name}” has one."
                ),
            ),
            Breach::Budget => {
                ("NAME_BUDGET", format!("“{authority}” limits too many names to compare them all."))
            }
        };
        self.doubt(Sub::ChainConstraintsFailure, code, message);
    }

    /// RFC 5280 §6.1.2 to §6.1.5 as far as policies go.
    fn policies(&mut self) {
        let Some((anchor, below)) = self.chain.split_last() else { return };
        let Some((target, authorities)) = below.split_first() else { return };
        let initial = self.search.request.policies;
        let mut state = PolicyState::new(initial, below.len());
        state.constrain(&anchor.constraints.policies);
        let passed = authorities.iter().rev().try_for_each(|authority| {
            state.pass(&authority.constraints.policies, authority.is_self_issued())
        });
        let acceptable = initial.acceptable.as_ref();
        match passed.and_then(|()| state.finish(&target.constraints.policies, acceptable)) {
            Ok(valid) => self.path.policies = valid,
            Err(NoPolicy) => {
                let (anchor, target) = (anchor.subject.short(), target.subject.short());
                let message = format!(
                    "A certificate policy must hold from “{anchor}” down to “{target}”, but none \
                     that is acceptable does."
                );
                self.doubt(Sub::ChainConstraintsFailure, "POLICY", message);
            }
        }
    }

    fn revocation(&mut self, depth: usize, certificate: &Certificate, issuer: &Certificate) {
        let name = certificate.subject.short();
        let answer = revocation::check(self.search, self.chain, depth);
        for index in answer.crls {
            if !self.path.crls.contains(&index) {
                self.path.crls.push(index);
            }
        }
        let why = match answer.status {
            Status::Good => return,
            Status::Revoked(revocation) => return self.revoked(depth, name, revocation),
            Status::OnHold(revocation) => {
                self.path.revoked.push((depth, revocation));
                let at = revocation.at.in_vietnam();
                let message = format!("The certificate of “{name}” is suspended since {at}.");
                return self.doubt(Sub::TryLater, "ON_HOLD", message);
            }
            Status::Unknown(why) => why.unwrap_or_else(|| "none is at hand".to_owned()),
        };
        let authority = issuer.subject.short();
        let message = format!(
            "Whether the certificate of “{name}” was revoked is unknown: the revocation list of \
             “{authority}” is needed, and {why}."
        );
        self.path.unknown.push(depth);
        self.doubt(Sub::TryLater, "CRL_MISSING", message);
    }

    fn revoked(&mut self, depth: usize, name: &str, revocation: Revocation) {
        self.path.revoked.push((depth, revocation));
        let at = revocation.at.in_vietnam();
        let message = format!(
            "The certificate of “{name}” was revoked on {at}, and nothing proves that the \
             signature is older."
        );
        let sub = if depth == 0 { Sub::RevokedNoPoe } else { Sub::RevokedCaNoPoe };
        self.doubt(sub, "REVOKED", message);
    }
}
