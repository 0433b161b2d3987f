//! Whether a certificate was revoked, by CRLs (RFC 5280 §6.3).
//!
//! Good is only what fresh lists say for every reason of revocation, each signed by a key with a
//! path to the same anchor. Whatever is missing leaves the question open.

use std::sync::Arc;

use super::algorithm::Outcome;
use super::certificate::Certificate;
use super::crl::{Crl, Revocation, State};
use super::crypto_policy::Use;
use super::distribution::{DistributionPoint, PointName, Reasons};
use super::name::CanonicalName;
use super::path::{Path, Search, working_key};

/// What the lists say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Revoked(Revocation),
    /// Suspended; newer lists will say for how long.
    OnHold(Revocation),
    /// Why not more is known; `None` if no list is at hand.
    Unknown(Option<String>),
}

/// The status, and the lists that say so.
pub(super) struct Answer {
    pub status: Status,
    pub crls: Vec<usize>,
}

/// Judges `chain[depth]`, which its successor in `chain` issued.
pub(super) fn check(search: &Search<'_>, chain: &[Arc<Certificate>], depth: usize) -> Answer {
    let mut inquiry = Inquiry {
        search,
        chain,
        depth,
        covered: Reasons::NONE,
        hold: None,
        stale_hold: None,
        why: None,
        crls: Vec::new(),
    };
    let status = inquiry.run().map_or_else(|| inquiry.conclude(), Status::Revoked);
    Answer { status, crls: inquiry.crls }
}

struct Inquiry<'a> {
    search: &'a Search<'a>,
    chain: &'a [Arc<Certificate>],
    depth: usize,
    covered: Reasons,
    hold: Option<Revocation>,
    stale_hold: Option<Revocation>,
    why: Option<String>,
    crls: Vec<usize>,
}

