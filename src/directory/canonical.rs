//! The one spelling of a directory, which is hashed; see `FORMAT.md` beside this file.

use super::agency::{Kind, of_word};
use super::code::{Code, SystemId};
use super::record::{self, COLUMNS, items, joined};
use super::rule::{Effect, List, Prefix, Rule, Selector};
use super::system::{Role, System};
use super::{Directory, Rows};
use crate::limits::DIRECTORY_SIZE_MAX;

const FIRST_LINE: &str = "vanthu.directory.v1";

/// The bytes are not those that a gateway would write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// Too many bytes, or no UTF-8.
    #[error("no text of at most {DIRECTORY_SIZE_MAX} bytes")]
    Text,
    /// A line cannot be read.
    #[error("line {0}: {1}")]
    Line(usize, &'static str),
    /// The rows contradict each other.
    #[error(transparent)]
    Rows(#[from] super::Error),
    /// It can be read, but is written otherwise.
    #[error("it is not spelt as a gateway spells it")]
    Spelling,
}

impl Directory {
    /// Its canonical form.
    pub fn canonical(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}\nas_of\t{}\n", self.as_of());
        let mut line = |word: &str, columns: &[String]| {
            text.push_str(word);
            for column in columns {
                text.push('\t');
                text.push_str(column);
            }
            text.push('\n');
        };
        for system in self.systems() {
            let gateway = system.gateway.clone().unwrap_or_default();
            let identities = joined(&system.identities, " ");
            let role = system.role.word().to_owned();
            line("system", &[system.id.to_string(), role, gateway, identities]);
        }
        for agency in self.records() {
            line("agency", &record::columns(agency));
        }
        for list in self.lists() {
            line("list", &[list.name.clone(), joined(&list.members, " ")]);
        }
        for one in self.prefixes() {
            line("route", &[one.prefix.clone(), one.via.to_string()]);
        }
        for rule in self.rules() {
            let [from, to] = [&rule.from, &rule.to].map(selector_columns);
            let mut columns = vec![rule.name.clone(), rule.effect.word().to_owned()];
            columns.extend(from.into_iter().chain(to));
            columns.extend([joined(&rule.types, "|"), joined(&rule.urgencies, "|")]);
            line("rule", &columns);
        }
        text.into_bytes()
    }

    /// The directory in its canonical form.
    ///
    /// # Errors
    /// [`NotCanonical`].
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, NotCanonical> {
        let fits = u64::try_from(bytes.len()).is_ok_and(|size| size <= DIRECTORY_SIZE_MAX);
        let text = std::str::from_utf8(bytes).ok().filter(|_| fits).ok_or(NotCanonical::Text)?;
        let directory = Self::of(rows(text)?)?;
        if directory.canonical() == bytes { Ok(directory) } else { Err(NotCanonical::Spelling) }
    }
}

fn selector_columns(selector: &Selector) -> [String; 3] {
    let kinds: Vec<_> = selector.kinds.iter().map(|kind| kind.word()).collect();
    [joined(&selector.codes, " "), joined(&selector.below, " "), joined(&kinds, " ")]
}

fn rows(text: &str) -> Result<Rows, NotCanonical> {
    let mut lines = text.lines().enumerate();
    let mut next = || lines.next().map(|(_, line)| line).unwrap_or_default();
    if next() != FIRST_LINE {
        return Err(NotCanonical::Line(1, FIRST_LINE));
    }
    let as_of = next().strip_prefix("as_of\t").and_then(record::date);
    let mut rows = Rows {
        as_of: as_of.ok_or(NotCanonical::Line(2, "as_of"))?,
        agencies: Vec::new(),
        systems: Vec::new(),
        lists: Vec::new(),
        prefixes: Vec::new(),
        rules: Vec::new(),
    };
    for (index, line) in lines {
        read(line, &mut rows).map_err(|column| NotCanonical::Line(index + 1, column))?;
    }
    Ok(rows)
}

