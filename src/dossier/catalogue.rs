//! The catalogue of administrative procedures (thủ tục hành chính): what each is called, which field it
//! belongs to, who decides, and how long the law gives for it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::calendar::{Calendar, Counting};
use crate::clock::{Date, Time};
use crate::limits::{
    PROCEDURE_LENGTH_MAX, PROCEDURE_NAME_LENGTH_MAX, PROCEDURE_WORKING_DAYS_MAX, PROCEDURES_MAX,
};

/// Where the authority stands that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A ministry.
    National,
    /// A province or its departments.
    Province,
    /// A district, which decided until 1 July 2025.
    District,
    /// A commune.
    Commune,
}

impl Level {
    /// Every level with its word.
    pub const WORDS: &'static [(&'static str, Level)] = &[
        ("national", Level::National),
        ("province", Level::Province),
        ("district", Level::District),
        ("commune", Level::Commune),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, level)| *level == self).map_or("", |(word, _)| word)
    }

    /// The level with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, level)| *level)
    }
}

/// A field of procedures (lĩnh vực).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its code (mã lĩnh vực).
    pub code: String,
    /// Its name.
    pub name: String,
}

/// A procedure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Procedure {
    /// Its code (mã TTHC).
    pub code: String,
    /// Its name.
    pub name: String,
    /// Code of its field.
    pub field: String,
    /// Who decides.
    pub level: Level,
    /// How many working days the law gives; none if it sets no time.
    pub working_days: Option<NonZeroU32>,
    /// Whether the result is a signed electronic document, and nothing else.
    pub signed_result: bool,
}

impl Procedure {
    /// The last moment that the law gives for a dossier that was received then; none if it sets no time.
    pub fn end(&self, received: Time, calendar: &Calendar) -> Option<Time> {
        calendar.due(received, self.working_days?, Counting::default())
    }
}

/// A row of a catalogue, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// One of the fields.
    Field(usize),
    /// One of the procedures.
    Procedure(usize),
}

/// The rows are not a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct NotACatalogue {
    /// The row at fault; none if there are too many.
    pub row: Option<Row>,
    /// What in it is wrong.
    pub name: &'static str,
    /// Why.
    pub problem: String,
}

/// The procedures as of a day; by default none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    as_of: Option<Date>,
    fields: BTreeMap<String, String>,
    procedures: BTreeMap<String, Procedure>,
}

impl Catalogue {
    /// The catalogue of these rows.
    ///
    /// # Errors
    /// [`NotACatalogue`] with the first row that does not fit: a code that is none or stands twice, a name
    /// that is empty or too long, a field that is not listed, a time that no procedure takes.
    pub fn new(
        as_of: Date,
        fields: Vec<Field>,
        procedures: Vec<Procedure>,
    ) -> Result<Self, NotACatalogue> {
        let wrong = |name, problem: String| NotACatalogue { row: None, name, problem };
        if procedures.len() > PROCEDURES_MAX || fields.len() > PROCEDURES_MAX {
            let problem = format!("more than {PROCEDURES_MAX} rows");
            return Err(wrong("procedure", problem));
        }
        let mut catalogue = Self { as_of: Some(as_of), ..Self::default() };
        for (place, field) in fields.into_iter().enumerate() {
            let at = |name, problem: &str| NotACatalogue {
                row: Some(Row::Field(place)),
                ..wrong(name, problem.into())
            };
            check(&field.code, &field.name).map_err(|(name, problem)| at(name, problem))?;
            if catalogue.fields.insert(field.code, field.name).is_some() {
                return Err(at("code", "stands twice"));
            }
        }
        for (place, procedure) in procedures.into_iter().enumerate() {
            let at = |name, problem: &str| NotACatalogue {
                row: Some(Row::Procedure(place)),
                ..wrong(name, problem.into())
            };
            check(&procedure.code, &procedure.name).map_err(|(name, problem)| at(name, problem))?;
            if !catalogue.fields.contains_key(&procedure.field) {
                return Err(at("field", "no such field is listed"));
            }
            let days = procedure.working_days.map_or(0, NonZeroU32::get);
            if days > PROCEDURE_WORKING_DAYS_MAX {
                let problem = format!("more than {PROCEDURE_WORKING_DAYS_MAX}");
                return Err(at("working_days", &problem));
            }
            let code = procedure.code.clone();
            if catalogue.procedures.insert(code, procedure).is_some() {
                return Err(at("code", "stands twice"));
            }
        }
        Ok(catalogue)
    }

