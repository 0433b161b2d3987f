//! The steps of a dossier, and the one table of what may follow (`log/FORMAT.md` §2).

use super::state::State;
use State as S;

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident $word:literal;)*) => {
        /// What was done with a dossier.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Step {
            $($(#[$doc])* $name,)*
        }

        impl Step {
            /// Every step there is.
            pub const ALL: &'static [Step] = &[$(Step::$name,)*];

            /// Its word in the log.
            pub fn word(self) -> &'static str {
                match self { $(Step::$name => $word,)* }
            }

            /// The step with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|step| step.word() == word)
            }
        }
    };
}

steps! {
    /// The citizen sent it in (đăng ký).
    Registration "REGISTRATION";
    /// It is valid and received (tiếp nhận): the clock starts.
    Reception "RECEPTION";
    /// It is not received.
    NonReception "NON_RECEPTION";
    /// It goes to another agency.
    Handover "HANDOVER";
    /// It was appraised (thẩm định).
    Appraisal "APPRAISAL";
    /// It was approved (phê duyệt).
    Approval "APPROVAL";
    /// The result was sealed (đóng dấu).
    Sealing "SEALING";
    /// The citizen must add something: the clock stands still.
    SupplementRequest "SUPPLEMENT_REQUEST";
    /// It was added.
    Supplement "SUPPLEMENT";
    /// The citizen must pay: the clock stands still.
    PaymentRequest "PAYMENT_REQUEST";
    /// It was paid.
    Payment "PAYMENT";
    /// The citizen withdrew it.
    Withdrawal "WITHDRAWAL";
    /// Work on it was ended without a result.
    Stop "STOP";
    /// There is a result.
    Completion "COMPLETION";
    /// The citizen has the result (trả kết quả).
    Return "RETURN";
    /// Another agency is asked for its opinion.
    OpinionRequest "OPINION_REQUEST";
    /// It gave it.
    Opinion "OPINION";
    /// It did not in time, and counts as consenting.
    DeemedConsent "DEEMED_CONSENT";
    /// The citizen was told why it is late, and the new date.
    Apology "APOLOGY";
    /// The time ends soon.
    Reminder "REMINDER";
    /// The time has ended.
    Overdue "OVERDUE";
    /// The citizen says something about how it is handled (phản ánh, kiến nghị).
    Feedback "FEEDBACK";
    /// The citizen grades how it was handled (đánh giá hài lòng).
    Satisfaction "SATISFACTION";
    /// An agency was closed, and its successor takes its place.
    Succession "SUCCESSION";
}

/// Who may take a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The agency that is to receive it: the one that its registration names, or else the one that takes
    /// the first step.
    Reception,
    /// The agency that has it.
    Holder,
    /// Either of the two.
    Either,
    /// An agency whose opinion was asked and is not given.
    Asked,
    /// The agency that took the first step, a portal or a desk, or the reception.
    Origin,
    /// The gateway itself; `from` is the agency that has it, or, at a succession, the closed one.
    Gateway,
}

impl By {
    /// Its word on the page and in refusals.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reception => "reception",
            Self::Holder => "holder",
            Self::Either => "either",
            Self::Asked => "asked",
            Self::Origin => "origin",
            Self::Gateway => "gateway",
        }
    }
}

/// A field that some steps have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// The agency that gets it or is asked.
    To,
    /// The consignment that carries the result.
    Consignment,
    /// A salted text.
    Note,
    /// The time that has ended.
    Since,
    /// The procedure's code.
    Procedure,
    /// The commitment to who the applicant is.
    Applicant,
    /// Until when.
    Due,
    /// What follows if nothing is done until then.
    Rule,
    /// How satisfied the citizen was.
    Grade,
}

