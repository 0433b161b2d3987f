//! An XML document as a tree, within budgets: no DTD, no entities, nothing from outside.
//!
//! What costs more than its bytes (depth, namespaces in scope, attributes of one element) is counted
//! in the text before a tree is built. Every node keeps its place in the text.

use std::cell::Cell;
use std::collections::HashMap;

use roxmltree::{Document, Node, NodeId, ParsingOptions};

use super::{element, names};
use crate::limits::{
    SIGNATURES_MAX, XML_ATTRIBUTES_MAX, XML_CANONICAL_MAX, XML_DEPTH_MAX, XML_MARKS_MAX,
    XML_NAMESPACES_MAX, XML_SCOPES_MAX, XML_WORK_MAX,
};

/// Why a text is no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is not well-formed, from about this byte on.
    Malformed(Option<usize>),
    /// It has a document type declaration, at this byte.
    Dtd(usize),
    /// It is deeper, wider or larger than what is judged.
    Budget(&'static str),
}

/// A budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// A document.
pub struct Tree<'t> {
    document: Document<'t>,
    /// The elements with an identifier, in document order.
    ids: HashMap<String, Vec<NodeId>>,
    signatures: Vec<NodeId>,
    work: Cell<usize>,
}

impl<'t> Tree<'t> {
    pub fn parse(text: &'t str) -> Result<Self, Refused> {
        survey(text.as_bytes())?;
        let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options)
            .map_err(|error| Refused::Malformed(offset(text, error.pos())))?;
        let mut tree =
            Self { document, ids: HashMap::new(), signatures: Vec::new(), work: Cell::new(0) };
        tree.check_namespaces()?;
        tree.ids = tree.collect_ids();
        let signatures = tree.document.descendants().filter(element::is_signature);
        tree.signatures = signatures.take(SIGNATURES_MAX + 1).map(|node| node.id()).collect();
        Ok(tree)
    }

    pub fn root(&self) -> Node<'_, 't> {
        self.document.root()
    }

    pub fn document_element(&self) -> Node<'_, 't> {
        self.document.root_element()
    }

    pub fn text(&self) -> &'t str {
        self.document.input_text()
    }

    /// The elements with this identifier: two, if there are more than one, which is an ambiguity.
    pub fn with_id(&self, id: &str) -> Vec<Node<'_, 't>> {
        let ids = self.ids.get(id).map_or(&[][..], Vec::as_slice);
        ids.iter().take(2).filter_map(|&id| self.document.get_node(id)).collect()
    }

    /// Every Signature element, up to one more than are judged.
    pub fn signatures(&self) -> &[NodeId] {
        &self.signatures
    }

    pub fn node(&self, id: NodeId) -> Option<Node<'_, 't>> {
        self.document.get_node(id)
    }

    /// Identifiers that stand on several elements.
    pub fn has_doubled_ids(&self) -> bool {
        self.ids.values().any(|nodes| nodes.len() > 1)
    }

    /// Takes `work` from what may be done with this document.
    pub fn spend(&self, work: usize) -> Result<(), Exhausted> {
        let spent = self.work.get().saturating_add(work);
        self.work.set(spent);
        if spent > XML_WORK_MAX { Err(Exhausted) } else { Ok(()) }
    }

    /// The most bytes that one canonical form may have.
    pub fn canonical_size_max(&self) -> usize {
        XML_CANONICAL_MAX
    }

    /// Namespaces in XML 1.0 §3, §6.3: no prefix is undeclared, none is declared twice.
    fn check_namespaces(&self) -> Result<(), Refused> {
        for node in self.document.descendants().filter(Node::is_element) {
            if !declares(&node) {
                continue;
            }
            let at = Refused::Malformed(Some(node.range().start));
            let tag = start_tag(&node);
            if attribute_names(tag).filter(|name| *name == "xmlns").count() > 1 {
                return Err(at);
            }
            let mut scope = node.namespaces();
            if scope.any(|namespace| namespace.name().is_some() && namespace.uri().is_empty()) {
                return Err(at);
            }
        }
        Ok(())
    }

    fn collect_ids(&self) -> HashMap<String, Vec<NodeId>> {
        let mut ids: HashMap<String, Vec<NodeId>> = HashMap::new();
        for node in self.document.descendants().filter(Node::is_element) {
            let mut own: Vec<&str> = Vec::new();
            for attribute in node.attributes() {
                let is_id = match attribute.namespace() {
                    None => attribute.name().eq_ignore_ascii_case("id"),
                    Some(names::XML) => attribute.name() == "id",
                    Some(names::WSU) => attribute.name() == "Id",
                    _ => false,
                };
                // One element may say the same in two ways.
                if is_id && !own.contains(&attribute.value()) {
                    own.push(attribute.value());
                }
            }
            for id in own {
                ids.entry(id.to_owned()).or_default().push(node.id());
            }
        }
        ids
    }
}

