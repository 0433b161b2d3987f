//! The directory file: agencies and systems as of a day.

use std::path::Path;

use serde::Deserialize;

use super::Error;
use crate::clock::Date;
use crate::digest::Sha256;
use crate::directory::{Agency, Code, Directory, Kind, Role, System, SystemId};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    as_of: String,
    #[serde(default)]
    system: Vec<SystemRow>,
    #[serde(default)]
    agency: Vec<AgencyRow>,
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
    host: Option<String>,
    #[serde(default)]
    seals: Vec<String>,
}

/// Reads a directory file.
///
/// # Errors
/// What in the file is wrong.
pub fn read(path: &Path) -> Result<Directory, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::new(path, error))?;
    let file: File = toml::from_str(&text).map_err(|error| Error::new(path, error))?;
    let wrong = |problem: String| Error::new(path, problem);
    let as_of = date(&file.as_of).map_err(wrong)?;
    let systems: Result<Vec<_>, _> = file.system.into_iter().map(system).collect();
    let agencies: Result<Vec<_>, _> = file.agency.into_iter().map(agency).collect();
    Directory::new(as_of, agencies.map_err(wrong)?, systems.map_err(wrong)?)
        .map_err(|error| Error::new(path, error))
}

fn system(row: SystemRow) -> Result<System, String> {
    let id = SystemId::parse(&row.id)
        .filter(|id| id.as_str() != "gateway")
        .ok_or_else(|| format!("system {:?}: not a system id", row.id))?;
    let role = Role::WORDS.iter().find(|(word, _)| *word == row.role);
    let role = role.ok_or_else(|| format!("system {id}: no role {:?}", row.role))?.1;
    Ok(System { id, identities: row.identities, role, gateway: row.gateway })
}

fn agency(row: AgencyRow) -> Result<Agency, String> {
    let of = |problem: String| format!("agency {}: {problem}", row.code);
    let code = |text: &String| Code::parse(text).ok_or_else(|| of(format!("no code: {text:?}")));
    let codes = |texts: &Option<String>| texts.as_ref().map(code).transpose();
    let kind = Kind::WORDS.iter().find(|(word, _)| *word == row.kind);
    let host =
        |text: &String| SystemId::parse(text).ok_or_else(|| of(format!("no system id: {text:?}")));
    let seal = |text: &String| {
        text.parse::<Sha256>().map_err(|error| of(format!("seal {text:?}: {error}")))
    };
    Ok(Agency {
        code: code(&row.code)?,
        code_qcvn: codes(&row.code_qcvn)?,
        name: row.name.clone(),
        level: row.level,
        parent: codes(&row.parent)?,
        kind: kind.ok_or_else(|| of(format!("no kind {:?}", row.kind)))?.1,
        valid_from: date(&row.valid_from).map_err(of)?,
        valid_until: row.valid_until.as_deref().map(date).transpose().map_err(of)?,
        successors: row.successors.iter().map(code).collect::<Result<_, _>>()?,
        host: row.host.as_ref().map(host).transpose()?,
        seals: row.seals.iter().map(seal).collect::<Result<_, _>>()?,
    })
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("not a date as 2026-11-22: {text:?}"))
}
