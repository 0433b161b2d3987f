//! The time-stamps of XAdES (EN 319 132-1 §5.3, §5.5): over which bytes each of them is.

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
use crate::signature::past::{Made, Occasion};
use crate::signature::report::TimestampKind;
use crate::signature::signer::Judged;
use crate::signature::stamps::Weighing;
use crate::signature::timestamp::{self, Token};

/// Judges the time-stamps on a signature.
pub fn judge<'a, 't>(
    scene: Scene<'a, 't>,
    occasion: Occasion<'_>,
    parts: &Parts<'a, 't>,
    properties: &Properties<'a, 't>,
    references: &[Referred<'a, 't>],
    judged: &mut Judged,
) -> Made {
    let mut weighing = Weighing::default();
    let signed = properties.signed.iter().flat_map(|node| elements(*node));
    let unsigned = properties.unsigned.into_iter().flat_map(elements);
    let mut count = 0;
    for stamp in signed.chain(unsigned) {
        let name = stamp.tag_name().name();
        let stamped = match name {
            "SignatureTimeStamp" => Stamped::Value,
            "AllDataObjectsTimeStamp" => Stamped::AllObjects,
            "IndividualDataObjectsTimeStamp" => Stamped::SomeObjects,
            "CounterSignature" => {
                judged.quirks.push("a counter signature is present and was not judged".to_owned());
                continue;
            }
            _ if name.ends_with("TimeStamp") || name.ends_with("TimeStampV2") => {
                judged.quirks.push(format!("a time-stamp is present and was not judged: {name}"));
                continue;
            }
            _ => continue,
        };
        for token in elements(stamp).filter(|node| is_named(node, "EncapsulatedTimeStamp")) {
            count += 1;
            if count > TIMESTAMPS_MAX {
                judged.quirks.push("there are more time-stamps than were judged".to_owned());
                break;
            }
            let content = octets(scene, parts, references, stamp, stamped);
            match (content, element::bytes(token)) {
                (Ok(content), Some(bytes)) => {
                    let kind = stamped.kind();
                    let token = Token { kind, bytes: &bytes, place: None };
                    let stamp = timestamp::judge(occasion, token, &mut Content::whole_of(&content));
                    weighing.add(kind, stamp, judged);
                }
                (Err(refusal), _) => {
                    let why = refusal.code;
                    judged.quirks.push(format!("a time-stamp was not judged: {why}"));
                }
                (Ok(_), None) => judged.quirks.push("a time-stamp cannot be read".to_owned()),
            }
        }
    }
    weighing.conclude(judged)
}

/// What a time-stamp is over.
#[derive(Clone, Copy)]
enum Stamped {
    Value,
    AllObjects,
    SomeObjects,
}

impl Stamped {
    fn kind(self) -> TimestampKind {
        match self {
            Self::Value => TimestampKind::Signature,
            Self::AllObjects | Self::SomeObjects => TimestampKind::Content,
        }
    }
}

fn octets<'a, 't>(
    scene: Scene<'a, 't>,
    parts: &Parts<'a, 't>,
    references: &[Referred<'a, 't>],
    stamp: Node<'a, 't>,
    stamped: Stamped,
) -> Result<Vec<u8>, Refusal> {
    let unknown = || Refusal {
        sub: None,
        code: "CANONICALIZATION_UNKNOWN",
        message: "A time-stamp is over a form of XML that is not judged.".to_owned(),
    };
    let method = match only(stamp, names::DSIG, "CanonicalizationMethod") {
        Some(node) => Method::from_element(algorithm(node), node).ok_or_else(unknown)?,
        None => Method::standard(),
    };
    match stamped {
        Stamped::Value => {
            let apex = parts.value_element;
            let set = NodeSet { apex, excluded: Vec::new(), with_comments: true };
            Ok(c14n::canonicalize(scene.tree, &set, &method)?)
        }
        Stamped::AllObjects | Stamped::SomeObjects => {
            let included: Vec<&str> = elements(stamp)
                .filter(|node| is_named(node, "Include"))
                .filter_map(|node| node.attribute("URI")?.strip_prefix('#'))
                .take(XML_REFERENCES_MAX)
                .collect();
            let is_meant = |one: &&Referred<'_, '_>| match stamped {
                Stamped::SomeObjects => {
                    one.element.attribute("Id").is_some_and(|id| included.contains(&id))
                }
                _ => !one.kind.ends_with("#SignedProperties"),
            };
            let mut joined = Vec::new();
            for one in references.iter().filter(is_meant) {
                joined.extend(reference::octets(scene, one.element)?);
                if u64::try_from(joined.len()).unwrap_or(u64::MAX) > PLAIN_MESSAGE_SIZE_MAX {
                    return Err(Refusal::budget());
                }
            }
            Ok(joined)
        }
    }
}
