//! The time-stamps on one signature: what they prove together (EN 319 102-1 §5.5.4).
//!
//! A time-stamp that does not hold is left out and reported; those that hold must not contradict
//! each other (C5).

use super::asn1::tag;
use super::cms::{SignerInfo, oid};
use super::content::Content;
use super::past::{Made, Occasion};
use super::report::{Findings, SubIndication as Sub, TimestampKind};
use super::signer::{Judged, Place};
use super::timestamp::{self, Existed, Stamp, Token};
use crate::limits::TIMESTAMPS_MAX;

/// Judges the time-stamps in the attributes of a signer. `around` is what time-stamps over the file
/// prove: the signature is not older than the first and not younger than the second.
pub(super) fn judge(
    occasion: Occasion<'_>,
    info: &SignerInfo<'_>,
    place: Option<Place>,
    content: &mut Content<'_>,
    judged: &mut Judged,
    around: (Option<Existed>, Option<Existed>),
) -> Made {
    let (mut after, mut by) = around;
    let mut tokens = Vec::new();
    if let Some(attributes) = &info.signed_attributes {
        let values = attributes.all(oid::CONTENT_TIMESTAMP);
        tokens.extend(values.into_iter().map(|value| (TimestampKind::Content, value)));
    }
    let values = info.unsigned(oid::TIMESTAMP_TOKEN);
    tokens.extend(values.into_iter().map(|value| (TimestampKind::Signature, value)));
    if tokens.len() > TIMESTAMPS_MAX {
        judged.quirks.push("there are more time-stamps than were judged".to_owned());
    }
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut is_ordered = true;
    for (kind, value) in tokens.into_iter().take(TIMESTAMPS_MAX) {
        // Some signers pack the token once more.
        let is_packed = value.tag == tag::OCTET_STRING;
        let token = Token { kind, bytes: if is_packed { value.content } else { value.raw }, place };
        let mut stamp = match kind {
            TimestampKind::Content => timestamp::judge(occasion, token, content),
            _ => {
                let value: &[u8] = &info.value;
                timestamp::judge(occasion, token, &mut Content::whole_of(&value))
            }
        };
        if seen.contains(&stamp.info) && !stamp.info.is_empty() {
            doubled(&mut stamp);
        }
        if let Some(existed) = stamp.existed {
            match kind {
                TimestampKind::Content => {
                    after =
                        Some(after.filter(|known| known.at() >= existed.at()).unwrap_or(existed));
                }
                _ => {
                    // What a time-stamp over the file covers is not younger than it.
                    is_ordered &= !around.1.is_some_and(|outer| existed.is_after(&outer));
                    by = Some(by.filter(|known| known.at() <= existed.at()).unwrap_or(existed));
                }
            }
        }
        if !stamp.report.verdict.is_passed() {
            let sub = stamp.report.verdict.sub_indication().map_or("not judged", Sub::as_str);
            judged.quirks.push(format!("a time-stamp on the {kind} proves nothing: {sub}"));
        }
        if is_packed {
            stamp.report.quirks.push("the time-stamp is packed into an octet string".to_owned());
        }
        seen.push(stamp.info);
        judged.timestamps.push(stamp.report);
    }
    if let (Some(first), Some(second)) = (after, by) {
        is_ordered &= !first.is_after(&second);
    }
    if !is_ordered {
        judged.findings.doubt(
            Sub::TimestampOrderFailure,
            "TIMESTAMP_ORDER",
            "The time-stamps contradict each other: an inner one is later than an outer one.",
        );
    }
    Made { by: by.map(|by| by.at()), after: after.map(|after| after.at()), stated: None }
}

/// The same token twice proves nothing twice.
fn doubled(stamp: &mut Stamp) {
    let mut findings = Findings::from(&stamp.report.verdict);
    findings.doubt(
        Sub::SigConstraintsFailure,
        "TIMESTAMP_DOUBLED",
        "The same time-stamp stands on the signature twice.",
    );
    stamp.report.verdict = findings.conclude(None);
    stamp.existed = None;
}

#[cfg(test)]
#[path = "stamps_tests.rs"]
mod tests;
