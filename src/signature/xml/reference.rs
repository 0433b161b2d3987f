//! References: what exactly is signed, and does its digest agree?
//!
//! Within the document a reference leads to all of it or to the only element with an identifier;
//! outside of it, only to what the caller hands over. Nothing is fetched.

use roxmltree::Node;

use super::algorithm;
use super::c14n::{Method, NodeSet};
use super::element::{self, elements, offset, only};
use super::names;
use super::transform::{self, Data, Refusal, Transformed};
use super::tree::Tree;
use super::{Covered, Files, Target};
use crate::limits::XML_REFERENCES_MAX;
use crate::signature::algorithm::Hash;
use crate::signature::content::Content;
use crate::signature::report::{Findings, SubIndication as Sub};
use crate::source::Unreadable;

/// A reference that was looked at.
pub struct Referred<'a, 't> {
    pub covered: Covered,
    pub kind: &'a str,
    /// What it is hashed with, if that was looked at.
    pub hash: Option<Hash>,
    /// What is signed of this document.
    pub nodes: Option<NodeSet<'a, 't>>,
    pub element: Node<'a, 't>,
}

/// Where references are read.
#[derive(Clone, Copy)]
pub struct Scene<'a, 't> {
    pub tree: &'a Tree<'t>,
    pub signature: Node<'a, 't>,
    /// The signature in whose properties this one stands, to confirm it.
    pub confirmed: Option<Confirmed<'a, 't>>,
    pub files: &'a dyn Files,
}

/// A signature that has a counter-signature.
#[derive(Clone, Copy)]
pub struct Confirmed<'a, 't> {
    pub signature: Node<'a, 't>,
    /// Its position in the document.
    pub index: usize,
}

/// The two lists that hold references.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum List {
    SignedInfo,
    Manifest,
}

/// Checks every reference in `parent`.
pub fn check_all<'a, 't>(
    scene: Scene<'a, 't>,
    parent: Node<'a, 't>,
    list: List,
    findings: &mut Findings,
) -> Vec<Referred<'a, 't>> {
    let references: Vec<_> = element::all(parent, names::DSIG, "Reference").collect();
    if references.is_empty() {
        findings.failed_at(
            Sub::FormatFailure,
            "REFERENCES_MISSING",
            "The signature refers to nothing.",
            offset(parent),
        );
    }
    if references.len() > XML_REFERENCES_MAX {
        findings.unjudged("REFERENCES_TOO_MANY", "The signature refers to too many things.");
        return Vec::new();
    }
    let checked = references.into_iter().map(|reference| check(scene, reference, list, findings));
    checked.collect()
}

fn check<'a, 't>(
    scene: Scene<'a, 't>,
    reference: Node<'a, 't>,
    list: List,
    findings: &mut Findings,
) -> Referred<'a, 't> {
    let uri = reference.attribute("URI");
    let covered = Covered {
        uri: uri.map(str::to_owned),
        target: Target::Unknown,
        holds: false,
        relationships: None,
    };
    let kind = reference.attribute("Type").unwrap_or_default();
    let mut referred = Referred { covered, kind, hash: None, nodes: None, element: reference };
    let at = offset(reference);
    let Some((hash, claimed)) = digest(reference, findings) else { return referred };
    let done = match resolve(scene, reference, &Method::standard()) {
        Ok((target, done)) => {
            referred.covered.target = target;
            done
        }
        Err(refusal) => {
            refusal.note(findings, at);
            return referred;
        }
    };
    let Transformed { data, nodes, relationships } = done;
    let actual = match &data {
        Data::Octets(octets) => Content::whole_of(octets).digest(&hash),
        Data::File(file) => {
            let file: &dyn crate::source::Source = &**file;
            Content::whole_of(file).digest(&hash)
        }
        Data::Nodes(_) => Err(Unreadable),
    };
    referred.hash = Some(hash.clone());
    referred.covered.holds = compare(&hash, &claimed, actual, (uri, at, list), findings);
    referred.covered.relationships = relationships;
    referred.nodes = nodes;
    referred
}

fn resolve<'a, 't>(
    scene: Scene<'a, 't>,
    reference: Node<'a, 't>,
    last: &Method,
) -> Result<(Target, Transformed<'a, 't>), Refusal> {
    let (target, data) = locate(scene, reference.attribute("URI"))?;
    let list = only(reference, names::DSIG, "Transforms");
    Ok((target, transform::run(scene.tree, list, scene.signature, data, last)?))
}

/// The bytes that a reference is about; nodes are written in the form `last`.
pub fn octets(
    scene: Scene<'_, '_>,
    reference: Node<'_, '_>,
    last: &Method,
) -> Result<Vec<u8>, Refusal> {
    match resolve(scene, reference, last)?.1.data {
        Data::Octets(octets) => Ok(octets),
        Data::File(file) => transform::read(&*file),
        Data::Nodes(_) => Err(Refusal::budget()),
    }
}

