//! Archive time-stamps on a CMS signature. One of version 3 (ETSI EN 319 122-1 §5.5.3) covers the
//! signature, the content, and those certificates, revocation data and unsigned attributes that its
//! index names; one of version 2 (RFC 5126 §6.4.1) covers all of them that are older.
//!
//! The index is unsigned, but part of what is stamped. An index that names what is not there, or a
//! stamp over anything else, proves nothing.

use std::borrow::Cow;
use std::collections::HashSet;
use std::slice;

use ring::digest;

use super::algorithm::Hash;
use super::asn1::{self, Malformed, Value, tag};
use super::cms::{SignedData, SignerInfo, UnsignedAttribute, oid};
use super::content::Content;
use super::evidence::Proofs;
use super::past::Occasion;
use super::report::{Findings, SubIndication as Sub, Timestamp, TimestampKind};
use super::signer::Place;
use super::timestamp::{self, Existed, Token};
use crate::clock::Time;
use crate::limits::TIMESTAMPS_MAX;

/// The archive time-stamps of one signer, the oldest first.
pub(super) struct Archive<'a> {
    stamps: Vec<ArchiveStamp<'a>>,
    /// There are some of version 1, which are only named.
    has_first_version: bool,
    /// More than are judged.
    has_more: bool,
}

struct ArchiveStamp<'a> {
    kind: &'static [u8],
    token: Value<'a>,
    time: Option<Time>,
    hash: Option<Hash>,
    /// Of version 3.
    index: Option<Index<'a>>,
}

/// What an index or a message has of one kind.
type Hashes = HashSet<Vec<u8>>;

/// ATSHashIndex in its versions: hashes of what is covered.
struct Index<'a> {
    raw: &'a [u8],
    hash: Hash,
    certificates: Hashes,
    revocations: Hashes,
    attributes: Hashes,
    /// Attributes are hashed value by value (version 3) or whole (before).
    by_value: bool,
}

/// What an index may name.
enum Item<'a> {
    Revocation(&'a [u8]),
    /// Kind and value.
    Attribute(&'a [u8], &'a [u8]),
}

/// What archive time-stamps prove, and what is known about each.
#[derive(Default)]
pub(super) struct Archived {
    pub proofs: Proofs,
    pub timestamps: Vec<Timestamp>,
    pub findings: Findings,
    pub quirks: Vec<String>,
}

impl<'a> Archive<'a> {
    /// The archive time-stamps of `info`; `None` if there are none.
    pub fn of(info: &SignerInfo<'a>) -> Option<Self> {
        let has_first_version = !info.unsigned(oid::ARCHIVE_TIMESTAMP_V1).is_empty();
        let of_kind = |kind| info.unsigned(kind).into_iter().map(move |token| (kind, token));
        let tokens: Vec<_> =
            of_kind(oid::ARCHIVE_TIMESTAMP_V2).chain(of_kind(oid::ARCHIVE_TIMESTAMP_V3)).collect();
        if tokens.is_empty() && !has_first_version {
            return None;
        }
        let has_more = tokens.len() > TIMESTAMPS_MAX;
        let tokens = tokens.into_iter().take(TIMESTAMPS_MAX);
        let mut stamps: Vec<_> =
            tokens.map(|(kind, token)| ArchiveStamp::read(kind, token)).collect();
        stamps.sort_by_key(|stamp| stamp.time);
        Some(Self { stamps, has_first_version, has_more })
    }

    /// Where the signature stands: every archive time-stamp covers it. Places here count stamps, not
    /// bytes: what ends at `n` is covered by the `n`th stamp and by all later ones.
    pub fn place(&self) -> Place {
        Place { covered: 0, end: 1 }
    }

    /// Where revocation data in the CMS stands.
    pub fn end_of_revocation(&self, info: &SignerInfo<'_>, raw: &[u8]) -> u64 {
        self.end_of(info, &Item::Revocation(raw))
    }

    /// Where an unsigned attribute stands.
    pub fn end_of_attribute(&self, info: &SignerInfo<'_>, kind: &[u8], value: &[u8]) -> u64 {
        self.end_of(info, &Item::Attribute(kind, value))
    }

