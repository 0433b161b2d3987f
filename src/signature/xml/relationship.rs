//! The relationships transform of OPC packages (ISO/IEC 29500-2 §12.2.4.26): of a `.rels` part only
//! the relationships that are named are signed, in a fixed order and form.

use roxmltree::Node;

use super::c14n::{self, Method};
use super::element::elements;
use super::encoding;
use super::names;
use super::transform::Refusal;
use super::tree::Tree;
use crate::signature::report::SubIndication as Sub;

pub const TRANSFORM: &str = "http://schemas.openxmlformats.org/package/2006/RelationshipTransform";
const SPACE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

/// The relationships that are signed.
pub struct Selected {
    pub octets: Vec<u8>,
    pub ids: Vec<String>,
}

/// Selects by `SourceId` and `SourceType` of the transform.
pub fn select(octets: &[u8], transform: Node<'_, '_>) -> Result<Selected, Refusal> {
    let unreadable = || {
        Refusal::new(
            Sub::SigConstraintsFailure,
            "RELATIONSHIPS_UNREADABLE",
            "The signed relationships of the package cannot be read.",
        )
    };
    let text = encoding::decode(octets).map_err(|_| unreadable())?;
    let tree = Tree::parse(&text).map_err(|_| unreadable())?;
    let root = tree.document_element();
    if !root.has_tag_name((SPACE, "Relationships")) {
        return Err(unreadable());
    }
    if elements(root).any(|node| node.tag_name().namespace() != Some(SPACE)) {
        return Err(Refusal::new(
            Sub::SigConstraintsFailure,
            "RELATIONSHIPS_FOREIGN",
            "The relationships of the package hold elements that are none, and whether those are \
             signed is read in two ways.",
        ));
    }
    let mut wanted = Vec::new();
    for reference in elements(transform) {
        match (reference.tag_name().namespace(), reference.tag_name().name()) {
            (Some(names::OPC), "RelationshipReference") => {
                wanted.push(("Id", reference.attribute("SourceId").ok_or_else(unreadable)?));
            }
            (Some(names::OPC), "RelationshipsGroupReference") => {
                wanted.push(("Type", reference.attribute("SourceType").ok_or_else(unreadable)?));
            }
            _ => return Err(unreadable()),
        }
    }
    let mut chosen: Vec<Node<'_, '_>> = elements(root)
        .filter(|node| node.has_tag_name((SPACE, "Relationship")))
        .filter(|node| wanted.iter().any(|(name, value)| node.attribute(*name) == Some(*value)))
        .collect();
    chosen.sort_by_key(|node| node.attribute("Id").unwrap_or_default());
    let mut written = format!("<Relationships xmlns=\"{SPACE}\">");
    for node in &chosen {
        written.push_str("<Relationship");
        for name in ["Id", "Target", "TargetMode", "Type"] {
            let value = match (node.attribute(name), name) {
                (Some(value), _) => value,
                (None, "TargetMode") => "Internal",
                (None, _) => continue,
            };
            written.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        written.push_str("></Relationship>");
    }
    written.push_str("</Relationships>");
    let ids = chosen.iter().filter_map(|node| node.attribute("Id")).map(str::to_owned).collect();
    Ok(Selected { octets: canonical(&written)?, ids })
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '"' => text.push_str("&quot;"),
            '\t' => text.push_str("&#x9;"),
            '\n' => text.push_str("&#xA;"),
            '\r' => text.push_str("&#xD;"),
            other => text.push(other),
        }
    }
    text
}

fn canonical(text: &str) -> Result<Vec<u8>, Refusal> {
    let tree = Tree::parse(text).map_err(|_| Refusal::budget())?;
    let set = c14n::NodeSet { apex: tree.root(), excluded: Vec::new(), with_comments: false };
    Ok(c14n::canonicalize(&tree, &set, &Method::standard())?)
}
