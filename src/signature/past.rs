//! Questions of time about a path: was it valid and not revoked *when it counted*?
//!
//! `path` answers for now. What stays open there is asked again at the earliest time at which the
//! signature is proven to exist, sliding the control time from the anchor down to the signer
//! (EN 319 102-1 §5.5.4, §5.6.2). A list or response speaks until its nextUpdate; data that is used
//! at an earlier control time must itself be proven to be that old.

use std::sync::Arc;

use super::algorithm::Outcome;
use super::certificate::Certificate;
use super::crl::{Crl, Revocation, State};
use super::crypto_policy::{Strength, Use};
use super::distribution::{DistributionPoint, Reasons};
use super::evidence::{Material, Proofs, Revocations};
use super::ocsp::{Responder, Response, Status};
use super::path::{Path, PathHolds, Purpose, link};
use super::purpose::needs_no_check;
use super::report::SubIndication as Sub;
use super::trust::Trust;
use super::validation::weakly_signed;
use crate::clock::Time;
use crate::limits::CLOCK_SKEW_MAX;

/// Proof that every question of time was answered.
#[derive(Debug)]
pub(super) struct Settled(());

/// When something is judged and with what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub trust: &'a Trust,
    pub now: Time,
    /// What the document brings along.
    pub material: &'a Material,
    pub proofs: &'a Proofs,
}

/// When a signature was made, as far as it is proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// It existed at this time (best-signature-time).
    pub by: Option<Time>,
    /// It did not exist before this time.
    pub after: Option<Time>,
    /// The time that an authority states in what it signs, which proves nothing else.
    pub stated: Option<Time>,
}

/// The questions that depend on the time at which they are asked.
const OF_TIME: &[Sub] = &[
    Sub::OutOfBoundsNoPoe,
    Sub::RevokedNoPoe,
    Sub::RevokedCaNoPoe,
    Sub::TryLater,
    Sub::CryptoConstraintsFailureNoPoe,
    Sub::NoCertificateChainFoundNoPoe,
];

/// Asks the open questions of time about `path` again, at the time that counts.
pub(super) fn settle(occasion: Occasion<'_>, purpose: Purpose, made: Made, path: &mut Path) {
    let Some(signer) = path.chain.first() else { return };
    let is_early = made.by.is_some_and(|by| by < signer.not_before);
    let is_open = path.findings.has(OF_TIME);
    if !is_open && !is_early {
        return;
    }
    path.findings.remove(OF_TIME);
    path.holds = None;
    let chain = path.chain.clone();
    let mut sliding = Sliding { occasion, made, control: occasion.now, chain: &chain, path };
    sliding.domain(purpose);
    for depth in (0..chain.len()).rev() {
        sliding.validity(depth);
        sliding.algorithms(depth);
        sliding.status(depth);
    }
    if path.findings.is_empty() {
        path.holds = Some(PathHolds::settled(&Settled(())));
    }
}

/// Going down a path with the control time.
struct Sliding<'a> {
    occasion: Occasion<'a>,
    made: Made,
    control: Time,
    chain: &'a [Arc<Certificate>],
    path: &'a mut Path,
}

/// What a list or response says.
struct Statement {
    this_update: Time,
    until: Time,
    revocation: Option<Revocation>,
    /// Index of the CRL in the trust material.
    crl: Option<usize>,
}

