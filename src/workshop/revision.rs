//! Appending a revision to a PDF (ISO 32000-1 §7.5.6). No byte of the file changes.
//!
//! The new cross-reference section has the form of the newest one, table or stream (§7.5.8.4 forbids
//! to mix them otherwise). What the judge's reader does not follow is not extended.

use std::collections::BTreeMap;

use super::Error;
use crate::digest::hex;
use crate::limits::PDF_OBJECTS_MAX;
use crate::signature::outline::{Closed, Outline};
pub(crate) use crate::signature::outline::{Field, Id, Page, Values};

/// An object as it stands in the file, from `n 0 obj` to `endobj`.
pub(crate) struct Object {
    pub id: Id,
    pub body: Vec<u8>,
}

impl Object {
    /// A new object without stream.
    pub fn new(number: u32, value: impl AsRef<str>) -> Self {
        Self::again(Id { number, generation: 0 }, value)
    }

    /// Another version of an object that the file has.
    pub fn again(id: Id, value: impl AsRef<str>) -> Self {
        let Id { number, generation } = id;
        let body = format!("{number} {generation} obj\n{}\nendobj\n", value.as_ref()).into_bytes();
        Self { id, body }
    }

    /// A new object with a stream; `dictionary` is open: `<< /Type /XObject `.
    pub fn stream(number: u32, dictionary: &str, content: &[u8]) -> Self {
        let size = content.len();
        let mut body =
            format!("{number} 0 obj\n{dictionary}/Length {size} >>\nstream\n").into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\nendstream\nendobj\n");
        Self { id: Id { number, generation: 0 }, body }
    }
}

/// `<0123…>`.
pub fn hex_string(bytes: &[u8]) -> String {
    format!("<{}>", hex(bytes))
}

/// `12 0 R`, of a new object.
pub fn reference(number: u32) -> String {
    format!("{number} 0 R")
}

/// `12 3 R`.
pub fn reference_to(id: Id) -> String {
    format!("{} {} R", id.number, id.generation)
}

/// The newest revision of a file.
pub struct Revision<'a> {
    file: &'a [u8],
    outline: Outline<'a>,
    size: u32,
}

impl From<Closed> for Error {
    fn from(closed: Closed) -> Self {
        Self::Pdf(match closed {
            Closed::Encrypted => "it is encrypted",
            Closed::OverBudget => "it is larger or more complicated than this version reads",
            Closed::Broken => "its structure is damaged",
        })
    }
}

impl<'a> Revision<'a> {
    /// Finds the objects of a file.
    ///
    /// # Errors
    /// [`Error::Pdf`] if the file is not one we extend.
    pub fn read(file: &'a &'a [u8]) -> Result<Self, Error> {
        let head = file.get(..file.len().min(1024)).unwrap_or_default();
        if memchr::memmem::find(head, b"%PDF-").is_none() {
            return Err(Error::Pdf("it is no PDF"));
        }
        let outline = Outline::open(file)?;
        let size = outline.size()?;
        if usize::try_from(size).is_ok_and(|size| size > PDF_OBJECTS_MAX) {
            return Err(Closed::OverBudget.into());
        }
        Ok(Self { file, outline, size })
    }

