//! Texts in a directory: what a line, an item of a list and a name may hold.

use crate::limits::DIRECTORY_TEXT_LENGTH_MAX;

/// Whether it is a line: not empty, without control characters, line separators and white space
/// around it.
pub(super) fn is_line(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    !text.is_empty() && text.trim() == text && !text.contains(forbidden)
}

/// Whether it can stand in a list, whose items `|` divides.
pub(super) fn is_item(text: &str) -> bool {
    is_line(text) && !text.contains('|') && text.chars().count() <= DIRECTORY_TEXT_LENGTH_MAX
}

/// Whether it names a list or a rule: 1–64 of `0-9 a-z -`.
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}
