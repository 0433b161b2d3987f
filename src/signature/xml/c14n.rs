//! Canonical XML 1.0, 1.1 and Exclusive XML Canonicalization 1.0, with and without comments.
//!
//! The node-sets that are judged are whole subtrees without other whole subtrees, so the parent of
//! every node but the first is there, too; no other node-set can be made here.

use std::borrow::Cow;

use roxmltree::{Node, NodeId};

use super::names;
use super::tree::{self, Exhausted, Tree};
use super::xml_base;

/// Which form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    pub form: Form,
    pub with_comments: bool,
}

/// The three recommendations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    Canonical10,
    Canonical11,
    /// With the InclusiveNamespaces PrefixList; the default namespace is the empty prefix.
    Exclusive(Vec<String>),
}

impl Method {
    /// The form that XML-DSig takes if none is named.
    pub fn standard() -> Self {
        Self { form: Form::Canonical10, with_comments: false }
    }

    /// Reads an algorithm identifier; `parameters` is the element that names it.
    pub fn from_element(uri: &str, parameters: Node<'_, '_>) -> Option<Self> {
        let (name, with_comments) = match uri.strip_suffix("WithComments") {
            Some(name) => (name, true),
            None => (uri, false),
        };
        // Only the exclusive form is named with a `#` of its own.
        let form = match if with_comments { name.trim_end_matches('#') } else { name } {
            names::CANONICAL => Form::Canonical10,
            names::CANONICAL11 => Form::Canonical11,
            names::EXCLUSIVE if !with_comments => Form::Exclusive(prefix_list(parameters)),
            _ if name == names::EXCLUSIVE => Form::Exclusive(prefix_list(parameters)),
            _ => return None,
        };
        Some(Self { form, with_comments })
    }
}

fn prefix_list(parameters: Node<'_, '_>) -> Vec<String> {
    let element = parameters
        .children()
        .find(|node| node.has_tag_name((names::EXCLUSIVE, "InclusiveNamespaces")));
    let list = element.and_then(|node| node.attribute("PrefixList")).unwrap_or_default();
    let words = list.split_ascii_whitespace();
    words.map(|word| if word == "#default" { "" } else { word }.to_owned()).collect()
}

/// A subtree without some of its subtrees.
#[derive(Debug, Clone)]
pub struct NodeSet<'a, 't> {
    /// The first node: the document or an element.
    pub apex: Node<'a, 't>,
    pub excluded: Vec<NodeId>,
    /// Whether comments belong to it.
    pub with_comments: bool,
}

impl<'a, 't> NodeSet<'a, 't> {
    /// Whether this node is in it.
    pub fn covers(&self, node: &Node<'_, '_>) -> bool {
        for node in node.ancestors() {
            if self.excluded.contains(&node.id()) {
                return false;
            }
            if node.id() == self.apex.id() {
                return true;
            }
        }
        false
    }

    /// The text inside, as XPath's string() gives it.
    pub fn string(&self, tree: &Tree<'_>) -> Result<String, Exhausted> {
        let mut text = String::new();
        let mut waiting = vec![self.apex];
        while let Some(node) = waiting.pop() {
            tree.spend(1)?;
            if self.excluded.contains(&node.id()) {
                continue;
            }
            if node.is_text() {
                text.push_str(node.text().unwrap_or_default());
            }
            let from = waiting.len();
            waiting.extend(node.children());
            if let Some(children) = waiting.get_mut(from..) {
                children.reverse();
            }
        }
        Ok(text)
    }
}

/// The canonical form of a node-set.
pub fn canonicalize(
    tree: &Tree<'_>,
    set: &NodeSet<'_, '_>,
    method: &Method,
) -> Result<Vec<u8>, Exhausted> {
    let mut writer = Writer { tree, set, method, out: Vec::new(), rendered: Vec::new() };
    if set.apex.is_root() {
        writer.document()?;
    } else {
        writer.element(set.apex, true)?;
    }
    tree.spend(writer.out.len() / 64)?;
    Ok(writer.out)
}

struct Writer<'w, 'a, 't> {
    tree: &'w Tree<'t>,
    set: &'w NodeSet<'a, 't>,
    method: &'w Method,
    out: Vec<u8>,
    /// Namespaces written on elements that are open: prefix and name, the innermost last.
    rendered: Vec<(&'a str, &'a str)>,
}

