//! Who may send what to whom.

use super::explain::Question;
use crate::directory::{Agency, Directory, Rule, Selector};

/// The first rule that fits; without one it may be sent.
pub(super) fn deciding<'a>(
    directory: &'a Directory,
    question: &Question<'_>,
    from: &Agency,
    to: &Agency,
) -> Option<&'a Rule> {
    let urgency = question.urgency.map(|urgency| urgency.word());
    directory.rules().iter().find(|rule| {
        let type_fits =
            rule.types.is_empty() || rule.types.iter().any(|it| it == question.type_name);
        let urgency_fits = rule.urgencies.is_empty()
            || rule.urgencies.iter().any(|it| Some(it.as_str()) == urgency);
        type_fits
            && urgency_fits
            && fits(directory, question, &rule.from, from)
            && fits(directory, question, &rule.to, to)
    })
}

fn fits(directory: &Directory, question: &Question<'_>, some: &Selector, agency: &Agency) -> bool {
    let all = some.codes.is_empty() && some.below.is_empty() && some.kinds.is_empty();
    let is_below = |top| directory.is_below(&agency.code, top, question.today);
    all || some.codes.contains(&agency.code)
        || some.kinds.contains(&agency.kind)
        || some.below.iter().any(is_below)
}
