//! The time-stamps on one signature: what they prove together (EN 319 102-1 §5.5.4).
//!
//! A time-stamp that does not hold is left out and reported; those that hold must not contradict
//! each other (C5).

use super::asn1::{Value, tag};
use super::cms::{SignerInfo, oid};
use super::content::Content;
use super::past::{Made, Occasion};
use super::report::{Findings, Indication, SubIndication as Sub, TimestampKind};
use super::signer::{Judged, Place};
use super::timestamp::{self, Existed, Stamp, Token};
use crate::limits::TIMESTAMPS_MAX;

/// A signer and where its time-stamps stand.
#[derive(Clone, Copy)]
pub(super) struct Inside<'a> {
    pub info: &'a SignerInfo<'a>,
    /// Of what is signed.
    pub place: Option<Place>,
    /// Of a time-stamp on the signature value.
    pub place_of: &'a dyn Fn(&Value<'_>) -> Option<Place>,
}

/// Judges the time-stamps in the attributes of a signer. `around` is what time-stamps over the file
/// prove: the signature is not older than the first and not younger than the second.
pub(super) fn judge(
    occasion: Occasion<'_>,
    Inside { info, place, place_of }: Inside<'_>,
    content: &mut Content<'_>,
    judged: &mut Judged,
    around: (Option<Existed>, Option<Existed>),
) -> Made {
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
    let mut weighing = Weighing::around(around);
    for (kind, value) in tokens.into_iter().take(TIMESTAMPS_MAX) {
        // Some signers pack the token once more.
        let is_packed = value.tag == tag::OCTET_STRING;
        let place = if kind == TimestampKind::Content { place } else { place_of(&value) };
        let bytes = if is_packed { value.content } else { value.raw };
        let token = Token { kind, bytes, place, hashes: &[] };
        let mut stamp = match kind {
            TimestampKind::Content => timestamp::judge(occasion, token, content),
            _ => {
                let value: &[u8] = &info.value;
                timestamp::judge(occasion, token, &mut Content::whole_of(&value))
            }
        };
        if is_packed {
            stamp.report.quirks.push("the time-stamp is packed into an octet string".to_owned());
        }
        weighing.add(kind, stamp, judged);
    }
    weighing.conclude(judged)
}

/// What the time-stamps on one signature prove together, one after the other.
#[derive(Default)]
pub(super) struct Weighing {
    after: Option<Existed>,
    by: Option<Existed>,
    /// The proof that a time-stamp around what comes next gives.
    outer: Option<Existed>,
    is_disordered: bool,
    /// TSTInfo of each.
    seen: Vec<Vec<u8>>,
}

impl Weighing {
    /// `around` is what time-stamps over the whole file prove: not before, and by.
    pub fn around((after, by): (Option<Existed>, Option<Existed>)) -> Self {
        Self { after, by, outer: by, ..Self::default() }
    }

    /// What comes next is covered by a time-stamp of this time.
    pub fn within(&mut self, outer: Option<Existed>) {
        self.outer = outer;
    }

    /// Takes a time-stamp into account and reports it; what it proves, if it holds.
    pub fn add(
        &mut self,
        kind: TimestampKind,
        mut stamp: Stamp,
        judged: &mut Judged,
    ) -> Option<Existed> {
        if self.seen.contains(&stamp.info) && !stamp.info.is_empty() {
            doubled(&mut stamp);
        }
        if let Some(existed) = stamp.existed {
            match kind {
                TimestampKind::Content => {
                    let known = self.after.filter(|known| known.at() >= existed.at());
                    self.after = Some(known.unwrap_or(existed));
                }
                // About the signature it says nothing.
                TimestampKind::References => self.order(existed),
                _ => {
                    self.order(existed);
                    let known = self.by.filter(|known| known.at() <= existed.at());
                    self.by = Some(known.unwrap_or(existed));
                }
            }
        }
        if !stamp.report.verdict.is_passed() {
            let sub = stamp.report.verdict.sub_indication().map_or("not judged", Sub::as_str);
            judged.quirks.push(format!("a time-stamp on the {kind} proves nothing: {sub}"));
        }
        // A copy of it in the wrong place says nothing against the right one.
        if stamp.report.verdict.indication() != Indication::TotalFailed {
            self.seen.push(stamp.info);
        }
        judged.timestamps.push(stamp.report);
        stamp.existed
    }

    /// What another time-stamp covers is not younger than it.
    fn order(&mut self, existed: Existed) {
        self.is_disordered |= self.outer.is_some_and(|outer| existed.is_after(&outer));
    }

    /// When the signature was made.
    pub fn conclude(self, judged: &mut Judged) -> Made {
        let (after, by) = (self.after, self.by);
        let crosses = after.zip(by).is_some_and(|(first, second)| first.is_after(&second));
        if self.is_disordered || crosses {
            judged.findings.doubt(
                Sub::TimestampOrderFailure,
                "TIMESTAMP_ORDER",
                "The time-stamps contradict each other: an inner one is later than an outer one.",
            );
        }
        Made { by: by.map(|by| by.at()), after: after.map(|after| after.at()), stated: None }
    }
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
