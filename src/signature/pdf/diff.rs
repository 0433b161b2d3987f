//! What changed after signing: every change must be one of a short list.
//!
//! Allowed are new signature fields and their signatures, document security stores, and remarks
//! about the document (Info, Metadata). The list is closed: what is not on it is a finding, with
//! the place where it stands (P5–P7 of the attack list).

use std::collections::{BTreeSet, HashMap};

use super::super::report::{Findings, SubIndication as Sub};
use super::document::{Document, Loaded, View};
use super::file::Fault;
use super::object::{Dictionary, Object};
use super::range::Lock;
use super::rules;
use crate::limits::{PDF_OBJECT_SIZE_MAX, PDF_WAITING_MAX};

/// From where an object is referred to in the signed version.
pub(super) mod role {
    pub const METADATA: u8 = 1;
    pub const INFO: u8 = 1 << 1;
    pub const SECURITY_STORE: u8 = 1 << 2;
    pub const ANNOTATIONS: u8 = 1 << 3;
    pub const FIELDS: u8 = 1 << 4;
    pub const FORM: u8 = 1 << 5;
    /// The appearance of a form field that may be filled in.
    pub const APPEARANCE: u8 = 1 << 6;
    pub const OTHER: u8 = 1 << 7;
}

/// The signed version and the last one.
#[derive(Clone, Copy)]
pub(super) struct Versions<'a> {
    pub signed: &'a View,
    pub last: &'a View,
    /// Signature fields and widgets that the form of the last version leads to, and whether they
    /// are signed. Every signed one is judged for itself.
    pub members: &'a HashMap<u32, bool>,
}

/// What the signatures allow to follow them.
pub(super) struct Allowed {
    /// The strictest certification, `/P` of DocMDP.
    pub certification: Option<i64>,
    pub locks: Vec<Lock>,
}

impl Allowed {
    /// A certification forbids everything but security stores. Levels that do not exist forbid, too.
    pub fn is_locked(&self) -> bool {
        self.certification.is_some_and(|level| !(2..=3).contains(&level))
    }

    /// Only a certification allows to fill in forms; a plain signature says nothing about it.
    pub fn is_fillable(&self) -> bool {
        self.certification.is_some() && !self.is_locked()
    }
}

/// Compares the signed version with the last one.
pub(super) struct Diff<'a> {
    pub document: &'a Document<'a>,
    pub versions: Versions<'a>,
    /// Every object that the signed version refers to, and from where.
    pub roles: HashMap<u32, u8>,
    pub allowed: Allowed,
    pub findings: Findings,
    pub quirks: BTreeSet<&'static str>,
}

/// Judges the changes that the `newer` newest sections make.
pub(super) fn judge<'a>(
    document: &'a Document<'a>,
    versions: Versions<'a>,
    newer: usize,
    allowed: Allowed,
) -> Result<(Findings, BTreeSet<&'static str>), Fault> {
    let Versions { signed, last, .. } = versions;
    let Graph { roles, broken, .. } = graph(document, signed)?;
    let findings = Findings::default();
    let quirks = BTreeSet::new();
    let mut diff = Diff { document, versions, roles, allowed, findings, quirks };
    if signed.trailer.get("Root") != last.trailer.get("Root") {
        diff.refuse("CATALOG_REPLACED", "The document was replaced by another one.", 0);
    }
    let sections = document.sections.iter().take(newer);
    let mut changed: BTreeSet<u32> =
        sections.flat_map(|section| section.entries.iter().map(|(number, _)| number)).collect();
    // A replaced object stream changes every object that the signed version has in it.
    changed.extend(signed.packed_in(&changed));
    if let (Some(offset), false) = (broken, changed.is_empty()) {
        // What a broken object refers to is unknown here; another reader may know it.
        let message = "A part of the signed document cannot be read, so later changes to it \
                       cannot be ruled out.";
        diff.refuse("NOT_COMPARABLE", message, offset);
    }
    for number in changed {
        let role = diff.roles.get(&number).copied().unwrap_or(0);
        // What the signed version does not refer to can only be reached through a change that is
        // judged itself.
        if role == 0 {
            continue;
        }
        let before = document.load(signed, number)?;
        let after = document.load(last, number)?;
        diff.change(number, role, before.as_deref(), after.as_deref())?;
    }
    Ok((diff.findings, diff.quirks))
}

