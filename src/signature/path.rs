//! The way from a certificate to a trust anchor.
//!
//! [`Search`] builds paths depth first within a budget; [`super::validation`] judges each that
//! reaches an anchor. Everything is judged at `now`; [`super::past`] asks the questions of time again
//! where a proof of existence allows an earlier one.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use super::algorithm::{Key, Outcome};
use super::certificate::Certificate;
use super::crl::{Crl, Revocation};
use super::crypto_policy::{Strength, Use, Used, Weakness};
use super::domain::DomainUse;
use super::name::CanonicalName;
use super::past::{Made, Settled};
use super::policy::{InitialPolicies, ValidPolicy};
use super::report::{Findings, SubIndication as Sub};
use super::trust::Trust;
use super::validation;
use crate::clock::Time;
use crate::limits::{CRL_PATHS_MAX, PATH_CHECKS_MAX, PATH_DEPTH_MAX};

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
    /// Policies under which it is valid.
    pub policies: Vec<ValidPolicy>,
    pub findings: Findings,
    pub quirks: Vec<String>,
    pub holds: Option<PathHolds>,
    /// Certificates that are revoked or suspended now, by their position in the chain.
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

/// What the last key of a path is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Signing documents.
    Document,
    /// Signing time-stamps and nothing else (RFC 3161 §2.3).
    Timestamp,
    /// Signing revocation lists.
    RevocationList,
    /// Anything: the caller judges it.
    Any,
}

impl Purpose {
    /// Whose value it is, as a table of algorithms asks.
    pub fn made_by(self) -> Use {
        match self {
            Self::Timestamp => Use::Timestamp,
            Self::RevocationList => Use::Revocation,
            Self::Document | Self::Any => Use::Signature,
        }
    }

    /// What a domain must be for.
    pub fn domain_use(self) -> Option<DomainUse> {
        match self {
            Self::Document => Some(DomainUse::Documents),
            Self::Timestamp => Some(DomainUse::Timestamps),
            Self::RevocationList | Self::Any => None,
        }
    }
}

/// Everything a path is judged with, but its last certificate.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub trust: &'a Trust,
    pub now: Time,
    /// Come with the document and are only candidates.
    pub candidates: &'a [Arc<Certificate>],
    pub purpose: Purpose,
    pub policies: &'a InitialPolicies,
    /// Whether each certificate's status must be known.
    pub asks_revocation: bool,
    /// Whether algorithms and keys must be strong as well as right.
    pub asks_strength: bool,
}

impl Request<'_> {
    /// What the policy at the end of `chain` has against `used` now, if the request minds.
    pub fn weakness(
        &self,
        chain: &[Arc<Certificate>],
        used: &Used,
        purpose: Use,
    ) -> Option<Weakness> {
        let policy = self.trust.algorithms(chain);
        let strength = Strength { policy, now: self.now, made: Made::default() };
        strength.weakness(used, purpose).filter(|_| self.asks_strength)
    }
}

/// Finds the best path for `signer`, of a document or a time-stamp.
pub(super) fn judge(
    trust: &Trust,
    now: Time,
    purpose: Purpose,
    signer: &Arc<Certificate>,
    candidates: &[Arc<Certificate>],
) -> Path {
    let request = Request {
        trust,
        now,
        candidates,
        purpose,
        policies: &InitialPolicies::default(),
        asks_revocation: true,
        asks_strength: true,
    };
    find(&request, signer)
}

/// Finds the best path for `target`.
pub(super) fn find(request: &Request<'_>, target: &Arc<Certificate>) -> Path {
    Search::new(request, &Cell::new(0)).run(target)
}

/// The key of the first certificate of `path`. A DSA key may lack its parameters; they are then
/// those of the issuer's (RFC 3279 §2.3.2, RFC 5280 §6.1.4 (d) to (f)).
pub(super) fn working_key(path: &[Arc<Certificate>]) -> Cow<'_, Key> {
    let Some((first, above)) = path.split_first() else {
        return Cow::Owned(Key::Other("no key".to_owned()));
    };
    if !first.key.inherits() {
        return Cow::Borrowed(&first.key);
    }
    let donor = above.iter().find(|certificate| !certificate.key.inherits());
    donor.map_or(Cow::Borrowed(&first.key), |donor| Cow::Owned(first.key.completed_by(&donor.key)))
}

