//! Appending a revision to a PDF (ISO 32000-1 §7.5.6): just enough reading to add a signature field.
//!
//! It extends files with classic cross-reference tables, as the workshop makes them, and refuses the
//! others. Its input is a file that its user wants to sign; judging hostile files is not its work.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Error;
use crate::digest::hex;
use crate::limits::{PDF_DEPTH_MAX, PDF_OBJECTS_MAX, PDF_REVISIONS_MAX};

/// An object as it stands in the file, from `n 0 obj` to `endobj`.
pub struct Object {
    pub number: usize,
    pub body: Vec<u8>,
}

impl Object {
    /// An object without stream.
    pub fn new(number: usize, value: impl AsRef<str>) -> Self {
        let body = format!("{number} 0 obj\n{}\nendobj\n", value.as_ref()).into_bytes();
        Self { number, body }
    }

    /// An object with a stream; `dictionary` is open: `<< /Type /XObject `.
    pub fn stream(number: usize, dictionary: &str, content: &[u8]) -> Self {
        let size = content.len();
        let mut body =
            format!("{number} 0 obj\n{dictionary}/Length {size} >>\nstream\n").into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\nendstream\nendobj\n");
        Self { number, body }
    }
}

/// `<0123…>`.
pub fn hex_string(bytes: &[u8]) -> String {
    format!("<{}>", hex(bytes))
}

/// The newest revision of a file.
pub struct Revision<'a> {
    file: &'a [u8],
    /// Where the newest cross-reference table begins.
    table: usize,
    offsets: BTreeMap<usize, usize>,
    trailer: Dictionary<'a>,
}

/// A dictionary as the texts of its values, in file order.
#[derive(Debug, Clone)]
pub struct Dictionary<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Dictionary<'a> {
    /// The text of a value.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The dictionary with one value replaced or added.
    pub fn with(&self, key: &str, value: &str) -> String {
        let mut out = String::from("<<");
        for (name, old) in self.0.iter().filter(|(name, _)| *name != key) {
            out.push_str(&format!(" {name} {old}"));
        }
        out.push_str(&format!(" {key} {value} >>"));
        out
    }
}

impl<'a> Revision<'a> {
    /// Finds the objects of a file.
    ///
    /// # Errors
    /// [`Error::Pdf`] if the file is not one we extend.
    pub fn read(file: &'a [u8]) -> Result<Self, Error> {
        let mark = b"startxref";
        let last = (file.windows(mark.len()).rposition(|window| window == mark))
            .ok_or(Error::Pdf("it has no startxref"))?;
        let mut reader = Reader { file, at: last + mark.len() };
        let table = reader.number()?;
        let mut offsets = BTreeMap::new();
        let mut next = Some(table);
        let mut newest = None;
        for _ in 0..PDF_REVISIONS_MAX {
            let Some(at) = next else { break };
            let trailer = read_table(file, at, &mut offsets)?;
            next = trailer.value("/Prev").map(parse_number).transpose()?;
            newest.get_or_insert(trailer);
        }
        let trailer = newest.ok_or(Error::Pdf("it has no trailer"))?;
        if trailer.value("/Encrypt").is_some() {
            return Err(Error::Pdf("it is encrypted"));
        }
        Ok(Self { file, table, offsets, trailer })
    }

