//! The transforms that are judged: the canonical forms, the enveloped signature in its three
//! spellings, base64, and the relationships of OPC packages. Every other is refused by name.

use roxmltree::{Node, NodeId};

use super::c14n::{self, Method, NodeSet};
use super::element::{self, algorithm, elements};
use super::encoding;
use super::names;
use super::relationship;
use super::tree::{Exhausted, Refused, Tree};
use crate::limits::{PLAIN_MESSAGE_SIZE_MAX, XML_SIZE_MAX, XML_TRANSFORMS_MAX};
use crate::signature::report::{Findings, SubIndication as Sub};
use crate::source::Source;

/// What a reference is about on its way to the digest.
pub enum Data<'a, 't> {
    Nodes(NodeSet<'a, 't>),
    Octets(Vec<u8>),
    /// Bytes from outside of the document, not read yet.
    File(Box<dyn Source + 'a>),
}

/// Why a reference is not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub sub: Option<Sub>,
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(sub: Sub, code: &'static str, message: impl Into<String>) -> Self {
        Self { sub: Some(sub), code, message: message.into() }
    }

    pub fn budget() -> Self {
        let message = "The document needs more work than is spent on one.";
        Self { sub: None, code: "XML_BUDGET", message: message.to_owned() }
    }

    pub fn note(self, findings: &mut Findings, offset: Option<u64>) {
        match self.sub {
            // Nothing but a failure has this sub-indication (EN 319 102-1 table 5).
            Some(Sub::FormatFailure) => {
                findings.failed_at(Sub::FormatFailure, self.code, self.message, offset);
            }
            Some(sub) => findings.doubt_at(sub, self.code, self.message, offset),
            None => findings.unjudged(self.code, self.message),
        }
    }
}

impl From<Exhausted> for Refusal {
    fn from(_: Exhausted) -> Self {
        Self::budget()
    }
}

fn forbidden(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::new(Sub::SigConstraintsFailure, code, message)
}

/// What the transforms of one reference left.
pub struct Transformed<'a, 't> {
    pub data: Data<'a, 't>,
    /// The last node-set on the way; nothing outside of it is signed.
    pub nodes: Option<NodeSet<'a, 't>>,
    /// The relationships that were selected, if that is all that is signed of a part.
    pub relationships: Option<Vec<String>>,
}

/// Runs the transforms inside `list` over `data`; `own` is the signature that refers.
pub fn run<'a, 't>(
    tree: &'a Tree<'t>,
    list: Option<Node<'a, 't>>,
    own: Node<'a, 't>,
    data: Data<'a, 't>,
) -> Result<Transformed<'a, 't>, Refusal> {
    let mut state = Transformed { data, nodes: None, relationships: None };
    for (count, transform) in list.into_iter().flat_map(elements).enumerate() {
        if count >= XML_TRANSFORMS_MAX {
            return Err(forbidden("TRANSFORMS_TOO_MANY", "A reference has too many transforms."));
        }
        if !transform.has_tag_name((names::DSIG, "Transform")) {
            return Err(forbidden("TRANSFORM_UNKNOWN", "A transform cannot be read."));
        }
        state = step(tree, transform, own, state)?;
    }
    if let Data::Nodes(set) = &state.data {
        state.nodes = Some(set.clone());
        state.data = Data::Octets(c14n::canonicalize(tree, set, &Method::standard())?);
    }
    Ok(state)
}

fn step<'a, 't>(
    tree: &'a Tree<'t>,
    transform: Node<'a, 't>,
    own: Node<'a, 't>,
    mut state: Transformed<'a, 't>,
) -> Result<Transformed<'a, 't>, Refusal> {
    let uri = algorithm(transform);
    if let Some(method) = Method::from_element(uri, transform) {
        state.data = Data::Octets(match state.data {
            Data::Nodes(set) => {
                let octets = c14n::canonicalize(tree, &set, &method)?;
                state.nodes = Some(set);
                octets
            }
            Data::Octets(octets) => reparsed(&octets, &method)?,
            Data::File(file) => reparsed(&read(&*file)?, &method)?,
        });
        return Ok(state);
    }
    match uri {
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature" => {
            exclude(&mut state, vec![own.id()])?;
        }
        "http://www.w3.org/TR/1999/REC-xpath-19991116" => {
            let excluded = xpath(tree, transform, own)?;
            exclude(&mut state, excluded)?;
        }
        names::FILTER2 => {
            let excluded = filter(tree, transform, own)?;
            exclude(&mut state, excluded)?;
        }
        "http://www.w3.org/2000/09/xmldsig#base64" => {
            let text = characters(tree, state.data, &mut state.nodes)?;
            let decoded = element::base64(&text);
            state.data = Data::Octets(decoded.ok_or_else(|| {
                forbidden("BASE64_UNREADABLE", "What is signed as base64 is not base64.")
            })?);
        }
        relationship::TRANSFORM => {
            let octets = match state.data {
                Data::File(file) => read(&*file)?,
                Data::Octets(octets) => octets,
                Data::Nodes(_) => return Err(out_of_place(uri)),
            };
            let selected = relationship::select(&octets, transform)?;
            state.relationships = Some(selected.ids);
            state.data = Data::Octets(selected.octets);
        }
        "http://www.w3.org/TR/1999/REC-xslt-19991116" => {
            return Err(forbidden(
                "XSLT_FORBIDDEN",
                "What is signed is the result of a program (XSLT), which is not run here.",
            ));
        }
        _ => {
            return Err(forbidden(
                "TRANSFORM_UNKNOWN",
                format!("What is signed was transformed by “{uri}”, which is not judged."),
            ));
        }
    }
    Ok(state)
}

