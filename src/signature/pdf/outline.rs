//! A PDF as one sees it who appends to it: the newest revision's pages, fields and dictionaries.
//!
//! It reads with the judge's own reader, so that whatever gets a signature here can be judged there.
//! Dictionaries are handed out as text that can be written again. Nothing is repaired.

use std::collections::HashSet;

use super::document::{Document, View};
use super::fields::text as text_of;
use super::file::{Fault, File};
use super::object::{Dictionary, Lexer, Object, ValueBudget};
use super::written::written;
use crate::limits::{PDF_DEPTH_MAX, PDF_FIELD_DEPTH_MAX, PDF_FIELDS_MAX, PDF_OBJECTS_MAX};
use crate::source::Source;

/// Why nothing can be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The structure is broken.
    Broken,
    Encrypted,
    /// Larger or more complicated than this version reads.
    OverBudget,
}

impl From<Fault> for Closed {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::OverBudget => Self::OverBudget,
            Fault::Undeciphered(_) => Self::Encrypted,
            Fault::Broken(_) | Fault::Unreadable => Self::Broken,
        }
    }
}

/// Number and generation of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub number: u32,
    pub generation: u16,
}

impl Id {
    /// The id that a text such as `12 0 R` names.
    pub fn read(text: &str) -> Option<Self> {
        match parse(text)? {
            Object::Reference(number, generation) => Some(Self { number, generation }),
            _ => None,
        }
    }

    fn object(self) -> Object {
        Object::Reference(self.number, self.generation)
    }
}

/// A dictionary as the texts of its values; keys are without the slash.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Values(Vec<(Vec<u8>, String)>);

impl Values {
    fn of(dictionary: &Dictionary) -> Result<Self, Closed> {
        // Readers differ in which of two values they take; writing one of them would decide it.
        if dictionary.has_doubles {
            return Err(Closed::Broken);
        }
        Ok(Self(
            dictionary.entries.iter().map(|(key, value)| (key.clone(), written(value))).collect(),
        ))
    }

    /// A dictionary from its text.
    pub fn read(text: &str) -> Result<Self, Closed> {
        match parse(text) {
            Some(Object::Dictionary(dictionary)) => Self::of(&dictionary),
            _ => Err(Closed::Broken),
        }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key.as_bytes());
        found.map(|(_, value)| value.as_str()).filter(|value| *value != "null")
    }

    /// Replaces or adds a value.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self = self.without(key);
        self.0.push((key.as_bytes().to_vec(), value.into()));
        self
    }

    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.0.retain(|(name, _)| name != key.as_bytes());
        self
    }

    /// `<< … >>`.
    pub fn text(&self) -> String {
        let mut out = String::from("<<");
        for (key, value) in &self.0 {
            out.push_str(&format!(" {} {value}", written(&Object::Name(key.clone()))));
        }
        out.push_str(" >>");
        out
    }
}

/// A page and what it has from the nodes above it.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub id: Id,
    /// The visible box in points: left, bottom, right, top.
    pub visible: [f64; 4],
    /// Clockwise, in degrees: 0, 90, 180 or 270.
    pub rotation: u16,
}

/// A field of the form that holds or may hold a value.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// The full name.
    pub name: String,
    /// None if the field stands directly in an array.
    pub id: Option<Id>,
    pub is_signature: bool,
    pub is_signed: bool,
    /// It prescribes how it is to be signed, or what the signature locks.
    pub is_bound: bool,
    /// It has widgets in objects of their own.
    pub has_kids: bool,
    /// Where its first widget stands.
    pub rectangle: Option<[f64; 4]>,
    /// The page that its first widget names.
    pub page: Option<Id>,
}

/// The newest revision.
pub(crate) struct Outline<'a> {
    document: Document<'a>,
    view: View,
}

impl<'a> Outline<'a> {
    pub fn open(source: &'a dyn Source) -> Result<Self, Closed> {
        let document = Document::open(File::open(source)?).map_err(|(_, fault)| fault)?;
        if document.sections.iter().any(|section| section.trailer.get("Encrypt").is_some()) {
            return Err(Closed::Encrypted);
        }
        let view = document.view(0, document.file.size)?;
        Ok(Self { document, view })
    }

    /// Where the newest cross-reference section begins, and whether it is a stream.
    pub fn newest(&self) -> Result<(u64, bool), Closed> {
        let section = self.document.sections.first().ok_or(Closed::Broken)?;
        Ok((section.offset, section.is_stream))
    }

    pub fn trailer(&self) -> Result<Values, Closed> {
        Values::of(&self.view.trailer)
    }

