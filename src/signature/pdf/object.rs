//! PDF objects and the tokenizer (ISO 32000-1 §7.2–7.3).
//!
//! Strict where leniency helps an attacker: a token that is not understood is an error, and a
//! dictionary remembers that a key stood in it twice.

use std::cell::Cell;

use super::entries::Entries;
use crate::limits::{PDF_DEPTH_MAX, PDF_OBJECT_VALUES_MAX, PDF_STRING_STEP, PDF_VALUES_MAX};

/// The bytes are not the expected PDF syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SyntaxError {
    /// More bytes could make it right.
    Truncated,
    Malformed,
    /// More values than one file may have.
    TooMany,
}

/// An object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Null,
    Boolean(bool),
    Integer(i64),
    /// As it is written.
    Real(Vec<u8>),
    Name(Vec<u8>),
    String(Box<Text>),
    Array(Vec<Object>),
    Dictionary(Dictionary),
    Reference(u32, u16),
}

/// A string and the bytes of the file that hold it.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub bytes: Vec<u8>,
    pub is_hexadecimal: bool,
    /// Offsets of the token with its delimiters, within what was parsed.
    pub start: u64,
    pub end: u64,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// A dictionary.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Dictionary {
    pub entries: Entries,
    /// A key stood there twice with different values: readers differ in which one they take.
    pub has_doubles: bool,
}

impl Dictionary {
    pub fn get(&self, key: &str) -> Option<&Object> {
        self.entries.get(key.as_bytes()).filter(|value| **value != Object::Null)
    }

    pub fn name(&self, key: &str) -> Option<&[u8]> {
        match self.get(key)? {
            Object::Name(name) => Some(name),
            _ => None,
        }
    }

    pub fn is(&self, key: &str, name: &str) -> bool {
        self.name(key) == Some(name.as_bytes())
    }

    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Object::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// A number that is an offset, a size or an object number.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        self.integer(key).and_then(|value| u64::try_from(value).ok())
    }
}

/// How many values one file may still have.
#[derive(Debug)]
pub(super) struct ValueBudget(Cell<usize>);

impl Default for ValueBudget {
    fn default() -> Self {
        Self(Cell::new(PDF_VALUES_MAX))
    }
}

impl ValueBudget {
    pub fn left(&self) -> usize {
        self.0.get()
    }

    /// A value counts as one, a string as one for each step of its length.
    fn spend(&self, size: usize, floor: usize) -> Result<(), SyntaxError> {
        let cost = 1 + size / PDF_STRING_STEP;
        let left = self.0.get().checked_sub(cost).filter(|left| *left >= floor);
        self.0.set(left.ok_or(SyntaxError::TooMany)?);
        Ok(())
    }
}

/// Reads tokens from a piece of the file.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Where the piece begins in the file.
    base: u64,
    budget: &'a ValueBudget,
    /// How much of the budget must be left when this piece has been read.
    floor: usize,
    /// Hexadecimal strings are checked and left empty.
    skims: bool,
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

impl<'a> Lexer<'a> {
    pub fn new(bytes: &'a [u8], base: u64, budget: &'a ValueBudget) -> Self {
        let floor = budget.left().saturating_sub(PDF_OBJECT_VALUES_MAX);
        Self { bytes, position: 0, base, budget, floor, skims: false }
    }

    /// From here on, what stands where matters, not what strings say: the tens of thousands of digits
    /// of a signature are checked, not read.
    pub fn skim(&mut self) {
        self.skims = true;
    }

