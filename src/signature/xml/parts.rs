//! The parts of a Signature element, each in its place and number (XML-DSig §4).

use roxmltree::Node;

use super::c14n;
use super::element::{self, algorithm, elements, offset, only};
use super::names;
use crate::limits::XML_OBJECTS_MAX;
use crate::signature::report::{Findings, SubIndication as Sub};

/// A signature taken apart.
#[derive(Clone)]
pub struct Parts<'a, 't> {
    pub element: Node<'a, 't>,
    pub signed_info: Node<'a, 't>,
    /// `None` if it is not judged.
    pub canonicalization: Option<c14n::Method>,
    pub method: &'a str,
    pub value: Vec<u8>,
    pub value_element: Node<'a, 't>,
    pub key_info: Option<Node<'a, 't>>,
    pub objects: Vec<Node<'a, 't>>,
}

impl<'a, 't> Parts<'a, 't> {
    pub fn read(signature: Node<'a, 't>, findings: &mut Findings) -> Option<Self> {
        let mut fail = |code, message: &str, node: Node<'_, '_>| {
            findings.failed_at(Sub::FormatFailure, code, message, offset(node));
            None
        };
        let Some(signed_info) = only(signature, names::DSIG, "SignedInfo") else {
            let message = "A signature must have one SignedInfo, no more and no less.";
            return fail("SIGNED_INFO_COUNT", message, signature);
        };
        if !is_in_order(signature) {
            let message = "The parts of the signature are not those of the standard, or doubled.";
            return fail("SIGNATURE_STRUCTURE", message, signature);
        }
        let Some(value_element) = only(signature, names::DSIG, "SignatureValue") else {
            let message = "The signature has no value.";
            return fail("SIGNATURE_STRUCTURE", message, signature);
        };
        let Some(text) = element::text(value_element) else {
            let message = "Something stands within the signature value that is not text.";
            return fail("VALUE_NOT_TEXT", message, value_element);
        };
        let Some(value) = element::base64(text).filter(|value| !value.is_empty()) else {
            let message = "The signature value is empty or not base64.";
            return fail("SIGNATURE_VALUE_UNREADABLE", message, value_element);
        };
        let objects: Vec<_> = element::all(signature, names::DSIG, "Object").collect();
        if objects.len() > XML_OBJECTS_MAX {
            return fail("OBJECTS_TOO_MANY", "The signature has too many objects.", signature);
        }
        let canonicalization = only(signed_info, names::DSIG, "CanonicalizationMethod");
        let method = only(signed_info, names::DSIG, "SignatureMethod");
        let (Some(canonicalization), Some(method)) = (canonicalization, method) else {
            let message = "The signed part does not name its algorithms, or names them twice.";
            return fail("SIGNED_INFO_MALFORMED", message, signed_info);
        };
        if !elements(signed_info).all(|child| is_one_of(&child, &SIGNED_INFO)) {
            let message = "The signed part has something in it that does not belong there.";
            return fail("SIGNED_INFO_MALFORMED", message, signed_info);
        }
        Some(Self {
            element: signature,
            signed_info,
            canonicalization: c14n::Method::from_element(
                algorithm(canonicalization),
                canonicalization,
            ),
            method: algorithm(method),
            value,
            value_element,
            key_info: only(signature, names::DSIG, "KeyInfo"),
            objects,
        })
    }

    pub fn id(&self) -> Option<&'a str> {
        self.element.attribute("Id")
    }
}

const SIGNED_INFO: [&str; 3] = ["CanonicalizationMethod", "SignatureMethod", "Reference"];

fn is_one_of(node: &Node<'_, '_>, known: &[&str]) -> bool {
    let name = node.tag_name();
    name.namespace() == Some(names::DSIG) && known.contains(&name.name())
}

/// SignedInfo, SignatureValue, KeyInfo if any, then Objects.
fn is_in_order(signature: Node<'_, '_>) -> bool {
    const ORDER: [&str; 4] = ["SignedInfo", "SignatureValue", "KeyInfo", "Object"];
    let mut next = 0;
    elements(signature).all(|child| {
        let place = ORDER.iter().position(|name| child.has_tag_name((names::DSIG, *name)));
        let fits = place.is_some_and(|place| place >= next);
        // Only Object may stand there more than once.
        next = place.map_or(next, |place| (place + 1).min(3));
        fits
    })
}