    /// The number after the highest that any section names.
    pub fn size(&self) -> Result<u32, Closed> {
        let sections = self.document.sections.iter();
        let numbers = sections.flat_map(|section| section.entries.iter().map(|(number, _)| number));
        let highest = numbers.max();
        let stated = self.view.trailer.unsigned("Size").and_then(|size| u32::try_from(size).ok());
        let past = highest.and_then(|number| number.checked_add(1)).ok_or(Closed::Broken)?;
        Ok(past.max(stated.unwrap_or(0)))
    }

    pub fn catalog(&self) -> Result<Id, Closed> {
        match self.view.trailer.get("Root") {
            Some(&Object::Reference(number, generation)) => Ok(Id { number, generation }),
            _ => Err(Closed::Broken),
        }
    }

    /// The dictionary that is the object `id`.
    pub fn values(&self, id: Id) -> Result<Values, Closed> {
        Values::of(&self.dictionary(&id.object())?.ok_or(Closed::Broken)?)
    }

    /// The items of an array given as text, direct or by reference; none if there is no text.
    pub fn items(&self, text: Option<&str>) -> Result<Vec<String>, Closed> {
        let Some(text) = text else { return Ok(Vec::new()) };
        let object = parse(text).ok_or(Closed::Broken)?;
        match self.document.resolve(&self.view, &object)?.as_deref().map(|loaded| &loaded.object) {
            Some(Object::Array(items)) => Ok(items.iter().map(written).collect()),
            // An object that is not there is null (ISO 32000-1 §7.3.10).
            None | Some(Object::Null) => Ok(Vec::new()),
            Some(_) => Err(Closed::Broken),
        }
    }

    /// What a certification signature allows (ISO 32000-1 table 254): 1, 2 or 3; none if there is none.
    pub fn certification(&self) -> Result<Option<i64>, Closed> {
        let root = self.document.root(&self.view)?;
        let Some(permissions) = self.document.dictionary(&self.view, &root, "Perms")? else {
            return Ok(None);
        };
        let Some(value) = self.document.dictionary(&self.view, &permissions, "DocMDP")? else {
            return Ok(None);
        };
        for reference in self.document.array(&self.view, &value, "Reference")? {
            let Some(reference) = self.dictionary(&reference)? else { continue };
            if reference.is("TransformMethod", "DocMDP") {
                let parameters =
                    self.document.dictionary(&self.view, &reference, "TransformParams")?;
                return Ok(Some(parameters.and_then(|p| p.integer("P")).unwrap_or(2)));
            }
        }
        Ok(Some(2))
    }

    fn dictionary(&self, object: &Object) -> Result<Option<Dictionary>, Closed> {
        Ok(self.document.resolve(&self.view, object)?.and_then(|found| found.dictionary().cloned()))
    }

    /// All pages in their order.
    pub fn pages(&self) -> Result<Vec<Page>, Closed> {
        let root = self.document.root(&self.view)?;
        let mut pages = Vec::new();
        let mut seen = HashSet::new();
        // A4, for files that say nothing (ISO 32000-1 requires a MediaBox).
        let top = Inherited { media: [0.0, 0.0, 595.0, 842.0], crop: None, rotation: 0 };
        let mut open = vec![(root.get("Pages").cloned().ok_or(Closed::Broken)?, top, 0)];
        while let Some((node, above, depth)) = open.pop() {
            let Object::Reference(number, generation) = node else { return Err(Closed::Broken) };
            if depth > PDF_DEPTH_MAX || !seen.insert(number) || seen.len() > PDF_OBJECTS_MAX {
                return Err(Closed::Broken);
            }
            let dictionary = self.dictionary(&node)?.ok_or(Closed::Broken)?;
            let own = self.inherit(&above, &dictionary)?;
            if dictionary.get("Kids").is_none() {
                pages.push(own.page(Id { number, generation }));
                continue;
            }
            let kids = self.document.array(&self.view, &dictionary, "Kids")?;
            open.extend(kids.into_iter().rev().map(|kid| (kid, own, depth + 1)));
        }
        Ok(pages)
    }

    fn inherit(&self, above: &Inherited, node: &Dictionary) -> Result<Inherited, Closed> {
        let rotation = match node.get("Rotate") {
            Some(value) => match self.document.resolve(&self.view, value)?.as_deref() {
                Some(loaded) => number(&loaded.object).unwrap_or(0.0),
                None => 0.0,
            },
            None => f64::from(above.rotation),
        };
        let quarter = (rotation / 90.0).rem_euclid(4.0);
        let rotation =
            [0, 90, 180, 270].into_iter().find(|turn| quarter * 90.0 == f64::from(*turn));
        Ok(Inherited {
            media: self.rectangle(node, "MediaBox")?.unwrap_or(above.media),
            crop: self.rectangle(node, "CropBox")?.or(above.crop),
            rotation: rotation.unwrap_or(0),
        })
    }

