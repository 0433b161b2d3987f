//! The parts of an Office Open XML package (ECMA-376-2 §9–10): their types and how they lead to one
//! another.

use std::collections::HashMap;

use roxmltree::{Document, Node};

use super::anomaly::Anomaly;
use super::archive::Archive;
use super::manifest::{decoded, parse};
use super::names::shown;

pub(super) const TYPES: &str = "[Content_Types].xml";
const TYPES_SPACE: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONSHIPS_SPACE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

/// The media types of the parts.
#[derive(Debug, Default)]
pub(super) struct ContentTypes {
    /// By the ending of the name, in lower case.
    defaults: Types,
    /// By the name of the part, in lower case: names are compared so (ECMA-376-2 §9.1.1.1).
    overrides: Types,
}

/// `None` where the answers differ.
type Types = HashMap<String, Option<String>>;

fn add(types: &mut Types, key: &str, kind: &str) {
    let known = types.entry(key.to_ascii_lowercase()).or_insert_with(|| Some(kind.to_owned()));
    if known.as_deref() != Some(kind) {
        *known = None;
    }
}

impl ContentTypes {
    pub fn read(archive: &Archive<'_>) -> Result<Self, Anomaly> {
        let index = archive.find(TYPES).ok_or_else(|| unreadable(archive, 0))?;
        read_xml(archive, index, |document| {
            let root = document.root_element();
            if !root.has_tag_name((TYPES_SPACE, "Types")) {
                return None;
            }
            let mut types = Self::default();
            for node in root.children().filter(Node::is_element) {
                let kind = node.attribute("ContentType")?;
                if node.has_tag_name((TYPES_SPACE, "Default")) {
                    add(&mut types.defaults, node.attribute("Extension")?, kind);
                } else if node.has_tag_name((TYPES_SPACE, "Override")) {
                    add(&mut types.overrides, &decoded(node.attribute("PartName")?)?, kind);
                } else {
                    return None;
                }
            }
            Some(types)
        })
    }

    /// The type of a part; `None` if there is none, or several.
    pub fn of(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let kind = self.overrides.get(&name).or_else(|| self.defaults.get(ending));
        kind.and_then(Option::as_deref)
    }
}

/// How one part leads to another.
#[derive(Debug)]
pub(super) struct Relationship {
    pub id: String,
    pub kind: String,
    /// The entry; `None` if it leads out of the package.
    pub target: Option<String>,
}

/// A `.rels` part.
#[derive(Debug)]
pub(super) struct Relationships {
    /// Whether these are of the package itself.
    pub is_root: bool,
    pub list: Vec<Relationship>,
}

/// The part whose relationships stand in this entry: `a/_rels/b.rels` are those of `a/b`.
fn source(name: &str) -> Option<String> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let file = file.strip_suffix(".rels")?;
    let above =
        folder.strip_suffix("_rels").filter(|above| above.is_empty() || above.ends_with('/'))?;
    Some(format!("{above}{file}"))
}

/// Where the relationships of a part stand.
pub(super) fn relationships_of(part: &str) -> String {
    let (folder, file) = part.rsplit_once('/').map_or(("", part), |(folder, file)| (folder, file));
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}_rels/{file}.rels")
}

pub(super) fn is_relationships(name: &str) -> bool {
    source(name).is_some()
}

impl Relationships {
    pub fn read(archive: &Archive<'_>, entry: usize) -> Result<Self, Anomaly> {
        let name = archive.entries.get(entry).map_or("", |entry| entry.name.as_str());
        let source = source(name).unwrap_or_default();
        let list = read_xml(archive, entry, |document| {
            let root = document.root_element();
            if !root.has_tag_name((RELATIONSHIPS_SPACE, "Relationships")) {
                return None;
            }
            let elements = root.children().filter(Node::is_element);
            elements.map(|node| relationship(node, &source)).collect::<Option<Vec<_>>>()
        })?;
        Ok(Self { is_root: source.is_empty(), list })
    }
}

fn relationship(node: Node<'_, '_>, source: &str) -> Option<Relationship> {
    if !node.has_tag_name((RELATIONSHIPS_SPACE, "Relationship")) {
        return None;
    }
    let target = node.attribute("Target")?;
    let is_inside = match node.attribute("TargetMode") {
        None | Some("Internal") => true,
        Some("External") => false,
        Some(_) => return None,
    };
    Some(Relationship {
        id: node.attribute("Id")?.to_owned(),
        kind: node.attribute("Type")?.to_owned(),
        target: if is_inside { resolved(source, target) } else { None },
    })
}

/// A target relative to the part that names it (RFC 3986 §5.2.4).
fn resolved(source: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    let path = decoded(target)?;
    if target.starts_with('/') {
        return Some(path);
    }
    let mut parts: Vec<&str> = source.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => {
                parts.pop()?;
            }
            "." => {}
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn unreadable(archive: &Archive<'_>, index: usize) -> Anomaly {
    let entry = archive.entries.get(index);
    let name = entry.map_or(String::new(), |entry| shown(&entry.name));
    let message = format!("“{name}”, which says how the package is put together, cannot be read.");
    Anomaly::forged("PACKAGE_UNREADABLE", message, entry.map_or(0, |entry| entry.header))
}

fn read_xml<T>(
    archive: &Archive<'_>,
    index: usize,
    read: impl FnOnce(&Document<'_>) -> Option<T>,
) -> Result<T, Anomaly> {
    let bytes = archive.load_structure(index)?;
    let document = parse(&bytes).map_err(|unread| unread.or(unreadable(archive, index)))?;
    read(&document).ok_or_else(|| unreadable(archive, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relationships_stand_beside_their_part() {
        let pairs = [
            ("", "_rels/.rels"),
            ("word/document.xml", "word/_rels/document.xml.rels"),
            ("a.xml", "_rels/a.xml.rels"),
        ];
        for (part, entry) in pairs {
            assert_eq!(source(entry).as_deref(), Some(part));
            assert_eq!(relationships_of(part), entry);
        }
        for other in ["word/document.xml", "x_rels/a.rels", "a.rels"] {
            assert_eq!(source(other), None, "{other}");
        }
    }

    #[test]
    fn targets_are_relative_to_their_part() {
        let cases = [
            ("", "word/document.xml", Some("word/document.xml")),
            ("word/document.xml", "media/a.png", Some("word/media/a.png")),
            ("word/document.xml", "../customXml/item1.xml", Some("customXml/item1.xml")),
            ("word/document.xml", "/a.xml", Some("a.xml")),
            ("word/document.xml", "../../a.xml", None),
            ("word/document.xml", "http://x/", None),
        ];
        for (source, target, expected) in cases {
            assert_eq!(resolved(source, target).as_deref(), expected, "{source} {target}");
        }
    }

    #[test]
    fn one_part_has_one_type() {
        let mut types = ContentTypes::default();
        for (ending, kind) in [("xml", "application/xml"), ("png", "a"), ("PNG", "b")] {
            add(&mut types.defaults, ending, kind);
        }
        add(&mut types.overrides, "word/document.xml", "main");
        assert_eq!(types.of("word/Document.xml"), Some("main"));
        assert_eq!(types.of("a.XML"), Some("application/xml"));
        assert_eq!((types.of("a.png"), types.of("a")), (None, None));
    }
}