    /// Offset in the file.
    pub fn offset(&self) -> u64 {
        self.base.saturating_add(u64::try_from(self.position).unwrap_or(u64::MAX))
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    pub fn is_at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// At least `size` bytes are left.
    pub fn needs(&self, size: usize) -> Result<(), SyntaxError> {
        if self.rest().len() < size { Err(SyntaxError::Truncated) } else { Ok(()) }
    }

    /// Skips white space and comments.
    pub fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                let line = self.rest().iter().take_while(|byte| !matches!(byte, 10 | 13)).count();
                self.position += line;
            } else if is_space(byte) {
                self.position += 1;
            } else {
                return;
            }
        }
    }

    /// The keyword `word`, with white space before it.
    pub fn keyword(&mut self, word: &[u8]) -> Result<(), SyntaxError> {
        self.skip_space();
        let rest = self.rest();
        if !rest.starts_with(word) {
            let possible = word.starts_with(rest);
            return Err(if possible { SyntaxError::Truncated } else { SyntaxError::Malformed });
        }
        self.position += word.len();
        match self.peek() {
            Some(byte) if !is_space(byte) && !is_delimiter(byte) => Err(SyntaxError::Malformed),
            _ => Ok(()),
        }
    }

    /// Whether the keyword `word` comes next; it is read if so.
    pub fn has_keyword(&mut self, word: &[u8]) -> bool {
        let before = self.position;
        let found = self.keyword(word).is_ok();
        if !found {
            self.position = before;
        }
        found
    }

    /// The end of line that must follow the keyword `stream`.
    pub fn stream_start(&mut self) -> Result<(), SyntaxError> {
        // Some writers put blanks before the end of line; they do not belong to the data.
        let rest = self.rest();
        let size = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            // Not allowed but met; the data then begins after the single CR.
            [b'\r', _, ..] => 1,
            [] | [b'\r'] => return Err(SyntaxError::Truncated),
            _ => return Err(SyntaxError::Malformed),
        };
        self.position += size;
        Ok(())
    }

    pub fn unsigned(&mut self) -> Result<u64, SyntaxError> {
        self.skip_space();
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = self.rest().get(..digits).unwrap_or_default();
        if self.position + digits >= self.bytes.len() {
            // The number may go on beyond what was read; at the very end the caller knows better.
            self.position += digits;
            return parse_unsigned(text).ok_or(SyntaxError::Truncated);
        }
        self.position += digits;
        parse_unsigned(text).ok_or(SyntaxError::Malformed)
    }

    /// The next object.
    pub fn object(&mut self) -> Result<Object, SyntaxError> {
        self.object_at(0)
    }

    fn object_at(&mut self, depth: usize) -> Result<Object, SyntaxError> {
        if depth > PDF_DEPTH_MAX {
            return Err(SyntaxError::Malformed);
        }
        self.budget.spend(0, self.floor)?;
        self.skip_space();
        match self.peek().ok_or(SyntaxError::Truncated)? {
            b'/' => self.name().map(Object::Name),
            b'(' => self.literal_string().map(|text| Object::String(Box::new(text))),
            b'<' if self.rest().get(1) == Some(&b'<') => {
                self.dictionary(depth).map(Object::Dictionary)
            }
            b'<' if self.rest().len() == 1 => Err(SyntaxError::Truncated),
            b'<' => self.hexadecimal_string().map(|text| Object::String(Box::new(text))),
            b'[' => self.array(depth).map(Object::Array),
            b'0'..=b'9' | b'+' | b'-' | b'.' => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Object, SyntaxError> {
        let size =
            self.rest().iter().take_while(|&&byte| !is_space(byte) && !is_delimiter(byte)).count();
        let word = self.rest().get(..size).unwrap_or_default();
        if self.position + size >= self.bytes.len() {
            return Err(SyntaxError::Truncated);
        }
        let object = match word {
            b"null" => Object::Null,
            b"true" => Object::Boolean(true),
            b"false" => Object::Boolean(false),
            _ => return Err(SyntaxError::Malformed),
        };
        self.position += size;
        Ok(object)
    }

    fn number(&mut self) -> Result<Object, SyntaxError> {
        let size = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.'))
            .count();
        let text = self.rest().get(..size).unwrap_or_default();
        self.position += size;
        let integer = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        let Some(integer) = integer else { return Ok(Object::Real(text.to_vec())) };
        if let (Ok(number), true) = (u32::try_from(integer), text.first() != Some(&b'+'))
            && let Some(reference) = self.reference(number)?
        {
            return Ok(reference);
        }
        Ok(Object::Integer(integer))
    }

    /// `G R` after an object number.
    fn reference(&mut self, number: u32) -> Result<Option<Object>, SyntaxError> {
        let before = self.position;
        self.skip_space();
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let generation =
            self.rest().get(..digits).and_then(parse_unsigned).and_then(|n| u16::try_from(n).ok());
        self.position += digits;
        self.skip_space();
        if self.is_at_end() {
            // Whether an R follows is beyond the piece.
            return Err(SyntaxError::Truncated);
        }
        let after = self.rest().get(1).copied();
        let ends = after.is_none_or(|byte| is_space(byte) || is_delimiter(byte));
        if let (Some(generation), Some(b'R'), true) = (generation, self.peek(), ends) {
            self.position += 1;
            return Ok(Some(Object::Reference(number, generation)));
        }
        self.position = before;
        Ok(None)
    }

    fn name(&mut self) -> Result<Vec<u8>, SyntaxError> {
        self.position += 1;
        let size =
            self.rest().iter().take_while(|&&byte| !is_space(byte) && !is_delimiter(byte)).count();
        let written = self.rest().get(..size).unwrap_or_default();
        self.position += size;
        if self.is_at_end() {
            return Err(SyntaxError::Truncated);
        }
        self.budget.spend(size, self.floor)?;
        if !written.contains(&b'#') {
            return Ok(written.to_vec());
        }
        let mut name = Vec::with_capacity(size);
        let mut rest = written;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if let (b'#', Some(&[high, low])) = (byte, after.first_chunk::<2>())
                && let (Some(high), Some(low)) = (nibble(high), nibble(low))
            {
                name.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            name.push(byte);
        }
        Ok(name)
    }

    fn literal_string(&mut self) -> Result<Text, SyntaxError> {
        let start = self.offset();
        self.position += 1;
        let mut bytes = Vec::new();
        let mut depth = 0_usize;
        loop {
            let byte = self.peek().ok_or(SyntaxError::Truncated)?;
            self.position += 1;
            match byte {
                b'(' => depth += 1,
                b')' if depth == 0 => break,
                b')' => depth -= 1,
                b'\\' => {
                    self.escape(&mut bytes)?;
                    continue;
                }
                _ => {}
            }
            bytes.push(byte);
        }
        self.budget.spend(bytes.len(), self.floor)?;
        Ok(Text { bytes, is_hexadecimal: false, start, end: self.offset() })
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let byte = self.peek().ok_or(SyntaxError::Truncated)?;
        self.position += 1;
        match byte {
            b'n' => bytes.push(10),
            b'r' => bytes.push(13),
            b't' => bytes.push(9),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'\r' if self.peek() == Some(b'\n') => self.position += 1,
            b'\r' | b'\n' => {}
            b'0'..=b'7' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    self.position += 1;
                }
                bytes.push(u8::try_from(value & 0xff).unwrap_or(0));
            }
            other => bytes.push(other),
        }
        Ok(())
    }

    fn hexadecimal_string(&mut self) -> Result<Text, SyntaxError> {
        let start = self.offset();
        self.position += 1;
        let size = memchr::memchr(b'>', self.rest()).ok_or(SyntaxError::Truncated)?;
        let digits = self.rest().get(..size).unwrap_or_default();
        self.position += size + 1;
        let bytes = if self.skims && is_hexadecimal(digits) {
            Vec::new()
        } else {
            dense_hexadecimal(digits).map_or_else(|| sparse_hexadecimal(digits), Ok)?
        };
        // What is only checked takes time, too.
        self.budget.spend(bytes.len().max(digits.len() / 2), self.floor)?;
        Ok(Text { bytes, is_hexadecimal: true, start, end: self.offset() })
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Object>, SyntaxError> {
        self.position += 1;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if self.peek().ok_or(SyntaxError::Truncated)? == b']' {
                self.position += 1;
                items.shrink_to_fit();
                return Ok(items);
            }
            items.push(self.object_at(depth + 1)?);
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Dictionary, SyntaxError> {
        self.position += 2;
        let mut pairs = Vec::new();
        loop {
            self.skip_space();
            match self.peek().ok_or(SyntaxError::Truncated)? {
                b'/' => {
                    let key = self.name()?;
                    let value = self.object_at(depth + 1)?;
                    pairs.push((key, value));
                }
                b'>' if self.rest().len() == 1 => return Err(SyntaxError::Truncated),
                b'>' if self.rest().get(1) == Some(&b'>') => {
                    self.position += 2;
                    let (entries, has_doubles) = Entries::of(pairs);
                    return Ok(Dictionary { entries, has_doubles });
                }
                _ => return Err(SyntaxError::Malformed),
            }
        }
    }
}

fn parse_unsigned(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Value of each hexadecimal digit; 0xFF for other bytes.
const NIBBLES: [u8; 256] = {
    let mut table = [0xFF; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        table[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// Whether all are digits. Looks at each of them: so the compiler can look at many at once.
fn is_hexadecimal(digits: &[u8]) -> bool {
    digits.iter().fold(true, |all, digit| all & digit.is_ascii_hexdigit())
}

/// Digits without white space, as signatures have them by the ten thousand.
fn dense_hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut wrong = 0;
    let bytes = pairs
        .iter()
        .map(|[high, low]| {
            let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
            wrong |= high | low;
            high << 4 | low & 15
        })
        .collect();
    (rest.is_empty() && wrong < 16).then_some(bytes)
}

/// Digits with white space between them, or an odd number of them.
fn sparse_hexadecimal(digits: &[u8]) -> Result<Vec<u8>, SyntaxError> {
    let mut bytes = Vec::with_capacity(digits.len() / 2 + 1);
    let mut high = None;
    for &digit in digits.iter().filter(|&&digit| !is_space(digit)) {
        let value = nibble(digit).ok_or(SyntaxError::Malformed)?;
        match high.take() {
            None => high = Some(value),
            Some(high) => bytes.push(high << 4 | value),
        }
    }
    bytes.extend(high.map(|high| high << 4));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Object, SyntaxError> {
        let budget = ValueBudget::default();
        Lexer::new(text.as_bytes(), 0, &budget).object()
    }

    #[test]
    fn what_is_skimmed_is_refused_as_what_is_read() {
        let budget = ValueBudget::default();
        let read = |text: &str, skims: bool| {
            let mut lexer = Lexer::new(text.as_bytes(), 0, &budget);
            lexer.skims = skims;
            let object = lexer.object()?;
            Ok::<_, SyntaxError>((matches!(object, Object::String(_)), lexer.offset()))
        };
        for text in ["<> ", "<4142> ", "<41 4> ", "<414> ", "<4G> ", "<41G2> ", "<é> ", "<41"] {
            assert_eq!(read(text, true), read(text, false), "{text}");
        }
        let digits = format!("<{}>", "41".repeat(10 * PDF_STRING_STEP));
        let costs = [true, false].map(|skims| {
            let budget = ValueBudget::default();
            let mut lexer = Lexer::new(digits.as_bytes(), 0, &budget);
            lexer.skims = skims;
            let Ok(Object::String(text)) = lexer.object() else { panic!("a string") };
            assert_eq!((text.bytes.is_empty(), text.is_hexadecimal), (skims, true));
            PDF_VALUES_MAX - budget.left()
        });
        assert!(costs[0] > 10 && costs[0] == costs[1], "{costs:?}");
    }

    #[test]
    fn objects_of_every_kind_are_read() {
        let text = "<</A 1/B[2 0 R -3 .5 true null]/C(a\\(b\\051(c)\\n)/D<4 1 4>/E#20F/x>> ";
        let Ok(Object::Dictionary(dictionary)) = parse(text) else { panic!("a dictionary") };
        assert_eq!(dictionary.integer("A"), Some(1));
        let Some(Object::Array(items)) = dictionary.get("B") else { panic!("an array") };
        assert_eq!(items.len(), 5);
        assert_eq!(items[0], Object::Reference(2, 0));
        let Some(Object::String(text)) = dictionary.get("C") else { panic!("a string") };
        assert_eq!(text.bytes, b"a(b)(c)\n");
        let Some(Object::String(text)) = dictionary.get("D") else { panic!("a string") };
        assert_eq!((&text.bytes[..], text.is_hexadecimal), (&b"\x41\x40"[..], true));
        assert!(dictionary.is("E F", "x") && !dictionary.has_doubles);
    }

    #[test]
    fn a_doubled_key_is_remembered() {
        let Ok(Object::Dictionary(dictionary)) = parse("<</A 1/A 2>> ") else { panic!() };
        assert!(dictionary.has_doubles);
    }

    #[test]
    fn nonsense_and_endless_nesting_are_refused() {
        let nested = "[".repeat(100_000);
        for text in ["<</A>>", ")", "<zz>", "foo ", &nested, "<</A 1 2>>"] {
            assert!(parse(text).is_err(), "{text:.20}");
        }
        for text in ["<</A 1", "(abc", "<41", "[1 2", "12", ""] {
            assert_eq!(parse(text), Err(SyntaxError::Truncated), "{text}");
        }
    }
}
