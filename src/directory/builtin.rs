//! The level-1 codes of the country as far as they are published, each with its source.

use super::agency::Agency;
use super::csv;

const VIETNAM: &str = include_str!("vietnam.csv");

/// Ministries, provinces, their councils and mass organisations, with the mergers of 1 July 2025.
/// Whatever a directory file says of a code takes the place of these records.
pub fn built_in() -> Vec<Agency> {
    let records = csv::read(VIETNAM).expect("the data in the program can be read");
    records.into_iter().map(|agency| Agency { revision: 0, ..agency }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Directory, Ending};
    use super::*;
    use jiff::civil::date;

    fn country() -> Directory {
        Directory::new(date(2026, 1, 1), built_in(), Vec::new()).expect("a directory")
    }

    #[test]
    fn sixty_three_provinces_become_thirty_four() {
        let country = &country();
        for letter in ["H", "K"] {
            let provinces =
                || country.agencies().filter(|one| one.code.as_str().starts_with(letter));
            let open = |day| {
                provinces().filter(move |one| {
                    country.at(&one.code, day).is_some_and(|agency| agency.is_open(day))
                })
            };
            assert_eq!(open(date(2025, 6, 30)).count(), 63);
            assert_eq!(open(date(2025, 7, 1)).count(), 34);
            for closed in provinces().filter(|one| one.valid_until.is_some()) {
                let chain = country.chain(&closed.code, date(2025, 7, 1)).expect("known");
                assert!(matches!(chain.ending, Ending::Forward(_)), "{}", closed.code);
            }
        }
        let to = Code::parse("000.00.00.H62").expect("a code");
        let chain = country.chain(&to, date(2025, 7, 1)).expect("known");
        assert_eq!(chain.successors_line(), "H44", "Vĩnh Phúc is part of Phú Thọ");
    }

    #[test]
    fn every_record_has_a_source_and_what_is_uncertain_leads_nowhere() {
        let country = country();
        for record in country.records() {
            assert!(record.source.is_some(), "{}", record.code);
            let chain = country.chain(&record.code, date(2026, 1, 1)).expect("known");
            let forwards = matches!(chain.ending, Ending::Forward(_));
            assert!(!(record.uncertain && forwards), "{}", record.code);
        }
    }

    #[test]
    fn a_renamed_ministry_has_the_name_of_the_day() {
        let country = country();
        let code = Code::parse("G10").expect("a code");
        let name = |day| country.at(&code, day).map(|agency| agency.name.as_str());
        assert_eq!(name(date(2025, 4, 13)), Some("Bộ Nông nghiệp và Phát triển nông thôn"));
        assert_eq!(name(date(2025, 4, 14)), Some("Bộ Nông nghiệp và Môi trường"));
    }
}
