//! XML signatures: XML-DSig and XAdES, in a document or about the files around it.
//!
//! Promises the exact element or file that each signature is about, and that nothing which is not
//! signed goes unsaid. Never fetches anything, runs a program (XSLT, XPath) or reads a DTD.

mod algorithm;
mod c14n;
mod coverage;
mod element;
mod encoding;
mod judgement;
mod key_info;
mod names;
mod parts;
mod reference;
mod relationship;
mod stamp;
mod transform;
mod tree;
mod xades;
mod xml_base;

use std::cell::RefCell;

use reference::{Confirmed, Scene};
use roxmltree::Node;
use tree::{Refused, Tree};

use super::evidence::{Material, Proofs};
use super::past::Occasion;
use super::report::{Findings, Kind, Report, Signature, SubIndication as Sub};
use super::trust::Trust;
use crate::clock::Time;
use crate::digest::Hasher;
use crate::limits::{HASH_WINDOW_SIZE, SIGNATURES_MAX, XML_SIZE_MAX};
use crate::source::{Source, Unreadable};

/// What references that leave the document lead to.
pub(super) trait Files {
    /// The bytes behind a reference as it is written, or behind one without a URI; `None` if there
    /// are none, and the signature is then about something that is not at hand.
    fn open<'a>(&'a self, uri: Option<&str>) -> Option<Box<dyn Source + 'a>>;
}

/// A document that stands alone.
pub(super) struct NoFiles;

impl Files for NoFiles {
    fn open<'a>(&'a self, _: Option<&str>) -> Option<Box<dyn Source + 'a>> {
        None
    }
}

/// One file, which a detached signature is about, whatever it calls it. What it gives another name
/// is another file, and not at hand.
pub(super) struct OneFile<'a> {
    file: &'a dyn Source,
    name: RefCell<Option<Option<String>>>,
}

impl<'a> OneFile<'a> {
    pub fn new(file: &'a dyn Source) -> Self {
        Self { file, name: RefCell::new(None) }
    }
}

impl Files for OneFile<'_> {
    fn open<'a>(&'a self, uri: Option<&str>) -> Option<Box<dyn Source + 'a>> {
        let asked = uri.map(str::to_owned);
        let mut name = self.name.borrow_mut();
        let is_it = *name.get_or_insert_with(|| asked.clone()) == asked;
        is_it.then(|| Box::new(Borrowed(self.file)) as Box<dyn Source + 'a>)
    }
}

struct Borrowed<'a>(&'a dyn Source);

impl Source for Borrowed<'_> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read_at(offset, into)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        self.0.in_memory()
    }

    fn hashed(&self, size: u64) -> Option<(u64, Hasher)> {
        self.0.hashed(size)
    }
}

/// A signature and what it is about.
pub(super) struct Judged {
    pub signature: Signature,
    /// The references of SignedInfo, then those of its manifests.
    pub references: Vec<Covered>,
    /// What time-stamps prove about the signature and its properties.
    proofs: Proofs,
}

/// One reference.
#[derive(Debug, Clone)]
pub(super) struct Covered {
    /// As it is written.
    pub uri: Option<String>,
    pub target: Target,
    /// Whether the digest agrees. Without it nothing is covered.
    pub holds: bool,
    /// Of a relationships part, the identifiers that are signed; `None` if all of a file is.
    pub relationships: Option<Vec<String>>,
}

impl Covered {
    /// What it is about, for people.
    pub fn describe(&self) -> String {
        let what = match &self.target {
            Target::Document => "the document".to_owned(),
            Target::Element { name, offset, .. } => {
                let place = offset.map_or(String::new(), |offset| format!(" at byte {offset}"));
                format!("the element {name}{place}")
            }
            Target::File => format!("the file {}", self.uri.as_deref().unwrap_or("at hand")),
            Target::Unknown => self.uri.clone().unwrap_or_default(),
        };
        if self.holds { what } else { format!("{what} (does not hold)") }
    }
}

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// All of this document, but the signature itself.
    Document,
    Element {
        name: String,
        offset: Option<u64>,
        is_document_element: bool,
    },
    /// Something outside, which [`Files`] gave.
    File,
    /// Nothing that is known here.
    Unknown,
}

/// Whether bytes look like XML.
pub(super) fn starts_like_xml(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    text.starts_with(b"<")
        || [&b"\xfe\xff\0<"[..], b"\xff\xfe<\0", b"\0<", b"<\0"]
            .iter()
            .any(|it| head.starts_with(it))
}

/// Judges every signature in an XML document; `occasion` is that of the whole document.
pub(super) fn judge(
    content: &dyn Source,
    files: &dyn Files,
    occasion: Occasion<'_>,
) -> (Vec<Judged>, Vec<String>) {
    let size = usize::try_from(content.size()).unwrap_or(usize::MAX);
    if size > XML_SIZE_MAX {
        if !mentions_signature_anywhere(content) {
            return (Vec::new(), Vec::new());
        }
        let mut findings = Findings::default();
        findings.unjudged("XML_TOO_LARGE", "The XML document is too large to be judged.");
        return (vec![judgement::whole(findings)], Vec::new());
    }
    let mut bytes = vec![0; size];
    if content.read_at(0, &mut bytes).is_err() {
        let mut findings = Findings::default();
        let message = "The content could not be read.";
        findings.doubt(Sub::SignedDataNotFound, "CONTENT_UNREADABLE", message);
        return (vec![judgement::whole(findings)], Vec::new());
    }
    judge_bytes(&bytes, files, occasion)
}

