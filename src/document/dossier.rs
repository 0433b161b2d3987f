//! Dossier codes (mã hồ sơ).

use std::fmt;

use crate::directory::Code;

/// A dossier code `AGENCY-DATE-SERIAL`: the agency code in either notation, a date of six or eight
/// digits, a serial of four to seven (TT 01/2018/TT-VPCP Art. 19 and later practice). Kept as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DossierCode(Box<str>);

impl DossierCode {
    /// The code in `text`, if it has the form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut groups = text.rsplitn(3, '-');
        let (serial, date, agency) = (groups.next()?, groups.next()?, groups.next()?);
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let fits = digits(serial)
            && (4..=7).contains(&serial.len())
            && digits(date)
            && matches!(date.len(), 6 | 8)
            && Code::parse(agency).is_some();
        fits.then(|| Self(text.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The agency whose code it begins with: the one that numbers it.
    pub fn agency(&self) -> Code {
        let agency = self.0.rsplitn(3, '-').nth(2).and_then(Code::parse);
        agency.expect("a dossier code begins with an agency's")
    }
}

impl fmt::Display for DossierCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_seen_in_practice_is_read_and_others_are_not() {
        for good in [
            "000.00.18.G12-180425-0001",
            "H24.125-210118-0001",
            "G09.20-20260609-0092637",
            "H49.151-20261122-0001",
        ] {
            assert_eq!(DossierCode::parse(good).map(|code| code.to_string()), Some(good.into()));
        }
        for (code, agency, top) in [
            ("000.00.18.G12-180425-0001", "000.00.18.G12", "G12"),
            ("G09.20-20260609-0092637", "G09.20", "G09"),
            ("H-49-210118-0001", "H-49", "H-49"),
        ] {
            let found = DossierCode::parse(code).expect("a code").agency();
            assert_eq!((found.as_str(), found.top()), (agency, top));
        }
        for wrong in [
            "",
            "H24.125",
            "H24.125-2101-0001",
            "H24.125-210118-1",
            "-210118-0001",
            "H24 1-210118-0001",
        ] {
            assert_eq!(DossierCode::parse(wrong), None, "{wrong}");
        }
    }
}
