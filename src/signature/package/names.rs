//! What the names of entries may be: places inside the package, each one once, on every system.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

use super::anomaly::{Anomalies, Anomaly};
use super::layout::Entry;

/// Looks at every name.
pub(super) fn check(entries: &[Entry], anomalies: &mut Anomalies) {
    let mut known: HashMap<String, &Entry> = HashMap::new();
    for entry in entries {
        let name = shown(&entry.name);
        if let Some(fault) = unsafe_part(&entry.name) {
            let message =
                format!("The entry “{name}” would be unpacked elsewhere: its name {fault}.");
            anomalies.push(Anomaly::forged("ENTRY_NAME_UNSAFE", message, entry.header));
        }
        if entry.name.ends_with('/') && entry.size != 0 {
            let message = format!("The folder “{name}” has a content of its own.");
            anomalies.push(Anomaly::odd("FOLDER_WITH_CONTENT", message, entry.header));
        }
        let Some(first) = known.insert(folded(&entry.name), entry) else { continue };
        if first.name == entry.name {
            let message = format!("There are two entries with the name “{name}”.");
            anomalies.push(Anomaly::forged("ENTRY_DOUBLED", message, entry.header));
        } else {
            let message = format!(
                "Some systems take “{}” and “{name}” for the same name.",
                shown(&first.name)
            );
            anomalies.push(Anomaly::odd("ENTRY_NAMES_ALIKE", message, entry.header));
        }
    }
}

/// A name for people.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(120).collect()
}

/// What case-insensitive and normalising file systems make of a name.
fn folded(name: &str) -> String {
    let lower: String = name.nfkc().flat_map(char::to_lowercase).collect();
    lower.trim_end_matches('/').nfkc().collect()
}

fn unsafe_part(name: &str) -> Option<&'static str> {
    let inner = name.strip_suffix('/').unwrap_or(name);
    let is_drive = |part: &str| {
        let mut letters = part.chars();
        letters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
            && letters.next() == Some(':')
    };
    if name.is_empty() {
        Some("is empty")
    } else if name.starts_with('/') || is_drive(name) {
        Some("is absolute")
    } else if name.contains('\\') {
        Some("contains a backslash")
    } else if name.chars().any(char::is_control) {
        Some("contains a control character")
    } else if inner.split('/').any(|part| part == "..") {
        Some("leads out of its folder")
    } else if inner.split('/').any(|part| part.is_empty() || part == ".") {
        Some("has an empty part")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_inside_are_safe() {
        for name in ["a", "a/b.txt", "META-INF/", "công văn.pdf", "a..b", "..a/b", "[x].xml"] {
            assert_eq!(unsafe_part(name), None, "{name}");
        }
        let unsafe_names =
            ["", "/", "/etc/x", "../x", "a/../x", "a/..", "C:x", "a\\b", "a//b", "./a", "a\0b"];
        for name in unsafe_names {
            assert!(unsafe_part(name).is_some(), "{name}");
        }
    }

    #[test]
    fn names_fold_as_file_systems_do() {
        for (one, other) in [("A.txt", "a.TXT"), ("Vă", "Va\u{306}"), ("x/", "x"), ("ﬁ", "fi")] {
            assert_eq!(folded(one), folded(other));
        }
        assert_ne!(folded("a.txt"), folded("b.txt"));
    }
}
