//! Records of agencies as comma-separated values (RFC 4180) under the names of the columns.

use super::agency::Agency;
pub use super::record::COLUMNS;
use super::record::{agency, columns};

/// A file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A column of the first row is unknown, or stands twice.
    #[error("there is no column {0:?}, or it stands twice")]
    Column(String),
    /// A field cannot be read.
    #[error("row {0}: {1}")]
    Field(usize, &'static str),
}

/// Writes records, with the columns in the first row.
pub fn write(agencies: &[Agency]) -> String {
    let mut text = COLUMNS.join(",");
    text.push_str("\r\n");
    for agency in agencies {
        for (index, column) in columns(agency).iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_field(&mut text, column);
        }
        text.push_str("\r\n");
    }
    text
}

fn push_field(text: &mut String, field: &str) {
    if field.contains([',', '"', '\n', '\r']) {
        text.push('"');
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(field);
    }
}

/// The fields of a record in the order of [`COLUMNS`].
pub fn fields(record: &Agency) -> [String; COLUMNS.len()] {
    columns(record)
}

/// The record with these fields.
///
/// # Errors
/// The name of the first column that cannot be read.
pub fn record(fields: &[String; COLUMNS.len()]) -> Result<Agency, &'static str> {
    agency(&fields.each_ref().map(String::as_str))
}

/// Reads records. Columns may stand in any order and be left out where a record may do without.
///
/// # Errors
/// The first row that cannot be read.
pub fn read(text: &str) -> Result<Vec<Agency>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = Rows { rest: text };
    let head = rows.next().transpose().map_err(|problem| Error::Field(1, problem))?;
    let mut order = Vec::new();
    for name in head.unwrap_or_default() {
        let place = COLUMNS.iter().position(|column| *column == name);
        match place.filter(|place| !order.contains(place)) {
            Some(place) => order.push(place),
            None => return Err(Error::Column(name.into_owned())),
        }
    }
    let mut agencies = Vec::new();
    for (index, row) in rows.enumerate() {
        let failed = |problem| Error::Field(index + 2, problem);
        let row = row.map_err(failed)?;
        if row.len() != order.len() {
            return Err(failed("another number of fields than columns"));
        }
        let mut fields = [""; COLUMNS.len()];
        for (place, field) in order.iter().zip(&row) {
            fields[*place] = field;
        }
        agencies.push(agency(&fields).map_err(failed)?);
    }
    Ok(agencies)
}

struct Rows<'a> {
    rest: &'a str,
}

type Field<'a> = std::borrow::Cow<'a, str>;

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Vec<Field<'a>>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut row = Vec::new();
        loop {
            let field = if self.rest.starts_with('"') { self.quoted() } else { self.plain() };
            match field {
                Ok(field) => row.push(field),
                Err(problem) => {
                    self.rest = "";
                    return Some(Err(problem));
                }
            }
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                continue;
            }
            let end = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n'));
            return Some(match end {
                Some(rest) => {
                    self.rest = rest;
                    Ok(row)
                }
                None if self.rest.is_empty() => Ok(row),
                None => {
                    self.rest = "";
                    Err("text behind a closing quote")
                }
            });
        }
    }
}

impl<'a> Rows<'a> {
    fn plain(&mut self) -> Result<Field<'a>, &'static str> {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let end = if self.rest[..end].ends_with('\r') { end - 1 } else { end };
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest;
        if field.contains('"') { Err("a quote within a field") } else { Ok(field.into()) }
    }

    fn quoted(&mut self) -> Result<Field<'a>, &'static str> {
        let inside = &self.rest[1..];
        let mut from = 0;
        while let Some(at) = inside[from..].find('"').map(|at| at + from) {
            if inside[at + 1..].starts_with('"') {
                from = at + 2;
                continue;
            }
            self.rest = &inside[at + 1..];
            return Ok(inside[..at].replace("\"\"", "\"").into());
        }
        self.rest = "";
        Err("a quote that is not closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_columns_may_be_left_out() {
        let text = "name,code,kind,level,valid_from,successors,valid_until,succession\n\
                    \"Sở \"\"A\"\", B\",H49.11,state,2,2020-07-22,H49.12,2025-06-30,forward\r\n\
                    C,H49.12,state,2,2020-07-22,,,";
        let read_once = read(text).expect("two records");
        assert_eq!(read_once[0].name, "Sở \"A\", B");
        assert_eq!(read_once[0].succession, super::super::Succession::Forward);
        assert_eq!(read(&write(&read_once)), Ok(read_once));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_row() {
        let head = "code,name,kind,level,valid_from\n";
        let cases = [
            ("colour\n", Error::Column("colour".into())),
            ("code,code\n", Error::Column("code".into())),
            ("", Error::Field(2, "code")),
            ("é,N,state,1,2020-07-22", Error::Field(2, "code")),
            ("A1,N,state,1", Error::Field(2, "another number of fields than columns")),
            ("A1,N,state,1,2020-7-22", Error::Field(2, "valid_from")),
            ("A1,\"N,state,1,2020-07-22", Error::Field(2, "a quote that is not closed")),
            ("A1,\"N\"x,state,1,2020-07-22", Error::Field(2, "text behind a closing quote")),
            ("A1,N\"x,state,1,2020-07-22", Error::Field(2, "a quote within a field")),
        ];
        for (text, error) in cases {
            let whole = match text {
                "colour\n" | "code,code\n" => text.to_owned(),
                "" => format!("{head},N,state,1,2020-07-22\n"),
                row => format!("{head}{row}"),
            };
            assert_eq!(read(&whole), Err(error), "{whole:?}");
        }
    }
}
