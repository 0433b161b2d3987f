//! The directory file: agencies, systems, lists, routes and rules as of a day.
//!
//! It is TOML, and may take agencies from CSV files beside it; or it is a snapshot in the canonical
//! form; or, if its name ends with `.csv`, agencies alone.

use std::path::Path;

use serde::Deserialize;

use super::Error;
use crate::clock::Date;
use crate::digest::Sha256;
use crate::directory::{
    Agency, Code, Directory, Effect, Kind, List, Prefix, Role, Rows, Rule, Selector, Succession,
    Successor, System, SystemId, built_in, csv, of_word,
};
use crate::document::Urgency;
use crate::limits::DIRECTORY_SIZE_MAX;

/// A directory as its file states it.
#[derive(Debug)]
pub struct DirectoryFile {
    /// The directory.
    pub directory: Directory,
    /// Who approved it as it is, if the file says so.
    pub approved_by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    as_of: String,
    approved_by: Option<String>,
    /// Whether the published level-1 codes are in it, where the file does not say otherwise.
    #[serde(default)]
    built_in: bool,
    /// CSV files with more agencies, relative to this one.
    #[serde(default)]
    agencies: Vec<String>,
    #[serde(default)]
    system: Vec<SystemRow>,
    #[serde(default)]
    agency: Vec<AgencyRow>,
    #[serde(default)]
    list: Vec<ListRow>,
    #[serde(default)]
    route: Vec<RouteRow>,
    #[serde(default)]
    rule: Vec<RuleRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemRow {
    id: String,
    identities: Vec<String>,
    role: String,
    gateway: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgencyRow {
    code: String,
    code_qcvn: Option<String>,
    name: String,
    level: u8,
    parent: Option<String>,
    kind: String,
    valid_from: String,
    valid_until: Option<String>,
    #[serde(default)]
    successors: Vec<String>,
    #[serde(default)]
    succession: Option<String>,
    host: Option<String>,
    #[serde(default)]
    seals: Vec<String>,
    revision: Option<u32>,
    #[serde(default)]
    uncertain: bool,
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListRow {
    name: String,
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteRow {
    prefix: String,
    via: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleRow {
    name: String,
    effect: String,
    #[serde(default)]
    from: SelectorRow,
    #[serde(default)]
    to: SelectorRow,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    urgencies: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorRow {
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    below: Vec<String>,
    #[serde(default)]
    kinds: Vec<String>,
}

/// Reads a directory file.
///
/// # Errors
/// What in the file is wrong.
pub fn read(path: &Path) -> Result<DirectoryFile, Error> {
    let wrong = |problem: String| Error::new(path, problem);
    let text = text_of(path)?;
    if text.starts_with("vanthu.directory.v1\n") {
        let directory = Directory::from_canonical(text.as_bytes());
        let directory = directory.map_err(|error| Error::new(path, error))?;
        return Ok(DirectoryFile { directory, approved_by: None });
    }
    if path.extension().is_some_and(|extension| extension == "csv") {
        let agencies = csv::read(&text).map_err(|error| Error::new(path, error))?;
        let last = agencies.iter().map(|agency| agency.valid_from).max();
        let as_of = last.ok_or_else(|| wrong("no agency stands in it".into()))?;
        let directory = Directory::new(as_of, agencies, Vec::new());
        let directory = directory.map_err(|error| Error::new(path, error))?;
        return Ok(DirectoryFile { directory, approved_by: None });
    }
    let file: File = toml::from_str(&text).map_err(|error| Error::new(path, error))?;
    let mut agencies = if file.built_in { built_in() } else { Vec::new() };
    for name in &file.agencies {
        let path = path.parent().unwrap_or(Path::new(".")).join(name);
        let more = csv::read(&text_of(&path)?).map_err(|error| Error::new(&path, error))?;
        agencies.extend(more);
    }
    let mut rows = Rows {
        as_of: date(&file.as_of).map_err(wrong)?,
        agencies,
        systems: all(file.system, system).map_err(wrong)?,
        lists: all(file.list, list).map_err(wrong)?,
        prefixes: all(file.route, route).map_err(wrong)?,
        rules: all(file.rule, rule).map_err(wrong)?,
    };
    rows.agencies.extend(all(file.agency, agency).map_err(wrong)?);
    let directory = Directory::of(rows).map_err(|error| Error::new(path, error))?;
    let approved_by = file.approved_by.filter(|text| !text.trim().is_empty());
    Ok(DirectoryFile { directory, approved_by })
}

fn text_of(path: &Path) -> Result<String, Error> {
    let failed = |error| Error::new(path, error);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > DIRECTORY_SIZE_MAX {
        return Err(Error::new(path, format!("{size} bytes are more than {DIRECTORY_SIZE_MAX}")));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn all<R, T>(rows: Vec<R>, read: impl Fn(R) -> Result<T, String>) -> Result<Vec<T>, String> {
    rows.into_iter().map(read).collect()
}

fn system(row: SystemRow) -> Result<System, String> {
    let id = SystemId::parse(&row.id)
        .filter(|id| id.as_str() != "gateway")
        .ok_or_else(|| format!("system {:?}: not a system id", row.id))?;
    let role = of_word(Role::WORDS, &row.role);
    let role = role.ok_or_else(|| format!("system {id}: no role {:?}", row.role))?;
    Ok(System { id, identities: row.identities, role, gateway: row.gateway })
}

fn agency(row: AgencyRow) -> Result<Agency, String> {
    let of = |problem: String| format!("agency {}: {problem}", row.code);
    let code = |text: &String| Code::parse(text).ok_or_else(|| of(format!("no code: {text:?}")));
    let codes = |texts: &Option<String>| texts.as_ref().map(code).transpose();
    let kind = of_word(Kind::WORDS, &row.kind);
    let host = |text: &String| system_id(text).map_err(of);
    let seal = |text: &String| {
        text.parse::<Sha256>().map_err(|error| of(format!("seal {text:?}: {error}")))
    };
    let successor = |text: &String| {
        Successor::parse(text).ok_or_else(|| of(format!("no code, area or function: {text:?}")))
    };
    let succession = match row.succession.as_deref() {
        None => Succession::default(),
        Some(word) => of_word(Succession::WORDS, word)
            .ok_or_else(|| of(format!("no rule of succession: {word:?}")))?,
    };
    Ok(Agency {
        code: code(&row.code)?,
        code_qcvn: codes(&row.code_qcvn)?,
        name: row.name.clone(),
        level: row.level,
        parent: codes(&row.parent)?,
        kind: kind.ok_or_else(|| of(format!("no kind {:?}", row.kind)))?,
        valid_from: date(&row.valid_from).map_err(of)?,
        valid_until: row.valid_until.as_deref().map(date).transpose().map_err(of)?,
        successors: row.successors.iter().map(successor).collect::<Result<_, _>>()?,
        succession,
        host: row.host.as_ref().map(host).transpose()?,
        seals: row.seals.iter().map(seal).collect::<Result<_, _>>()?,
        revision: row.revision.unwrap_or(1),
        uncertain: row.uncertain,
        source: row.source.as_deref().map(Into::into),
    })
}

fn list(row: ListRow) -> Result<List, String> {
    let members = codes(&row.members).map_err(|problem| format!("list {}: {problem}", row.name))?;
    Ok(List { name: row.name, members })
}

fn route(row: RouteRow) -> Result<Prefix, String> {
    let via = system_id(&row.via).map_err(|problem| format!("route {}: {problem}", row.prefix))?;
    Ok(Prefix { prefix: row.prefix, via })
}

fn rule(row: RuleRow) -> Result<Rule, String> {
    let of = |problem: String| format!("rule {}: {problem}", row.name);
    let effect = of_word(Effect::WORDS, &row.effect);
    let known = |word: &String| of_word(Urgency::WORDS, word).is_some();
    if let Some(word) = row.urgencies.iter().find(|word| !known(word)) {
        return Err(of(format!("no urgency {word:?}")));
    }
    Ok(Rule {
        effect: effect.ok_or_else(|| of(format!("allow or deny, not {:?}", row.effect)))?,
        from: selector(&row.from).map_err(of)?,
        to: selector(&row.to).map_err(of)?,
        name: row.name,
        types: row.types,
        urgencies: row.urgencies,
    })
}

fn selector(row: &SelectorRow) -> Result<Selector, String> {
    let kind = |word: &String| of_word(Kind::WORDS, word).ok_or(format!("no kind {word:?}"));
    let kinds = row.kinds.iter().map(kind).collect::<Result<_, _>>()?;
    Ok(Selector { codes: codes(&row.codes)?, below: codes(&row.below)?, kinds })
}

fn codes(texts: &[String]) -> Result<Vec<Code>, String> {
    let code = |text: &String| Code::parse(text).ok_or(format!("no code: {text:?}"));
    texts.iter().map(code).collect()
}

fn system_id(text: &str) -> Result<SystemId, String> {
    SystemId::parse(text).ok_or_else(|| format!("no system id: {text:?}"))
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("not a date as 2026-11-22: {text:?}"))
}
