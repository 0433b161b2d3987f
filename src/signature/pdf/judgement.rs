//! One PDF signature: the CMS inside, and the file around it.

use std::collections::HashMap;

use super::super::algorithm::Hash;
use super::super::cms::{self, SignedData, oid, utc};
use super::super::content::{Beginning, Content};
use super::super::evidence::{Material, Proofs};
use super::super::message::{bare, fill};
use super::super::past::Occasion;
use super::super::report::{
    Coverage, Findings, Format, Signature, SubIndication as Sub, TimestampKind, Verdict,
};
use super::super::signer::{self, Context, Hashed, Judged, Profile, claimed_time_quirk};
use super::super::timestamp::{self, Token};
use super::super::trust::Trust;
use super::diff::Allowed;
use super::document::{Document, View};
use super::fields::{form, text};
use super::file::Fault;
use super::range::{Lock, SignatureValue};
use super::{Candidate, add_fault, diff, updates, xref};
use crate::clock::Time;

/// What judging a signature needs beside the signature itself.
pub(super) struct Judge<'a> {
    pub document: &'a Document<'a>,
    pub last: &'a View,
    /// Signature fields and widgets of the last version, and whether they are signed.
    pub members: &'a HashMap<u32, bool>,
    pub trust: &'a Trust,
    pub now: Time,
    /// What each signature allows to follow it.
    pub permissions: &'a [Permission],
    /// Where the two views of the file differ.
    pub differing: &'a [u64],
    /// What the document security store holds.
    pub material: Material,
    /// What the signed ranges have in common.
    pub beginning: Beginning,
}

/// What a signature allows to follow it.
#[derive(Debug)]
pub(super) struct Permission {
    end: u64,
    certification: Option<i64>,
    locks: Vec<Lock>,
}

impl Permission {
    pub fn of(value: &SignatureValue) -> Self {
        let SignatureValue { end, certification, ref locks, .. } = *value;
        Self { end, certification, locks: locks.clone() }
    }
}

