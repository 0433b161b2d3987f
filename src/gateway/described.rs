//! Signatures and what was found about them, as JSON: in the kept report and in `--output json`.

use std::fmt::Display;

use serde::{Serialize, Serializer};

use crate::clock::Time;
use crate::digest::Sha256;
use crate::signature::{
    self, Coverage, Format, Indication, Signature, Signer, SubIndication, Timestamp, TimestampKind,
    Verdict,
};

/// One signature as `vanthu verify --output json` and the report write it.
pub fn describe(signature: &Signature) -> impl Serialize {
    Described::of(signature)
}

/// A signature, to be written.
#[derive(Debug, Serialize)]
pub(super) struct Described<'a> {
    best_time: Option<Shown<Time>>,
    counter_signs: Option<usize>,
    coverage: Shown<Coverage>,
    field: Option<&'a str>,
    format: Shown<Format>,
    index: usize,
    #[serde(flatten)]
    verdict: DescribedVerdict<'a>,
    quirks: &'a [String],
    signed: &'a [String],
    signer: Option<DescribedSigner<'a>>,
    signing_time: Option<Shown<Time>>,
    timestamps: Vec<DescribedTimestamp<'a>>,
    trust_domain: Option<&'a str>,
}

impl<'a> Described<'a> {
    pub(super) fn of(signature: &'a Signature) -> Self {
        Self {
            best_time: signature.best_time.map(Shown),
            counter_signs: signature.counter_signs,
            coverage: Shown(signature.coverage),
            field: signature.field.as_deref(),
            format: Shown(signature.format),
            index: signature.index,
            verdict: DescribedVerdict::of(&signature.verdict),
            quirks: &signature.quirks,
            signed: &signature.signed,
            signer: signature.signer.as_ref().map(DescribedSigner::of),
            signing_time: signature.signing_time.map(Shown),
            timestamps: signature.timestamps.iter().map(DescribedTimestamp::of).collect(),
            trust_domain: signature.domain.as_deref(),
        }
    }
}

#[derive(Debug, Serialize)]
struct DescribedVerdict<'a> {
    indication: Shown<Indication>,
    reasons: Vec<DescribedReason<'a>>,
    sub_indication: Option<Shown<SubIndication>>,
}

impl<'a> DescribedVerdict<'a> {
    fn of(verdict: &'a Verdict) -> Self {
        let sub_indication = verdict.sub_indication();
        let reason = |reason: &'a signature::Reason| DescribedReason {
            code: reason.code,
            message: &reason.message,
            message_vi: signature::reason_in_vietnamese(reason, sub_indication),
            offset: reason.offset,
        };
        let reasons = verdict.reasons().iter().map(reason).collect();
        let sub_indication = sub_indication.map(Shown);
        Self { indication: Shown(verdict.indication()), reasons, sub_indication }
    }
}

#[derive(Debug, Serialize)]
struct DescribedReason<'a> {
    code: &'a str,
    message: &'a str,
    message_vi: String,
    offset: Option<u64>,
}

#[derive(Debug, Serialize)]
struct DescribedSigner<'a> {
    issuer: &'a str,
    serial: &'a str,
    sha256: Shown<Sha256>,
    subject: &'a str,
}

impl<'a> DescribedSigner<'a> {
    fn of(signer: &'a Signer) -> Self {
        Self {
            issuer: &signer.issuer,
            serial: &signer.serial,
            sha256: Shown(signer.fingerprint()),
            subject: &signer.subject,
        }
    }
}

#[derive(Debug, Serialize)]
struct DescribedTimestamp<'a> {
    accuracy_ms: Option<u64>,
    authority: Option<DescribedSigner<'a>>,
    #[serde(flatten)]
    verdict: DescribedVerdict<'a>,
    kind: Shown<TimestampKind>,
    policy: Option<&'a str>,
    quirks: &'a [String],
    serial: Option<&'a str>,
    time: Option<Shown<Time>>,
    trust_domain: Option<&'a str>,
}

impl<'a> DescribedTimestamp<'a> {
    fn of(timestamp: &'a Timestamp) -> Self {
        Self {
            accuracy_ms: timestamp.accuracy_ms,
            authority: timestamp.authority.as_ref().map(DescribedSigner::of),
            verdict: DescribedVerdict::of(&timestamp.verdict),
            kind: Shown(timestamp.kind),
            policy: timestamp.policy.as_deref(),
            quirks: &timestamp.quirks,
            serial: timestamp.serial.as_deref(),
            time: timestamp.time.map(Shown),
            trust_domain: timestamp.domain.as_deref(),
        }
    }
}

/// A value that is written as its text.
#[derive(Debug)]
pub(super) struct Shown<T>(pub(super) T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