    /// The day of which it is; none if there is no catalogue.
    pub fn as_of(&self) -> Option<Date> {
        self.as_of
    }

    /// The procedure with this code.
    pub fn procedure(&self, code: &str) -> Option<&Procedure> {
        self.procedures.get(code)
    }

    /// Every procedure, in the order of the codes.
    pub fn procedures(&self) -> impl ExactSizeIterator<Item = &Procedure> {
        self.procedures.values()
    }

    /// The name of a field.
    pub fn field(&self, code: &str) -> Option<&str> {
        self.fields.get(code).map(String::as_str)
    }

    /// Every field's code and name, in the order of the codes.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.fields.iter().map(|(code, name)| (code.as_str(), name.as_str()))
    }
}

/// Whether a text is the code of a procedure or a field, as the log can name it.
pub fn is_procedure_code(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=PROCEDURE_LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// A code and a name as every row has them; what is wrong with them.
fn check(code: &str, name: &str) -> Result<(), (&'static str, &'static str)> {
    if !is_procedure_code(code) {
        return Err(("code", "not 1 to 50 of letters, digits, \".\", \"_\" and \"-\""));
    }
    if name.trim().is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        return Err(("name", "empty, or with a control character, or with blanks around it"));
    }
    if name.chars().count() > PROCEDURE_NAME_LENGTH_MAX {
        return Err(("name", "too long"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn land() -> Field {
        Field { code: "G15-DD".into(), name: "Đất đai".into() }
    }

    fn change() -> Procedure {
        Procedure {
            code: "1.003003".into(),
            name: "Đăng ký biến động".into(),
            field: "G15-DD".into(),
            level: Level::Province,
            working_days: NonZeroU32::new(10),
            signed_result: false,
        }
    }

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    #[test]
    fn the_legal_time_ends_with_its_last_working_day() {
        let calendar = Calendar::vietnam();
        // A Thursday: Friday is day 1, the tenth is the Thursday two weeks later.
        let received: Time = "2026-11-26T03:00:00.000Z".parse().expect("a time");
        let end = change().end(received, &calendar).expect("a time is set");
        assert_eq!(end.to_string(), "2026-12-10T16:59:59.999Z");
        assert_eq!(Procedure { working_days: None, ..change() }.end(received, &calendar), None);
    }

    #[test]
    fn what_is_found_is_what_was_listed() {
        let catalogue = Catalogue::new(day("2026-11-01"), vec![land()], vec![change()]);
        let catalogue = catalogue.expect("a catalogue");
        assert_eq!(catalogue.procedure("1.003003"), Some(&change()));
        assert_eq!(catalogue.procedure("1.003004"), None);
        assert_eq!(catalogue.field("G15-DD"), Some("Đất đai"));
        assert_eq!(
            (catalogue.as_of(), Catalogue::default().as_of()),
            (Some(day("2026-11-01")), None)
        );
    }

    #[test]
    fn a_row_that_does_not_fit_is_named_with_what_is_wrong_in_it() {
        let days = NonZeroU32::new(PROCEDURE_WORKING_DAYS_MAX + 1);
        let long = "x".repeat(PROCEDURE_NAME_LENGTH_MAX + 1);
        let cases = [
            (vec![land(), land()], vec![], Row::Field(1), "code"),
            (vec![Field { code: "Đ".into(), ..land() }], vec![], Row::Field(0), "code"),
            (vec![Field { name: " ".into(), ..land() }], vec![], Row::Field(0), "name"),
            (vec![], vec![change()], Row::Procedure(0), "field"),
            (vec![land()], vec![change(), change()], Row::Procedure(1), "code"),
            (
                vec![land()],
                vec![Procedure { code: "".into(), ..change() }],
                Row::Procedure(0),
                "code",
            ),
            (vec![land()], vec![Procedure { name: long, ..change() }], Row::Procedure(0), "name"),
            (
                vec![land()],
                vec![Procedure { working_days: days, ..change() }],
                Row::Procedure(0),
                "working_days",
            ),
        ];
        for (fields, procedures, row, name) in cases {
            let wrong = Catalogue::new(day("2026-11-01"), fields, procedures).expect_err("wrong");
            assert_eq!((wrong.row, wrong.name), (Some(row), name), "{wrong}");
        }
    }

    #[test]
    fn levels_have_one_word_each() {
        for (word, level) in Level::WORDS {
            assert_eq!((level.word(), Level::from_word(word)), (*word, Some(*level)));
        }
    }
}
