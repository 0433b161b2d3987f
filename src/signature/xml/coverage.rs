//! What of a document the signature does not cover (signature wrapping, D1).
//!
//! A reader of the file does not see references: whatever stands in it and is not signed may be
//! taken for signed. Only other signatures, and shells that hold nothing else, may stand beside.

use roxmltree::Node;

use super::c14n::NodeSet;
use super::element::{elements, is_signature, offset, only};
use super::names;
use super::parts::Parts;
use super::reference::{Referred, Scene};
use super::transform::Refusal;
use super::tree::{Exhausted, Tree};
use super::xades;
use crate::signature::report::{Coverage, Findings, SubIndication as Sub};

/// Compares what is signed with what is there.
pub fn check<'a, 't>(
    scene: Scene<'a, 't>,
    parts: &Parts<'a, 't>,
    references: &[&Referred<'a, 't>],
    findings: &mut Findings,
) -> Coverage {
    // A digest that differs was said already; here it counts what the signature is about.
    let sets: Vec<_> = references.iter().filter_map(|one| one.nodes.as_ref()).collect();
    let (survey, tree) = (Survey { sets }, scene.tree);
    if let Some(confirmed) = scene.confirmed {
        let confirms = references.iter().any(|one| confirms(one, confirmed.signature));
        if !confirms {
            findings.doubt_at(
                Sub::SigConstraintsFailure,
                "COUNTER_SIGNATURE_OF_ANOTHER",
                "The counter-signature does not confirm the signature that it stands in.",
                offset(parts.element),
            );
        }
        // That one answers for the document.
        survey.objects(tree, parts, findings);
        return Coverage::Partial;
    }
    // Within another signature, that one answers for what stands around.
    let around = parts.element.ancestors().skip(1);
    let object = around.clone().find(|node| node.has_tag_name((names::DSIG, "Object")));
    let begin = match object {
        Some(object) => elements(object).collect(),
        None => vec![tree.document_element()],
    };
    let instruction = if object.is_none() { survey.instruction(tree) } else { None };
    let uncovered = match instruction {
        Some(instruction) => Some(instruction),
        None => match survey.uncovered(tree, begin) {
            Ok(uncovered) => uncovered,
            Err(Exhausted) => {
                Refusal::budget().note(findings, None);
                return Coverage::Partial;
            }
        },
    };
    if let Some(node) = uncovered {
        let what = if node.is_element() { node.tag_name().name() } else { "an instruction" };
        findings.doubt_at(
            Sub::SigConstraintsFailure,
            "CONTENT_NOT_COVERED",
            format!("The document has something in it that is not signed: “{what}”."),
            offset(node),
        );
    }
    if survey.objects(tree, parts, findings) == Coverage::Partial {
        return Coverage::Partial;
    }
    let holds = references.iter().all(|one| one.covered.holds);
    let is_whole = holds && uncovered.is_none() && object.is_none();
    if is_whole { Coverage::WholeFile } else { Coverage::Partial }
}

struct Survey<'a, 't> {
    /// What is signed.
    sets: Vec<&'a NodeSet<'a, 't>>,
}

/// Whether a reference holds that is about the whole value of `signature` (EN 319 132-1 §5.2.7.2).
fn confirms(one: &Referred<'_, '_>, signature: Node<'_, '_>) -> bool {
    let value = only(signature, names::DSIG, "SignatureValue");
    let is_value = |set: &NodeSet<'_, '_>| {
        value.is_some_and(|value| value.id() == set.apex.id()) && set.excluded.is_empty()
    };
    one.covered.holds && one.nodes.as_ref().is_some_and(is_value)
}

impl<'a, 't> Survey<'a, 't> {
    /// Tells what stands within the signature and is not covered.
    fn objects(&self, tree: &Tree<'t>, parts: &Parts<'a, 't>, findings: &mut Findings) -> Coverage {
        match self.uncovered_object(tree, parts) {
            Ok(None) => return Coverage::WholeFile,
            Ok(Some(node)) => findings.doubt_at(
                Sub::SigConstraintsFailure,
                "OBJECT_NOT_COVERED",
                "Something stands within the signature that it does not cover.",
                offset(node),
            ),
            Err(Exhausted) => Refusal::budget().note(findings, None),
        }
        Coverage::Partial
    }

    fn is_covered(&self, node: &Node<'a, 't>) -> bool {
        self.sets.iter().any(|set| set.covers(node))
    }

    /// The first element at or below these that is not signed.
    fn uncovered(
        &self,
        tree: &Tree<'t>,
        begin: Vec<Node<'a, 't>>,
    ) -> Result<Option<Node<'a, 't>>, Exhausted> {
        let mut waiting = begin;
        waiting.reverse();
        while let Some(node) = waiting.pop() {
            tree.spend(1 + self.sets.len())?;
            if is_signature(&node) {
                continue;
            }
            let covering: Vec<_> = self.sets.iter().filter(|set| set.covers(&node)).collect();
            if covering.is_empty() && !is_shell(&node) {
                return Ok(Some(node));
            }
            // Where nothing is left out there is nothing to look for.
            if covering.iter().any(|set| set.excluded.is_empty()) {
                continue;
            }
            let from = waiting.len();
            waiting.extend(elements(node));
            if let Some(children) = waiting.get_mut(from..) {
                children.reverse();
            }
        }
        Ok(None)
    }

    /// An instruction beside the document element, such as a style sheet.
    fn instruction(&self, tree: &'a Tree<'t>) -> Option<Node<'a, 't>> {
        let is_whole = self.sets.iter().any(|set| set.apex.is_root());
        tree.root().children().find(|node| node.is_pi() && !is_whole)
    }

    /// What an Object of this signature holds and nothing covers.
    fn uncovered_object(
        &self,
        tree: &Tree<'t>,
        parts: &Parts<'a, 't>,
    ) -> Result<Option<Node<'a, 't>>, Exhausted> {
        for object in parts.objects.iter().copied().filter(|object| !self.is_covered(object)) {
            for child in object.children() {
                tree.spend(1 + self.sets.len())?;
                let is_open = if child.is_element() {
                    !xades::is_named(&child, "QualifyingProperties")
                        && !self.is_covered(&child)
                        && !is_signature(&child)
                } else {
                    child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty())
                };
                if is_open {
                    return Ok(Some(object));
                }
            }
        }
        Ok(None)
    }
}

/// A root that only holds signatures.
fn is_shell(node: &Node<'_, '_>) -> bool {
    let is_known = names::SHELLS.iter().any(|name| node.has_tag_name(*name));
    let is_root = node.parent().is_some_and(|parent| parent.is_root());
    let says_something = node
        .children()
        .any(|child| child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty()));
    is_known && is_root && !says_something
}
