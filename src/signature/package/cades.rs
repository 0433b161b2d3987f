//! CAdES signatures in an ASiC container: over the only file (ASiC-S) or over a manifest (ASiC-E).

use super::super::cms::SignedData;
use super::super::content::Content;
use super::super::evidence::Material;
use super::super::message::{bare, fill};
use super::super::past::Occasion;
use super::super::report::{Coverage, Findings, Format, Signature, SubIndication as Sub};
use super::super::signer::{self, Context, Profile};
use super::asic::Container;
use super::stamped::{PLACE, Tokens};
use crate::limits::CMS_SIZE_MAX;

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
            Ok(data) if data.content.is_some() => {
                fail("CONTENT_INSIDE", "A signature in a container carries content of its own.");
                None
            }
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
        let (signed, coverage) = self.signed(index, &mut first);
        let Some(opened) = signed.and_then(|signed| self.archive.bytes_of(signed)) else {
            return vec![self.told(index, Format::AsicCades, first)];
        };
        let mut quirks = data.quirks.clone();
        if data.rest.iter().any(|&byte| byte != 0) {
            quirks.push("bytes follow the CMS structure".to_owned());
        }
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
            if let Err(anomaly) = signed.map_or(Ok(()), |signed| self.archive.check(signed)) {
                anomaly.tell(&mut findings);
            }
            let mut signature = bare(0, Format::AsicCades, judged.conclude(findings));
            signature.coverage = coverage;
            signature.field = Some(self.name(index));
            signature.quirks = quirks.clone();
            fill(&mut signature, judged);
            signatures.push(signature);
        }
        signatures
    }

    /// The entry over which the signature or token in an entry is, and how far it reaches.
    pub(super) fn signed(
        &self,
        index: usize,
        findings: &mut Findings,
    ) -> (Option<usize>, Coverage) {
        let (signed, covered) = match self.manifest_of(index) {
            Some(placed) => (Some(placed.entry), self.referenced(&placed.manifest, findings)),
            None => {
                let object = self.only_object(findings);
                (object, object.into_iter().collect())
            }
        };
        (signed, self.coverage(&covered, findings))
    }
}