    /// The text of an object's value.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn object(&self, number: usize) -> Result<&'a str, Error> {
        let at = *self.offsets.get(&number).ok_or(Error::Pdf("an object is missing"))?;
        let mut reader = Reader { file: self.file, at };
        if reader.number()? != number {
            return Err(Error::Pdf("the cross-reference table is wrong"));
        }
        reader.number()?;
        reader.word(b"obj")?;
        reader.value_text(0)
    }

    /// A dictionary object.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn dictionary(&self, number: usize) -> Result<Dictionary<'a>, Error> {
        parse_dictionary(self.object(number)?)
    }

    /// The number of the catalog.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn catalog(&self) -> Result<usize, Error> {
        self.trailer.value("/Root").and_then(reference).ok_or(Error::Pdf("it has no catalog"))
    }

    /// The number of the first page.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn first_page(&self) -> Result<usize, Error> {
        let lost = Error::Pdf("it has no page");
        let catalog = self.dictionary(self.catalog()?)?;
        let mut node = catalog.value("/Pages").and_then(reference).ok_or(lost)?;
        for _ in 0..PDF_DEPTH_MAX {
            let dictionary = self.dictionary(node)?;
            let Some(kids) = dictionary.value("/Kids") else { return Ok(node) };
            let kids = self.array(kids)?;
            node = reference(kids.trim()).ok_or(Error::Pdf("it has no page"))?;
        }
        Err(Error::Pdf("its page tree is too deep"))
    }

    /// What stands between the brackets of an array, which may be an object of its own.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn array(&self, text: &'a str) -> Result<&'a str, Error> {
        let text = match reference(text) {
            Some(number) if !text.starts_with('[') => self.object(number)?,
            _ => text,
        };
        (text.strip_prefix('[').and_then(|text| text.strip_suffix(']')))
            .ok_or(Error::Pdf("an array is expected"))
    }

    /// The number of the first object that the file does not have.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn size(&self) -> Result<usize, Error> {
        self.trailer
            .value("/Size")
            .ok_or(Error::Pdf("its trailer has no size"))
            .and_then(parse_number)
    }

    /// The file with `objects` appended in a revision of their own, and where each begins.
    ///
    /// # Errors
    /// [`Error::Pdf`].
    pub fn append(&self, objects: &[Object]) -> Result<(Vec<u8>, BTreeMap<usize, usize>), Error> {
        let added: usize = objects.iter().map(|object| object.body.len() + 64).sum();
        let mut out = Vec::with_capacity(self.file.len() + added + 512);
        out.extend_from_slice(self.file);
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        let mut offsets = BTreeMap::new();
        for object in objects {
            offsets.insert(object.number, out.len());
            out.extend_from_slice(&object.body);
        }
        let start = out.len();
        let mut table = String::from("xref\n");
        for (number, offset) in &offsets {
            table.push_str(&format!("{number} 1\n{offset:010} 00000 n \n"));
        }
        let past = offsets.keys().next_back().map_or(0, |last| last + 1);
        let size = self.size()?.max(past).to_string();
        let sized = self.trailer.with("/Size", &size);
        let trailer = parse_dictionary(&sized)?.with("/Prev", &self.table.to_string());
        table.push_str(&format!("trailer\n{trailer}\nstartxref\n{start}\n%%EOF\n"));
        out.extend_from_slice(table.as_bytes());
        Ok((out, offsets))
    }
}

/// The object number of `12 0 R`.
pub fn reference(text: &str) -> Option<usize> {
    let mut words = text.split_ascii_whitespace();
    let (number, generation, letter) = (words.next()?, words.next()?, words.next()?);
    (generation == "0" && letter == "R").then(|| number.parse().ok()).flatten()
}

/// Reads `<< … >>`.
///
/// # Errors
/// [`Error::Pdf`].
pub fn parse_dictionary(text: &str) -> Result<Dictionary<'_>, Error> {
    let mut reader = Reader { file: text.as_bytes(), at: 0 };
    reader.word(b"<<")?;
    let mut pairs = Vec::new();
    loop {
        reader.space();
        if reader.rest().starts_with(b">>") {
            return Ok(Dictionary(pairs));
        }
        let key = reader.value_text(0)?;
        if !key.starts_with('/') {
            return Err(Error::Pdf("a dictionary has a key that is no name"));
        }
        pairs.push((key, reader.value_text(0)?));
    }
}

fn parse_number(text: &str) -> Result<usize, Error> {
    text.parse().map_err(|_| Error::Pdf("a number is expected"))
}

/// Reads one table; offsets of newer tables stay.
fn read_table<'a>(
    file: &'a [u8],
    at: usize,
    offsets: &mut BTreeMap<usize, usize>,
) -> Result<Dictionary<'a>, Error> {
    let mut reader = Reader { file, at };
    reader.word(b"xref").map_err(|_| Error::Pdf("it has no classic cross-reference table"))?;
    loop {
        reader.space();
        if reader.rest().starts_with(b"trailer") {
            reader.at += b"trailer".len();
            return parse_dictionary(reader.value_text(0)?);
        }
        let first = reader.number()?;
        let count = reader.number()?;
        if count > PDF_OBJECTS_MAX || first > PDF_OBJECTS_MAX {
            return Err(Error::Pdf("its cross-reference table is too large"));
        }
        for number in first..first + count {
            let offset = reader.number()?;
            reader.number()?;
            reader.space();
            if reader.rest().starts_with(b"n") {
                offsets.entry(number).or_insert(offset);
            }
            reader.at += 1;
        }
    }
}