/// Judges every signature in an XML document in memory.
pub(super) fn judge_bytes(
    bytes: &[u8],
    files: &dyn Files,
    occasion: Occasion<'_>,
) -> (Vec<Judged>, Vec<String>) {
    let unsigned = (Vec::new(), Vec::new());
    let mut findings = Findings::default();
    let text = match encoding::decode(bytes) {
        Ok(text) => text,
        Err(encoding::Unknown(name)) => {
            if !mentions_signature(bytes) {
                return unsigned;
            }
            let message = format!("The document is written in {name}, which is not read here.");
            findings.unjudged("ENCODING_NOT_JUDGED", message);
            return (vec![judgement::whole(findings)], Vec::new());
        }
    };
    if !mentions_signature(text.as_bytes()) {
        return unsigned;
    }
    match Tree::parse(&text) {
        Ok(tree) => judge_tree(&tree, files, occasion),
        Err(refused) if text.contains(names::DSIG) => {
            note(refused, &mut findings);
            (vec![judgement::whole(findings)], Vec::new())
        }
        Err(_) => unsigned,
    }
}

/// The name of the element cannot be written in another way.
fn mentions_signature(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"Signature").is_some()
}

/// The same where the document is too large to be held.
fn mentions_signature_anywhere(content: &dyn Source) -> bool {
    const OVERLAP: u64 = 16;
    let mut window = vec![0; HASH_WINDOW_SIZE];
    let mut offset = 0;
    while offset < content.size() {
        let left = usize::try_from(content.size() - offset).unwrap_or(usize::MAX);
        window.truncate(left);
        if content.read_at(offset, &mut window).is_err() || mentions_signature(&window) {
            return true;
        }
        let step = u64::try_from(window.len()).unwrap_or(u64::MAX).saturating_sub(OVERLAP);
        offset = offset.saturating_add(step.max(1));
        if left <= window.len() {
            break;
        }
    }
    false
}

fn judge_tree(
    tree: &Tree<'_>,
    files: &dyn Files,
    occasion: Occasion<'_>,
) -> (Vec<Judged>, Vec<String>) {
    let every = tree.signatures();
    if every.len() > SIGNATURES_MAX {
        let mut findings = Findings::default();
        findings.unjudged("SIGNATURES_TOO_MANY", "The document has too many signatures.");
        return (vec![judgement::whole(findings)], Vec::new());
    }
    let mut quirks = Vec::new();
    if !every.is_empty() && tree.has_doubled_ids() {
        quirks.push("several elements have the same identifier".to_owned());
    }
    let mut judged: Vec<Judged> = Vec::new();
    // A signature stands before those that confirm it, which are among its properties.
    let mut known: Vec<Node<'_, '_>> = Vec::new();
    for signature in every.iter().filter_map(|id| tree.node(*id)) {
        let (confirmed, proofs) = match standing(signature) {
            Standing::Own => (None, occasion.proofs.clone()),
            Standing::Foreign => {
                let quirk = "a signature among the properties of another one was not judged";
                quirks.push(quirk.to_owned());
                continue;
            }
            Standing::Confirms { signature, property } => {
                let index = known.iter().position(|one| one.id() == signature.id());
                let around = index.and_then(|index| judged.get(index));
                let proofs = around.map(|one| one.proofs.within(property)).unwrap_or_default();
                (Some(Confirmed { signature, index: index.unwrap_or(0) }), proofs)
            }
        };
        let occasion = Occasion { proofs: &proofs, ..occasion };
        let scene = Scene { tree, signature, confirmed, files };
        judged.push(judgement::judge(scene, occasion, judged.len()));
        known.push(signature);
    }
    (judged, quirks)
}

/// Whose a signature is.
enum Standing<'a, 't> {
    /// It is about the document.
    Own,
    /// It confirms the signature among whose properties it stands, in the one that ends there.
    Confirms { signature: Node<'a, 't>, property: u64 },
    /// It belongs to something else among the properties of a signature.
    Foreign,
}

fn standing<'a, 't>(signature: Node<'a, 't>) -> Standing<'a, 't> {
    let mut above = signature.ancestors().skip(1);
    if !above.clone().any(|node| xades::is_named(&node, "UnsignedProperties")) {
        return Standing::Own;
    }
    let property = above.next().filter(|node| xades::is_named(node, "CounterSignature"));
    let list = above.next().filter(|node| xades::is_named(node, "UnsignedSignatureProperties"));
    match (property, list, above.find(element::is_signature)) {
        (Some(property), Some(list), Some(signature)) => {
            let mut properties = element::elements(list);
            let number = properties.position(|node| node.id() == property.id());
            Standing::Confirms { signature, property: stamp::end_of(number.unwrap_or(0)) }
        }
        _ => Standing::Foreign,
    }
}

fn note(refused: Refused, findings: &mut Findings) {
    let place = |at: usize| u64::try_from(at).ok();
    match refused {
        Refused::Malformed(at) => findings.failed_at(
            Sub::FormatFailure,
            "XML_MALFORMED",
            "The document is not well-formed XML.",
            at.and_then(place),
        ),
        Refused::Dtd(at) => findings.doubt_at(
            Sub::SigConstraintsFailure,
            "DTD_FORBIDDEN",
            "The document has a document type declaration, which can change what it says.",
            place(at),
        ),
        Refused::Budget(what) => findings
            .unjudged("XML_BUDGET", format!("The document has more {what} than what is judged.")),
    }
}

/// The report on a document that stands alone.
pub(super) fn report(content: &dyn Source, files: &dyn Files, trust: &Trust, now: Time) -> Report {
    let (material, proofs) = (Material::default(), Proofs::default());
    let occasion = Occasion { trust, now, material: &material, proofs: &proofs };
    let (judged, quirks) = judge(content, files, occasion);
    let signatures = judged.into_iter().map(|mut one| {
        one.signature.signed = one.references.iter().map(Covered::describe).collect();
        one.signature
    });
    Report { kind: Kind::Xml, signatures: signatures.collect(), quirks }
}