impl Diff<'_> {
    /// A change that is not on the list.
    pub fn refuse(&mut self, code: &'static str, message: impl Into<String>, offset: u64) {
        let offset = (offset > 0).then_some(offset);
        self.findings.doubt_at(Sub::SigConstraintsFailure, code, message, offset);
    }

    fn change(
        &mut self,
        number: u32,
        role: u8,
        before: Option<&Loaded>,
        after: Option<&Loaded>,
    ) -> Result<(), Fault> {
        let Some(before) = before else {
            if let Some(after) = after {
                self.refuse(
                    "DANGLING_REFERENCE",
                    "Content that was missing when the document was signed was added later.",
                    after.place.0,
                );
            }
            return Ok(());
        };
        let Some(after) = after else {
            self.refuse("OBJECT_REMOVED", "A part of the signed document was removed.", 0);
            return Ok(());
        };
        if self.is_same(before, after)? {
            return Ok(());
        }
        let is_root = matches!(
            self.versions.last.trailer.get("Root"),
            Some(Object::Reference(root, _)) if *root == number
        );
        let offset = after.place.0;
        match (&before.object, &after.object) {
            (Object::Dictionary(old), Object::Dictionary(new)) if is_root => {
                rules::catalog(self, old, new, offset)
            }
            _ if role == role::SECURITY_STORE => Ok(()),
            _ if self.allowed.is_locked() => {
                self.refuse(
                    "CERTIFIED_WITHOUT_CHANGES",
                    "The certification of the document forbids every later change.",
                    offset,
                );
                Ok(())
            }
            _ if role == role::APPEARANCE && self.allowed.is_fillable() => {
                // Whose appearance it is is not known here, so no field may be locked.
                if self.allowed.locks.is_empty() {
                    self.quirks.insert(rules::FILLED);
                } else {
                    let message =
                        "The appearance of a form field, which may be locked, was changed.";
                    self.refuse("FIELD_LOCKED", message, offset);
                }
                Ok(())
            }
            _ if role & !(role::METADATA | role::INFO) == 0 => {
                self.quirks.insert("the document information was changed after signing");
                Ok(())
            }
            _ => self.change_by_kind(number, role, before, after),
        }
    }

    fn change_by_kind(
        &mut self,
        number: u32,
        role: u8,
        before: &Loaded,
        after: &Loaded,
    ) -> Result<(), Fault> {
        let only = |allowed: u8| role & !allowed == 0;
        let offset = after.place.0;
        let is_stream = before.stream.is_some() || after.stream.is_some();
        match (&before.object, &after.object) {
            (Object::Dictionary(old), Object::Dictionary(new)) if !is_stream => {
                if only(role::FORM) {
                    rules::form(self, old, new, offset)
                } else if old.is("Type", "Pages") || new.is("Type", "Pages") {
                    rules::page_tree(self, old, new, offset)
                } else if old.is("Type", "Page") && new.is("Type", "Page") {
                    rules::page(self, old, new, offset)
                } else {
                    rules::field(self, number, old, new, offset)
                }
            }
            (Object::Array(old), Object::Array(new)) if only(role::ANNOTATIONS) => {
                rules::appended_to(self, rules::ANNOTATIONS, old, new, offset)
            }
            (Object::Array(old), Object::Array(new)) if only(role::FIELDS) => {
                rules::appended_to(self, rules::FIELDS, old, new, offset)
            }
            _ => {
                self.refuse(
                    "CONTENT_CHANGED",
                    "A part of the signed document was changed after signing.",
                    offset,
                );
                Ok(())
            }
        }
    }

    /// The same bytes, or bytes that say the same.
    fn is_same(&self, before: &Loaded, after: &Loaded) -> Result<bool, Fault> {
        if before.place == after.place {
            return Ok(true);
        }
        if before.object != after.object {
            return Ok(false);
        }
        if before.stream.is_none() && after.stream.is_none() {
            return Ok(true);
        }
        let (start, end) = self.document.stream_range(self.versions.signed, before)?;
        let (new_start, new_end) = self.document.stream_range(self.versions.last, after)?;
        let size = end - start;
        if self.document.is_encrypted() {
            // What the bytes say depends on the object that they stand in.
            return Ok(self.document.stream_data(self.versions.signed, before)?
                == self.document.stream_data(self.versions.last, after)?);
        }
        if size != new_end - new_start
            || usize::try_from(size).map_or(true, |size| size > PDF_OBJECT_SIZE_MAX)
        {
            return Ok(false);
        }
        const WINDOW: u64 = 256 * 1024;
        let file = &self.document.file;
        let mut at = 0;
        while at < size {
            let to = size.min(at + WINDOW);
            if file.bytes(start + at, start + to)? != file.bytes(new_start + at, new_start + to)? {
                return Ok(false);
            }
            at = to;
        }
        Ok(true)
    }
}

