//! The characters of an XML document: UTF-8, UTF-16, ISO-8859-1 and US-ASCII (XML 1.0 §4.3.3).

use std::borrow::Cow;

/// What a declaration may name and this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown(pub String);

/// The text behind the bytes; offsets are those of the bytes only in UTF-8.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Unknown> {
    match bytes {
        [0xfe, 0xff, rest @ ..] => return wide(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => return wide(rest, u16::from_le_bytes),
        [0, b'<', ..] => return wide(bytes, u16::from_be_bytes),
        [b'<', 0, ..] => return wide(bytes, u16::from_le_bytes),
        _ => {}
    }
    let name = declared(bytes).unwrap_or("UTF-8").to_ascii_uppercase();
    match name.as_str() {
        "ISO-8859-1" | "ISO8859-1" | "LATIN1" | "LATIN-1" if !bytes.is_ascii() => {
            Ok(Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()))
        }
        "UTF-8" | "UTF8" => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) => Err(Unknown("damaged UTF-8".to_owned())),
        },
        // Every other name that is met stands for some extension of ASCII.
        _ if !name.starts_with("UTF-") && !name.starts_with("EBCDIC") && bytes.is_ascii() => {
            std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Unknown(name))
        }
        _ => Err(Unknown(name)),
    }
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, Unknown> {
    let pairs = bytes.chunks_exact(2);
    let is_whole = pairs.remainder().is_empty();
    let units = pairs.filter_map(|pair| pair.try_into().ok()).map(unit);
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if is_whole => Ok(Cow::Owned(text)),
        _ => Err(Unknown("damaged UTF-16".to_owned())),
    }
}

/// The encoding in the XML declaration.
fn declared(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let rest = bytes.strip_prefix(b"<?xml")?;
    let end = memchr::memmem::find(rest, b"?>")?;
    let declaration = std::str::from_utf8(rest.get(..end)?).ok()?;
    let (_, after) = declaration.split_once("encoding")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.get(1..)?.split(quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_read_from_every_encoding() {
        let text = "<?xml version='1.0' encoding='ISO-8859-1'?><a>\u{e9}</a>";
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert_eq!(decode(&latin).unwrap(), text);
        let text = "<a>\u{e9}\u{1f58b}</a>";
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes(), &big, &little, &[b"\xfe\xff", &big[..]].concat()] {
            assert_eq!(decode(bytes).unwrap(), text);
        }
    }

    #[test]
    fn other_encodings_are_named() {
        let bytes = b"<?xml version='1.0' encoding='Shift_JIS'?><a>\x83\x65</a>";
        assert_eq!(decode(bytes), Err(Unknown("SHIFT_JIS".to_owned())));
        assert!(decode(b"<a>\xff</a>").is_err() && decode(b"<\0a").is_err());
    }
}