/// Whether `chain[depth + 1]` made `chain[depth]`, with the key that counts for it on this path.
pub(super) fn link(trust: &Trust, chain: &[Arc<Certificate>], depth: usize) -> Option<Outcome> {
    let (certificate, issuer) = (chain.get(depth)?, chain.get(depth + 1)?);
    Some(if issuer.key.inherits() {
        certificate.verified_with(&working_key(chain.get(depth + 1..).unwrap_or_default()))
    } else {
        trust.link(certificate, issuer)
    })
}

/// Why a path does not go on.
pub(super) struct DeadEnd {
    pub sub: Sub,
    pub code: &'static str,
    pub message: String,
}

impl PartialEq for DeadEnd {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

/// A search for a path, perhaps within another one: the signer of a CRL needs a path too.
pub(super) struct Search<'a> {
    pub request: &'a Request<'a>,
    /// The only anchor that counts, by its place in memory among those of the trust.
    anchor: Option<&'a Arc<Certificate>>,
    /// CRLs whose signer's path is being judged, each with that signer.
    open: Vec<(usize, Arc<Certificate>)>,
    /// Signature checks so far, shared with searches within this one.
    spent: &'a Cell<usize>,
    best: Option<Path>,
    dead_ends: Vec<DeadEnd>,
}

impl<'a> Search<'a> {
    fn new(request: &'a Request<'a>, spent: &'a Cell<usize>) -> Self {
        Self { request, anchor: None, open: Vec::new(), spent, best: None, dead_ends: Vec::new() }
    }

    fn run(mut self, target: &Arc<Certificate>) -> Path {
        self.extend(&mut vec![target.clone()]);
        if let Some(best) = self.best {
            return best;
        }
        let mut path = Path::default();
        self.dead_ends.dedup();
        if self.spent.get() >= PATH_CHECKS_MAX {
            path.findings.doubt(
                Sub::CertificateChainGeneralFailure,
                "PATH_BUDGET",
                "The certificates allow too many paths to try them all.",
            );
        }
        for end in self.dead_ends.into_iter().take(8) {
            path.findings.doubt(end.sub, end.code, end.message);
        }
        path
    }

    /// Depth-first; ends at the first path without findings.
    fn extend(&mut self, chain: &mut Vec<Arc<Certificate>>) {
        let Some(last) = chain.last().cloned() else { return };
        if self.is_anchor(&last) {
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
            self.spent.set(self.spent.get() + 1);
            // Without its parameters the key is checked when the path above it is known.
            let outcome = (!issuer.key.inherits()).then(|| self.request.trust.link(&last, &issuer));
            match outcome.and_then(|outcome| dead_end(&last, &issuer, &outcome)) {
                Some(end) => self.dead_ends.push(end),
                None => {
                    chain.push(issuer);
                    self.extend(chain);
                    chain.pop();
                }
            }
        }
    }

    fn is_anchor(&self, certificate: &Certificate) -> bool {
        match self.anchor {
            Some(anchor) => anchor.fingerprint() == certificate.fingerprint(),
            None => self.request.trust.is_anchor(certificate),
        }
    }

    fn is_done(&self) -> bool {
        self.spent.get() >= PATH_CHECKS_MAX
            || self.best.as_ref().is_some_and(|best| best.holds.is_some())
    }