fn read(line: &str, rows: &mut Rows) -> Result<(), &'static str> {
    let columns: Vec<&str> = line.split('\t').collect();
    let (word, columns) = columns.split_first().ok_or("a word")?;
    match *word {
        "system" => rows.systems.push(system(columns).ok_or("system")?),
        "agency" => {
            let columns: &[&str; COLUMNS.len()] = columns.try_into().map_err(|_| "columns")?;
            rows.agencies.push(record::agency(columns)?);
        }
        "list" => rows.lists.push(list(columns).ok_or("list")?),
        "route" => rows.prefixes.push(prefix(columns).ok_or("route")?),
        "rule" => rows.rules.push(rule(columns).ok_or("rule")?),
        _ => return Err("system, agency, list, route or rule"),
    }
    Ok(())
}

fn system(columns: &[&str]) -> Option<System> {
    let [id, role, gateway, identities] = *columns else { return None };
    Some(System {
        id: SystemId::parse(id)?,
        role: of_word(Role::WORDS, role)?,
        gateway: (!gateway.is_empty()).then(|| gateway.to_owned()),
        identities: items(identities, ' ', |one| Some(one.to_owned()))?,
    })
}

fn list(columns: &[&str]) -> Option<List> {
    let [name, members] = *columns else { return None };
    Some(List { name: name.to_owned(), members: items(members, ' ', Code::parse)? })
}

fn prefix(columns: &[&str]) -> Option<Prefix> {
    let [prefix, via] = *columns else { return None };
    Some(Prefix { prefix: prefix.to_owned(), via: SystemId::parse(via)? })
}

fn rule(columns: &[&str]) -> Option<Rule> {
    let [name, effect, from @ .., types, urgencies] = columns else { return None };
    let [from_codes, from_below, from_kinds, to_codes, to_below, to_kinds] = *from else {
        return None;
    };
    let text = |one: &str| Some(one.to_owned());
    Some(Rule {
        name: (*name).to_owned(),
        effect: of_word(Effect::WORDS, effect)?,
        from: selector(from_codes, from_below, from_kinds)?,
        to: selector(to_codes, to_below, to_kinds)?,
        types: items(types, '|', text)?,
        urgencies: items(urgencies, '|', text)?,
    })
}

fn selector(codes: &str, below: &str, kinds: &str) -> Option<Selector> {
    Some(Selector {
        codes: items(codes, ' ', Code::parse)?,
        below: items(below, ' ', Code::parse)?,
        kinds: items(kinds, ' ', |word| of_word(Kind::WORDS, word))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = include_str!("FORMAT.md");

    fn example() -> &'static str {
        let block = FORMAT.split("```directory\n").nth(1).expect("the example");
        block.split("```").next().expect("its end")
    }

    #[test]
    fn the_example_of_the_format_reads_back_to_itself() {
        let directory = Directory::from_canonical(example().as_bytes()).expect("the example");
        assert_eq!(directory.agencies().len(), 2);
        assert_eq!(directory.rules().len(), 1);
    }

    #[test]
    fn there_is_one_spelling() {
        let swapped = |one: &str, other: &str| example().replacen(one, other, 1);
        let lines: Vec<&str> = example().lines().collect();
        let mut turned = lines.clone();
        turned.swap(4, 5);
        let cases = [
            (swapped("v1", "v2"), NotCanonical::Line(1, FIRST_LINE)),
            (swapped("2026-11-22", "2026-11-2"), NotCanonical::Line(2, "as_of")),
            (swapped("\t1\t\tstate", "\t01\t\tstate"), NotCanonical::Spelling),
            (
                swapped("list\t", "lists\t"),
                NotCanonical::Line(7, "system, agency, list, route or rule"),
            ),
            (swapped("\tforward\t", "\tfore\t"), NotCanonical::Line(6, "succession")),
            (turned.join("\n") + "\n", NotCanonical::Spelling),
            (lines.join("\n"), NotCanonical::Spelling),
        ];
        for (text, error) in cases {
            let read = Directory::from_canonical(text.as_bytes());
            assert_eq!(read.expect_err("another spelling"), error, "{text}");
        }
        let dangling = swapped("\tH44\t\t\t1\t\tNQ", "\tH45\t\t\t1\t\tNQ");
        assert!(matches!(
            Directory::from_canonical(dangling.as_bytes()),
            Err(NotCanonical::Rows(super::super::Error::Dangling(_, _)))
        ));
    }
}