impl Judge<'_> {
    /// Judges a signature; `proofs` come from the time-stamps over the file.
    pub fn signature(&self, candidate: Candidate, proofs: &Proofs) -> Signature {
        let Candidate { name, format, value, loaded, mut findings } = candidate;
        let mut coverage = Coverage::Partial;
        let mut quirks = Vec::new();
        let mut judged = Judged::default();
        if let (Some(value), Some(_)) = (&value, &loaded) {
            coverage = self.coverage(value, &mut findings, &mut quirks);
            judged = self.value(value, proofs, &mut findings, &mut quirks);
            if judged.signing_time.is_none() {
                judged.signing_time = value.claimed.as_deref().and_then(date);
                let quirk = judged
                    .signing_time
                    .and_then(|claimed| claimed_time_quirk(self.now, judged.best_time, claimed));
                quirks.extend(quirk);
            }
        }
        let verdict = judged.conclude(findings);
        let mut signature = bare(0, format, verdict);
        signature.coverage = coverage;
        signature.quirks = quirks;
        signature.field = Some(name);
        fill(&mut signature, judged);
        signature
    }

    /// Judges a time-stamp over the file; one that holds is added to `proofs`.
    pub fn timestamp(&self, candidate: Candidate, proofs: &mut Proofs) -> Signature {
        let Candidate { name, value, loaded, mut findings, .. } = candidate;
        let mut signature = bare(0, Format::PdfTimestamp, Verdict::indeterminate(None, Vec::new()));
        signature.field = Some(name);
        if let (Some(value), Some(_)) = (&value, &loaded) {
            signature.coverage = self.coverage(value, &mut findings, &mut signature.quirks);
            let place = value.place();
            let (kind, bytes) = (TimestampKind::Document, &value.cms[..]);
            let token = Token { kind, bytes, place: Some(place), hashes: &[] };
            let occasion = self.occasion(proofs);
            let stamp = timestamp::judge(occasion, token, &mut self.content(value));
            findings.append(Findings::from(&stamp.report.verdict));
            signature.signer = stamp.report.authority.clone();
            signature.domain = stamp.report.domain.clone();
            signature.chain = stamp.report.chain.clone();
            signature.crls = stamp.report.crls.clone();
            signature.best_time = proofs.of(place.end).map(|existed| existed.at());
            if findings.is_empty() {
                signature.verdict = stamp.report.verdict.clone();
            }
            // What the file became later does not change what the token covers.
            if let Some(existed) = stamp.existed {
                proofs.add(place.covered, place.end, existed);
            }
            signature.timestamps.push(stamp.report);
        }
        if !findings.is_empty() {
            signature.verdict = findings.conclude(None);
        }
        signature
    }

    pub fn occasion<'a>(&'a self, proofs: &'a Proofs) -> Occasion<'a> {
        Occasion { trust: self.trust, now: self.now, material: &self.material, proofs }
    }

    pub fn content(&self, value: &SignatureValue) -> Content<'_> {
        let ranges = vec![0..value.gap_start, value.gap_end..value.end];
        let file = &self.document.file;
        Content::new(file, Some(&self.beginning), ranges)
    }

    fn value(
        &self,
        value: &SignatureValue,
        proofs: &Proofs,
        findings: &mut Findings,
        quirks: &mut Vec<String>,
    ) -> Judged {
        match value.format {
            Format::PdfCms | Format::PdfCades | Format::PdfSha1 => {
                self.cms(value, proofs, findings, quirks)
            }
            Format::PdfRsaSha1 => self.bare_rsa(value, proofs, findings, quirks),
            _ => {
                let name = value.sub_filter.as_deref().unwrap_or("without a name");
                findings.unjudged(
                    "FORMAT_NOT_JUDGED",
                    format!(
                        "The signature has the format {name}, which this version does not judge."
                    ),
                );
                Judged::default()
            }
        }
    }

    fn cms(
        &self,
        value: &SignatureValue,
        proofs: &Proofs,
        findings: &mut Findings,
        quirks: &mut Vec<String>,
    ) -> Judged {
        let mut fail = |code, message: &str| {
            findings.failed_at(Sub::FormatFailure, code, message, Some(value.gap_start));
        };
        let Ok(data) = SignedData::parse(&value.cms) else {
            fail("CMS_UNREADABLE", "The signature is not a CMS signature or is damaged.");
            return Judged::default();
        };
        quirks.extend(data.quirks.iter().cloned());
        cms::note_rest(data.rest, "CMS structure", quirks);
        match (value.format, &data.content) {
            (Format::PdfSha1, None) => {
                fail("CONTENT_MISSING", "The signature does not carry the digest of the document.");
            }
            (Format::PdfSha1, Some(inner)) => self.check_inner(value, inner, findings),
            (_, Some(_)) => {
                fail("CONTENT_INSIDE", "The signature carries another content than the document.");
            }
            (_, None) => {}
        }
        let mut fail = |code, message: &str| {
            findings.failed_at(Sub::FormatFailure, code, message, Some(value.gap_start));
        };
        let [info] = &data.signers[..] else {
            fail("SIGNER_COUNT", "A PDF signature must have exactly one signer.");
            return Judged::default();
        };
        // PAdES has no place for them (EN 319 142-1 §6.3).
        if !info.unsigned(oid::COUNTER_SIGNATURE).is_empty() {
            quirks.push("a counter signature is present and was not judged".to_owned());
        }
        let context = Context {
            occasion: self.occasion(proofs),
            data: &data,
            certificates: &signer::certificates(self.trust, &data, quirks),
            profile: match value.format {
                Format::PdfCades => Profile::Cades,
                _ => Profile::Plain,
            },
            place: Some(value.place()),
        };
        match (value.format, data.content.as_deref()) {
            (Format::PdfSha1, Some(inner)) => {
                let mut judged = signer::judge(&context, info, &mut Content::whole_of(&inner));
                judged.weigh_hash(context.occasion, Hashed::Content, &Hash::Sha1);
                judged
            }
            _ => signer::judge(&context, info, &mut self.content(value)),
        }
    }

    fn coverage(
        &self,
        value: &SignatureValue,
        findings: &mut Findings,
        quirks: &mut Vec<String>,
    ) -> Coverage {
        // What differs after the signed bytes was judged as an update.
        if let Some(place) = self.differing.iter().find(|&&place| place < value.end) {
            findings.doubt_at(
                Sub::SigConstraintsFailure,
                "VIEWS_DIFFER",
                "Programs may show different documents: an object stands in the signed bytes in \
                 two versions.",
                Some(*place),
            );
        }
        self.surroundings(value, findings, quirks).unwrap_or_else(|fault| {
            add_fault(findings, fault);
            Coverage::Partial
        })
    }

    /// The signed revision must be whole, and what follows must be allowed.
    fn surroundings(
        &self,
        value: &SignatureValue,
        findings: &mut Findings,
        quirks: &mut Vec<String>,
    ) -> Result<Coverage, Fault> {
        let document = self.document;
        if updates::nothing_follows(document, value.end)? {
            return Ok(Coverage::WholeFile);
        }
        let coverage = Coverage::Revision { end: value.end };
        let start = xref::start(&document.file, value.end);
        let newer = start
            .ok()
            .and_then(|start| document.sections.iter().position(|section| section.offset == start));
        let Some(newer) = newer else {
            findings.failed_at(
                Sub::FormatFailure,
                "REVISION_BROKEN",
                "The signed bytes are not a complete earlier version of the document.",
                Some(value.end),
            );
            return Ok(Coverage::Partial);
        };
        let signed = document.view(newer, value.end)?;
        if !self.leads_to(&signed, value)? {
            findings.failed_at(
                Sub::FormatFailure,
                "SIGNATURE_NOT_IN_REVISION",
                "The signed version of the document does not contain this signature.",
                Some(value.offset),
            );
            return Ok(Coverage::Partial);
        }
        let mut structure = Findings::default();
        updates::check(document, self.last, newer, value.end, &mut structure)?;
        let is_sound = structure.is_empty();
        findings.append(structure);
        if is_sound {
            let versions =
                diff::Versions { signed: &signed, last: self.last, members: self.members };
            let allowed = self.allowed_after(value.end);
            let (changes, remarks) = diff::judge(document, versions, newer, allowed)?;
            findings.append(changes);
            quirks.extend(remarks.into_iter().map(str::to_owned));
        }
        Ok(coverage)
    }

    /// What this signature and those before it allow.
    fn allowed_after(&self, end: u64) -> Allowed {
        let earlier = || self.permissions.iter().filter(|permission| permission.end <= end);
        Allowed {
            certification: earlier().filter_map(|permission| permission.certification).min(),
            locks: earlier().flat_map(|permission| permission.locks.iter().cloned()).collect(),
        }
    }

    fn leads_to(&self, view: &View, value: &SignatureValue) -> Result<bool, Fault> {
        for field in form(self.document, view)?.signed {
            let loaded = self.document.resolve(view, &field.value)?;
            if loaded.is_some_and(|loaded| loaded.place == (value.offset, None)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `D:YYYYMMDDHHmmSS+07'00'` (ISO 32000-1 §7.9.4).
fn date(bytes: &[u8]) -> Option<Time> {
    let text = text(bytes);
    let text = text.strip_prefix("D:").unwrap_or(&text);
    let digits = text.get(..14)?;
    let moment = utc(digits)?;
    let zone = text.get(14..).unwrap_or_default();
    let number = |range| zone.get(range).and_then(|part: &str| part.parse::<i64>().ok());
    let minutes = number(1..3).unwrap_or(0) * 60 + number(4..6).unwrap_or(0);
    let seconds = match zone.get(..1) {
        Some("+") => -60 * minutes,
        Some("-") => 60 * minutes,
        _ => 0,
    };
    Some(Time::from_seconds(moment.seconds().saturating_add(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_with_a_zone_are_brought_to_utc() {
        let read = |text: &str| date(text.as_bytes()).map(|time| time.to_string());
        let expected = Some("2026-11-22T03:45:18.000Z".to_owned());
        assert_eq!(read("D:20261122104518+07'00'"), expected);
        assert_eq!(read("D:20261122034518Z"), expected);
        assert_eq!(read("20261122034518"), expected);
        for wrong in ["", "D:", "D:2026", "D:2026112210451é+07"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