    fn end_of(&self, info: &SignerInfo<'_>, item: &Item<'_>) -> u64 {
        let covers = |position: usize, stamp: &ArchiveStamp<'_>| match (&stamp.index, item) {
            (Some(index), _) => index.covers(info, item),
            _ if !stamp.is_second_version() => false,
            (None, Item::Revocation(_)) => true,
            (None, Item::Attribute(_, value)) => !self.is_from(position, value),
        };
        let mut stamps = self.stamps.iter().enumerate().rev();
        let last_without = stamps.find(|(position, stamp)| !covers(*position, stamp));
        let position = last_without.map_or(1, |(position, _)| position + 2);
        u64::try_from(position).unwrap_or(u64::MAX)
    }

    /// Whether this value is the stamp at `position` or a later one.
    fn is_from(&self, position: usize, value: &[u8]) -> bool {
        self.stamps.iter().skip(position).any(|stamp| stamp.token.raw == value)
    }

    /// The bytes that the stamp at `position` is over.
    fn imprinted(
        &self,
        position: usize,
        data: &SignedData<'_>,
        info: &SignerInfo<'_>,
        content: &mut Content<'_>,
    ) -> Option<Vec<u8>> {
        let stamp = self.stamps.get(position)?;
        if !stamp.is_second_version() {
            let kind = asn1::encode(tag::OBJECT_IDENTIFIER, &[data.content_type]);
            let digest = content.digest(stamp.hash.as_ref()?).ok()??;
            let index = stamp.index.as_ref()?.raw;
            return Some([&kind[..], &digest, info.stamped, index].concat());
        }
        let outside = match data.content {
            Some(_) => Cow::default(),
            None => content.bytes().ok()??,
        };
        let is_older = |attribute: &&UnsignedAttribute<'_>| {
            !attribute.values().any(|value| self.is_from(position, value.raw))
        };
        let attributes = info.unsigned_attributes.iter().filter(is_older);
        let attributes: Vec<&[u8]> = attributes.map(|attribute| attribute.raw).collect();
        let attributes = asn1::encode(tag::CONTEXT_1, &attributes);
        let [inside, certificates, revocations] = data.raw;
        let parts =
            [inside, &outside[..], certificates, revocations, info.stamped, &attributes[..]];
        Some(parts.concat())
    }

    /// Judges every stamp, the newest first: each proves how old those that it covers are.
    pub fn judge(
        &self,
        occasion: Occasion<'_>,
        data: &SignedData<'_>,
        info: &SignerInfo<'_>,
        content: &mut Content<'_>,
    ) -> Archived {
        let mut archived = Archived::default();
        if self.has_first_version {
            let quirk = "an archive time-stamp of the oldest kind (RFC 3126) was not judged";
            archived.quirks.push(quirk.to_owned());
        }
        if self.has_more {
            archived.quirks.push("there are more archive time-stamps than were judged".to_owned());
        }
        let mut later: Option<Existed> = None;
        for (position, stamp) in self.stamps.iter().enumerate().rev() {
            let end = self.end_of_attribute(info, stamp.kind, stamp.token.raw);
            let covered = u64::try_from(position + 1).unwrap_or(u64::MAX);
            let token = Token {
                kind: TimestampKind::Archive,
                bytes: stamp.token.raw,
                place: Some(Place { covered: 0, end }),
                hashes: stamp.index.as_ref().map_or(&[][..], |index| slice::from_ref(&index.hash)),
            };
            let mut findings = stamp.check_index(data, info);
            let imprinted = self.imprinted(position, data, info, content);
            if imprinted.is_none() && findings.is_empty() {
                findings.doubt(
                    Sub::SignedDataNotFound,
                    "CONTENT_UNREADABLE",
                    "What the archive time-stamp covers is too large or could not be read.",
                );
            }
            let imprinted = imprinted.unwrap_or_default();
            let occasion = Occasion { proofs: &archived.proofs, ..occasion };
            let mut judged =
                timestamp::judge(occasion, token, &mut Content::whole_of(&&imprinted[..]));
            if !findings.is_empty() {
                let mut all = Findings::from(&judged.report.verdict);
                all.append(findings);
                judged.report.verdict = all.conclude(None);
                judged.existed = None;
            }
            if let Some(existed) = judged.existed {
                if later.is_some_and(|later| existed.is_after(&later)) {
                    archived.findings.doubt(
                        Sub::TimestampOrderFailure,
                        "TIMESTAMP_ORDER",
                        "The archive time-stamps contradict each other: one covers a later one.",
                    );
                }
                later = Some(existed);
                archived.proofs.add(covered, end, existed);
            }
            if !judged.report.verdict.is_passed() {
                let sub = judged.report.verdict.sub_indication();
                let sub = sub.map_or("not judged", Sub::as_str);
                archived.quirks.push(format!("an archive time-stamp proves nothing: {sub}"));
            }
            archived.timestamps.push(judged.report);
        }
        archived.timestamps.reverse();
        archived
    }
}

impl<'a> ArchiveStamp<'a> {
    fn read(kind: &'static [u8], token: Value<'a>) -> Self {
        let (hash, time) = timestamp::imprint_of(token.raw).unzip();
        let index = (kind == oid::ARCHIVE_TIMESTAMP_V3).then(|| Index::of(token.raw)).flatten();
        Self { kind, token, time, hash, index }
    }

    fn is_second_version(&self) -> bool {
        self.kind == oid::ARCHIVE_TIMESTAMP_V2
    }