/// The keys whose values differ.
pub(super) fn differing<'a>(old: &'a Dictionary, new: &'a Dictionary) -> Vec<&'a [u8]> {
    let keys: BTreeSet<&Vec<u8>> = old.entries.keys().chain(new.entries.keys()).collect();
    let differs = |key: &&Vec<u8>| {
        let value = |d: &'a Dictionary| d.entries.get(key).filter(|v| **v != Object::Null);
        match (value(old), value(new)) {
            (Some(old), Some(new)) => !is_equal(old, new),
            (old, new) => old != new,
        }
    };
    keys.into_iter().filter(differs).map(Vec::as_slice).collect()
}

/// The same value; a number may be written anew, `612` as `612.0`.
fn is_equal(old: &Object, new: &Object) -> bool {
    let number = |object: &Object| match object {
        Object::Integer(value) => i32::try_from(*value).ok().map(f64::from),
        Object::Real(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    match (old, new) {
        (Object::Array(old), Object::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_equal(old, new))
        }
        (Object::Integer(_), Object::Real(_)) | (Object::Real(_), Object::Integer(_)) => {
            number(old).is_some() && number(old) == number(new)
        }
        _ => old == new,
    }
}

/// What a version refers to.
pub(super) struct Graph {
    /// Every object that is referred to, and from where.
    pub roles: HashMap<u32, u8>,
    /// The place of an object that is broken.
    pub broken: Option<u64>,
    /// Objects that are referred to and cannot be read or do not exist.
    pub missing: BTreeSet<u32>,
}

/// Walks everything that a version refers to.
pub(super) fn graph(document: &Document<'_>, view: &View) -> Result<Graph, Fault> {
    let mut roles: HashMap<u32, u8> = HashMap::new();
    let mut waiting: Vec<(u32, u8)> = Vec::new();
    let mut broken = None;
    let mut missing = BTreeSet::new();
    // Other trailer entries show nothing; LibreOffice's /AdditionalStreams even dangles.
    let mut roots = Dictionary::default();
    for key in ["Root", "Info"] {
        if let Some(value) = view.trailer.get(key) {
            roots.entries.insert(key.into(), value.clone());
        }
    }
    scan(&roots, 0, &mut waiting);
    while let Some((number, role)) = waiting.pop() {
        let known = roles.entry(number).or_insert(0);
        // What an object refers to has a part in the role of a security store or an appearance: it
        // is walked once as each and once as anything else.
        const INHERITED: u8 = role::SECURITY_STORE | role::APPEARANCE;
        let walked = *known & if role & INHERITED == 0 { !INHERITED } else { role } != 0;
        *known |= role;
        if walked {
            continue;
        }
        document.spend_steps(1)?;
        match document.load(view, number) {
            Ok(Some(loaded)) => {
                // What an appearance draws with may be shared; only the picture itself is its own.
                let is_drawing = role == role::APPEARANCE && loaded.stream.is_some();
                let inherited = if is_drawing { 0 } else { role & INHERITED };
                collect(&loaded.object, role, inherited, &mut waiting);
                if waiting.len() > PDF_WAITING_MAX {
                    waiting.sort_unstable();
                    waiting.dedup();
                    if waiting.len() > PDF_WAITING_MAX / 2 {
                        return Err(Fault::OverBudget);
                    }
                }
            }
            Ok(None) => {
                missing.insert(number);
            }
            Err(Fault::Broken(offset)) => {
                broken = Some(offset);
                missing.insert(number);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(Graph { roles, broken, missing })
}

fn scan(dictionary: &Dictionary, inherited: u8, waiting: &mut Vec<(u32, u8)>) {
    let kinds = ["Tx", "Btn", "Ch"];
    let is_form_field = kinds.iter().any(|kind| dictionary.is("FT", kind));
    for (key, value) in dictionary.entries.iter() {
        let role = match &key[..] {
            _ if inherited != 0 => inherited,
            b"AP" if is_form_field => role::APPEARANCE,
            b"Metadata" | b"Extensions" => role::METADATA,
            b"Info" => role::INFO,
            b"DSS" => role::SECURITY_STORE,
            b"Annots" => role::ANNOTATIONS,
            b"Fields" => role::FIELDS,
            b"Kids" if !dictionary.is("Type", "Pages") => role::FIELDS,
            b"AcroForm" => role::FORM,
            _ => role::OTHER,
        };
        collect(value, role, role & (role::SECURITY_STORE | role::APPEARANCE), waiting);
    }
}

fn collect(object: &Object, role: u8, inherited: u8, waiting: &mut Vec<(u32, u8)>) {
    match object {
        Object::Reference(number, _) => waiting.push((*number, role)),
        Object::Array(items) => {
            for item in items {
                collect(item, role, inherited, waiting);
            }
        }
        Object::Dictionary(dictionary) => {
            scan(dictionary, inherited, waiting);
        }
        _ => {}
    }
}