/// Where in the text a parser's row and column lie.
fn offset(text: &str, place: roxmltree::TextPos) -> Option<usize> {
    let row = usize::try_from(place.row).ok()?.checked_sub(1)?;
    let column = usize::try_from(place.col).ok()?.checked_sub(1)?;
    let line = text.split_inclusive('\n').take(row).map(str::len).sum::<usize>();
    let within: usize = text.get(line..)?.chars().take(column).map(char::len_utf8).sum();
    Some(line + within)
}

/// The text of an element's start tag.
pub fn start_tag<'t>(node: &Node<'_, 't>) -> &'t str {
    let range = node.range();
    let end = node.first_child().map_or(range.end, |child| child.range().start);
    node.document().input_text().get(range.start..end).unwrap_or_default()
}

/// Whether namespaces are declared on this very element; a false alarm is harmless.
pub fn declares(node: &Node<'_, '_>) -> bool {
    memchr::memmem::find(start_tag(node).as_bytes(), b"xmlns").is_some()
}

/// The prefix that an element is written with; the parser keeps only what it means.
pub fn prefix<'t>(node: &Node<'_, 't>) -> &'t str {
    qualified(start_tag(node).strip_prefix('<').unwrap_or_default())
}

/// The prefix that an attribute is written with.
pub fn attribute_prefix<'t>(text: &'t str, attribute: &roxmltree::Attribute<'_, 't>) -> &'t str {
    qualified(text.get(attribute.range()).unwrap_or_default())
}

fn qualified(text: &str) -> &str {
    let end = text.find(|c: char| matches!(c, '=' | '/' | '>') || c.is_ascii_whitespace());
    let name = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

/// The names in a start tag, roughly: enough to see a declaration twice.
fn attribute_names(tag: &str) -> impl Iterator<Item = &str> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let (before, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next()?;
        let (_, beyond) = after.get(quote.len_utf8()..)?.split_once(quote)?;
        rest = beyond;
        before.trim_end().rsplit(|c: char| c.is_ascii_whitespace()).next()
    })
}

/// What one tag costs.
#[derive(Default)]
struct Tag {
    attributes: usize,
    declarations: usize,
    is_closing: bool,
    is_empty: bool,
}