    /// Everything that the index names must be there.
    fn check_index(&self, data: &SignedData<'_>, info: &SignerInfo<'_>) -> Findings {
        let mut findings = Findings::default();
        if self.is_second_version() {
            return findings;
        }
        let Some(index) = &self.index else {
            findings.failed(
                Sub::FormatFailure,
                "ARCHIVE_INDEX_UNREADABLE",
                "The archive time-stamp does not say in a readable index what it covers.",
            );
            return findings;
        };
        let Some(algorithm) = index.hash.ring() else {
            findings.doubt(
                Sub::CryptoConstraintsFailure,
                "DIGEST_NOT_JUDGED",
                format!(
                    "The index of the archive time-stamp uses {}, which this version does not judge.",
                    index.hash.name()
                ),
            );
            return findings;
        };
        let hash = |bytes: &[u8]| digest::digest(algorithm, bytes).as_ref().to_vec();
        let certificates = data.all_certificates.iter().map(|raw| hash(raw)).collect();
        let revocations = data.revocations.iter().map(|value| hash(value.raw)).collect();
        let attributes = index.hashes_of_attributes(info).into_iter().collect();
        let known: [(&Hashes, Hashes, &str); 3] = [
            (&index.certificates, certificates, "a certificate"),
            (&index.revocations, revocations, "a piece of revocation data"),
            (&index.attributes, attributes, "an attribute"),
        ];
        for (named, there, what) in known {
            if !named.is_subset(&there) {
                findings.failed(
                    Sub::HashFailure,
                    "ARCHIVE_INDEX_DIFFERS",
                    format!("The archive time-stamp covers {what} that was changed or removed."),
                );
            }
        }
        findings
    }
}

impl<'a> Index<'a> {
    /// The index among the unsigned attributes of a token.
    fn of(token: &'a [u8]) -> Option<Self> {
        let data = SignedData::parse(token).ok()?;
        let [signer] = &data.signers[..] else { return None };
        let by_value = signer.unsigned(oid::ATS_HASH_INDEX_V3);
        let whole = [oid::ATS_HASH_INDEX_V2, oid::ATS_HASH_INDEX].map(|kind| signer.unsigned(kind));
        let whole = whole.concat();
        match (&by_value[..], &whole[..]) {
            ([index], []) => Self::read(*index, true).ok(),
            ([], [index]) => Self::read(*index, false).ok(),
            _ => None,
        }
    }

    fn read(value: Value<'a>, by_value: bool) -> Result<Self, Malformed> {
        let mut parts = Vec::new();
        let mut fields = asn1::only(value.raw, tag::SEQUENCE)?.children();
        while !fields.is_empty() && parts.len() <= 4 {
            parts.push(fields.expect(tag::SEQUENCE)?);
        }
        let (hash, lists) = match parts[..] {
            [algorithm, first, second, third] => {
                let oid = algorithm.children().expect(tag::OBJECT_IDENTIFIER)?;
                (Hash::from_oid(oid.content), [first, second, third])
            }
            // The first version has SHA-256 as its default.
            [first, second, third] if !by_value => (Hash::Sha256, [first, second, third]),
            _ => return Err(Malformed),
        };
        let [certificates, revocations, attributes] = lists.map(hashes);
        Ok(Self {
            raw: value.raw,
            hash,
            certificates: certificates?,
            revocations: revocations?,
            attributes: attributes?,
            by_value,
        })
    }

    fn covers(&self, info: &SignerInfo<'_>, item: &Item<'_>) -> bool {
        let Some(algorithm) = self.hash.ring() else { return false };
        let hash = |bytes: &[u8]| digest::digest(algorithm, bytes).as_ref().to_vec();
        match *item {
            Item::Revocation(raw) => self.revocations.contains(&hash(raw)),
            Item::Attribute(kind, value) if self.by_value => {
                self.attributes.contains(&hash(&typed(kind, value)))
            }
            // A value is covered with the attribute that it stands in.
            Item::Attribute(kind, value) => info.unsigned_attributes.iter().any(|attribute| {
                attribute.kind == kind
                    && attribute.values().any(|known| known.raw == value)
                    && self.attributes.contains(&hash(attribute.raw))
            }),
        }
    }

    fn hashes_of_attributes(&self, info: &SignerInfo<'_>) -> Vec<Vec<u8>> {
        let Some(algorithm) = self.hash.ring() else { return Vec::new() };
        let hash = |bytes: &[u8]| digest::digest(algorithm, bytes).as_ref().to_vec();
        let attributes = info.unsigned_attributes.iter();
        if self.by_value {
            let values = attributes.flat_map(|attribute| {
                attribute.values().map(|value| typed(attribute.kind, value.raw))
            });
            values.map(|bytes| hash(&bytes)).collect()
        } else {
            attributes.map(|attribute| hash(attribute.raw)).collect()
        }
    }
}

/// The type of an attribute and one of its values, as they are hashed together.
fn typed(kind: &[u8], value: &[u8]) -> Vec<u8> {
    [&asn1::encode(tag::OBJECT_IDENTIFIER, &[kind])[..], value].concat()
}

fn hashes(list: Value<'_>) -> Result<Hashes, Malformed> {
    let mut found = HashSet::new();
    let mut list = list.children();
    while !list.is_empty() {
        found.insert(list.octets(tag::OCTET_STRING)?.into_owned());
    }
    Ok(found)
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