impl Inquiry<'_> {
    fn conclude(&mut self) -> Status {
        if let Some(hold) = self.hold {
            return Status::OnHold(hold);
        }
        if !Reasons::ALL.adds_to(self.covered) {
            return Status::Good;
        }
        match self.stale_hold {
            Some(hold) => Status::OnHold(hold),
            None => Status::Unknown(self.why.take()),
        }
    }

    /// Goes through all points and lists; ends at a proven revocation.
    fn run(&mut self) -> Option<Revocation> {
        let certificate = self.chain.get(self.depth)?.clone();
        let implied = DistributionPoint::implied(&certificate.issuer.canonical);
        for point in certificate.constraints.points.iter().chain([&implied]) {
            if point.issuers.is_empty() {
                let revoked = self.lists_of(&certificate, point, &certificate.issuer.canonical);
                if revoked.is_some() {
                    return revoked;
                }
            }
            for issuer in &point.issuers {
                let PointName::Directory(issuer) = issuer else { continue };
                let revoked = self.lists_of(&certificate, point, issuer);
                if revoked.is_some() {
                    return revoked;
                }
            }
        }
        None
    }

    /// The lists that `issuer` made, the newest first.
    fn lists_of(
        &mut self,
        certificate: &Certificate,
        point: &DistributionPoint,
        issuer: &CanonicalName,
    ) -> Option<Revocation> {
        let trust = self.search.request.trust;
        for (index, crl) in trust.crls_of(issuer) {
            // §6.3.3 (b)(1).
            if crl.is_delta() || (!point.issuers.is_empty() && !crl.scope.is_indirect) {
                continue;
            }
            let reasons = crl.scope.covers(point, certificate.constraints.is_authority);
            if !reasons.adds_to(Reasons::NONE) {
                self.note(|| "it does not speak about this certificate".to_owned());
                continue;
            }
            let signer = match self.signer(index, crl) {
                Ok(signer) => signer,
                Err(why) => {
                    self.note(|| why);
                    continue;
                }
            };
            let revoked = self.read(certificate, (index, crl), signer, reasons);
            if revoked.is_some() {
                return revoked;
            }
        }
        None
    }

    /// What one list, continued by its newest delta list, says.
    fn read(
        &mut self,
        certificate: &Certificate,
        (index, crl): (usize, &Crl),
        signer: Path,
        reasons: Reasons,
    ) -> Option<Revocation> {
        let now = self.search.request.now;
        let trust = self.search.request.trust;
        let of = |crl: &Crl| {
            let entry = crl.entry(&certificate.issuer.canonical, &certificate.signed_serial);
            entry.filter(|_| crl.counts_at(now))
        };
        // §6.3.3 (h): the same key must have signed both.
        let mut deltas = trust.crls_of(&crl.issuer.canonical).filter(|(at, delta)| {
            delta.continues(crl)
                && delta.counts_at(now)
                && self.accepts(self.verified(*at, delta, &signer.chain)).is_ok()
        });
        let delta = deltas.next();
        let mut staleness = crl.staleness(now);
        let mut entry = of(crl);
        if let Some((_, delta)) = delta.filter(|_| crl.unusable.is_none()) {
            let is_fresh = delta.staleness(now).is_none();
            staleness = staleness.filter(|_| !is_fresh);
            entry = match of(delta) {
                Some(Revocation { state: State::Removed, .. }) if is_fresh => None,
                Some(Revocation { state: State::Removed, .. }) | None => entry,
                Some(newer) => Some(newer),
            };
        }
        let used = [Some(index), delta.map(|(at, _)| at)].into_iter().flatten().chain(signer.crls);
        if let Some(revoked) = entry.filter(|entry| entry.state == State::Revoked) {
            self.crls.extend(used);
            return Some(revoked);
        }
        let hold = entry.filter(|entry| entry.state == State::OnHold);
        match staleness {
            // §6.3.3 (e): a newer list already spoke for these reasons.
            None if !reasons.adds_to(self.covered) => {}
            None => {
                self.crls.extend(used);
                self.covered = self.covered.or(reasons);
                self.hold = self.hold.or(hold);
            }
            Some(why) => {
                self.stale_hold = self.stale_hold.or(hold);
                self.note(|| why);
            }
        }
        None
    }

    /// §6.3.3 (f) and (g): the path of the key that signed a list, ending at the same anchor.
    fn signer(&self, index: usize, crl: &Crl) -> Result<Path, String> {
        let above = self.chain.get(self.depth + 1..).unwrap_or_default();
        let mut why = None;
        for (at, authority) in above.iter().enumerate() {
            if authority.subject.canonical != crl.issuer.canonical {
                continue;
            }
            let path = above.get(at..).unwrap_or_default();
            match self.accepts(self.verified(index, crl, path)) {
                Ok(()) => return Ok(Path { chain: path.to_vec(), ..Path::default() }),
                Err(reason) => why = why.or(Some(reason)),
            }
        }
        self.search.crl_signer(index, crl, above).unwrap_or_else(|| {
            let name = crl.issuer.short();
            let unknown = || format!("the certificate of its signer “{name}” is not known here");
            Err(why.unwrap_or_else(unknown))
        })
    }

    fn verified(&self, index: usize, crl: &Crl, path: &[Arc<Certificate>]) -> Outcome {
        let Some(signer) = path.first() else { return Outcome::Invalid };
        self.search.request.trust.crl_link(index, crl, signer, &working_key(path))
    }

    fn accepts(&self, outcome: Outcome) -> Result<(), String> {
        match outcome {
            Outcome::Valid { used } => {
                let request = self.search.request;
                let weakness = request.weakness(self.chain, &used, Use::Revocation);
                weakness.map_or(Ok(()), |weakness| Err(weakness.what))
            }
            Outcome::Invalid => Err("its signature is not that of the authority".to_owned()),
            Outcome::Unsupported(name) => Err(format!("it is signed with {name}")),
        }
    }

    /// Keeps the first reason; it is about the newest list of the most specific point.
    fn note(&mut self, why: impl FnOnce() -> String) {
        if self.why.is_none() {
            self.why = Some(why());
        }
    }
}