impl Extra {
    /// Every field with its name in the log.
    pub const NAMES: &'static [(&'static str, Extra)] = &[
        ("to", Extra::To),
        ("consignment", Extra::Consignment),
        ("note", Extra::Note),
        ("since", Extra::Since),
        ("procedure", Extra::Procedure),
        ("applicant", Extra::Applicant),
        ("due", Extra::Due),
        ("rule", Extra::Rule),
        ("grade", Extra::Grade),
    ];
}

/// One row of the table.
#[derive(Debug)]
pub struct Transition {
    /// The step.
    pub step: Step,
    /// Whether a dossier may begin with it.
    pub begins: bool,
    /// The states in which it may be taken.
    pub from: &'static [State],
    /// The state after it; none if it stays.
    pub to: Option<State>,
    /// Who may take it.
    pub by: By,
    /// Fields that it must have.
    pub must: &'static [Extra],
    /// Fields that it may have.
    pub may: &'static [Extra],
}

/// A step of the agency that has the dossier, while the clock runs, after which it is in process.
const fn worked(step: Step, must: &'static [Extra]) -> Transition {
    Transition {
        step,
        begins: false,
        from: &[S::Received, S::InProcess],
        to: Some(S::InProcess),
        by: By::Holder,
        must,
        may: &[Extra::Note],
    }
}

/// What the citizen was asked for, is there.
const fn resumed(step: Step, from: &'static [State]) -> Transition {
    Transition { from, by: By::Either, ..worked(step, &[Extra::Due]) }
}

/// A word of the gateway about a time.
const fn timed(step: Step, from: &'static [State], must: &'static [Extra]) -> Transition {
    Transition { from, to: None, by: By::Gateway, may: &[], ..worked(step, must) }
}

/// States in which a dossier is with an agency or waits for the citizen.
const OPEN: &[State] = &[S::Received, S::InProcess, S::AwaitingSupplement, S::AwaitingPayment];

/// Every state there is.
const ANY: &[State] = &[
    S::Registered,
    S::Received,
    S::NotReceived,
    S::InProcess,
    S::AwaitingSupplement,
    S::AwaitingPayment,
    S::Withdrawn,
    S::Stopped,
    S::Completed,
    S::Returned,
];

/// States in which it matters who is who.
const SUCCEEDED: &[State] = &[
    S::Registered,
    S::Received,
    S::InProcess,
    S::AwaitingSupplement,
    S::AwaitingPayment,
    S::Completed,
];

/// What may follow: one row for each step, in their order.
pub const TRANSITIONS: [Transition; 24] = [
    Transition {
        begins: true,
        from: &[],
        to: Some(S::Registered),
        by: By::Reception,
        may: &[Extra::To, Extra::Note, Extra::Applicant],
        ..worked(Step::Registration, &[Extra::Procedure])
    },
    Transition {
        begins: true,
        from: &[S::Registered],
        to: Some(S::Received),
        by: By::Reception,
        may: &[Extra::Note, Extra::Applicant],
        ..worked(Step::Reception, &[Extra::Procedure, Extra::Due])
    },
    Transition {
        from: &[S::Registered],
        to: Some(S::NotReceived),
        by: By::Reception,
        may: &[],
        ..worked(Step::NonReception, &[Extra::Note])
    },
    worked(Step::Handover, &[Extra::To]),
    worked(Step::Appraisal, &[]),
    worked(Step::Approval, &[]),
    worked(Step::Sealing, &[]),
    Transition {
        to: Some(S::AwaitingSupplement),
        may: &[],
        ..worked(Step::SupplementRequest, &[Extra::Note])
    },
    resumed(Step::Supplement, &[S::AwaitingSupplement]),
    Transition { to: Some(S::AwaitingPayment), ..worked(Step::PaymentRequest, &[]) },
    resumed(Step::Payment, &[S::AwaitingPayment]),
    Transition {
        from: &[
            S::Registered,
            S::Received,
            S::InProcess,
            S::AwaitingSupplement,
            S::AwaitingPayment,
        ],
        to: Some(S::Withdrawn),
        by: By::Either,
        ..worked(Step::Withdrawal, &[])
    },
    Transition { from: OPEN, to: Some(S::Stopped), may: &[], ..worked(Step::Stop, &[Extra::Note]) },
    Transition {
        to: Some(S::Completed),
        may: &[Extra::Consignment, Extra::Note],
        ..worked(Step::Completion, &[])
    },
    Transition {
        from: &[S::Completed],
        to: Some(S::Returned),
        by: By::Reception,
        ..worked(Step::Return, &[])
    },
    worked(Step::OpinionRequest, &[Extra::To, Extra::Due, Extra::Rule]),
    Transition { from: OPEN, to: None, by: By::Asked, ..worked(Step::Opinion, &[]) },
    timed(Step::DeemedConsent, OPEN, &[Extra::To, Extra::Since, Extra::Rule]),
    Transition {
        from: OPEN,
        to: None,
        by: By::Either,
        may: &[],
        ..worked(Step::Apology, &[Extra::Note, Extra::Due])
    },
    timed(Step::Reminder, &[S::Received, S::InProcess], &[Extra::Due]),
    timed(Step::Overdue, &[S::Received, S::InProcess], &[Extra::Since]),
    Transition {
        from: ANY,
        to: None,
        by: By::Origin,
        may: &[],
        ..worked(Step::Feedback, &[Extra::Note])
    },
    Transition {
        from: &[S::Returned],
        to: None,
        by: By::Origin,
        ..worked(Step::Satisfaction, &[Extra::Grade])
    },
    timed(Step::Succession, SUCCEEDED, &[Extra::To]),
];

