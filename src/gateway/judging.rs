//! From the signatures on all parts to one judgement on the document.

use serde::Serialize;

use super::Surroundings;
use super::described::{Described, Shown};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Agency;
use crate::document::{Envelope, Form, PartRole};
use crate::log::VerdictMark;
use crate::refusal::{Reason, Refusal};
use crate::signature::{
    self, Der, DocumentForm, Indication, LegalJudgement, LegalValue, Report, Role, SubIndication,
};
use crate::source::Source;

/// Signatures that are undecided in these ways are refused: something is known against them.
/// Everything else that is undecided is carried, with its verdict, as information only.
const REFUSED: &[SubIndication] = &[
    SubIndication::RevokedNoPoe,
    SubIndication::RevokedCaNoPoe,
    SubIndication::SigConstraintsFailure,
];

/// In whose name a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignerRole {
    /// A seal of the sending agency: its certificate carries the agency's code or is registered.
    Seal,
    /// A person.
    Person,
    /// A seal of another organisation, or nobody known.
    Unknown,
}

impl SignerRole {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Seal => "SEAL",
            Self::Person => "PERSON",
            Self::Unknown => "UNKNOWN",
        }
    }

    fn legal(self) -> Role {
        match self {
            Self::Seal => Role::AgencySeal,
            Self::Person => Role::Person,
            Self::Unknown => Role::Unknown,
        }
    }

    fn of(signature: &signature::Signature, agency: &Agency) -> Self {
        // A time-stamping authority signs for nobody.
        let signer = signature.signer.as_ref().filter(|_| !is_timestamp(signature));
        let Some(signer) = signer else { return Self::Unknown };
        if agency.seals.contains(&signer.fingerprint()) {
            return Self::Seal;
        }
        let is_organisation =
            signer.common_name.is_some() && signer.common_name == signer.organization;
        match signer.organization_identifier.as_deref() {
            // A company's certificate names nobody but the company.
            None if is_organisation => Self::Unknown,
            None => Self::Person,
            Some(code) => {
                let codes = [Some(&agency.code), agency.code_qcvn.as_ref()];
                let own = codes.into_iter().flatten().any(|own| own.as_str() == code);
                if own { Self::Seal } else { Self::Unknown }
            }
        }
    }
}

/// One signature on one part.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Name of the part.
    pub part: String,
    /// In whose name.
    pub role: SignerRole,
    /// What was found.
    pub signature: signature::Signature,
}

/// The judgement on a document.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// Every signature, in the order of parts.
    pub signatures: Vec<Judged>,
    /// What the document is worth.
    pub legal: LegalJudgement,
    /// The report, JSON, as it is kept and hashed.
    pub report: Vec<u8>,
    /// Certificates and revocation lists that the verdicts rest on.
    pub material: Vec<Der>,
}

/// Digests of the certificates and revocation lists that a verdict report names.
pub fn named_in(report: &[u8]) -> (Vec<Sha256>, Vec<Sha256>) {
    let report: serde_json::Value = serde_json::from_slice(report).unwrap_or_default();
    let signatures = report["signatures"].as_array().cloned().unwrap_or_default();
    let named = |field: &str| -> Vec<Sha256> {
        let lists = signatures.iter().filter_map(|signature| signature[field].as_array());
        lists.flatten().filter_map(|text| text.as_str()?.parse().ok()).collect()
    };
    (named("certificates"), named("crls"))
}

