//! The rules.

use crate::page::{Page, closing, is_word, paths};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;
/// What stands at the top, besides hidden and ignored things.
const TOP: [&str; 6] = ["Cargo.toml", "Cargo.lock", "proto", "src", "certs", "tests"];
const CLOCK: &str = "src/clock.rs";
const SLED: &str = "src/store/sled.rs";
/// Crates that a room must not know.
const IMPURE_CRATES: [&str; 7] =
    ["tokio", "tokio_stream", "tokio_rustls", "tonic", "prost", "sled", "serde"];
/// Parts of the standard library that a room must not know.
const IMPURE_STD: [&str; 4] = ["fs", "net", "thread", "process"];

/// The modules of `lib.rs` in their order, each with the floor that it stands on.
fn modules(pages: &[Page]) -> Vec<(String, String)> {
    let lib = pages.iter().find(|page| page.path == "src/lib.rs").expect("there is a lib.rs");
    let mut floor = String::new();
    let mut modules = Vec::new();
    for line in lib.text.lines() {
        if let Some(words) = line.strip_prefix("// ") {
            floor = words.split(':').next().unwrap_or(words).to_owned();
        }
        let name = line.strip_prefix("pub mod ").or(line.strip_prefix("mod "));
        if let Some(name) = name.and_then(|name| name.strip_suffix(';')) {
            modules.push((name.to_owned(), floor.clone()));
        }
    }
    modules
}

/// A module uses only modules listed above it.
pub fn order(pages: &[Page]) -> Vec<String> {
    let modules = modules(pages);
    let rank = |name: &str| modules.iter().position(|(module, _)| module == name);
    let mut breaches = Vec::new();
    for page in pages {
        let own = page.module();
        let Some(room) = own.first() else { continue };
        let Some(here) = rank(room) else {
            breaches.push(format!("{}: {room} is not in lib.rs", page.path));
            continue;
        };
        for (line, path) in paths(&page.product) {
            let supers = path.iter().take_while(|name| *name == "super").count();
            let used = match path.first().map(String::as_str) {
                Some("crate") => path.get(1),
                Some("super") if supers == own.len() => path.get(supers),
                _ => None,
            };
            let Some(used) = used else { continue };
            if rank(used).is_some_and(|rank| rank > here) {
                breaches.push(format!("{}:{line}: {room} uses {used}, below it", page.path));
            }
        }
    }
    breaches
}

/// Ground and rooms know bytes, values and `now`, and nothing of machines.
pub fn purity(pages: &[Page]) -> Vec<String> {
    let pure: Vec<_> = modules(pages)
        .into_iter()
        .filter(|(_, floor)| floor == "ground" || floor == "rooms")
        .map(|(module, _)| module)
        .collect();
    assert!(!pure.is_empty(), "lib.rs has no line `// ground` or `// rooms`");
    let mut breaches = Vec::new();
    for page in pages {
        let own = page.module();
        if page.path == CLOCK || !own.first().is_some_and(|room| pure.iter().any(|it| it == room)) {
            continue;
        }
        for (line, path) in paths(&page.product) {
            if is_impure(&path) {
                breaches.push(format!("{}:{line}: {} in a room", page.path, path.join("::")));
            }
        }
    }
    breaches
}

fn is_impure(path: &[String]) -> bool {
    let second = path.get(1).map_or("", String::as_str);
    match path.first().map_or("", String::as_str) {
        "std" if IMPURE_STD.contains(&second) => true,
        first if path.len() > 1 && IMPURE_CRATES.contains(&first) => true,
        _ => {
            reads_clock(path)
                || path.iter().any(|name| name == "Serialize" || name == "Deserialize")
        }
    }
}

fn reads_clock(path: &[String]) -> bool {
    path.iter().any(|name| name == "SystemTime")
        || path.windows(2).any(|pair| {
            pair[1] == "now" && ["Instant", "Timestamp", "Zoned"].contains(&pair[0].as_str())
        })
}