impl Step {
    /// Its row of the table.
    pub fn transition(self) -> &'static Transition {
        &TRANSITIONS[self as usize]
    }
}

impl Transition {
    /// Whether the step has the field: it must, it may, or neither.
    pub fn takes(&self, field: Extra) -> bool {
        self.must.contains(&field) || self.may.contains(&field)
    }
}

/// The rule that who says nothing for so many working days consents.
pub fn consent_rule(working_days: u32) -> String {
    format!("CONSENT-AFTER-{working_days}-WORKING-DAYS")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table of `log/FORMAT.md` §2 whose first column is `step`.
    fn page() -> (Vec<String>, Vec<Vec<String>>) {
        let page = include_str!("../log/FORMAT.md");
        let cells = |row: &str| -> Vec<String> {
            row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
        };
        let (_, table) = page.split_once("\n| step |").expect("the page has the table");
        let mut rows = table.lines();
        let names = cells(rows.next().expect("the names"));
        let rows = rows.skip(1).take_while(|row| row.starts_with('|'));
        (names, rows.map(cells).collect())
    }

    #[test]
    fn the_table_of_the_page_is_the_table_of_the_room() {
        let (names, rows) = page();
        assert_eq!(rows.len(), TRANSITIONS.len());
        for (row, transition) in rows.iter().zip(&TRANSITIONS) {
            assert_eq!(row[0], transition.step.word());
            assert_eq!(transition.step.transition().step, transition.step, "rows stand in order");
            let states = transition.from.iter().map(|state| state.number().to_string());
            let first = transition.begins.then(|| "–".to_owned());
            assert_eq!(
                row[1],
                Vec::from_iter(first.into_iter().chain(states)).join(" "),
                "{}",
                row[0]
            );
            assert_eq!(row[2], transition.to.map_or(String::new(), |to| to.number().to_string()));
            assert_eq!(row[3], transition.by.word(), "{}", row[0]);
            for (name, field) in Extra::NAMES {
                let column = names.iter().position(|known| known == name).expect("a column");
                let must = transition.must.contains(field);
                let expected = match (must, transition.may.contains(field)) {
                    (true, _) => "●",
                    (_, true) => "○",
                    _ => "",
                };
                assert_eq!(row[column + 1], expected, "{} {name}", row[0]);
            }
        }
    }
}
