//! Reading the elements of a signature: exact children, plain text, base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

use super::names;

/// The element children.
pub fn elements<'a, 't: 'a>(node: Node<'a, 't>) -> impl Iterator<Item = Node<'a, 't>> {
    node.children().filter(Node::is_element)
}

/// The element children with this name.
pub fn all<'a, 't: 'a>(
    node: Node<'a, 't>,
    space: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 't>> {
    node.children().filter(move |child| child.has_tag_name((space, name)))
}

/// The only element child with this name.
pub fn only<'a, 't: 'a>(
    node: Node<'a, 't>,
    space: &'static str,
    name: &'static str,
) -> Option<Node<'a, 't>> {
    let mut found = all(node, space, name);
    found.next().filter(|_| found.next().is_none())
}

/// The text of an element that has nothing but text: what one reader skips, another may not.
pub fn text<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (None, _) => Some(""),
        (Some(text), None) if text.is_text() => text.text(),
        _ => None,
    }
}

/// The bytes behind base64 text; blanks and line ends may stand anywhere.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(digits).ok()
}

/// The bytes in an element of base64 text.
pub fn bytes(node: Node<'_, '_>) -> Option<Vec<u8>> {
    base64(text(node)?)
}

/// The `Algorithm` of a child of XML-DSig.
pub fn algorithm<'a>(node: Node<'a, '_>) -> &'a str {
    node.attribute("Algorithm").unwrap_or_default()
}

/// Where an element begins in the text.
pub fn offset(node: Node<'_, '_>) -> Option<u64> {
    u64::try_from(node.range().start).ok()
}

pub fn is_signature(node: &Node<'_, '_>) -> bool {
    node.has_tag_name((names::DSIG, "Signature"))
}

/// `name (#id)`, for people.
pub fn describe(node: Node<'_, '_>) -> String {
    let name = node.tag_name().name();
    let id = node.attributes().find(|attribute| attribute.name().eq_ignore_ascii_case("id"));
    id.map_or_else(|| name.to_owned(), |id| format!("{name} (#{})", id.value()))
}