/// A position in PDF text.
struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.file.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and comments.
    fn space(&mut self) {
        let mut comment = false;
        for byte in self.rest() {
            match byte {
                b'\r' | b'\n' => comment = false,
                b'%' => comment = true,
                b' ' | b'\t' | b'\x0c' | 0 => {}
                _ if comment => {}
                _ => return,
            }
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Error> {
        self.space();
        if !self.rest().starts_with(word) {
            return Err(Error::Pdf("it is damaged"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<usize, Error> {
        self.space();
        let range = self.while_true(|byte| byte.is_ascii_digit());
        parse_number(self.text(range)?)
    }

    /// The text of the next value; `n 0 R` is one value.
    fn value_text(&mut self, depth: usize) -> Result<&'a str, Error> {
        self.space();
        let start = self.at;
        self.skip_value(depth)?;
        let before = self.at;
        let is_number = self.file[start..before].iter().all(u8::is_ascii_digit);
        if is_number && !(self.number().is_ok() && self.word(b"R").is_ok()) {
            self.at = before;
        }
        self.text(start..self.at)
    }

    fn skip_value(&mut self, depth: usize) -> Result<(), Error> {
        if depth > PDF_DEPTH_MAX {
            return Err(Error::Pdf("its values are nested too deep"));
        }
        match self.rest() {
            [b'<', b'<', ..] => self.skip_list(b">>", depth),
            [b'[', ..] => self.skip_list(b"]", depth),
            [b'(', ..] => self.skip_literal(),
            [b'<', ..] => {
                self.while_true(|byte| byte != b'>');
                self.word(b">")
            }
            [_, ..] => {
                self.at += 1;
                let delimiter = |byte: u8| b"()<>[]{}/%\0\t\n\x0c\r ".contains(&byte);
                self.while_true(|byte| !delimiter(byte));
                Ok(())
            }
            [] => Err(Error::Pdf("it is damaged")),
        }
    }

    fn skip_list(&mut self, end: &[u8], depth: usize) -> Result<(), Error> {
        self.at += end.len();
        loop {
            self.space();
            if self.rest().starts_with(end) {
                self.at += end.len();
                return Ok(());
            }
            self.skip_value(depth + 1)?;
        }
    }

    fn skip_literal(&mut self) -> Result<(), Error> {
        let mut open = 0_usize;
        let mut escaped = false;
        for byte in self.rest() {
            self.at += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'(' => open += 1,
                b')' if open == 1 => return Ok(()),
                b')' => open -= 1,
                _ => {}
            }
        }
        Err(Error::Pdf("a string does not end"))
    }

    fn while_true(&mut self, keep: impl Fn(u8) -> bool) -> Range<usize> {
        let start = self.at;
        let count = self.rest().iter().take_while(|byte| keep(**byte)).count();
        self.at += count;
        start..self.at
    }

    fn text(&self, range: Range<usize>) -> Result<&'a str, Error> {
        // Values we copy must be text; binary strings inside a catalog or page are not expected.
        let bytes = self.file.get(range).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| Error::Pdf("a dictionary holds binary strings"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_keeps_every_value_but_the_one_replaced() {
        let text = "<< /A [1 0 R (x\\)>>) ] /B<</C/D>>/E 5 0 R/F 12 /G <00> % note\n /H true>>";
        let dictionary = parse_dictionary(text).unwrap();
        assert_eq!(dictionary.value("/A"), Some("[1 0 R (x\\)>>) ]"));
        assert_eq!(dictionary.value("/B"), Some("<</C/D>>"));
        assert_eq!(dictionary.value("/E").and_then(reference), Some(5));
        assert_eq!(dictionary.value("/F"), Some("12"));
        let changed = dictionary.with("/E", "null");
        assert_eq!(parse_dictionary(&changed).unwrap().value("/E"), Some("null"));
        assert_eq!(parse_dictionary(&changed).unwrap().0.len(), 6);
    }

    #[test]
    fn what_is_not_a_pdf_is_refused() {
        for wrong in ["", "startxref", "startxref\n0\n", "startxref\n99999999999999999999999\n"] {
            assert!(Revision::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parse_dictionary("<< /A ").is_err());
        assert!(parse_dictionary(&"<<".repeat(1000)).is_err());
    }
}
