//! The time-stamps of XAdES (EN 319 132-1 §5.2.8, §5.3, §5.5, annex A; TS 101 903 §7 and §8): over
//! which bytes each of them is, and what it proves about the others.
//!
//! Each unsigned property has a place, its number. An archive time-stamp covers the signature and
//! every property before it; one over the references covers what it is made over and no more. Newer
//! time-stamps are judged before the older ones that they cover.

use roxmltree::Node;

use super::c14n::{self, Method, NodeSet};
use super::element::{self, algorithm, elements, only};
use super::names;
use super::parts::Parts;
use super::reference::{self, Referred, Scene};
use super::transform::Refusal;
use super::xades::{Properties, is_named};
use crate::limits::{PLAIN_MESSAGE_SIZE_MAX, TIMESTAMPS_MAX, XML_REFERENCES_MAX};
use crate::signature::content::Content;
use crate::signature::evidence::Proofs;
use crate::signature::past::{Made, Occasion};
use crate::signature::report::TimestampKind;
use crate::signature::signer::{Judged, Place};
use crate::signature::stamps::Weighing;
use crate::signature::timestamp::{self, Existed, Token};

/// Where the signature and all that it signs stands, for the proofs made here.
pub const SIGNATURE: u64 = 1;
/// Where KeyInfo stands, which archive time-stamps cover.
pub const KEY_INFO: u64 = 2;

/// Where the unsigned property of this number stands.
pub fn end_of(property: usize) -> u64 {
    u64::try_from(property).unwrap_or(u64::MAX - 3) + 3
}

/// What the time-stamps on a signature prove.
pub struct Proven {
    pub made: Made,
    pub proofs: Proofs,
}

/// Judges the time-stamps on a signature.
pub fn judge<'a, 't>(
    scene: Scene<'a, 't>,
    occasion: Occasion<'_>,
    parts: &Parts<'a, 't>,
    properties: &Properties<'a, 't>,
    references: &[Referred<'a, 't>],
    judged: &mut Judged,
) -> Proven {
    let unsigned: Vec<_> = properties.unsigned.into_iter().flat_map(elements).collect();
    let stamps = stamps(properties, &unsigned, judged);
    let around = occasion.proofs.of(SIGNATURE);
    let mut weighing = Weighing::around((None, around));
    let mut proofs = occasion.proofs.clone();
    let from = judged.timestamps.len();
    let imprint = Imprint { scene, parts, references, unsigned: &unsigned };
    let mut count = 0;
    for stamp in stamps.iter().rev() {
        let octets = imprint.octets(stamp);
        for token in elements(stamp.node).filter(|node| is_named(node, "EncapsulatedTimeStamp")) {
            count += 1;
            if count > TIMESTAMPS_MAX {
                judged.quirks.push("there are more time-stamps than were judged".to_owned());
                break;
            }
            match (&octets, element::bytes(token)) {
                (Ok(octets), Some(bytes)) => {
                    let (kind, end) = (stamp.stamped.kind(), stamp.end());
                    let place = Some(Place { covered: 0, end });
                    let token = Token { kind, bytes: &bytes, place, hashes: &[] };
                    let occasion = Occasion { proofs: &proofs, ..occasion };
                    let judgement =
                        timestamp::judge(occasion, token, &mut Content::whole_of(octets));
                    weighing.within(proofs.of(end));
                    if let Some(existed) = weighing.add(kind, judgement, judged) {
                        imprint.prove(stamp, existed, &mut proofs);
                    }
                }
                (Err(refusal), _) => {
                    let why = refusal.code;
                    judged.quirks.push(format!("a time-stamp was not judged: {why}"));
                }
                (Ok(_), None) => judged.quirks.push("a time-stamp cannot be read".to_owned()),
            }
        }
    }
    if let Some(own) = judged.timestamps.get_mut(from..) {
        own.reverse();
    }
    Proven { made: weighing.conclude(judged), proofs }
}

/// The time-stamps among the properties, in the order in which they stand.
fn stamps<'a, 't>(
    properties: &Properties<'a, 't>,
    unsigned: &[Node<'a, 't>],
    judged: &mut Judged,
) -> Vec<Stamp<'a, 't>> {
    let signed = properties.signed.iter().flat_map(|node| elements(*node));
    let signed = signed.map(|node| (node, None));
    let numbered = unsigned.iter().enumerate().map(|(number, node)| (*node, Some(number)));
    let mut stamps = Vec::new();
    for (node, number) in signed.chain(numbered) {
        let name = node.tag_name().name();
        match Stamped::by(node) {
            Some(stamped) => stamps.push(Stamp { node, number, stamped }),
            None if name.ends_with("TimeStamp") || name.ends_with("TimeStampV2") => {
                let quirk = format!("a time-stamp is present and was not judged: {name}");
                judged.quirks.push(quirk);
            }
            None if is_named(&node, "SealingEvidenceRecords") => {
                judged.quirks.push("an evidence record is present and was not judged".to_owned());
            }
            None => {}
        }
    }
    stamps
}

