//! The catalogue of procedures, as its TOML file states it.

use std::num::NonZeroU32;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::Error;
use crate::dossier::{Catalogue, Field, Level, NotACatalogue, Procedure, Row};
use crate::limits::PROCEDURES_SIZE_MAX;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    as_of: String,
    #[serde(default, rename = "field")]
    fields: Vec<FieldRow>,
    #[serde(default, rename = "procedure")]
    procedures: Vec<ProcedureRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldRow {
    code: Spanned<String>,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcedureRow {
    code: Spanned<String>,
    name: String,
    field: String,
    level: String,
    /// Absent if the law sets no time.
    working_days: Option<NonZeroU32>,
    #[serde(default)]
    signed_result: bool,
}

/// Reads a file of procedures.
///
/// # Errors
/// What in the file is wrong, with its line.
pub fn read(path: &Path) -> Result<Catalogue, Error> {
    let failed = |error| Error::new(path, error);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > PROCEDURES_SIZE_MAX {
        return Err(Error::new(path, format!("{size} bytes are more than {PROCEDURES_SIZE_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&text).map_err(|problem| Error::new(path, problem))
}

/// Reads the text of such a file.
///
/// # Errors
/// What in it is wrong, with its line.
pub fn parse(text: &str) -> Result<Catalogue, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let as_of = file.as_of.parse();
    let as_of = as_of.map_err(|_| format!("as_of: not a date as 2026-11-22: {:?}", file.as_of))?;
    let line = |code: &Spanned<String>| {
        let before = text.get(..code.span().start).unwrap_or_default();
        1 + before.bytes().filter(|byte| *byte == b'\n').count()
    };
    let lines_of_fields: Vec<_> = file.fields.iter().map(|row| line(&row.code)).collect();
    let lines: Vec<_> = file.procedures.iter().map(|row| line(&row.code)).collect();
    let field = |row: FieldRow| Field { code: row.code.into_inner(), name: row.name };
    let mut procedures = Vec::with_capacity(file.procedures.len());
    for (row, line) in file.procedures.into_iter().zip(&lines) {
        let level = Level::from_word(&row.level);
        let level = level.ok_or_else(|| format!("line {line}: level: no level {:?}", row.level))?;
        procedures.push(Procedure {
            code: row.code.into_inner(),
            name: row.name,
            field: row.field,
            level,
            working_days: row.working_days,
            signed_result: row.signed_result,
        });
    }
    let fields = file.fields.into_iter().map(field).collect();
    Catalogue::new(as_of, fields, procedures).map_err(|wrong: NotACatalogue| {
        let line = match wrong.row {
            Some(Row::Field(place)) => lines_of_fields.get(place),
            Some(Row::Procedure(place)) => lines.get(place),
            None => None,
        };
        line.map_or_else(|| wrong.to_string(), |line| format!("line {line}: {wrong}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVELOPMENT: &str = include_str!("../../certs/procedures.toml");

    #[test]
    fn the_development_catalogue_is_one() {
        let catalogue = parse(DEVELOPMENT).expect("a catalogue");
        assert!(catalogue.procedure("1.004227").is_some());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let good = "as_of = \"2026-11-01\"\n[[field]]\ncode = \"G15-DD\"\nname = \"Đất đai\"\n\
                    [[procedure]]\ncode = \"1.003003\"\nname = \"Đăng ký\"\nfield = \"G15-DD\"\n\
                    level = \"province\"\nworking_days = 10\n";
        assert!(parse(good).is_ok());
        for (from, to, problem) in [
            ("2026-11-01", "2026-13-01", "as_of: not a date"),
            ("\"province\"", "\"thôn\"", "line 6: level: no level \"thôn\""),
            ("field = \"G15-DD\"", "field = \"G16\"", "line 6: field: no such field is listed"),
            ("code = \"G15-DD\"", "code = \"G15 DD\"", "line 3: code: not 1 to 50"),
            ("working_days = 10", "working_days = 5000", "line 6: working_days: more than"),
            ("working_days = 10", "working_days = 0", "line 10"),
            ("working_days = 10", "days = 10", "line 10"),
        ] {
            assert!(good.contains(from), "{from}");
            let wrong = parse(&good.replacen(from, to, 1)).expect_err("wrong");
            assert!(wrong.contains(problem), "{to}: {wrong}");
        }
    }
}