/// The characters of what is there, for base64. Tags and attributes are not signed then: only an
/// Object that holds nothing but characters counts as covered.
fn characters<'a, 't>(
    tree: &'a Tree<'t>,
    data: Data<'a, 't>,
    nodes: &mut Option<NodeSet<'a, 't>>,
) -> Result<String, Refusal> {
    let octets = match data {
        Data::Nodes(set) => {
            let text = set.string(tree)?;
            let is_object = set.apex.has_tag_name((names::DSIG, "Object"));
            *nodes = (is_object && elements(set.apex).next().is_none()).then_some(set);
            return Ok(text);
        }
        Data::Octets(octets) => octets,
        Data::File(file) => read(&*file)?,
    };
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

fn out_of_place(uri: &str) -> Refusal {
    forbidden("TRANSFORM_OUT_OF_PLACE", format!("The transform “{uri}” has nothing to work on."))
}

/// Takes subtrees out of a node-set.
fn exclude(state: &mut Transformed<'_, '_>, excluded: Vec<NodeId>) -> Result<(), Refusal> {
    match &mut state.data {
        Data::Nodes(set) => {
            set.excluded.extend(excluded);
            Ok(())
        }
        _ => Err(forbidden(
            "TRANSFORM_OUT_OF_PLACE",
            "The signature is to be left out of bytes that are no document any more.",
        )),
    }
}

/// The fixed forms of an XPath transform that only leave signatures out.
fn xpath(
    tree: &Tree<'_>,
    transform: Node<'_, '_>,
    own: Node<'_, '_>,
) -> Result<Vec<NodeId>, Refusal> {
    let path = element::only(transform, names::DSIG, "XPath");
    let (text, prefix) = path.and_then(expression).ok_or_else(other_xpath)?;
    let all = format!("not(ancestor-or-self::{prefix}:Signature)");
    let one = format!(
        "count(ancestor-or-self::{prefix}:Signature|here()/ancestor::{prefix}:Signature[1])>\
         count(ancestor-or-self::{prefix}:Signature)"
    );
    if text == all { every_signature(tree) } else { the_one(&text, &one, own) }
}

/// The same in XPath Filter 2.0.
fn filter(
    tree: &Tree<'_>,
    transform: Node<'_, '_>,
    own: Node<'_, '_>,
) -> Result<Vec<NodeId>, Refusal> {
    let path = element::only(transform, names::FILTER2, "XPath")
        .filter(|path| path.attribute("Filter") == Some("subtract"))
        .filter(|_| elements(transform).count() == 1);
    let (text, prefix) = path.and_then(expression).ok_or_else(other_xpath)?;
    let all = format!("/descendant::{prefix}:Signature");
    let one = format!("here()/ancestor::{prefix}:Signature[1]");
    if text == all { every_signature(tree) } else { the_one(&text, &one, own) }
}

fn every_signature(tree: &Tree<'_>) -> Result<Vec<NodeId>, Refusal> {
    Ok(tree.signatures().to_vec())
}

fn the_one(text: &str, one: &str, own: Node<'_, '_>) -> Result<Vec<NodeId>, Refusal> {
    if text == one { Ok(vec![own.id()]) } else { Err(other_xpath()) }
}

fn other_xpath() -> Refusal {
    forbidden(
        "XPATH_FORBIDDEN",
        "What is signed was selected by an XPath expression other than the one that leaves the \
         signature out.",
    )
}

/// An expression without blanks, and the prefix in it that means XML-DSig.
fn expression(path: Node<'_, '_>) -> Option<(String, String)> {
    let text: String = element::text(path)?.split_whitespace().collect();
    let (before, _) = text.split_once(":Signature")?;
    let start = before.rfind([':', '/']).map_or(0, |at| at + 1);
    let prefix = before.get(start..)?.to_owned();
    (path.lookup_namespace_uri(Some(&prefix)) == Some(names::DSIG)).then_some((text, prefix))
}

/// The bytes of a file, if one may hold them in memory.
pub fn read(file: &dyn Source) -> Result<Vec<u8>, Refusal> {
    let size = usize::try_from(file.size().min(PLAIN_MESSAGE_SIZE_MAX + 1)).unwrap_or(usize::MAX);
    if size > XML_SIZE_MAX {
        let message = "A signed file is too large to be transformed.";
        return Err(Refusal { sub: None, code: "CONTENT_TOO_LARGE", message: message.to_owned() });
    }
    let mut bytes = vec![0; size];
    match file.read_at(0, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Refusal::new(
            Sub::SignedDataNotFound,
            "CONTENT_UNREADABLE",
            "The signed content could not be read.",
        )),
    }
}

/// The canonical form of octets, which must be a document of their own.
fn reparsed(octets: &[u8], method: &Method) -> Result<Vec<u8>, Refusal> {
    if octets.len() > XML_SIZE_MAX {
        return Err(Refusal::budget());
    }
    let unreadable = || {
        forbidden("CONTENT_NOT_XML", "What is signed as XML is not well-formed, or not read here.")
    };
    let text = encoding::decode(octets).map_err(|_| unreadable())?;
    let tree = Tree::parse(&text).map_err(|refused| match refused {
        Refused::Dtd(_) => {
            forbidden("DTD_FORBIDDEN", "Signed XML has a document type declaration.")
        }
        Refused::Budget(_) => Refusal::budget(),
        Refused::Malformed(_) => unreadable(),
    })?;
    let set = NodeSet { apex: tree.root(), excluded: Vec::new(), with_comments: true };
    Ok(c14n::canonicalize(&tree, &set, method)?)
}