/// A time-stamp among the properties.
struct Stamp<'a, 't> {
    node: Node<'a, 't>,
    /// Of an unsigned property.
    number: Option<usize>,
    stamped: Stamped,
}

impl Stamp<'_, '_> {
    fn end(&self) -> u64 {
        self.number.map_or(SIGNATURE, end_of)
    }
}

/// What a time-stamp is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamped {
    Value,
    AllObjects,
    SomeObjects,
    /// The value, its time-stamps and the references to validation data.
    ValueAndReferences,
    /// The references alone.
    References,
    /// Everything that is older.
    Archive,
}

/// Properties that name certificates and revocation data.
const REFERENCES: [&str; 6] = [
    "CompleteCertificateRefs",
    "CompleteCertificateRefsV2",
    "CompleteRevocationRefs",
    "AttributeCertificateRefs",
    "AttributeCertificateRefsV2",
    "AttributeRevocationRefs",
];

impl Stamped {
    fn by(node: Node<'_, '_>) -> Option<Self> {
        let name = node.tag_name().name();
        if !is_named(&node, name) {
            return None;
        }
        Some(match name {
            "SignatureTimeStamp" => Self::Value,
            "AllDataObjectsTimeStamp" => Self::AllObjects,
            "IndividualDataObjectsTimeStamp" => Self::SomeObjects,
            "SigAndRefsTimeStamp" | "SigAndRefsTimeStampV2" => Self::ValueAndReferences,
            "RefsOnlyTimeStamp" | "RefsOnlyTimeStampV2" => Self::References,
            "ArchiveTimeStamp" => Self::Archive,
            _ => return None,
        })
    }

    fn kind(self) -> TimestampKind {
        match self {
            Self::Value => TimestampKind::Signature,
            Self::AllObjects | Self::SomeObjects => TimestampKind::Content,
            Self::ValueAndReferences => TimestampKind::SignatureAndReferences,
            Self::References => TimestampKind::References,
            Self::Archive => TimestampKind::Archive,
        }
    }

    /// Whether a property before it belongs to what it is over.
    fn takes(self, property: &Node<'_, '_>) -> bool {
        let is_reference = || REFERENCES.iter().any(|name| is_named(property, name));
        match self {
            Self::Archive => true,
            Self::ValueAndReferences => is_named(property, "SignatureTimeStamp") || is_reference(),
            Self::References => is_reference(),
            Self::Value | Self::AllObjects | Self::SomeObjects => false,
        }
    }
}

/// The parts of a signature that time-stamps are over.
struct Imprint<'a, 't, 'i> {
    scene: Scene<'a, 't>,
    parts: &'i Parts<'a, 't>,
    references: &'i [Referred<'a, 't>],
    unsigned: &'i [Node<'a, 't>],
}

impl<'a, 't> Imprint<'a, 't, '_> {
    /// The bytes that a time-stamp is over.
    fn octets(&self, stamp: &Stamp<'a, 't>) -> Result<Vec<u8>, Refusal> {
        let method = match only(stamp.node, names::DSIG, "CanonicalizationMethod") {
            Some(node) => Method::from_element(algorithm(node), node).ok_or_else(unknown_form)?,
            None => Method::standard(),
        };
        let mut octets = Octets { imprint: self, method, joined: Vec::new() };
        match stamp.stamped {
            Stamped::Value => octets.element(self.parts.value_element)?,
            Stamped::AllObjects => octets.referenced(|one| !is_properties(one))?,
            Stamped::SomeObjects => {
                let included: Vec<&str> = elements(stamp.node)
                    .filter(|node| is_named(node, "Include"))
                    .filter_map(|node| node.attribute("URI")?.strip_prefix('#'))
                    .take(XML_REFERENCES_MAX)
                    .collect();
                octets.referenced(|one| {
                    one.element.attribute("Id").is_some_and(|id| included.contains(&id))
                })?;
            }
            // Annex A.1.5: in the order in which they stand.
            Stamped::ValueAndReferences => {
                refuse_distributed(stamp)?;
                octets.element(self.parts.value_element)?;
                octets.elements(self.before(stamp))?;
            }
            Stamped::References => {
                refuse_distributed(stamp)?;
                octets.elements(self.before(stamp))?;
            }
            Stamped::Archive => {
                refuse_distributed(stamp)?;
                octets.archive(self.before(stamp))?;
            }
        }
        Ok(octets.joined)
    }

    /// The properties before a time-stamp that it is over.
    fn before<'s>(&'s self, stamp: &'s Stamp<'a, 't>) -> impl Iterator<Item = Node<'a, 't>> + 's {
        let before = self.unsigned.iter().take(stamp.number.unwrap_or(0));
        before.filter(|property| stamp.stamped.takes(property)).copied()
    }

    /// What a time-stamp that holds proves about everything else.
    fn prove(&self, stamp: &Stamp<'a, 't>, existed: Existed, proofs: &mut Proofs) {
        let end = stamp.end();
        match stamp.stamped {
            Stamped::Archive => proofs.add(end - 1, end, existed),
            Stamped::ValueAndReferences | Stamped::References | Stamped::Value => {
                let before = self.unsigned.iter().enumerate().take(stamp.number.unwrap_or(0));
                let taken = before.filter(|(_, property)| stamp.stamped.takes(property));
                let mut covered: Vec<u64> = taken.map(|(number, _)| end_of(number)).collect();
                if stamp.stamped != Stamped::References {
                    covered.push(SIGNATURE);
                }
                proofs.add_only(covered, end, existed);
            }
            // They are older than the signature.
            Stamped::AllObjects | Stamped::SomeObjects => {}
        }
    }
}

