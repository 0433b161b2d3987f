//! The way from the signing certificate to a trust anchor, and revocation along it.
//!
//! Everything is judged at `now`; `past` asks the questions of time again where a proof of existence
//! allows an earlier one. What this version does not compute (name constraints, explicit policies)
//! is never passed.

use std::sync::Arc;

use super::algorithm::Outcome;
use super::certificate::Certificate;
use super::crl::Revocation;
use super::past::Settled;
use super::purpose::{Purpose, is_for_timestamps_only};
use super::report::{Findings, SubIndication as Sub};
use super::trust::Trust;
use crate::clock::Time;
use crate::limits::{PATH_CHECKS_MAX, PATH_DEPTH_MAX};

/// Proof that a path was found and nothing speaks against it.
#[derive(Debug)]
pub(super) struct PathHolds(());

/// A path and what was found on it.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// Signer first, anchor last; empty if no anchor was reached.
    pub chain: Vec<Arc<Certificate>>,
    /// CRLs that were used.
    pub crls: Vec<usize>,
    pub findings: Findings,
    pub quirks: Vec<String>,
    pub holds: Option<PathHolds>,
    /// Certificates that are revoked now, by their position in the chain.
    pub revoked: Vec<(usize, Revocation)>,
    /// Certificates of which that is unknown.
    pub unknown: Vec<usize>,
}

impl PathHolds {
    /// The questions that depend on the time were answered elsewhere.
    pub fn settled(_: &Settled) -> Self {
        Self(())
    }
}

/// Finds the best path for `signer`, judged at `now`. `candidates` come with the document and are
/// only candidates.
pub(super) fn judge(
    trust: &Trust,
    now: Time,
    purpose: Purpose,
    signer: &Arc<Certificate>,
    candidates: &[Arc<Certificate>],
) -> Path {
    let mut search =
        Search { trust, now, purpose, candidates, checks: 0, best: None, dead_ends: Vec::new() };
    search.extend(&mut vec![signer.clone()]);
    if let Some(best) = search.best {
        return best;
    }
    let mut path = Path::default();
    search.dead_ends.dedup();
    if search.checks >= PATH_CHECKS_MAX {
        path.findings.doubt(
            Sub::CertificateChainGeneralFailure,
            "PATH_BUDGET",
            "The certificates allow too many paths to try them all.",
        );
    }
    for end in search.dead_ends.into_iter().take(8) {
        path.findings.doubt(end.sub, end.code, end.message);
    }
    path
}

struct DeadEnd {
    sub: Sub,
    code: &'static str,
    message: String,
}

impl PartialEq for DeadEnd {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

struct Search<'a> {
    trust: &'a Trust,
    now: Time,
    purpose: Purpose,
    candidates: &'a [Arc<Certificate>],
    checks: usize,
    best: Option<Path>,
    dead_ends: Vec<DeadEnd>,
}