/// What day or time it is stands in one file; how long something took may be measured on the roof.
pub fn clock(pages: &[Page]) -> Vec<String> {
    let mut breaches = Vec::new();
    for page in pages.iter().filter(|page| page.path != CLOCK) {
        for (line, path) in paths(&page.product) {
            let measures = path.iter().any(|name| name == "Instant");
            if reads_clock(&path) && !measures {
                breaches.push(format!("{}:{line}: {}", page.path, path.join("::")));
            }
        }
    }
    breaches
}

/// One file knows the database; `crate::store::sled` is that file.
pub fn sled(pages: &[Page]) -> Vec<String> {
    let mut breaches = Vec::new();
    for page in pages.iter().filter(|page| page.path != SLED) {
        let named = paths(&page.code);
        let ours = named
            .iter()
            .any(|(_, path)| path.len() > 1 && path.last().is_some_and(|name| name == "sled"))
            || page.code.contains("mod sled;");
        for (line, path) in &named {
            if path.len() > 1 && path[0] == "sled" && !ours {
                breaches.push(format!("{}:{line}: {}", page.path, path.join("::")));
            }
        }
        if page.code.contains("use sled;") || page.code.contains("extern crate sled") {
            breaches.push(format!("{}: the crate sled", page.path));
        }
    }
    breaches
}

/// A function fits on a screen, a file in a head.
pub fn sizes(pages: &[Page]) -> Vec<String> {
    let mut breaches = Vec::new();
    for page in pages {
        let lines = page.text.lines().count();
        if lines > FILE_LINES_MAX {
            breaches.push(format!("{}: {lines} lines", page.path));
        }
        for (name, line, lines) in functions(&page.code) {
            if lines > FUNCTION_LINES_MAX {
                breaches.push(format!("{}:{line}: fn {name} has {lines} lines", page.path));
            }
        }
    }
    breaches
}

/// Name, first line and number of lines of every function with a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let bytes = code.as_bytes();
    let mut functions = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let name: String = code[start + 3..]
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        if name.is_empty() || (start > 0 && is_word(bytes[start - 1])) {
            continue;
        }
        let mut nested = 0_usize;
        let body = (start..bytes.len()).find(|at| {
            match bytes[*at] {
                b'(' | b'[' => nested += 1,
                b')' | b']' => nested = nested.saturating_sub(1),
                _ => {}
            }
            nested == 0 && matches!(bytes[*at], b'{' | b';')
        });
        let Some(open) = body.filter(|at| bytes[*at] == b'{') else { continue };
        let lines = code[start..closing(code, open)].matches('\n').count() + 1;
        functions.push((name, code[..start].matches('\n').count() + 1, lines));
    }
    functions
}

/// No lint is switched off without a reason, no work is postponed, no test is skipped.
pub fn escapes(pages: &[Page]) -> Vec<String> {
    let mut breaches = Vec::new();
    for page in pages {
        for (number, line) in page.code.lines().enumerate() {
            for escape in ["allow(", "todo!", "unimplemented!", "dbg!", "#[ignore"] {
                let word = escape.trim_start_matches("#[");
                let found = line
                    .match_indices(word)
                    .any(|(at, _)| at == 0 || !is_word(line.as_bytes()[at - 1]));
                if found && line.contains(escape) {
                    breaches.push(format!("{}:{}: {escape}", page.path, number + 1));
                }
            }
        }
    }
    breaches
}

/// Nothing else at the top, except hidden things and what git ignores.
pub fn top_level(names: impl Iterator<Item = String>, ignored: &str) -> Vec<String> {
    let is_ignored = |name: &str| ignored.lines().any(|line| line.trim_matches('/') == name);
    names
        .filter(|name| !name.starts_with('.') && name != "README.md" && !is_ignored(name))
        .filter(|name| !TOP.contains(&name.as_str()))
        .map(|name| format!("{name} stands at the top"))
        .collect()
}