    fn rectangle(&self, node: &Dictionary, key: &str) -> Result<Option<[f64; 4]>, Closed> {
        let mut numbers = Vec::new();
        for item in self.document.array(&self.view, node, key)? {
            let loaded = self.document.resolve(&self.view, &item)?;
            numbers.extend(loaded.as_deref().and_then(|loaded| number(&loaded.object)));
        }
        let Ok([x, y, u, v]) = <[f64; 4]>::try_from(numbers) else { return Ok(None) };
        Ok(Some([x.min(u), y.min(v), x.max(u), y.max(v)]))
    }

    /// Every field with a name, in the order of the form.
    pub fn fields(&self) -> Result<Vec<Field>, Closed> {
        let root = self.document.root(&self.view)?;
        let form = self.document.dictionary(&self.view, &root, "AcroForm")?.unwrap_or_default();
        let mut found = Vec::new();
        let mut count = 0;
        let tops = self.document.array(&self.view, &form, "Fields")?;
        let mut open: Vec<_> =
            tops.into_iter().rev().map(|field| (field, String::new(), false, 0)).collect();
        while let Some((object, above, above_is_signature, depth)) = open.pop() {
            count += 1;
            if depth > PDF_FIELD_DEPTH_MAX || count > PDF_FIELDS_MAX {
                return Err(Closed::OverBudget);
            }
            let Some(dictionary) = self.dictionary(&object)? else { continue };
            let Some(Object::String(own)) = dictionary.get("T") else { continue };
            let own = text_of(&own.bytes);
            let name = if above.is_empty() { own } else { format!("{above}.{own}") };
            let is_signature =
                dictionary.name("FT").map_or(above_is_signature, |kind| kind == b"Sig");
            let kids = self.document.array(&self.view, &dictionary, "Kids")?;
            found.push(self.field(&object, &dictionary, &kids, (name.clone(), is_signature))?);
            let kids = kids.into_iter().rev();
            open.extend(kids.map(|kid| (kid, name.clone(), is_signature, depth + 1)));
        }
        Ok(found)
    }

    fn field(
        &self,
        object: &Object,
        dictionary: &Dictionary,
        kids: &[Object],
        (name, is_signature): (String, bool),
    ) -> Result<Field, Closed> {
        let id = match object {
            &Object::Reference(number, generation) => Some(Id { number, generation }),
            _ => None,
        };
        let first = match kids.first() {
            Some(kid) if dictionary.get("Rect").is_none() => self.dictionary(kid)?,
            _ => None,
        };
        let widget = first.as_ref().unwrap_or(dictionary);
        let page = match widget.get("P") {
            Some(&Object::Reference(number, generation)) => Some(Id { number, generation }),
            _ => None,
        };
        Ok(Field {
            name,
            id,
            is_signature,
            is_signed: is_signature && dictionary.get("V").is_some(),
            is_bound: dictionary.get("Lock").is_some() || dictionary.get("SV").is_some(),
            has_kids: !kids.is_empty(),
            rectangle: self.rectangle(widget, "Rect")?,
            page,
        })
    }
}

#[derive(Clone, Copy)]
struct Inherited {
    media: [f64; 4],
    crop: Option<[f64; 4]>,
    rotation: u16,
}

impl Inherited {
    /// What is seen is the crop box as far as it lies in the media box (ISO 32000-1 §14.11.2).
    fn page(self, id: Id) -> Page {
        let media = self.media;
        let visible = self.crop.map_or(media, |crop| {
            let [left, bottom, right, top] = crop;
            let cut =
                [left.max(media[0]), bottom.max(media[1]), right.min(media[2]), top.min(media[3])];
            if cut[0] < cut[2] && cut[1] < cut[3] { cut } else { media }
        });
        Page { id, visible, rotation: self.rotation }
    }
}

fn number(object: &Object) -> Option<f64> {
    match object {
        // Coordinates; beyond 2^31 they mean nothing.
        Object::Integer(value) => i32::try_from(*value).ok().map(f64::from),
        Object::Real(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

fn parse(text: &str) -> Option<Object> {
    let budget = ValueBudget::default();
    // The lexer wants to see that a number or word ends.
    let padded = format!("{text} ]");
    Lexer::new(padded.as_bytes(), 0, &budget).object().ok()
}