impl Search<'_> {
    /// Depth-first; ends at the first path without findings.
    fn extend(&mut self, chain: &mut Vec<Arc<Certificate>>) {
        let Some(last) = chain.last().cloned() else { return };
        if self.trust.is_anchor(&last) {
            return self.complete(chain);
        }
        let issuers = self.issuers(&last, chain);
        if issuers.is_empty() {
            return self.dead_ends.push(no_issuer(&last));
        }
        if chain.len() >= PATH_DEPTH_MAX {
            return self.dead_ends.push(DeadEnd {
                sub: Sub::NoCertificateChainFound,
                code: "PATH_TOO_LONG",
                message: format!("No trust anchor within {PATH_DEPTH_MAX} certificates."),
            });
        }
        for issuer in issuers {
            if self.is_done() {
                return;
            }
            self.checks += 1;
            match self.trust.link(&last, &issuer) {
                Outcome::Valid { .. } => {
                    chain.push(issuer);
                    self.extend(chain);
                    chain.pop();
                }
                Outcome::Invalid => self.dead_ends.push(DeadEnd {
                    sub: Sub::NoCertificateChainFound,
                    code: "ISSUER_KEY_DIFFERS",
                    message: format!(
                        "The certificate of “{}” was not made with the key of “{}” that is known here.",
                        last.subject.short(),
                        issuer.subject.short()
                    ),
                }),
                Outcome::Unsupported(name) => self.dead_ends.push(DeadEnd {
                    sub: Sub::CertificateChainGeneralFailure,
                    code: "ALGORITHM_NOT_JUDGED",
                    message: format!(
                        "The certificate of “{}” is signed with {name}, which this version does not judge.",
                        last.subject.short()
                    ),
                }),
            }
        }
    }

    fn is_done(&self) -> bool {
        self.checks >= PATH_CHECKS_MAX
            || self.best.as_ref().is_some_and(|best| best.holds.is_some())
    }

    /// Possible issuers, the most promising first: trust before the document, matching key first.
    fn issuers(&self, last: &Certificate, chain: &[Arc<Certificate>]) -> Vec<Arc<Certificate>> {
        let from_document =
            self.candidates.iter().filter(|other| other.subject.canonical == last.issuer.canonical);
        let mut issuers: Vec<Arc<Certificate>> = Vec::new();
        for issuer in self.trust.named(&last.issuer.canonical).iter().chain(from_document) {
            let known = |other: &Arc<Certificate>| other.fingerprint == issuer.fingerprint;
            let circular = chain.iter().any(|other| {
                known(other)
                    || (other.key == issuer.key
                        && other.subject.canonical == issuer.subject.canonical)
            });
            if !circular && !issuers.iter().any(known) {
                issuers.push(issuer.clone());
            }
        }
        let authority = last.constraints.authority_key.as_ref();
        issuers.sort_by_key(|issuer| {
            authority.is_some() && authority != issuer.constraints.subject_key.as_ref()
        });
        issuers
    }

    fn complete(&mut self, chain: &[Arc<Certificate>]) {
        let mut path = Path { chain: chain.to_vec(), ..Path::default() };
        let (trust, now, purpose) = (self.trust, self.now, self.purpose);
        let mut judge = Judge { trust, now, purpose, chain, path: &mut path };
        judge.all();
        if path.findings.is_empty() {
            path.holds = Some(PathHolds(()));
        }
        // Of several paths with findings, the one whose worst finding weighs least.
        if self.best.as_ref().is_none_or(|best| best.findings.worst() < path.findings.worst())
            || path.holds.is_some()
        {
            self.best = Some(path);
        }
    }
}

fn no_issuer(last: &Certificate) -> DeadEnd {
    let self_issued = last.subject.canonical == last.issuer.canonical;
    DeadEnd {
        sub: Sub::NoCertificateChainFound,
        code: if self_issued { "ROOT_NOT_TRUSTED" } else { "ISSUER_MISSING" },
        message: if self_issued {
            format!("“{}” is not one of the trusted roots.", last.subject.short())
        } else {
            format!(
                "The certificate of “{}”, which issued that of “{}”, is not known here.",
                last.issuer.short(),
                last.subject.short()
            )
        },
    }
}

/// Judges one complete path.
struct Judge<'a> {
    trust: &'a Trust,
    now: Time,
    purpose: Purpose,
    chain: &'a [Arc<Certificate>],
    path: &'a mut Path,
}

