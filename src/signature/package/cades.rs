//! CAdES signatures in an ASiC container: over the only file (ASiC-S) or over a manifest (ASiC-E).

use std::collections::BTreeSet;

use super::super::algorithm::Hash;
use super::super::cms::{self, SignedData};
use super::super::content::Content;
use super::super::counter;
use super::super::evidence::Material;
use super::super::message::{bare, fill};
use super::super::past::Occasion;
use super::super::report::{Coverage, Findings, Format, Signature, SubIndication as Sub};
use super::super::signer::{self, Context, Hashed, Profile};
use super::asic::Container;
use super::names::shown;
use super::stamped::{PLACE, Tokens};
use crate::limits::{CMS_SIZE_MAX, SIGNATURES_MAX};

impl Container<'_> {
    /// The signatures in one entry.
    pub(super) fn cades(&self, index: usize, tokens: &Tokens) -> Vec<Signature> {
        let mut findings = self.findings();
        let bytes = match self.archive.load(index, CMS_SIZE_MAX) {
            Ok(bytes) => bytes,
            Err(anomaly) => {
                anomaly.tell(&mut findings);
                return vec![self.told(index, Format::AsicCades, findings)];
            }
        };
        let offset = self.archive.entries.get(index).map(|entry| entry.data);
        let mut fail = |code, message: &str| {
            findings.failed_at(Sub::FormatFailure, code, message, offset);
        };
        let data = match SignedData::parse(&bytes) {
            Ok(data) if data.signers.is_empty() => {
                fail("SIGNER_COUNT", "The signature has no signer.");
                None
            }
            Ok(data) => Some(data),
            Err(_) => {
                fail("CMS_UNREADABLE", "The signature is not a CMS signature or is damaged.");
                None
            }
        };
        match data {
            Some(data) => self.signers(index, &data, findings, tokens),
            None => vec![self.told(index, Format::AsicCades, findings)],
        }
    }

    fn signers(
        &self,
        index: usize,
        data: &SignedData<'_>,
        mut first: Findings,
        tokens: &Tokens,
    ) -> Vec<Signature> {
        let signed = self.signed(index, &mut first);
        if data.signers.len() > SIGNATURES_MAX {
            first.unjudged("TOO_MANY_SIGNATURES", "There are more signers than are judged.");
            return vec![self.told(index, Format::AsicCades, first)];
        }
        let mut quirks = data.quirks.clone();
        if let Some(inner) = &data.content {
            // Some writers pack what is signed once more; then it must be the same.
            let outer = signed.entry.and_then(|entry| self.archive.load(entry, CMS_SIZE_MAX).ok());
            if outer.as_deref() != Some(&**inner) {
                let message = "A signature in a container carries content of its own.";
                let offset = self.archive.entries.get(index).map(|entry| entry.data);
                first.failed_at(Sub::FormatFailure, "CONTENT_INSIDE", message, offset);
                return vec![self.told(index, Format::AsicCades, first)];
            }
            quirks.push("the signature carries what it signs once more".to_owned());
        }
        let Some((entry, opened)) =
            signed.entry.and_then(|entry| Some((entry, self.archive.bytes_of(entry)?)))
        else {
            return vec![self.told(index, Format::AsicCades, first)];
        };
        cms::note_rest(data.rest, "CMS structure", &mut quirks);
        let certificates = signer::certificates(self.trust, data, &mut quirks);
        let (material, proofs) = (Material::default(), tokens.proofs(index));
        let occasion =
            Occasion { trust: self.trust, now: self.now, material: &material, proofs: &proofs };
        let context = Context {
            occasion,
            data,
            certificates: &certificates,
            profile: Profile::Cades,
            place: Some(PLACE),
        };
        let mut content = Content::whole_of(&opened);
        let mut signatures = Vec::new();
        for info in &data.signers {
            let mut findings = self.findings();
            self.signed(index, &mut findings);
            let mut judged = signer::judge(&context, info, &mut content);
            for hash in &signed.hashes {
                judged.weigh_hash(occasion, Hashed::Content, hash);
            }
            // What is wrong with the package explains what is wrong with the signature.
            if let Err(anomaly) = self.archive.check(entry) {
                anomaly.tell(&mut findings);
            }
            findings.append(std::mem::take(&mut judged.findings));
            let mut signature =
                bare(signatures.len(), Format::AsicCades, judged.conclude(findings));
            signature.coverage = signed.coverage;
            signature.signed = signed.names.clone();
            signature.quirks = quirks.clone();
            fill(&mut signature, judged);
            signatures.push(signature);
        }
        for (at, info) in data.signers.iter().enumerate() {
            counter::judge(&context, info, (Format::AsicCades, at), &mut signatures);
        }
        signatures.iter_mut().for_each(|one| one.field = Some(self.name(index)));
        signatures
    }

    /// What the signature or token in an entry is about.
    pub(super) fn signed(&self, index: usize, findings: &mut Findings) -> Signed {
        let Some(placed) = self.manifest_of(index) else {
            let entry = self.only_object(findings);
            let named = entry.into_iter().collect();
            let coverage = self.coverage(&named, findings);
            return Signed { entry, coverage, names: self.described(&named), hashes: Vec::new() };
        };
        let referenced = self.referenced(&placed.manifest, findings);
        let coverage = self.coverage(&referenced.named, findings);
        let is_whole = referenced.named == referenced.holding;
        Signed {
            entry: Some(placed.entry),
            coverage: if is_whole { coverage } else { Coverage::Partial },
            names: self.described(&referenced.named),
            hashes: referenced.hashes,
        }
    }

    fn described(&self, named: &BTreeSet<usize>) -> Vec<String> {
        named.iter().map(|index| format!("the file {}", shown(&self.name(*index)))).collect()
    }
}

/// What a signature or token is about.
pub(super) struct Signed {
    /// The entry whose bytes it is over.
    pub entry: Option<usize>,
    /// How far it reaches, through a manifest if there is one.
    pub coverage: Coverage,
    /// The files that it reaches, for people.
    pub names: Vec<String>,
    /// What the manifest hashes them with.
    pub hashes: Vec<Hash>,
}