impl Sliding<'_> {
    /// The time at which the signature is known to exist.
    fn existed(&self) -> Time {
        self.made.by.unwrap_or(self.occasion.now)
    }

    /// The anchor counted when the signature was made, if that is proven.
    fn domain(&mut self, purpose: Purpose) {
        let Occasion { trust, now, .. } = self.occasion;
        let Some(domain) = trust.domain(self.chain, purpose.domain_use()) else { return };
        let Some(end) = domain.valid_until.filter(|end| now > *end) else { return };
        if self.made.by.is_none_or(|by| by > end) {
            let message = format!(
                "The trust domain “{}” ended on {}, and {}.",
                domain.name,
                end.in_vietnam(),
                proof_words(self.made.by)
            );
            let sub = Sub::NoCertificateChainFoundNoPoe;
            self.path.findings.doubt(sub, "DOMAIN_ENDED", message);
        }
    }

    /// What the anchor's policy says of something that is proven to have been made so.
    fn strength(&self, made: Made) -> Strength<'_> {
        let Occasion { trust, now, .. } = self.occasion;
        Strength { policy: trust.algorithms(self.chain), now, made }
    }

    /// A certificate is at least as old as what was signed under it.
    fn algorithms(&mut self, depth: usize) {
        let Some(certificate) = self.chain.get(depth) else { return };
        if let Some(Outcome::Valid { used }) = link(self.occasion.trust, self.chain, depth)
            && let Some(weakness) = self.strength(self.made).weakness(&used, Use::Certificate)
        {
            weakly_signed(&mut self.path.findings, certificate, weakness);
        }
    }

    fn validity(&mut self, depth: usize) {
        let Some(certificate) = self.chain.get(depth) else { return };
        let name = certificate.subject.short();
        let findings = &mut self.path.findings;
        let (begin, end) = (certificate.not_before, certificate.not_after);
        if self.occasion.now < begin {
            let begin = begin.in_vietnam();
            let message = format!("The certificate of “{name}” is not valid before {begin}.");
            findings.doubt(Sub::OutOfBoundsNoPoe, "NOT_YET_VALID", message);
        }
        if depth == 0 && self.made.by.is_some_and(|by| by < begin) {
            let message = format!(
                "The signature is proven to be older than the certificate of “{name}”, which is \
                 not valid before {}.",
                begin.in_vietnam()
            );
            findings.failed(Sub::NotYetValid, "SIGNED_BEFORE_VALIDITY", message);
        }
        if self.occasion.now <= end || self.made.by.is_some_and(|by| by <= end) {
            return;
        }
        let ran_out = end.in_vietnam();
        if depth == 0 && self.made.after.is_some_and(|after| after > end) {
            let message = format!(
                "The certificate of “{name}” ran out on {ran_out}, and the signature is proven to \
                 be later."
            );
            return findings.failed(Sub::Expired, "SIGNED_AFTER_EXPIRY", message);
        }
        let proof = proof_words(self.made.by);
        let message = format!("The certificate of “{name}” ran out on {ran_out}, and {proof}.");
        findings.doubt(Sub::OutOfBoundsNoPoe, "EXPIRED", message);
    }

    fn status(&mut self, depth: usize) {
        let (Some(certificate), Some(issuer)) = (self.chain.get(depth), self.chain.get(depth + 1))
        else {
            return;
        };
        let known = self.path.revoked.iter().find(|(at, _)| *at == depth).copied();
        if let Some((_, revocation)) = known {
            return self.revoked(depth, certificate, revocation);
        }
        // A list from after the end of a certificate need not name it any more (RFC 5280 §3.3).
        let is_open = self.path.unknown.contains(&depth)
            || self.occasion.now > certificate.not_after
            || self.control < self.occasion.now;
        if !is_open {
            return;
        }
        let mut why = Vec::new();
        let statements = self.statements(certificate, issuer, &mut why);
        if let Some(statement) = statements.iter().find(|one| one.revocation.is_some())
            && let Some(revocation) = statement.revocation
        {
            self.used(statement.crl);
            return self.revoked(depth, certificate, revocation);
        }
        let (existed, end) = (self.existed(), certificate.not_after);
        let conclusive =
            statements.into_iter().filter(|one| one.until >= existed && one.this_update <= end);
        match conclusive.max_by_key(|one| one.until) {
            Some(statement) => {
                if statement.until < self.occasion.now && statement.this_update < existed {
                    self.path.quirks.push(format!(
                        "what is known about the revocation of “{}” is older than the signature",
                        certificate.subject.short()
                    ));
                }
                self.control = self.control.min(statement.until);
                self.used(statement.crl);
            }
            None => self.unknown(certificate, issuer, &why),
        }
    }

    fn used(&mut self, crl: Option<usize>) {
        let crls = &mut self.path.crls;
        crls.extend(crl.filter(|index| !crls.contains(index)));
    }

    fn unknown(&mut self, certificate: &Certificate, issuer: &Certificate, why: &[String]) {
        let detail = why.first().map_or("none is at hand", String::as_str);
        let when = match self.made.by {
            Some(by) => format!(" when the signature was made, by {},", by.in_vietnam()),
            None => String::new(),
        };
        let message = format!(
            "Whether the certificate of “{}” was revoked{when} is unknown: a revocation list or \
             response of “{}” is needed, and {detail}.",
            certificate.subject.short(),
            issuer.subject.short()
        );
        // Nobody answers any more for what ran out: asking later does not help.
        let sub = if self.occasion.now > certificate.not_after {
            Sub::OutOfBoundsNoPoe
        } else {
            Sub::TryLater
        };
        self.path.findings.doubt(sub, "CRL_MISSING", message);
    }

    fn revoked(&mut self, depth: usize, certificate: &Certificate, revocation: Revocation) {
        let name = certificate.subject.short();
        let at = revocation.at.in_vietnam();
        let findings = &mut self.path.findings;
        if revocation.state != State::Revoked {
            let message = format!("The certificate of “{name}” is suspended since {at}.");
            return findings.doubt(Sub::TryLater, "ON_HOLD", message);
        }
        if self.made.by.is_some_and(|by| by < revocation.at) {
            self.control = self.control.min(revocation.at);
            return;
        }
        if depth == 0 && self.made.after.is_some_and(|after| after >= revocation.at) {
            let message = format!(
                "The certificate of “{name}” was revoked on {at}, and the signature is proven to \
                 be later."
            );
            return findings.failed(Sub::Revoked, "SIGNED_AFTER_REVOCATION", message);
        }
        let sub = if depth == 0 { Sub::RevokedNoPoe } else { Sub::RevokedCaNoPoe };
        let proof = proof_words(self.made.by);
        let message = format!("The certificate of “{name}” was revoked on {at}, and {proof}.");
        findings.doubt(sub, "REVOKED", message);
    }

    /// Everything that is verified to be said about `certificate` and may be used at the control time.
    fn statements(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        why: &mut Vec<String>,
    ) -> Vec<Statement> {
        let Occasion { trust, material, .. } = self.occasion;
        let mut statements = Vec::new();
        for (index, crl) in trust.crls_of(&certificate.issuer.canonical) {
            let outcome = trust.crl_link(index, crl, issuer, &issuer.key);
            let verified = self.accepted(outcome, None);
            if let Some(mut said) = listed(crl, verified, certificate, why) {
                said.crl = Some(index);
                statements.extend(self.usable(said, None, why));
            }
        }
        for piece in material.within_budget() {
            let said = match piece.read() {
                Some(Revocations::List(crl))
                    if crl.issuer.canonical == certificate.issuer.canonical =>
                {
                    let verified = self.accepted(piece.verified_by(crl, issuer), piece.end);
                    listed(crl, verified, certificate, why)
                }
                Some(Revocations::Response(response)) => {
                    self.answered(response, piece.end, certificate, issuer, why)
                }
                _ => None,
            };
            statements.extend(said.and_then(|said| self.usable(said, piece.end, why)));
        }
        statements
    }

    /// When a piece that ends at `end` of the file is proven to have existed.
    fn existed_by(&self, end: Option<u64>) -> Made {
        let proof = end.and_then(|end| self.occasion.proofs.of(end));
        Made { by: proof.map(|proof| proof.at()), ..Made::default() }
    }

    /// Whether a list that ends at `end` of the file was signed by its authority, strongly enough.
    fn accepted(&self, outcome: Outcome, end: Option<u64>) -> Result<(), String> {
        match outcome {
            Outcome::Valid { used } => {
                let strength = self.strength(self.existed_by(end));
                let weakness = strength.weakness(&used, Use::Revocation);
                weakness.map_or(Ok(()), |weakness| Err(weakness.what))
            }
            Outcome::Invalid => Err("its signature is not that of the authority".to_owned()),
            Outcome::Unsupported(name) => Err(format!("it is signed with {name}")),
        }
    }

    fn usable(
        &self,
        said: Statement,
        end: Option<u64>,
        why: &mut Vec<String>,
    ) -> Option<Statement> {
        if said.this_update > self.occasion.now.after(CLOCK_SKEW_MAX) {
            let from = said.this_update.in_vietnam();
            why.push(format!("the one at hand was issued later, on {from}"));
            return None;
        }
        let proven = self.existed_by(end).by;
        if self.control < self.occasion.now
            && (said.this_update > self.control || proven.is_none_or(|at| at > self.control))
        {
            let control = self.control.in_vietnam();
            why.push(format!("nothing proves that the one at hand existed before {control}"));
            return None;
        }
        if said.until < self.existed() && said.revocation.is_none() {
            why.push(format!("the one at hand ran out on {}", said.until.in_vietnam()));
        }
        Some(said)
    }

    fn answered(
        &self,
        response: &Response,
        end: Option<u64>,
        certificate: &Certificate,
        issuer: &Certificate,
        why: &mut Vec<String>,
    ) -> Option<Statement> {
        let Occasion { trust, material, now, proofs } = self.occasion;
        let strength = self.strength(self.existed_by(end));
        let answer = response.answer(strength, trust, certificate, issuer, &material.certificates);
        let (answer, responder) = match answer {
            Ok(answer) => answer,
            Err(super::ocsp::Unusable::OtherCertificate) => return None,
            Err(reason) => {
                why.push(reason.to_string());
                return None;
            }
        };
        if response.produced_at > now.after(CLOCK_SKEW_MAX) {
            why.push("the response at hand was made later".to_owned());
            return None;
        }
        if let Responder::Appointed(responder) = responder {
            let seen = end.and_then(|end| proofs.of(end)).map_or(now, |proof| proof.at());
            if !responder.is_valid_at(seen) {
                let name = responder.subject.short();
                why.push(format!("nothing proves that “{name}” answered before it ran out"));
                return None;
            }
            if !needs_no_check(&responder) && !self.is_listed_as_good(&responder, issuer, seen) {
                let name = responder.subject.short();
                why.push(format!("whether the responder “{name}” was revoked is unknown"));
                return None;
            }
        }
        let revocation = match answer.status {
            Status::Revoked(revocation) => Some(revocation),
            Status::Good | Status::Unknown => None,
        };
        Some(Statement {
            this_update: answer.this_update,
            until: answer.until(),
            revocation,
            crl: None,
        })
    }

    /// Whether a list says at `seen` that this responder was not revoked; responses do not count,
    /// or responders could vouch for themselves.
    fn is_listed_as_good(&self, responder: &Certificate, issuer: &Certificate, seen: Time) -> bool {
        let Occasion { trust, material, .. } = self.occasion;
        let known = trust
            .crls_of(&responder.issuer.canonical)
            .map(|(index, crl)| (crl, trust.crl_link(index, crl, issuer, &issuer.key), None));
        let embedded = material.within_budget().filter_map(|piece| match piece.read() {
            Some(Revocations::List(crl)) => {
                Some((&**crl, piece.verified_by(crl, issuer), piece.end))
            }
            _ => None,
        });
        let mut is_good = false;
        for (crl, outcome, end) in known.chain(embedded) {
            let mut why = Vec::new();
            match listed(crl, self.accepted(outcome, end), responder, &mut why) {
                Some(Statement { revocation: Some(_), .. }) => return false,
                Some(said) => is_good |= said.this_update <= seen && seen <= said.until,
                None => {}
            }
        }
        is_good
    }
}