impl Judge<'_> {
    fn all(&mut self) {
        for (depth, certificate) in self.chain.iter().enumerate() {
            self.extensions(certificate);
            self.validity(certificate);
            if depth == 0 {
                self.signer(certificate);
            } else {
                self.authority(depth, certificate);
            }
            if let Some(issuer) = self.chain.get(depth + 1) {
                self.strength(certificate, issuer);
                self.revocation(depth, certificate, issuer);
            }
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
        for what in &certificate.constraints.unjudged {
            let message = format!(
                "The certificate of “{name}” has {what}, which this version does not judge."
            );
            self.doubt(Sub::CertificateChainGeneralFailure, "EXTENSION_NOT_JUDGED", message);
        }
    }

    fn validity(&mut self, certificate: &Certificate) {
        if certificate.is_valid_at(self.now) {
            return;
        }
        let name = certificate.subject.short();
        let (code, message) = if self.now < certificate.not_before {
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

    fn signer(&mut self, certificate: &Certificate) {
        let name = certificate.subject.short();
        if !certificate.constraints.may_sign_documents() {
            let message =
                format!("The certificate of “{name}” is not meant for signing documents.");
            self.doubt(Sub::ChainConstraintsFailure, "KEY_USAGE", message);
        }
        if self.purpose == Purpose::Timestamp {
            if !is_for_timestamps_only(certificate) {
                let message = format!(
                    "The certificate of “{name}” is not made for time-stamps and for nothing else."
                );
                self.doubt(Sub::ChainConstraintsFailure, "TSA_PURPOSE", message);
            }
            return;
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
        let below = below.filter(|c| c.subject.canonical != c.issuer.canonical).count();
        let allowed = constraints.path_length.map(usize::try_from);
        if allowed.is_some_and(|allowed| allowed.is_ok_and(|allowed| below > allowed)) {
            let message = format!("“{name}” does not allow {below} authorities below it.");
            self.doubt(Sub::ChainConstraintsFailure, "PATH_LENGTH", message);
        }
    }

    fn strength(&mut self, certificate: &Certificate, issuer: &Certificate) {
        if let Outcome::Valid { weakness: Some(weakness) } = self.trust.link(certificate, issuer) {
            let name = certificate.subject.short();
            let message = format!("The certificate of “{name}” is too weakly signed: {weakness}.");
            self.doubt(Sub::CryptoConstraintsFailure, "CERTIFICATE_ALGORITHM", message);
        }
    }

    fn revocation(&mut self, depth: usize, certificate: &Certificate, issuer: &Certificate) {
        let name = certificate.subject.short();
        let mut why = Vec::new();
        let mut fresh = None;
        for (index, crl) in self.trust.crls_of(&certificate.issuer.canonical) {
            match self.trust.crl_link(index, crl, issuer) {
                Outcome::Valid { weakness: None } => {}
                Outcome::Valid { weakness: Some(weakness) } => {
                    why.push(weakness);
                    continue;
                }
                Outcome::Invalid => {
                    why.push("its signature is not that of the authority".to_owned());
                    continue;
                }
                Outcome::Unsupported(name) => {
                    why.push(format!("it is signed with {name}"));
                    continue;
                }
            }
            let staleness = crl.staleness(self.now);
            // A list that ran out still proves a revocation; one from the future does not.
            let counts = crl.unusable.is_none() && crl.this_update <= self.now;
            if let Some(revocation) = crl.revocation(&certificate.serial).filter(|_| counts) {
                self.path.crls.push(index);
                return self.revoked(depth, name, revocation);
            }
            match staleness {
                None => fresh = Some(index),
                Some(reason) => why.push(reason),
            }
        }
        if let Some(index) = fresh {
            return self.path.crls.push(index);
        }
        let authority = issuer.subject.short();
        let detail = match why.first() {
            None => "none is at hand".to_owned(),
            Some(why) => why.clone(),
        };
        let message = format!(
            "Whether the certificate of “{name}” was revoked is unknown: the revocation list of \
             “{authority}” is needed, and {detail}."
        );
        self.path.unknown.push(depth);
        self.doubt(Sub::TryLater, "CRL_MISSING", message);
    }

    fn revoked(&mut self, depth: usize, name: &str, revocation: Revocation) {
        self.path.revoked.push((depth, revocation));
        let at = revocation.at.in_vietnam();
        if revocation.on_hold {
            let message = format!("The certificate of “{name}” is suspended since {at}.");
            return self.doubt(Sub::TryLater, "ON_HOLD", message);
        }
        let message = format!(
            "The certificate of “{name}” was revoked on {at}, and nothing proves that the \
             signature is older."
        );
        let sub = if depth == 0 { Sub::RevokedNoPoe } else { Sub::RevokedCaNoPoe };
        self.doubt(sub, "REVOKED", message);
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose};

    use super::*;
    use crate::signature::testing::{Authority, NOW, time};

    struct Country {
        root: Authority,
        middle: Authority,
        leaf: Authority,
    }

    fn country() -> Country {
        let root = Authority::root("Root");
        let middle = root.issue("Middle", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
        let leaf = middle.issue("Leaf", |_| {});
        Country { root, middle, leaf }
    }

    fn run(
        anchors: &[&Authority],
        middles: &[&Authority],
        crls: Vec<Vec<u8>>,
        leaf: &Authority,
        now: i64,
    ) -> (Option<Sub>, Path) {
        let ders =
            |list: &[&Authority]| list.iter().map(|a| a.certificate.der().to_vec()).collect();
        let trust = Trust::new(ders(anchors), ders(middles), crls).unwrap();
        let signer = Arc::new(Certificate::from_der(leaf.certificate.der()).unwrap());
        let path = judge(&trust, time(now), Purpose::Document, &signer, &[]);
        (path.findings.worst(), path)
    }

    #[test]
    fn a_path_with_fresh_lists_holds() {
        let c = country();
        let crls = vec![c.root.crl(&[]), c.middle.crl(&[])];
        let (worst, path) = run(&[&c.root], &[&c.middle], crls, &c.leaf, NOW);
        assert_eq!(worst, None);
        assert!(path.holds.is_some());
        assert_eq!((path.chain.len(), path.crls.len()), (3, 2));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let c = country();
        let (root_crl, middle_crl) = (c.root.crl(&[]), c.middle.crl(&[]));
        let leaf_revoked = c.middle.crl(&[c.leaf.serial]);
        let middle_revoked = c.root.crl(&[c.middle.serial]);
        let both = vec![root_crl.clone(), middle_crl.clone()];
        let year = 86_400 * 365;
        let check = |anchors: &[&Authority], middles: &[&Authority], crls, now, expected| {
            assert_eq!(run(anchors, middles, crls, &c.leaf, now).0, Some(expected));
        };
        check(&[&c.root], &[], both.clone(), NOW, Sub::NoCertificateChainFound);
        check(&[], &[&c.middle, &c.root], both.clone(), NOW, Sub::NoCertificateChainFound);
        check(&[&c.root], &[&c.middle], vec![root_crl.clone()], NOW, Sub::TryLater);
        check(&[&c.root], &[&c.middle], vec![root_crl, leaf_revoked], NOW, Sub::RevokedNoPoe);
        check(&[&c.root], &[&c.middle], vec![middle_revoked, middle_crl], NOW, Sub::RevokedCaNoPoe);
        check(&[&c.root], &[&c.middle], both.clone(), NOW + 9 * year, Sub::OutOfBoundsNoPoe);
        check(&[&c.root], &[&c.middle], both, NOW - 9 * year, Sub::OutOfBoundsNoPoe);
    }

    #[test]
    fn a_signer_cannot_be_an_authority_and_path_length_counts() {
        let c = country();
        let forged = c.leaf.issue("Forged", |_| {});
        let deep = c.middle.issue("Deep", |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
        let deeper = deep.issue("Deeper", |_| {});
        let sub = |middles: &[&Authority], leaf| run(&[&c.root], middles, vec![], leaf, NOW).0;
        assert_eq!(sub(&[&c.middle, &c.leaf], &forged), Some(Sub::ChainConstraintsFailure));
        assert_eq!(sub(&[&c.middle, &deep], &deeper), Some(Sub::ChainConstraintsFailure));
        let other_use =
            c.middle.issue("Key", |p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
        assert_eq!(sub(&[&c.middle], &other_use), Some(Sub::ChainConstraintsFailure));
    }

    #[test]
    fn name_constraints_are_not_judged_and_never_passed() {
        let root = Authority::root("Root");
        let middle = root.issue("Middle", |p| {
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            p.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("vn".into())],
                excluded_subtrees: vec![],
            });
        });
        let leaf = middle.issue("Leaf", |_| {});
        let crls = vec![root.crl(&[]), middle.crl(&[])];
        let (worst, path) = run(&[&root], &[&middle], crls, &leaf, NOW);
        assert_eq!(worst, Some(Sub::CertificateChainGeneralFailure));
        assert!(path.holds.is_none());
    }
}