    /// What the file consists of.
    pub fn outline(&self) -> &Outline<'a> {
        &self.outline
    }

    /// The number of the first object that the file does not have.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The text of an array with one more reference.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn extended(&self, array: Option<&str>, more: u32) -> Result<String, Error> {
        let mut items = self.outline.items(array)?;
        items.push(reference(more));
        Ok(format!("[{}]", items.join(" ")))
    }

    /// The file with `objects` appended in a revision of their own, and where each begins.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn append(&self, objects: &[Object]) -> Result<(Vec<u8>, BTreeMap<u32, usize>), Error> {
        let added: usize = objects.iter().map(|object| object.body.len() + 64).sum();
        let mut out = Vec::with_capacity(self.file.len() + added + 1024);
        out.extend_from_slice(self.file);
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        let mut offsets = BTreeMap::new();
        let mut places = BTreeMap::new();
        for object in objects {
            offsets.insert(object.id.number, out.len());
            places.insert(object.id.number, (out.len(), object.id.generation));
            out.extend_from_slice(&object.body);
        }
        let start = out.len();
        let (newest, is_stream) = self.outline.newest()?;
        let past = places.keys().next_back().map_or(0, |last| last.saturating_add(1));
        let size = self.size.max(past);
        // Of a stream's dictionary only the trailer's part goes on; /XRefStm is the old table's.
        let mut trailer = self.outline.trailer()?;
        for key in ["Type", "W", "Index", "Filter", "DecodeParms", "Length", "XRefStm"] {
            trailer = trailer.without(key);
        }
        let trailer = trailer.with("Prev", newest.to_string());
        if is_stream {
            places.insert(size, (start, 0));
            out.extend_from_slice(&stream(size, trailer, &places)?);
        } else {
            out.extend_from_slice(table(size, trailer, &places).as_bytes());
        }
        out.extend_from_slice(format!("startxref\n{start}\n%%EOF\n").as_bytes());
        Ok((out, offsets))
    }
}

type Places = BTreeMap<u32, (usize, u16)>;

fn table(size: u32, trailer: Values, places: &Places) -> String {
    let mut out = String::from("xref\n");
    for (number, (offset, generation)) in places {
        out.push_str(&format!("{number} 1\n{offset:010} {generation:05} n \n"));
    }
    out.push_str(&format!("trailer\n{}\n", trailer.with("Size", size.to_string()).text()));
    out
}

/// A cross-reference stream that is object `number` and lists itself.
fn stream(number: u32, trailer: Values, places: &Places) -> Result<Vec<u8>, Error> {
    let mut rows = Vec::with_capacity(places.len() * 11);
    let mut index = Vec::with_capacity(places.len());
    for (number, (offset, generation)) in places {
        let offset = u64::try_from(*offset).map_err(|_| Error::Pdf("it is too large"))?;
        index.push(format!("{number} 1"));
        rows.push(1);
        rows.extend_from_slice(&offset.to_be_bytes());
        rows.extend_from_slice(&generation.to_be_bytes());
    }
    let dictionary = trailer
        .with("Type", "/XRef")
        .with("W", "[1 8 2]")
        .with("Index", format!("[{}]", index.join(" ")))
        .with("Size", number.saturating_add(1).to_string());
    let text = dictionary.text();
    let open = text.strip_suffix(">>").unwrap_or(&text);
    Ok(Object::stream(number, open, &rows).body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_pdf_is_refused() {
        for wrong in ["", "%PDF", "startxref\n0\n", "PK\u{3}\u{4}"] {
            let wrong = wrong.as_bytes();
            assert!(matches!(Revision::read(&wrong), Err(Error::Pdf("it is no PDF"))));
        }
        for broken in ["%PDF-1.7\n", "%PDF-1.7\nstartxref\n9\n", "%PDF-1.7\nstartxref\n99999999999"]
        {
            let broken = broken.as_bytes();
            let refused = Err(Error::Pdf("its structure is damaged"));
            assert_eq!(Revision::read(&broken).map(drop).map_err(said), refused.map_err(said));
        }
    }

    fn said(error: Error) -> String {
        error.to_string()
    }

    #[test]
    fn a_dictionary_keeps_every_value_but_the_one_replaced() {
        let text = "<< /A [1 0 R (x\\)>>) ] /B<</C/D>>/E 5 0 R/F 12 /G <00> % note\n /H true>>";
        let values = Values::read(text).unwrap();
        assert_eq!(values.get("B"), Some("<< /C /D >>"));
        assert_eq!(values.get("E").and_then(Id::read), Some(Id { number: 5, generation: 0 }));
        let changed = values.with("E", "null").with("I", "(new)");
        let again = Values::read(&changed.text()).unwrap();
        assert_eq!(
            (again.get("E"), again.get("F"), again.get("I")),
            (None, Some("12"), Some("<6e6577>"))
        );
        assert!(Values::read("<< /A ").is_err() && Values::read("<</A 1/A 2>>").is_err());
        assert!(Values::read(&"<<".repeat(1000)).is_err());
    }
}