impl Judgement {
    /// Judges every part. `part` gives the bytes of the part at a position.
    pub fn of<'a>(
        envelope: &Envelope,
        agency: &Agency,
        surroundings: &Surroundings,
        now: Time,
        part: impl Fn(usize) -> &'a dyn Source,
    ) -> Self {
        let trust = &surroundings.trust;
        let mut signatures = Vec::new();
        // What is signed beside the main part and in it, as one report.
        let mut main: Option<Report> = None;
        for (index, listed) in envelope.parts.iter().enumerate() {
            let (report, covered) = match listed.signs {
                None => (signature::judge(part(index), trust, now), index),
                Some(target) => (detached(part(index), part(target.0), trust, now), target.0),
            };
            for signature in &report.signatures {
                let role = SignerRole::of(signature, agency);
                let (part, signature) = (listed.name.clone(), signature.clone());
                signatures.push(Judged { part, role, signature });
            }
            if envelope.parts.get(covered).is_some_and(|one| one.role == PartRole::Main) {
                match &mut main {
                    Some(main) => main.signatures.extend(report.signatures),
                    None => main = Some(report),
                }
            }
        }
        let form = match envelope.form {
            Form::Original => DocumentForm::Original,
            Form::Copy => DocumentForm::Copy,
        };
        let main = main.expect("every envelope has a main part");
        let role = |signature: &signature::Signature| SignerRole::of(signature, agency).legal();
        let legal = signature::legal_value(&main, form, role);
        let material = material(&signatures, &surroundings.crls);
        let report = report(envelope, &signatures, &legal, &surroundings.crls, now);
        Self { signatures, legal, report, material }
    }

    /// The worst of all signatures; `None` if there is none.
    pub fn indication(&self) -> Option<Indication> {
        self.signatures.iter().map(|judged| judged.signature.verdict.indication()).max()
    }

    /// Its word in the log.
    pub fn word(&self) -> String {
        signature::word(self.indication())
    }

    /// How the log refers to it.
    pub fn mark(&self) -> VerdictMark {
        VerdictMark {
            indication: self.word(),
            legal_value: self.legal.value.to_string(),
            report: Sha256::of(&self.report),
        }
    }

    /// Refuses what is known to be wrong.
    ///
    /// # Errors
    /// [`Reason::SignatureFailed`] or [`Reason::SignatureRefused`], with the part, the verdict and
    /// the first reason.
    pub fn accept(&self) -> Result<(), Refusal> {
        let worst = self.signatures.iter().find_map(|judged| {
            let verdict = &judged.signature.verdict;
            match (verdict.indication(), verdict.sub_indication()) {
                (Indication::TotalFailed, _) => Some((Reason::SignatureFailed, judged)),
                (Indication::Indeterminate, Some(sub)) if REFUSED.contains(&sub) => {
                    Some((Reason::SignatureRefused, judged))
                }
                _ => None,
            }
        });
        let Some((reason, judged)) = worst else { return Ok(()) };
        let verdict = &judged.signature.verdict;
        let mut refusal = Refusal::of_field(reason, format!("parts[{}]", judged.part))
            .with("part", &judged.part)
            .with("indication", verdict.indication());
        if let Some(sub) = verdict.sub_indication() {
            refusal = refusal.with("sub_indication", sub);
        }
        if let Some(first) = verdict.reasons().first() {
            refusal = refusal.with("code", first.code).with("message", &first.message);
            if let Some(offset) = first.offset {
                refusal = refusal.with("offset", offset);
            }
        }
        Err(refusal)
    }
}

fn detached(
    signature: &dyn Source,
    content: &dyn Source,
    trust: &signature::Trust,
    now: Time,
) -> Report {
    let size = usize::try_from(signature.size()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size.min(crate::limits::CMS_SIZE_MAX)];
    if size > bytes.len() || signature.read_at(0, &mut bytes).is_err() {
        bytes.clear();
    }
    signature::judge_detached(&bytes, content, trust, now)
}

fn material(signatures: &[Judged], crls: &[Der]) -> Vec<Der> {
    let mut material: Vec<Der> = Vec::new();
    let chains = signatures.iter().flat_map(|judged| chain(&judged.signature));
    let used = signatures.iter().flat_map(|judged| used_crls(&judged.signature, crls));
    for piece in chains.chain(used) {
        if !material.contains(piece) {
            material.push(piece.clone());
        }
    }
    material
}

/// The certificates that a verdict rests on; those of time-stamps after those of the signature.
fn chain(signature: &signature::Signature) -> impl Iterator<Item = &Der> {
    let stamps = signature.timestamps.iter().filter(|_| !is_timestamp(signature));
    signature.chain.iter().chain(stamps.flat_map(|stamp| stamp.chain.iter()))
}

