//! Counter-signatures in CMS (RFC 5652 §11.4): each confirms the value of another signature, and may be
//! confirmed itself.
//!
//! Anybody can add one. Each gets a verdict of its own beside those of the signatures, and says nothing
//! about the content.

use super::asn1::{Malformed, tag};
use super::cms::{SignerInfo, oid};
use super::content::Content;
use super::message::{bare, fill};
use super::report::{Coverage, Findings, Format, Signature, SubIndication as Sub};
use super::signer::{self, Context, Place, Profile};
use crate::limits::SIGNATURES_MAX;

/// Adds what confirms the signer `info`, whose signature stands at `confirmed` in the list.
pub(super) fn judge(
    context: &Context<'_>,
    info: &SignerInfo<'_>,
    (format, confirmed): (Format, usize),
    signatures: &mut Vec<Signature>,
) {
    let context = Context {
        occasion: context.occasion,
        data: context.data,
        certificates: context.certificates,
        profile: Profile::Counter,
        // Time-stamps over the message cover all that is in it.
        place: context.place.or(Some(Place { covered: 0, end: 0 })),
    };
    let mut waiting = counters(info, confirmed);
    while let Some(Counter { over, confirmed, info }) = waiting.pop() {
        if signatures.len() > SIGNATURES_MAX {
            return;
        }
        let index = signatures.len();
        let mut signature = if index == SIGNATURES_MAX {
            let mut findings = Findings::default();
            findings.unjudged("TOO_MANY_SIGNATURES", "There are more signers than are judged.");
            bare(index, format, findings.conclude(None))
        } else {
            one(&context, &over, info.as_ref(), (format, index))
        };
        signature.coverage = Coverage::Partial;
        signature.counter_signs = Some(confirmed);
        signatures.push(signature);
        waiting.extend(info.iter().flat_map(|info| counters(info, index)));
    }
}

/// A counter-signature, and what it is over.
struct Counter<'a> {
    over: Vec<u8>,
    confirmed: usize,
    info: Result<SignerInfo<'a>, Malformed>,
}

fn counters<'a>(info: &SignerInfo<'a>, confirmed: usize) -> Vec<Counter<'a>> {
    let values = info.unsigned(oid::COUNTER_SIGNATURE).into_iter().take(SIGNATURES_MAX);
    let read = |value: super::asn1::Value<'a>| {
        if value.tag == tag::SEQUENCE { SignerInfo::parse(value) } else { Err(Malformed) }
    };
    let counter = |value| Counter { over: info.value.to_vec(), confirmed, info: read(value) };
    values.map(counter).collect()
}

fn one(
    context: &Context<'_>,
    over: &[u8],
    info: Result<&SignerInfo<'_>, &Malformed>,
    (format, index): (Format, usize),
) -> Signature {
    let Ok(info) = info else {
        let mut findings = Findings::default();
        findings.failed(
            Sub::FormatFailure,
            "COUNTER_SIGNATURE_UNREADABLE",
            "A counter-signature cannot be read.",
        );
        return bare(index, format, findings.conclude(None));
    };
    let mut judged = signer::judge(context, info, &mut Content::whole_of(&over));
    let verdict = judged.conclude(Findings::default());
    let mut signature = bare(index, format, verdict);
    fill(&mut signature, judged);
    signature
}