/// What a list of the certificate's issuer says about it.
fn listed(
    crl: &Crl,
    verified: Result<(), String>,
    certificate: &Certificate,
    why: &mut Vec<String>,
) -> Option<Statement> {
    if crl.issuer.canonical != certificate.issuer.canonical {
        return None;
    }
    let problem = verified.err().or_else(|| crl.unusable.clone()).or_else(|| {
        let speaks = covers(crl, certificate);
        (!speaks).then(|| "it does not speak about this certificate for every reason".to_owned())
    });
    let Some(until) = crl.next_update.filter(|_| problem.is_none()) else {
        let silent = || "it does not say when the next one is due".to_owned();
        why.push(problem.unwrap_or_else(silent));
        return None;
    };
    let revocation = crl.entry(&certificate.issuer.canonical, &certificate.signed_serial);
    let revocation = revocation.filter(|entry| entry.state != State::Removed);
    // Whom a delta list does not name is only as good as the list that it continues says.
    if crl.is_delta() && revocation.is_none() {
        return None;
    }
    Some(Statement { this_update: crl.this_update, until, revocation, crl: None })
}

/// Lists for some reasons only are not put together for the past.
fn covers(crl: &Crl, certificate: &Certificate) -> bool {
    let is_authority = certificate.constraints.is_authority;
    let implied = DistributionPoint::implied(&certificate.issuer.canonical);
    let points = certificate.constraints.points.iter().filter(|point| point.issuers.is_empty());
    points
        .chain([&implied])
        .any(|point| !Reasons::ALL.adds_to(crl.scope.covers(point, is_authority)))
}

fn proof_words(by: Option<Time>) -> String {
    match by {
        Some(by) => format!("the signature is not proven to be older than {}", by.in_vietnam()),
        None => "nothing proves that the signature is older".to_owned(),
    }
}
