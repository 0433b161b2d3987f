//! Evidence records in an ASiC container (EN 319 162-1 §4.3.3.2, §4.4.3.2): over its only file, or over
//! the files that their manifest names.
//!
//! A record is nobody's signature. One that holds proves that its files existed at the time of its
//! oldest time-stamp.

use super::super::algorithm::Hash;
use super::super::content::Content;
use super::super::evidence::Material;
use super::super::evidence_record::{EvidenceRecord, Stamped, Unread};
use super::super::past::Occasion;
use super::super::report::{
    Findings, Format, Signature, SubIndication as Sub, Timestamp, TimestampKind,
};
use super::super::signer::Place;
use super::super::timestamp::{self, Existed, Stamp, Token};
use super::asic::Container;
use super::stamped::{PLACE, Tokens};
use crate::limits::CMS_SIZE_MAX;

/// What is known about a record after its time-stamps were judged.
#[derive(Default)]
struct Chained {
    findings: Findings,
    /// The oldest first.
    timestamps: Vec<Timestamp>,
    /// The time of the oldest.
    existed: Option<Existed>,
}

impl Container<'_> {
    /// Judges the record in an entry; `newer` is what was judged before it.
    pub(super) fn record(&self, index: usize, newer: &Tokens) -> (Signature, Option<Existed>) {
        let mut findings = self.findings();
        let signed = self.signed(index, &mut findings);
        let objects: Vec<usize> = self.protected(index).into_iter().collect();
        let mut chained = Chained::default();
        if findings.is_empty() && !objects.is_empty() {
            match self.archive.load(index, CMS_SIZE_MAX) {
                Ok(bytes) => chained = self.chained(index, &bytes, &objects, newer),
                Err(anomaly) => anomaly.tell(&mut findings),
            }
        }
        findings.append(chained.findings);
        let existed = chained.existed.filter(|_| findings.is_empty());
        let oldest = chained.timestamps.first().filter(|_| existed.is_some());
        let verdict = oldest.map(|oldest| oldest.verdict.clone());
        let mut signature = self.told(index, Format::AsicEvidenceRecord, findings);
        if let (Some(oldest), Some(verdict)) = (oldest, verdict) {
            signature.verdict = verdict;
            signature.signer = oldest.authority.clone();
            signature.domain = oldest.domain.clone();
            signature.chain = oldest.chain.clone();
            signature.crls = oldest.crls.clone();
        }
        signature.coverage = signed.coverage;
        signature.signed = signed.names;
        signature.best_time = newer.proofs(index).of(PLACE.end).map(|existed| existed.at());
        signature.timestamps = chained.timestamps;
        (signature, existed)
    }

    fn chained(&self, index: usize, bytes: &[u8], objects: &[usize], newer: &Tokens) -> Chained {
        let mut chained = Chained::default();
        let record = match EvidenceRecord::read(bytes) {
            Ok(record) => record,
            Err(unread) => {
                self.unread(index, unread, &mut chained.findings);
                return chained;
            }
        };
        let digests = |hash: &Hash| {
            let digests = objects.iter().map(|object| self.archive.digest(*object, hash));
            digests.map(|digest| digest.ok().flatten()).collect::<Option<Vec<_>>>()
        };
        // A newer time-stamp covers all older ones and what they protect.
        let mut proofs = newer.proofs(index).within(PLACE.end);
        let mut later: Option<Existed> = None;
        for (number, (stamp, stamped)) in record.stamps(&digests).into_iter().enumerate().rev() {
            let Some(stamped) = stamped else {
                missing(&stamp.hash, &mut chained.findings);
                continue;
            };
            let end = PLACE.end + 1 + u64::try_from(number).unwrap_or(u64::MAX / 2);
            let place = Some(Place { covered: 0, end });
            let hashes = std::slice::from_ref(&stamp.hash);
            let token = Token { kind: TimestampKind::Archive, bytes: stamp.token, place, hashes };
            let material = Material::default();
            let occasion =
                Occasion { trust: self.trust, now: self.now, material: &material, proofs: &proofs };
            let Some(Stamp { report, existed, .. }) = self.over(occasion, token, stamped, objects)
            else {
                continue;
            };
            chained.findings.append(Findings::from(&report.verdict));
            chained.timestamps.insert(0, report);
            chained.existed = existed;
            if let Some(existed) = existed {
                if later.is_some_and(|later| existed.is_after(&later)) {
                    chained.findings.doubt(
                        Sub::TimestampOrderFailure,
                        "TIMESTAMP_ORDER",
                        "The time-stamps contradict each other: an inner one is later than an \
                         outer one.",
                    );
                }
                later = Some(existed);
                proofs.add(end - 1, end, existed);
            }
        }
        chained
    }

    /// Judges one time-stamp over what it must be over.
    fn over(
        &self,
        occasion: Occasion<'_>,
        token: Token<'_>,
        stamped: Stamped,
        objects: &[usize],
    ) -> Option<Stamp> {
        match stamped {
            Stamped::Object(at) => {
                let opened = self.archive.bytes_of(*objects.get(at)?)?;
                Some(timestamp::judge(occasion, token, &mut Content::whole_of(&opened)))
            }
            Stamped::Bytes(bytes) => {
                Some(timestamp::judge(occasion, token, &mut Content::whole_of(&bytes)))
            }
        }
    }

    fn unread(&self, index: usize, unread: Unread, findings: &mut Findings) {
        let offset = self.archive.entries.get(index).map(|entry| entry.data);
        let is_xml = self.name(index).ends_with(".xml");
        match unread {
            _ if is_xml => findings.unjudged(
                "EVIDENCE_RECORD_NOT_JUDGED",
                "The evidence record is written in XML (RFC 6283), which this version does not \
                 judge.",
            ),
            Unread::Malformed => findings.failed_at(
                Sub::FormatFailure,
                "EVIDENCE_RECORD_UNREADABLE",
                "The evidence record cannot be read.",
                offset,
            ),
            Unread::Encrypted => findings.unjudged(
                "EVIDENCE_RECORD_NOT_JUDGED",
                "The evidence record is over encrypted files, which this version does not judge.",
            ),
            Unread::TooLong => findings.unjudged(
                "EVIDENCE_RECORD_TOO_LONG",
                "The evidence record has more time-stamps or hashes than this version judges.",
            ),
        }
    }
}

/// What a time-stamp of the record is over cannot be told.
fn missing(hash: &Hash, findings: &mut Findings) {
    if hash.ring().is_none() {
        let name = hash.name();
        findings.doubt(
            Sub::CryptoConstraintsFailure,
            "DIGEST_NOT_JUDGED",
            format!("The evidence record uses {name}, which this version does not judge."),
        );
    } else {
        findings.failed(
            Sub::HashFailure,
            "EVIDENCE_RECORD_DIFFERS",
            "The evidence record does not protect every file that it should, or a file was changed.",
        );
    }
}