    /// Possible issuers, the most promising first: trust before the document, matching key first.
    fn issuers(&self, last: &Certificate, chain: &[Arc<Certificate>]) -> Vec<Arc<Certificate>> {
        // RFC 5280 §4.1.2.4: every issuer has a name.
        if last.issuer.canonical.is_empty() {
            return Vec::new();
        }
        let from_document = self
            .request
            .candidates
            .iter()
            .filter(|other| other.subject.canonical == last.issuer.canonical);
        let mut issuers: Vec<Arc<Certificate>> = Vec::new();
        let trust = self.request.trust;
        for issuer in trust.named(&last.issuer.canonical).iter().chain(from_document) {
            let known = |other: &Arc<Certificate>| other.fingerprint() == issuer.fingerprint();
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
        let mut path = validation::judge(self, chain);
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

    /// The path of a key that made the CRL at `index`, or why that path does not hold; `None` if no
    /// such key is known. `authority` is the path of the authority for whose certificate the list
    /// is needed; both must end at the same anchor (RFC 5280 §6.3.3 (f)).
    pub fn crl_signer(
        &self,
        index: usize,
        crl: &Crl,
        authority: &[Arc<Certificate>],
    ) -> Option<Result<Path, String>> {
        // A list may speak about its own signer (PKITS 4.14.30): while that signer is judged, its
        // list counts, for or against it.
        if let Some((_, signer)) = self.open.iter().find(|(open, _)| *open == index) {
            return Some(Ok(Path { chain: vec![signer.clone()], ..Path::default() }));
        }
        let trust = self.request.trust;
        let name = &crl.issuer.canonical;
        let others = self.request.candidates.iter().filter(|c| c.subject.canonical == *name);
        let mut why = None;
        for signer in trust.named(name).iter().chain(others) {
            let outcome = trust.crl_link(index, crl, signer, &signer.key);
            let Outcome::Valid { used } = outcome else { continue };
            if let Some(weakness) = self.request.weakness(authority, &used, Use::Revocation) {
                why = Some(Err(weakness.what));
                continue;
            }
            match self.judge_signer(index, signer, authority) {
                Ok(path) => return Some(Ok(path)),
                Err(reason) => why = Some(Err(reason)),
            }
        }
        why
    }

    fn judge_signer(
        &self,
        index: usize,
        signer: &Arc<Certificate>,
        authority: &[Arc<Certificate>],
    ) -> Result<Path, String> {
        if self.open.len() >= CRL_PATHS_MAX || self.spent.get() >= PATH_CHECKS_MAX {
            return Err("too many lists depend on each other".to_owned());
        }
        self.spent.set(self.spent.get() + 1);
        let policies = InitialPolicies::default();
        let request =
            Request { purpose: Purpose::RevocationList, policies: &policies, ..*self.request };
        let mut within = Search::new(&request, self.spent);
        within.anchor = authority.last();
        within.open.clone_from(&self.open);
        within.open.push((index, signer.clone()));
        let path = within.run(signer);
        if path.holds.is_none() {
            let reason = path.findings.first().map_or("", |reason| &reason.message);
            let reason = reason.trim_end_matches('.');
            return Err(format!("the certificate of its signer does not hold ({reason})"));
        }
        // Some other authority below the anchor could give the authority's name to a key of its own.
        let is_namesake = authority
            .first()
            .is_some_and(|authority| authority.subject.canonical == signer.subject.canonical)
            && origin(authority) != origin(&path.chain);
        if is_namesake {
            return Err("its signer only has the same name as the authority".to_owned());
        }
        Ok(path)
    }
}

/// Who vouches for the name of the first certificate: the issuer of the first one of `path` that is
/// not self-issued; `None` if that is the anchor's own.
fn origin(path: &[Arc<Certificate>]) -> Option<&CanonicalName> {
    path.iter().find(|c| !c.is_self_issued()).map(|certificate| &certificate.issuer.canonical)
}

/// Why `issuer` does not continue a path, if so.
pub(super) fn dead_end(
    last: &Certificate,
    issuer: &Certificate,
    outcome: &Outcome,
) -> Option<DeadEnd> {
    match outcome {
        Outcome::Valid { .. } => None,
        Outcome::Invalid => Some(DeadEnd {
            sub: Sub::NoCertificateChainFound,
            code: "ISSUER_KEY_DIFFERS",
            message: format!(
                "The certificate of “{}” was not made with the key of “{}” that is known here.",
                last.subject.short(),
                issuer.subject.short()
            ),
        }),
        Outcome::Unsupported(name) => Some(DeadEnd {
            sub: Sub::CertificateChainGeneralFailure,
            code: "ALGORITHM_NOT_JUDGED",
            message: format!(
                "The certificate of “{}” is signed with {name}, which this version does not judge.",
                last.subject.short()
            ),
        }),
    }
}

fn no_issuer(last: &Certificate) -> DeadEnd {
    let self_issued = last.is_self_issued();
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
}
