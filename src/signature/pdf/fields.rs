//! Signature fields: where a PDF says that it is signed.

use std::collections::{HashMap, HashSet};

use super::document::{Document, View};
use super::file::Fault;
use super::object::{Dictionary, Object};
use crate::limits::{PDF_FIELD_DEPTH_MAX, PDF_FIELDS_MAX};

/// A signature field with a value.
#[derive(Debug)]
pub(super) struct SignedField {
    /// Full name, such as `form.seal`.
    pub name: String,
    /// What stands under `/V`.
    pub value: Object,
    /// `/Lock`: which fields the signature locks.
    pub lock: Option<Dictionary>,
}

/// What the form says about signatures.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// Signature fields that have a value, in the order of the form.
    pub signed: Vec<SignedField>,
    /// Every signature field and widget by object number, and whether it is signed.
    pub members: HashMap<u32, bool>,
}

/// Walks the form.
pub(super) fn form(document: &Document<'_>, view: &View) -> Result<Form, Fault> {
    let root = document.root(view)?;
    let Some(form) = document.dictionary(view, &root, "AcroForm")? else {
        return Ok(Form::default());
    };
    let mut walk = Walk { document, view, seen: HashSet::new(), count: 0, found: Form::default() };
    for field in document.array(view, &form, "Fields")? {
        walk.field(&field, &Inherited::default(), 0)?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    document: &'a Document<'a>,
    view: &'a View,
    seen: HashSet<u32>,
    count: usize,
    found: Form,
}

/// What a field has from its parents.
#[derive(Default)]
struct Inherited {
    name: String,
    is_signature: bool,
    is_signed: bool,
}

impl Walk<'_> {
    fn field(&mut self, field: &Object, parent: &Inherited, depth: usize) -> Result<(), Fault> {
        self.count += 1;
        if depth > PDF_FIELD_DEPTH_MAX || self.count > PDF_FIELDS_MAX {
            return Err(Fault::OverBudget);
        }
        if let Object::Reference(number, _) = field
            && !self.seen.insert(*number)
        {
            return Ok(());
        }
        let Some(loaded) = self.document.resolve(self.view, field)? else { return Ok(()) };
        let Some(dictionary) = loaded.dictionary() else { return Ok(()) };
        let is_signature = match dictionary.name("FT") {
            Some(kind) => kind == b"Sig",
            None => parent.is_signature,
        };
        let value = dictionary.get("V").filter(|_| is_signature);
        let own = Inherited {
            name: full_name(&parent.name, dictionary),
            is_signature,
            is_signed: is_signature && (value.is_some() || parent.is_signed),
        };
        if let Some(value) = value {
            let lock = self.document.dictionary(self.view, dictionary, "Lock")?;
            let (name, value) = (own.name.clone(), value.clone());
            self.found.signed.push(SignedField { name, value, lock });
        }
        if let (Object::Reference(number, _), true) = (field, is_signature) {
            self.found.members.insert(*number, own.is_signed);
        }
        for kid in self.document.array(self.view, dictionary, "Kids")? {
            self.field(&kid, &own, depth + 1)?;
        }
        Ok(())
    }
}

fn full_name(parent: &str, dictionary: &Dictionary) -> String {
    let own = match dictionary.get("T") {
        Some(Object::String(own)) => text(&own.bytes),
        _ => return parent.to_owned(),
    };
    if parent.is_empty() { own } else { format!("{parent}.{own}") }
}

/// A text string: UTF-16 with a mark, UTF-8, or Latin letters.
pub(super) fn text(bytes: &[u8]) -> String {
    if let Some(units) = bytes.strip_prefix(&[0xfe, 0xff]) {
        let units = units
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0_u16, |unit, &byte| unit << 8 | u16::from(byte)));
        return char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect();
    }
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}
