//! Legal value of a document by named rules (NĐ 30/2020/NĐ-CP, QĐ 28/2018/QĐ-TTg).

use std::fmt;

use super::report::{Indication, Report, Signature};

/// In which role somebody signed. Who holds which role is the directory's knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The seal of the issuing agency.
    AgencySeal,
    /// The competent person.
    Person,
    /// Neither is known.
    Unknown,
}

/// What a document is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LegalValue {
    /// Equal to the original on paper.
    Original,
    /// Equal to a certified copy.
    Copy,
    /// For information only.
    InformationOnly,
    /// A needed signature is neither proven nor disproven.
    Undetermined,
    /// A signature is technically wrong.
    Invalid,
}

impl fmt::Display for LegalValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Original => "ORIGINAL",
            Self::Copy => "COPY",
            Self::InformationOnly => "INFORMATION_ONLY",
            Self::Undetermined => "UNDETERMINED",
            Self::Invalid => "INVALID",
        })
    }
}

/// The rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// NĐ 30/2020 Art. 5.1: signed by the competent person and by the agency.
    SignedByPersonAndAgency,
    /// NĐ 30/2020 Annex I: an electronic copy bears the agency's signature alone.
    CopySignedByAgency,
    /// QĐ 28/2018 Art. 4: without a digital signature, for information only.
    WithoutSignature,
    /// NĐ 30/2020 Art. 5.1: one of the two signatures is missing.
    SignatureMissing,
    /// TT 15/2025/TT-BKHCN Art. 5–6: status unknown is not valid.
    StatusUnknown,
    /// NĐ 30/2020 Art. 21.2b: not intact or not authentic, to be returned.
    NotAuthentic,
}

impl Rule {
    /// The rule's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedByPersonAndAgency => "ND30-5.1",
            Self::CopySignedByAgency => "ND30-ANNEX-I-COPY",
            Self::WithoutSignature => "QD28-4",
            Self::SignatureMissing => "ND30-5.1-MISSING",
            Self::StatusUnknown => "TT15-5",
            Self::NotAuthentic => "ND30-21.2B",
        }
    }
}

/// Legal value, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalJudgement {
    /// What the document is worth.
    pub value: LegalValue,
    /// The rule that decided.
    pub rule: Rule,
    /// One sentence.
    pub sentence: String,
}

/// Which form the sender says the document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentForm {
    /// An original (bản gốc, bản chính).
    Original,
    /// A copy (sao y, sao lục, trích sao).
    Copy,
}

/// Derives the legal value of a document from its signatures.
pub fn legal_value(
    report: &Report,
    form: DocumentForm,
    role: impl Fn(&Signature) -> Role,
) -> LegalJudgement {
    // Who confirms another signature has not signed the document.
    let role = |one: &Signature| one.counter_signs.map_or_else(|| role(one), |_| Role::Unknown);
    let roles = report.signatures.iter().map(|s| (role(s), s.verdict.indication()));
    decide(&roles.collect::<Vec<_>>(), form)
}

fn decide(signatures: &[(Role, Indication)], form: DocumentForm) -> LegalJudgement {
    let judgement =
        |value, rule, sentence: &str| LegalJudgement { value, rule, sentence: sentence.to_owned() };
    if signatures.is_empty() {
        return judgement(
            LegalValue::InformationOnly,
            Rule::WithoutSignature,
            "The document bears no digital signature and is for information only.",
        );
    }
    if signatures.iter().any(|(_, indication)| *indication == Indication::TotalFailed) {
        return judgement(
            LegalValue::Invalid,
            Rule::NotAuthentic,
            "A signature on the document is wrong; the document must be returned.",
        );
    }
    let best = |role| signatures.iter().filter(|(r, _)| *r == role).map(|(_, i)| *i).min();
    let passed = Some(Indication::TotalPassed);
    let (seal, person) = (best(Role::AgencySeal), best(Role::Person));
    let complete = match form {
        DocumentForm::Original => seal == passed && person == passed,
        DocumentForm::Copy => seal == passed,
    };
    if complete {
        return match form {
            DocumentForm::Original => judgement(
                LegalValue::Original,
                Rule::SignedByPersonAndAgency,
                "The competent person and the agency have signed; the document equals the \
                 original on paper.",
            ),
            DocumentForm::Copy => judgement(
                LegalValue::Copy,
                Rule::CopySignedByAgency,
                "The agency has signed the copy; it is worth as much as a certified copy.",
            ),
        };
    }
    // A signature whose role or validity is open could be the one that is missing.
    if signatures.iter().any(|(_, indication)| *indication == Indication::Indeterminate) {
        return judgement(
            LegalValue::Undetermined,
            Rule::StatusUnknown,
            "A signature that is needed could not be fully checked; until then the document does \
             not count as valid.",
        );
    }
    judgement(
        LegalValue::InformationOnly,
        Rule::SignatureMissing,
        match form {
            DocumentForm::Original => {
                "The signature of the competent person or of the agency is missing; the document \
                 is for information only."
            }
            DocumentForm::Copy => {
                "The signature of the agency is missing on the copy; it is for information only."
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::Indication::{Indeterminate as Open, TotalFailed as Wrong, TotalPassed as Good};
    use super::Role::{AgencySeal as Seal, Person, Unknown};
    use super::*;

    #[test]
    fn the_rules_decide_as_the_decrees_say() {
        use DocumentForm::{Copy, Original};
        type Case<'a> = (&'a [(Role, Indication)], DocumentForm, LegalValue, &'a str);
        let cases: &[Case<'_>] = &[
            (&[], Original, LegalValue::InformationOnly, "QD28-4"),
            (&[], Copy, LegalValue::InformationOnly, "QD28-4"),
            (&[(Person, Good), (Seal, Good)], Original, LegalValue::Original, "ND30-5.1"),
            (&[(Person, Good)], Original, LegalValue::InformationOnly, "ND30-5.1-MISSING"),
            (&[(Seal, Good)], Original, LegalValue::InformationOnly, "ND30-5.1-MISSING"),
            (&[(Seal, Good)], Copy, LegalValue::Copy, "ND30-ANNEX-I-COPY"),
            (&[(Person, Good)], Copy, LegalValue::InformationOnly, "ND30-5.1-MISSING"),
            (&[(Person, Open), (Seal, Good)], Original, LegalValue::Undetermined, "TT15-5"),
            (&[(Unknown, Open), (Seal, Good)], Copy, LegalValue::Copy, "ND30-ANNEX-I-COPY"),
            (&[(Person, Good), (Seal, Wrong)], Original, LegalValue::Invalid, "ND30-21.2B"),
            (
                &[(Person, Good), (Seal, Good), (Unknown, Wrong)],
                Original,
                LegalValue::Invalid,
                "ND30-21.2B",
            ),
            (&[(Unknown, Good)], Original, LegalValue::InformationOnly, "ND30-5.1-MISSING"),
        ];
        for (signatures, form, value, rule) in cases {
            let judgement = decide(signatures, *form);
            assert_eq!((judgement.value, judgement.rule.name()), (*value, *rule), "{signatures:?}");
        }
    }
}