impl<'a, 't: 'a> Writer<'_, 'a, 't> {
    /// Comments and instructions around the document element stand on lines of their own.
    fn document(&mut self) -> Result<(), Exhausted> {
        let mut is_after = false;
        for node in self.set.apex.children() {
            if node.is_element() {
                self.element(node, true)?;
                is_after = true;
                continue;
            }
            let before = self.out.len();
            if is_after {
                self.out.push(b'\n');
            }
            let start = self.out.len();
            self.leaf(node)?;
            if self.out.len() == start {
                self.out.truncate(before);
            } else if !is_after {
                self.out.push(b'\n');
            }
        }
        Ok(())
    }

    fn element(&mut self, node: Node<'a, 't>, is_apex: bool) -> Result<(), Exhausted> {
        self.spend(1)?;
        if self.set.excluded.contains(&node.id()) {
            return Ok(());
        }
        let depth = self.rendered.len();
        let prefix = tree::prefix(&node);
        let name = node.tag_name().name();
        self.out.push(b'<');
        self.qualified(prefix, name);
        self.namespaces(node, is_apex)?;
        self.attributes(node, is_apex)?;
        self.out.push(b'>');
        for child in node.children() {
            if child.is_element() { self.element(child, false)? } else { self.leaf(child)? }
        }
        self.out.extend_from_slice(b"</");
        self.qualified(prefix, name);
        self.out.push(b'>');
        self.rendered.truncate(depth);
        Ok(())
    }

    fn qualified(&mut self, prefix: &str, name: &str) {
        if !prefix.is_empty() {
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.push(b':');
        }
        self.out.extend_from_slice(name.as_bytes());
    }

