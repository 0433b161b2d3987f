//! Agency codes in their two notations (QĐ 20/2020/QĐ-TTg and QCVN 102:2016).

use std::fmt;
use std::sync::Arc;

/// An agency code as registered: `H49.11` (QĐ 20/2020, level 1 on the left, at most 35 characters)
/// or `000.00.11.H49` (QCVN 102, level 1 on the right). Membership in the directory decides whether
/// it means anything; ids outside both grammars are in use. A copy shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(Arc<str>);

/// Longest code (QĐ 20/2020: 35 characters).
pub const CODE_LENGTH_MAX: usize = 35;

impl Code {
    /// The code in `text`; `None` unless it is 1–35 characters of `0-9 A-Z a-z . _ -`.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (1..=CODE_LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first level, `H49` of `H49.11` and of `000.00.11.H49`: the province, or the central body. A
    /// code begins with a letter in the one notation and with a digit in the other.
    pub fn top(&self) -> &str {
        let is_reversed = self.0.starts_with(|first: char| first.is_ascii_digit());
        let mut levels = self.0.split('.');
        let top = if is_reversed { levels.next_back() } else { levels.next() };
        top.unwrap_or(&self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.0)
    }
}

/// The name of a system: one peer with one client certificate that serves one or many agencies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemId(Arc<str>);

impl SystemId {
    /// The id in `text`; `None` unless it is 1–64 characters of `0-9 a-z -`.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'-';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