/// Bytes that are put together for one time-stamp.
struct Octets<'o, 'a, 't, 'i> {
    imprint: &'o Imprint<'a, 't, 'i>,
    method: Method,
    joined: Vec<u8>,
}

impl<'a, 't> Octets<'_, 'a, 't, '_> {
    fn add(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        self.joined.extend_from_slice(octets);
        let size = u64::try_from(self.joined.len()).unwrap_or(u64::MAX);
        if size > PLAIN_MESSAGE_SIZE_MAX { Err(Refusal::budget()) } else { Ok(()) }
    }

    fn element(&mut self, apex: Node<'a, 't>) -> Result<(), Refusal> {
        let set = NodeSet { apex, excluded: Vec::new(), with_comments: true };
        let octets = c14n::canonicalize(self.imprint.scene.tree, &set, &self.method)?;
        self.add(&octets)
    }

    fn elements(&mut self, every: impl Iterator<Item = Node<'a, 't>>) -> Result<(), Refusal> {
        for one in every {
            self.element(one)?;
        }
        Ok(())
    }

    /// What these references are about, in the order of SignedInfo.
    fn referenced(&mut self, is_meant: impl Fn(&Referred<'_, '_>) -> bool) -> Result<(), Refusal> {
        for one in self.imprint.references.iter().filter(|one| is_meant(one)) {
            let octets = reference::octets(self.imprint.scene, one.element, &self.method)?;
            self.add(&octets)?;
        }
        Ok(())
    }

    /// EN 319 132-1 §5.5.2.2: all that is signed, the parts of the signature, the properties before
    /// the time-stamp, and every object but the one that holds these.
    fn archive(&mut self, before: impl Iterator<Item = Node<'a, 't>>) -> Result<(), Refusal> {
        let Parts { signed_info, value_element, key_info, objects, .. } = self.imprint.parts;
        self.referenced(|_| true)?;
        self.elements([*signed_info, *value_element].into_iter().chain(*key_info))?;
        self.elements(before)?;
        let holds_properties = |object: &&Node<'_, '_>| {
            elements(**object).any(|node| is_named(&node, "QualifyingProperties"))
        };
        self.elements(objects.iter().filter(|object| !holds_properties(object)).copied())
    }
}

fn is_properties(one: &Referred<'_, '_>) -> bool {
    one.kind.ends_with("#SignedProperties")
}

/// Properties of one signature that are spread over a document are not put together.
fn refuse_distributed(stamp: &Stamp<'_, '_>) -> Result<(), Refusal> {
    const LISTS: [&str; 3] = ["Include", "HashDataInfo", "ReferenceInfo"];
    let is_list = |node: Node<'_, '_>| LISTS.iter().any(|name| is_named(&node, name));
    if !elements(stamp.node).any(is_list) {
        return Ok(());
    }
    let message = "A time-stamp lists by itself what it is over.";
    Err(Refusal { sub: None, code: "TIMESTAMP_DISTRIBUTED", message: message.to_owned() })
}

fn unknown_form() -> Refusal {
    Refusal {
        sub: None,
        code: "CANONICALIZATION_UNKNOWN",
        message: "A time-stamp is over a form of XML that is not judged.".to_owned(),
    }
}
