//! Objects as text (ISO 32000-1 §7.3): only ASCII, so that a writer may handle it as such.

use super::object::Object;
use crate::digest::hex;

/// The text of an object, which the reader reads as the same object.
pub(super) fn written(object: &Object) -> String {
    match object {
        Object::Null => "null".to_owned(),
        Object::Boolean(value) => value.to_string(),
        Object::Integer(value) => value.to_string(),
        Object::Real(digits) => String::from_utf8_lossy(digits).into_owned(),
        Object::Name(name) => written_name(name),
        Object::String(text) => format!("<{}>", hex(&text.bytes)),
        Object::Array(items) => {
            format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(" "))
        }
        Object::Dictionary(dictionary) => {
            let mut out = String::from("<<");
            for (key, value) in dictionary.entries.iter() {
                out.push_str(&format!(" {} {}", written_name(key), written(value)));
            }
            out.push_str(" >>");
            out
        }
        Object::Reference(number, generation) => format!("{number} {generation} R"),
    }
}

fn written_name(name: &[u8]) -> String {
    let mut out = String::from("/");
    for &byte in name {
        match byte {
            b'#' | b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%' => {
                out.push_str(&format!("#{byte:02x}"));
            }
            0x21..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("#{byte:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::object::{Lexer, ValueBudget};
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same_object() {
        let text = "<</A 1/B[2 0 R -3 .5 true null (\\200\\))]/C(a\\(b)/D<41 4>/E#20F#2f/x>> ";
        let budget = ValueBudget::default();
        let object = Lexer::new(text.as_bytes(), 0, &budget).object().unwrap();
        let again = format!("{} ", written(&object));
        assert!(again.is_ascii());
        assert_eq!(Lexer::new(again.as_bytes(), 0, &budget).object().unwrap(), object);
    }
}