    fn leaf(&mut self, node: Node<'a, 't>) -> Result<(), Exhausted> {
        self.spend(1)?;
        if let Some(instruction) = node.pi() {
            self.out.extend_from_slice(b"<?");
            self.out.extend_from_slice(instruction.target.as_bytes());
            if let Some(value) = instruction.value.filter(|value| !value.is_empty()) {
                self.out.push(b' ');
                self.out.extend_from_slice(unix_lines(value).as_bytes());
            }
            self.out.extend_from_slice(b"?>");
        } else if node.is_comment() {
            if self.method.with_comments && self.set.with_comments {
                self.out.extend_from_slice(b"<!--");
                let text = unix_lines(node.text().unwrap_or_default());
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"-->");
            }
        } else if node.is_text() {
            escape(node.text().unwrap_or_default(), false, &mut self.out);
        }
        Ok(())
    }

    /// The namespace declarations, sorted by prefix.
    fn namespaces(&mut self, node: Node<'a, 't>, is_apex: bool) -> Result<(), Exhausted> {
        let mut needed: Vec<(&'a str, &'a str)> = Vec::new();
        let looks_at_all = matches!(self.method.form, Form::Canonical10 | Form::Canonical11);
        if looks_at_all {
            self.spend(tree::start_tag(&node).len() / 64)?;
            if is_apex || tree::declares(&node) {
                let scope = node.namespaces().filter(|namespace| namespace.uri() != names::XML);
                needed.extend(scope.map(|one| (one.name().unwrap_or_default(), one.uri())));
                self.spend(needed.len())?;
            }
        } else {
            self.used(node, &mut needed)?;
        }
        needed.sort_unstable();
        needed.dedup_by_key(|(prefix, _)| *prefix);
        for (prefix, uri) in needed {
            self.spend(self.rendered.len())?;
            let known = self.rendered.iter().rev().find(|(known, _)| *known == prefix);
            let is_known = match known {
                Some((_, known)) => *known == uri,
                // `xmlns=""` says nothing where no default namespace was in force.
                None => prefix.is_empty() && uri.is_empty(),
            };
            if is_known {
                continue;
            }
            self.rendered.push((prefix, uri));
            self.out.extend_from_slice(b" xmlns");
            if !prefix.is_empty() {
                self.out.push(b':');
                self.out.extend_from_slice(prefix.as_bytes());
            }
            self.out.extend_from_slice(b"=\"");
            escape(uri, true, &mut self.out);
            self.out.push(b'"');
        }
        Ok(())
    }

    /// The namespaces that an element visibly utilizes, and those on the prefix list.
    fn used(
        &self,
        node: Node<'a, 't>,
        needed: &mut Vec<(&'a str, &'a str)>,
    ) -> Result<(), Exhausted> {
        let own = (tree::prefix(&node), node.tag_name().namespace().unwrap_or_default());
        if own.1 != names::XML {
            needed.push(own);
        }
        for attribute in node.attributes() {
            let prefix = tree::attribute_prefix(self.tree.text(), &attribute);
            let uri = attribute.namespace().unwrap_or_default();
            if !prefix.is_empty() && uri != names::XML {
                needed.push((prefix, uri));
            }
        }
        let Form::Exclusive(list) = &self.method.form else { return Ok(()) };
        if list.is_empty() {
            return Ok(());
        }
        let mut has_default = false;
        for namespace in node.namespaces() {
            self.spend(list.len())?;
            let prefix = namespace.name().unwrap_or_default();
            has_default |= prefix.is_empty();
            if namespace.uri() != names::XML && list.iter().any(|listed| listed == prefix) {
                needed.push((prefix, namespace.uri()));
            }
        }
        if !has_default && list.iter().any(String::is_empty) {
            needed.push(("", ""));
        }
        Ok(())
    }

    /// The attributes, sorted by namespace and name.
    fn attributes(&mut self, node: Node<'a, 't>, is_apex: bool) -> Result<(), Exhausted> {
        let mut list: Vec<(&str, &str, &str, Cow<'_, str>)> = Vec::new();
        for attribute in node.attributes() {
            let prefix = tree::attribute_prefix(self.tree.text(), &attribute);
            let uri = attribute.namespace().unwrap_or_default();
            list.push((uri, attribute.name(), prefix, Cow::Borrowed(attribute.value())));
        }
        self.spend(list.len())?;
        if is_apex && !self.set.apex.is_root() {
            self.inherited(node, &mut list)?;
        }
        list.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        for (_, name, prefix, value) in list {
            self.out.push(b' ');
            self.qualified(prefix, name);
            self.out.extend_from_slice(b"=\"");
            escape(&value, true, &mut self.out);
            self.out.push(b'"');
        }
        Ok(())
    }

    /// The `xml:` attributes that the first element has from above (Canonical XML §2.4).
    fn inherited(
        &self,
        node: Node<'a, 't>,
        list: &mut Vec<(&'a str, &'a str, &'a str, Cow<'a, str>)>,
    ) -> Result<(), Exhausted> {
        let is_new = match self.method.form {
            Form::Exclusive(_) => return Ok(()),
            Form::Canonical10 => false,
            Form::Canonical11 => true,
        };
        for above in node.ancestors().skip(1) {
            self.spend(1 + above.attributes().len() + tree::start_tag(&above).len() / 64)?;
            for attribute in above.attributes() {
                let (name, value) = (attribute.name(), attribute.value());
                let is_taken = match is_new {
                    true => name == "lang" || name == "space",
                    false => true,
                };
                let is_known =
                    list.iter().any(|(uri, known, ..)| (*uri, *known) == (names::XML, name));
                if attribute.namespace() == Some(names::XML) && is_taken && !is_known {
                    list.push((names::XML, name, "xml", Cow::Borrowed(value)));
                }
            }
        }
        if is_new {
            list.retain(|(uri, name, ..)| (*uri, *name) != (names::XML, "base"));
            if let Some(base) = xml_base::fixed(node).filter(|base| !base.is_empty()) {
                list.push((names::XML, "base", "xml", Cow::Owned(base)));
            }
        }
        Ok(())
    }

    fn spend(&self, work: usize) -> Result<(), Exhausted> {
        if self.out.len() > self.tree.canonical_size_max() {
            return Err(Exhausted);
        }
        self.tree.spend(work)
    }
}

/// Line ends as a parser hands them on (XML 1.0 §2.11).
fn unix_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

fn escape(text: &str, is_attribute: bool, out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        match (byte, is_attribute) {
            (b'&', _) => out.extend_from_slice(b"&amp;"),
            (b'<', _) => out.extend_from_slice(b"&lt;"),
            (b'>', false) => out.extend_from_slice(b"&gt;"),
            (b'"', true) => out.extend_from_slice(b"&quot;"),
            (b'\t', true) => out.extend_from_slice(b"&#x9;"),
            (b'\n', true) => out.extend_from_slice(b"&#xA;"),
            (b'\r', _) => out.extend_from_slice(b"&#xD;"),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
#[path = "c14n_tests.rs"]
mod tests;
