//! A source file as the rules see it: comments and literals blanked, tests left out, line numbers
//! and byte offsets kept.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
#[derive(Debug)]
pub struct Page {
    /// Path below the root, with `/`.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// Without comments and the insides of literals.
    pub code: String,
    /// `code` without `#[cfg(test)]` items; blank if the whole file is one.
    pub product: String,
}

impl Page {
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let product = without_tests(&code);
        Self { path: path.to_owned(), text: text.to_owned(), code, product }
    }

    /// Names of the modules from the crate's root to this file.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let mut names: Vec<_> = path.split('/').collect();
        if matches!(names.last(), Some(&"mod" | &"lib" | &"main")) {
            names.pop();
        }
        names
    }
}

/// Every Rust file below `root`/`folder`.
pub fn read_below(root: &Path, folder: &str) -> Vec<Page> {
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    paths.sort();
    let pages = paths.iter().map(|path| {
        let below = path.strip_prefix(root).expect("collected below the root");
        let text = fs::read_to_string(path).expect("a source file is text");
        Page::new(&below.to_string_lossy(), &text)
    });
    mark_test_files(pages.collect())
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Blanks the product of files that `#[cfg(test)] mod name;` declares.
pub fn mark_test_files(mut pages: Vec<Page>) -> Vec<Page> {
    let mut of_tests = BTreeSet::new();
    for page in &pages {
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for start in test_attributes(&page.code) {
            let end = item_end(&page.code, start);
            let item = &page.text[start..end];
            if let Some(path) = item.split("#[path = \"").nth(1).and_then(|it| it.split('"').next())
            {
                of_tests.insert(format!("{folder}/{path}"));
            } else if let Some(name) = page.code[start..end].split("mod ").nth(1)
                && let Some(name) = name.strip_suffix(';')
            {
                let stem = page.path.strip_suffix(".rs").unwrap_or(&page.path);
                let door = stem.ends_with("/mod") || stem.ends_with("/lib");
                let folder = if door { folder } else { stem };
                of_tests.insert(format!("{folder}/{}.rs", name.trim()));
                of_tests.insert(format!("{folder}/{}/mod.rs", name.trim()));
            }
        }
    }
    for page in &mut pages {
        if of_tests.contains(&page.path) {
            page.product = blanked(&page.product);
        }
    }
    pages
}

fn blanked(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Replaces comments and the insides of string and character literals by blanks.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let in_word = at > 0 && is_word(bytes[at - 1]);
        let end = at
            + match rest {
                [b'/', b'/', ..] => {
                    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
                }
                [b'/', b'*', ..] => block_comment(rest),
                [b'"', ..] => string(rest),
                [b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 1),
                [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 2),
                [b'\'', ..] => character(rest),
                _ => 0,
            };
        if end > at {
            code.push_str(&blanked(&text[at..end]));
            at = end;
        } else {
            code.push(if bytes[at].is_ascii() { char::from(bytes[at]) } else { ' ' });
            at += 1;
        }
    }
    code
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a raw string; 0 if this is none (`r#fn` is a name).
fn raw_string(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return 0;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = &rest[open + 1..];
    let end = body.windows(close.len()).position(|window| window == close);
    end.map_or(rest.len(), |end| open + 1 + end + close.len())
}

/// The length of a character literal; 0 if this is a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|byte| *byte == b'\'');
        return end.map_or(rest.len(), |end| end + 4);
    }
    let size = match rest.get(1) {
        Some(0..=0x7f) => 1,
        Some(0..=0xdf) => 2,
        Some(0..=0xef) => 3,
        _ => 4,
    };
    if rest.get(1 + size) == Some(&b'\'') { size + 2 } else { 0 }
}

pub fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Where attributes stand that leave an item to tests.
fn test_attributes(code: &str) -> Vec<usize> {
    let attributes = code.match_indices("#[cfg(").map(|(at, _)| at);
    attributes
        .filter(|at| {
            let end = code[*at..].find(']').map_or(code.len(), |end| at + end);
            let condition = &code[*at..end];
            condition.contains("test") && !condition.contains("not(test")
        })
        .collect()
}

fn without_tests(code: &str) -> String {
    let mut product = String::with_capacity(code.len());
    for start in test_attributes(code) {
        if start < product.len() {
            continue;
        }
        product.push_str(&code[product.len()..start]);
        product.push_str(&blanked(&code[start..item_end(code, start)]));
    }
    product.push_str(&code[product.len()..]);
    product
}

/// The end of the item whose first attribute stands at `start`.
fn item_end(code: &str, start: usize) -> usize {
    let bytes = code.as_bytes();
    let (mut at, mut nested) = (start, 0_usize);
    let mut in_use = false;
    while at < bytes.len() {
        match bytes[at] {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b'u' if nested == 0 && code[at..].starts_with("use ") => in_use = true,
            b';' if nested == 0 => return at + 1,
            b'{' if nested == 0 && !in_use => return closing(code, at) + 1,
            _ => {}
        }
        at += 1;
    }
    code.len()
}

/// The brace that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len().saturating_sub(1)
}

/// A path such as `crate::log::Entry` in code, with groups written out, and its line.
pub type Named = (usize, Vec<String>);

/// Every path in `code`; a single word is one, too.
pub fn paths(code: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let byte = code.as_bytes()[at];
        let starts = is_word(byte) && !byte.is_ascii_digit();
        at = if starts { path(code, at, &[], &mut found) } else { at + 1 };
    }
    found
}

/// Reads one path that continues `before`; returns where it ends.
fn path(code: &str, mut at: usize, before: &[String], found: &mut Vec<Named>) -> usize {
    let bytes = code.as_bytes();
    let mut names = before.to_vec();
    let line = code[..at].matches('\n').count() + 1;
    loop {
        let end = at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        names.push(code[at..end].to_owned());
        at = end;
        if !code[at..].starts_with("::") {
            break;
        }
        match bytes.get(at + 2) {
            Some(b'{') => {
                let end = closing(code, at + 2);
                group(code, at + 3, end, &names, found);
                return end + 1;
            }
            Some(next) if is_word(*next) => at += 2,
            _ => break,
        }
    }
    found.push((line, names));
    at
}

fn group(code: &str, mut at: usize, end: usize, before: &[String], found: &mut Vec<Named>) {
    while at < end {
        if code[at..].starts_with("as ") {
            // The new name is no path.
            at += 3 + code.as_bytes()[at + 3..].iter().take_while(|byte| is_word(**byte)).count();
        } else if is_word(code.as_bytes()[at]) {
            at = path(code, at, before, found);
        } else {
            at += 1;
        }
    }
}