/// The lists that it rests on, in the same order.
fn used_crls<'a>(
    signature: &'a signature::Signature,
    crls: &'a [Der],
) -> impl Iterator<Item = &'a Der> {
    let stamps = signature.timestamps.iter().filter(|_| !is_timestamp(signature));
    let used = signature.crls.iter().chain(stamps.flat_map(|stamp| stamp.crls.iter()));
    used.filter_map(|index| crls.get(*index))
}

/// A time-stamp over a document: nobody's signature.
fn is_timestamp(signature: &signature::Signature) -> bool {
    signature.format.is_timestamp()
}

/// What is kept of a judgement.
#[derive(Serialize)]
struct KeptReport<'a> {
    envelope: Shown<Sha256>,
    format: &'static str,
    indication: String,
    legal_reason: &'a str,
    legal_reason_vi: String,
    legal_rule: &'static str,
    legal_value: Shown<LegalValue>,
    signatures: Vec<KeptSignature<'a>>,
    time: Shown<Time>,
}

#[derive(Serialize)]
struct KeptSignature<'a> {
    certificates: Vec<Shown<Sha256>>,
    crls: Vec<Shown<Sha256>>,
    part: &'a str,
    role: &'static str,
    #[serde(flatten)]
    signature: Described<'a>,
}

impl<'a> KeptSignature<'a> {
    fn of(judged: &'a Judged, crls: &[Der]) -> Self {
        let digest = |der: &Der| Shown(der.digest());
        Self {
            certificates: chain(&judged.signature).map(digest).collect(),
            crls: used_crls(&judged.signature, crls).map(digest).collect(),
            part: &judged.part,
            role: judged.role.word(),
            signature: Described::of(&judged.signature),
        }
    }
}

fn report(
    envelope: &Envelope,
    signatures: &[Judged],
    legal: &LegalJudgement,
    crls: &[Der],
    now: Time,
) -> Vec<u8> {
    let worst = signatures.iter().map(|judged| judged.signature.verdict.indication()).max();
    let report = KeptReport {
        envelope: Shown(envelope.digest()),
        format: "vanthu.report.v1",
        indication: signature::word(worst),
        legal_reason: &legal.sentence,
        legal_reason_vi: signature::note_in_vietnamese(&legal.sentence),
        legal_rule: legal.rule.name(),
        legal_value: Shown(legal.value),
        signatures: signatures.iter().map(|judged| KeptSignature::of(judged, crls)).collect(),
        time: Shown(now),
    };
    serde_json::to_vec(&report).expect("text and numbers only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Code, Kind};
    use crate::signature::Trust;
    use crate::workshop::page;
    use crate::workshop::pki::DevPki;
    use crate::workshop::profile::Profile;
    use crate::workshop::sign::{self, Options, SubFilter};

    #[test]
    fn a_time_stamping_authority_signs_for_nobody() {
        let now: Time = "2026-11-22T03:45:18.000Z".parse().unwrap();
        let country = DevPki::generate(&Profile::built_in().with_p256_keys(), now).unwrap();
        let officer = country.officer("H49").unwrap();
        let signed = sign::pdf(&page::pdf("a", &[], 0), &officer, &Options::new("a", now)).unwrap();
        let options = Options { sub_filter: SubFilter::Timestamp, ..Options::new("b", now) };
        let stamped = sign::pdf(&signed, &country.signer("tsa").unwrap(), &options).unwrap();
        let trust = country.trust("gov").unwrap();
        let trust = Trust::new(trust.anchors, trust.intermediates, trust.crls).unwrap();
        let report = signature::judge(&stamped, &trust, now);
        let code = Code::parse("H49").unwrap();
        let agency = Agency::new(code, "H49", Kind::Portal, now.date_in_vietnam());
        let roles = report.signatures.iter().map(|one| SignerRole::of(one, &agency));
        assert!(roles.eq([SignerRole::Person, SignerRole::Unknown]));
        assert!(report.signatures.iter().all(|one| one.passed().is_some()), "{report:?}");
    }
}