/// Counts what a parser would spend more than linear time or memory on. A text that is not
/// well-formed may be counted wrongly from there on; the parser stops there.
fn survey(text: &[u8]) -> Result<(), Refused> {
    let marks = |mark| memchr::memchr_iter(mark, text).count();
    if marks(b'<').max(marks(b'=')) > XML_MARKS_MAX {
        return Err(Refused::Budget("nodes"));
    }
    // Namespaces in scope, for each open element.
    let mut open: Vec<usize> = Vec::new();
    let mut scopes = 0_usize;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
        let start = at + found;
        let rest = text.get(start..).unwrap_or_default();
        let (kind, end): (&[u8], &[u8]) = if rest.starts_with(b"<!--") {
            (b"<!--", b"-->")
        } else if rest.starts_with(b"<![CDATA[") {
            (b"<![CDATA[", b"]]>")
        } else if rest.starts_with(b"<?") {
            (b"<?", b"?>")
        } else if rest.starts_with(b"<!") {
            return Err(Refused::Dtd(start));
        } else {
            let (tag, size) = scan(rest);
            at = start + size;
            let above = open.last().copied().unwrap_or(0);
            let scope = above + tag.declarations;
            if tag.attributes > XML_ATTRIBUTES_MAX {
                return Err(Refused::Budget("attributes"));
            }
            if scope > XML_NAMESPACES_MAX {
                return Err(Refused::Budget("namespaces"));
            }
            scopes = scopes.saturating_add(tag.declarations.saturating_mul(scope));
            if scopes > XML_SCOPES_MAX {
                return Err(Refused::Budget("namespaces"));
            }
            if tag.is_closing {
                open.pop();
            } else if !tag.is_empty {
                open.push(scope);
            }
            if open.len() > XML_DEPTH_MAX {
                return Err(Refused::Budget("depth"));
            }
            continue;
        };
        let body = rest.get(kind.len()..).unwrap_or_default();
        match memchr::memmem::find(body, end) {
            Some(size) => at = start + kind.len() + size + end.len(),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Reads a tag from its `<` to its `>`. What looks like a declaration counts as one.
fn scan(rest: &[u8]) -> (Tag, usize) {
    let mut tag = Tag { is_closing: rest.starts_with(b"</"), ..Tag::default() };
    let mut at = 1;
    while let Some(&byte) = rest.get(at) {
        match byte {
            b'>' => {
                tag.is_empty = rest.get(at - 1) == Some(&b'/');
                return (tag, at + 1);
            }
            b'"' | b'\'' => {
                let inside = rest.get(at + 1..).unwrap_or_default();
                let Some(size) = memchr::memchr(byte, inside) else { return (tag, rest.len()) };
                at += size + 1;
            }
            b'=' => tag.attributes += 1,
            b'x' if rest.get(at..).is_some_and(|rest| rest.starts_with(b"xmlns")) => {
                tag.declarations += 1;
            }
            _ => {}
        }
        at += 1;
    }
    (tag, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<Refused> {
        Tree::parse(text).err()
    }

    #[test]
    fn a_document_type_is_found_before_anything_is_built() {
        assert_eq!(
            refused("<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
            Some(Refused::Dtd(22))
        );
        assert_eq!(refused("<a><!-- <!DOCTYPE a> --><![CDATA[<!DOCTYPE a>]]></a>"), None);
    }

    #[test]
    fn what_parsers_read_in_two_ways_is_malformed() {
        for text in [
            "<a xmlns='b' xmlns='c'/>",
            "<a xmlns:b='c' xmlns:b='d'/>",
            "<a xmlns:b=''/>",
            "<a b='1' b='2'/>",
            "<a xmlns:b='x' xmlns:c='x' b:d='' c:d=''/>",
            "<b:a/>",
            "<a></b>",
            "<a>&b;</a>",
            "<a/><b/>",
            "<a",
            "",
        ] {
            assert!(matches!(refused(text), Some(Refused::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn prefixes_are_those_that_are_written() {
        let tree =
            Tree::parse("<p:a xmlns:p='x' xmlns:q='x'><q:b p:c = '' d=''/><e/></p:a>").unwrap();
        let nodes: Vec<_> = tree.root().descendants().filter(Node::is_element).collect();
        let prefixes: Vec<_> = nodes.iter().map(prefix).collect();
        assert_eq!(prefixes, ["p", "q", ""]);
        let attributes: Vec<_> = nodes[1]
            .attributes()
            .map(|one| attribute_prefix(tree.text(), &one).to_owned())
            .collect();
        assert_eq!(attributes, ["p", ""]);
    }

    #[test]
    fn every_kind_of_identifier_is_of_one_space() {
        let wsu = names::WSU;
        let text = format!(
            "<a xmlns:w='{wsu}'><b Id='1'/><c ID='2'/><d xml:id='1'/><e w:Id='2'/><f ref='1'/></a>"
        );
        let tree = Tree::parse(&text).unwrap();
        let names =
            |id| tree.with_id(id).iter().map(|node| node.tag_name().name()).collect::<Vec<_>>();
        assert_eq!((names("1"), names("2"), names("3")), (vec!["b", "d"], vec!["c", "e"], vec![]));
        assert!(tree.has_doubled_ids());
    }
}
