//! Vietnamese for everything that the room says in English.
//!
//! The catalogue (`reasons_vi.txt`) holds the room's English sentences with gaps; what stands in the
//! gaps of a real one is taken over, or translated itself if it is part of the catalogue. So whoever
//! finds something writes one English sentence and nothing else. What is missing here is said in
//! general words, never wrongly; a test finds it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::report::{Reason, SubIndication};

/// Sentences within sentences: a reason about a list's signer within a reason about a certificate.
const DEPTH_MAX: usize = 4;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::parse(include_str!("reasons_vi.txt")));

/// The sentence of a reason that led to `sub_indication`.
pub fn reason_in_vietnamese(reason: &Reason, sub_indication: Option<SubIndication>) -> String {
    CATALOGUE.reason(reason.code, &reason.message).unwrap_or_else(|| {
        let general = sub_indication.map_or("", SubIndication::as_str);
        CATALOGUE.general.get(general).copied().unwrap_or_default().to_owned()
    })
}

/// A note or a sentence on legal value; as it is if the catalogue does not have it.
pub fn note_in_vietnamese(text: &str) -> String {
    CATALOGUE.part(text, 0)
}

/// One English sentence and its Vietnamese one.
#[derive(Debug)]
struct Sentence {
    /// What stands around the gaps.
    english: Vec<&'static str>,
    vietnamese: &'static str,
}

#[derive(Debug, Default)]
struct Catalogue {
    /// Sentences of each code.
    reasons: HashMap<&'static str, Vec<Sentence>>,
    /// Parts and notes.
    parts: Vec<Sentence>,
    general: HashMap<&'static str, &'static str>,
}

impl Catalogue {
    fn parse(text: &'static str) -> Self {
        let mut catalogue = Self::default();
        for line in text.lines().filter(|line| !line.starts_with(['#', '!'])) {
            let mut columns = line.split(" |").map(str::trim);
            let (Some(code), Some(english), Some(vietnamese)) =
                (columns.next(), columns.next(), columns.next())
            else {
                continue;
            };
            let sentence = Sentence { english: english.split("{}").collect(), vietnamese };
            match code.strip_prefix('=') {
                Some(sub) => {
                    catalogue.general.insert(sub, vietnamese);
                }
                None if code == "-" => catalogue.parts.push(sentence),
                None => catalogue.reasons.entry(code).or_default().push(sentence),
            }
        }
        // The sentence that leaves least to its gaps fits best.
        let fixed =
            |sentence: &Sentence| sentence.english.iter().map(|part| part.len()).sum::<usize>();
        let sort = |list: &mut Vec<Sentence>| {
            list.sort_by_key(|sentence| std::cmp::Reverse(fixed(sentence)));
        };
        sort(&mut catalogue.parts);
        catalogue.reasons.values_mut().for_each(sort);
        catalogue
    }

    fn reason(&self, code: &str, message: &str) -> Option<String> {
        self.best(self.reasons.get(code)?, message, 0)
    }

    fn best(&self, sentences: &[Sentence], message: &str, depth: usize) -> Option<String> {
        let mut fitting =
            sentences.iter().filter_map(|one| Some((one.vietnamese, one.gaps(message)?)));
        let (vietnamese, gaps) = fitting.next()?;
        let mut text = vietnamese.to_owned();
        // From the last on, so that what is filled in is not looked at again.
        let mut places: Vec<(usize, usize)> = Vec::new();
        for index in 0..gaps.len() {
            let mark = format!("{{{}}}", index + 1);
            places.extend(text.match_indices(&mark).map(|(at, _)| (at, index)));
        }
        places.sort_unstable_by(|a, b| b.cmp(a));
        for (at, index) in places {
            let gap = gaps.get(index).copied().unwrap_or_default();
            let mark = format!("{{{}}}", index + 1);
            text.replace_range(at..at + mark.len(), &self.part(gap, depth + 1));
        }
        Some(text)
    }

    /// What stands in a gap: a part of the catalogue, a whole sentence without its period, or a name,
    /// number or date, which is the same in every language.
    fn part(&self, text: &str, depth: usize) -> String {
        let inner = text.trim();
        if depth >= DEPTH_MAX || inner.is_empty() {
            return text.to_owned();
        }
        let sentence = format!("{inner}.");
        let whole = || {
            let mut all = self.reasons.values();
            let found = all.find_map(|sentences| self.best(sentences, &sentence, depth))?;
            Some(found.trim_end_matches('.').to_owned())
        };
        let begin = text.len() - text.trim_start().len();
        let found = self.best(&self.parts, inner, depth).or_else(whole);
        found.map_or_else(|| text.to_owned(), |found| format!("{}{found}", &text[..begin]))
    }
}

impl Sentence {
    /// What stands in the gaps if `message` is this sentence.
    fn gaps<'m>(&self, message: &'m str) -> Option<Vec<&'m str>> {
        let (first, others) = self.english.split_first()?;
        let mut rest = message.strip_prefix(first)?;
        let Some((last, middle)) = others.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        let mut gaps = Vec::with_capacity(others.len());
        for part in middle {
            let (gap, behind) = rest.split_once(part)?;
            gaps.push(gap);
            rest = behind;
        }
        gaps.push(rest.strip_suffix(last)?);
        Some(gaps)
    }
}

#[cfg(test)]
#[path = "vietnamese_tests.rs"]
mod tests;