/// The digest method and value, each exactly once and plain.
fn digest(reference: Node<'_, '_>, findings: &mut Findings) -> Option<(Hash, Vec<u8>)> {
    let mut fail = |code, message: &str| {
        findings.failed_at(Sub::FormatFailure, code, message, offset(reference));
        None
    };
    let parts = elements(reference);
    let are_known = parts.map(|part| (part.tag_name().namespace(), part.tag_name().name())).all(
        |(space, name)| {
            space == Some(names::DSIG)
                && matches!(name, "Transforms" | "DigestMethod" | "DigestValue")
        },
    );
    let method = only(reference, names::DSIG, "DigestMethod");
    let value = only(reference, names::DSIG, "DigestValue");
    let many = element::all(reference, names::DSIG, "Transforms").count() > 1;
    let (Some(method), Some(value), true, false) = (method, value, are_known, many) else {
        return fail("REFERENCE_MALFORMED", "A reference lacks a part or has one too many.");
    };
    let Some(text) = element::text(value) else {
        return fail("VALUE_NOT_TEXT", "Something stands within a digest that is not text.");
    };
    match element::base64(text) {
        Some(claimed) => Some((algorithm::hash(element::algorithm(method)), claimed)),
        None => fail("REFERENCE_MALFORMED", "A digest is not base64."),
    }
}

/// Where the URI of a reference leads.
fn locate<'a, 't>(
    scene: Scene<'a, 't>,
    uri: Option<&str>,
) -> Result<(Target, Data<'a, 't>), Refusal> {
    let nodes = |apex: Node<'a, 't>, with_comments| {
        Data::Nodes(NodeSet { apex, excluded: Vec::new(), with_comments })
    };
    match uri {
        Some("") => Ok((Target::Document, nodes(scene.tree.root(), false))),
        Some("#xpointer(/)") => Ok((Target::Document, nodes(scene.tree.root(), true))),
        Some(uri) => match uri.strip_prefix('#') {
            Some(fragment) => {
                let (id, with_comments) = identifier(fragment)?;
                let node = the_only(scene.tree, id)?;
                let root = scene.tree.document_element();
                let target = Target::Element {
                    name: element::describe(node),
                    offset: offset(node),
                    is_document_element: node.id() == root.id(),
                };
                Ok((target, nodes(node, with_comments)))
            }
            None => outside(scene.files, Some(uri)),
        },
        None => outside(scene.files, None),
    }
}

fn outside<'a, 't>(
    files: &'a dyn Files,
    uri: Option<&str>,
) -> Result<(Target, Data<'a, 't>), Refusal> {
    if let Some(file) = files.open(uri) {
        return Ok((Target::File, Data::File(file)));
    }
    let what = uri.map_or("something that it does not name".to_owned(), |uri| format!("“{uri}”"));
    Err(Refusal::new(
        Sub::SignedDataNotFound,
        "EXTERNAL_REFERENCE",
        format!("The signature is about {what}, outside of this document; nothing is fetched."),
    ))
}

/// `id`, or `xpointer(id('id'))`, which keeps comments.
fn identifier(fragment: &str) -> Result<(&str, bool), Refusal> {
    let Some(pointer) = fragment.strip_prefix("xpointer(") else {
        let is_name = !fragment.is_empty() && !fragment.contains(['(', ')', '\'', '"', '/']);
        return if is_name { Ok((fragment, false)) } else { Err(other_pointer()) };
    };
    let quoted = pointer.strip_suffix("))").and_then(|rest| rest.strip_prefix("id("));
    let quoted = quoted.ok_or_else(other_pointer)?;
    for quote in ['\'', '"'] {
        let inner = quoted.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if let Some(id) = inner.filter(|id| !id.is_empty() && !id.contains(quote)) {
            return Ok((id, true));
        }
    }
    Err(other_pointer())
}

fn other_pointer() -> Refusal {
    Refusal::new(
        Sub::SigConstraintsFailure,
        "XPOINTER_FORBIDDEN",
        "The signed element is pointed at in a way that is not judged.",
    )
}

fn the_only<'a, 't>(tree: &'a Tree<'t>, id: &str) -> Result<Node<'a, 't>, Refusal> {
    match tree.with_id(id)[..] {
        [node] => Ok(node),
        [] => Err(Refusal::new(
            Sub::SignedDataNotFound,
            "REFERENCE_TARGET_MISSING",
            format!("The signature is about the element “{id}”, which is not there."),
        )),
        _ => Err(Refusal::new(
            Sub::FormatFailure,
            "ID_DOUBLED",
            format!("Several elements have the identifier “{id}”, and one of them is signed."),
        )),
    }
}

fn compare(
    hash: &Hash,
    claimed: &[u8],
    actual: Result<Option<Vec<u8>>, Unreadable>,
    (uri, at, list): (Option<&str>, Option<u64>, List),
    findings: &mut Findings,
) -> bool {
    let what = match uri {
        Some("") | None => "the document".to_owned(),
        Some(uri) => format!("“{uri}”"),
    };
    match actual {
        Ok(Some(actual)) if actual == claimed => return true,
        Ok(Some(_)) => {
            let code = match list {
                List::SignedInfo => "DIGEST_DIFFERS",
                List::Manifest => "MANIFEST_DIGEST_DIFFERS",
            };
            findings.failed_at(
                Sub::HashFailure,
                code,
                format!("What is signed was changed: the digest of {what} differs."),
                at,
            );
        }
        Ok(None) => findings.doubt_at(
            Sub::CryptoConstraintsFailure,
            "DIGEST_NOT_JUDGED",
            format!("{what} is hashed with {}, which this version does not judge.", hash.name()),
            at,
        ),
        Err(Unreadable) => findings.doubt_at(
            Sub::SignedDataNotFound,
            "CONTENT_UNREADABLE",
            "The signed content could not be read.",
            at,
        ),
    }
    false
}
