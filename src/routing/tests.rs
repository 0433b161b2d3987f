//! The mergers of 1 July 2025 replayed, and random histories of mergers.

use proptest::prelude::*;

use super::*;
use crate::digest::Sha256;
use crate::directory::{
    Kind, Prefix, Role, Rows, Rule, Selector, Succession, Successor, System, built_in,
};
use crate::document::{Draft, Form, PartDraft, PartRole, Signer, Urgency};
use jiff::civil::date;

const LAST_DAY: Date = date(2025, 6, 30);
const FIRST_DAY: Date = date(2025, 7, 1);

fn code(text: &str) -> Code {
    Code::parse(text).expect("a code")
}

fn envelope(from: &str, to: &[&str], below: &[&str], lists: &[&str]) -> Envelope {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let draft = Draft {
        document_id: "1".into(),
        type_name: "Công văn".into(),
        subject: "Về việc".into(),
        issue_date: Some((2025, 6, 1)),
        signer: Signer::default(),
        urgency: Some(Urgency::Normal),
        form: Some(Form::Original),
        sender: from.into(),
        recipients: texts(to),
        recipients_below: texts(below),
        recipients_lists: texts(lists),
        parts: vec![PartDraft {
            name: "a.pdf".into(),
            media_type: "application/pdf".into(),
            size: 1,
            digest: Sha256::of(b"a").0.to_vec(),
            role: Some(PartRole::Main),
            signs: String::new(),
        }],
        ..Draft::default()
    };
    Envelope::read(bytes::Bytes::new(), draft, FIRST_DAY).expect("an envelope")
}

fn open(text: &str, parent: Option<&str>) -> Agency {
    let host = Some(SystemId::parse("host").expect("an id"));
    let parent = parent.map(code);
    Agency { host, parent, ..Agency::new(code(text), text, Kind::State, date(2021, 1, 1)) }
}

fn closed(text: &str, succession: Succession, successors: &[&str]) -> Agency {
    let successors = successors.iter().map(|one| Successor::parse(one).expect("a successor"));
    let successors = successors.collect();
    Agency { valid_until: Some(LAST_DAY), successors, succession, ..open(text, None) }
}

fn system(id: &str, role: Role, gateway: Option<&str>) -> System {
    let id = SystemId::parse(id).expect("an id");
    System { identities: vec![format!("urn:{id}")], id, role, gateway: gateway.map(Into::into) }
}

fn rows(agencies: Vec<Agency>) -> Rows {
    Rows {
        as_of: FIRST_DAY,
        agencies,
        systems: vec![
            system("host", Role::Agency, None),
            system("national", Role::Gateway, Some("nation.example")),
            system("bacninh", Role::Gateway, Some("bacninh.example")),
        ],
        lists: Vec::new(),
        prefixes: Vec::new(),
        rules: Vec::new(),
    }
}

/// Where it goes, one word for each destination, or the refusal with what it names.
fn goes(directory: &Directory, today: Date, envelope: &Envelope) -> String {
    match route(directory, today, envelope) {
        Ok(route) => {
            let words = route.destinations().map(|(to, way)| {
                let addressed = way.addressed.as_ref().map(|code| format!("<{code}"));
                let hop = match &way.hop {
                    Hop::Mailbox(_) => String::new(),
                    Hop::Neighbour(name) => format!("@{name}"),
                };
                format!("{to}{}{hop}", addressed.unwrap_or_default())
            });
            words.collect::<Vec<_>>().join(" ")
        }
        Err(refusal) => {
            let value = |name| refusal.value(name).unwrap_or("-").to_owned();
            let (code, field) = (refusal.reason.code(), &refusal.field);
            format!("{code} {field} {} {}", value("successors"), value("rule"))
        }
    }
}

#[test]
fn the_mergers_of_july_2025_before_on_and_after_the_day() {
    let hosted = built_in().into_iter().map(|agency| {
        let host = Some(SystemId::parse("host").expect("an id"));
        Agency { host, ..agency }
    });
    let mut agencies: Vec<_> = hosted.collect();
    // A district that was divided among communes, a commune that followed it, one that did not.
    agencies.extend([
        closed("H49.61", Succession::Forward, &["H49.151 area A", "H49.152 area B"]),
        closed("H49.61.8", Succession::Forward, &["H49.151"]),
        closed("H49.61.9", Succession::Refuse, &["H49.152"]),
        Agency { valid_from: FIRST_DAY, ..open("H49.151", Some("H49")) },
        Agency { valid_from: FIRST_DAY, ..open("H49.152", Some("H49")) },
    ]);
    let country = Directory::of(rows(agencies)).expect("a directory");
    let cases = [
        ("H62", "H62", "H44<H62"),
        ("000.00.00.H62", "H62<000.00.00.H62", "H44<000.00.00.H62"),
        ("H44", "H44", "H44"),
        ("K28", "K28", "K44<K28"),
        ("H49.61", "H49.61", "AGENCY_CLOSED recipients[0] H49.151,H49.152 several"),
        ("H49.61.8", "H49.61.8", "H49.151<H49.61.8"),
        ("H49.61.9", "H49.61.9", "AGENCY_CLOSED recipients[0] H49.152 refuse"),
        ("H49.151", "AGENCY_NOT_OPEN recipients[0] - -", "H49.151"),
        ("H22", "H22", "H60<H22"),
        ("G05", "AGENCY_CLOSED recipients[0]  ask", "AGENCY_CLOSED recipients[0]  ask"),
        ("H99", "RECIPIENT_UNKNOWN recipients[0] - -", "RECIPIENT_UNKNOWN recipients[0] - -"),
    ];
    for (to, before, after) in cases {
        let letter = envelope("G22", &[to], &[], &[]);
        assert_eq!(goes(&country, LAST_DAY, &letter), before, "{to} on the last day");
        for day in [FIRST_DAY, date(2026, 11, 22)] {
            assert_eq!(goes(&country, day, &letter), after, "{to} on {day}");
        }
    }
    let both = envelope("G22", &["H62", "H44", "H28"], &[], &[]);
    assert_eq!(goes(&country, LAST_DAY, &both), "H28 H44 H62");
    assert_eq!(
        goes(&country, FIRST_DAY, &both),
        "H44",
        "one delivery, to the code that was written"
    );
    let two_old = envelope("G22", &["H62", "H28"], &[], &[]);
    assert_eq!(goes(&country, FIRST_DAY, &two_old), "H44<H62", "one delivery, by the first");
    let twice = envelope("G22", &["H62", "000.00.00.H62"], &[], &[]);
    assert_eq!(goes(&country, FIRST_DAY, &twice), "RECIPIENT_DUPLICATE recipients[1] - -");
    let own = envelope("H44", &["H62"], &[], &[]);
    assert_eq!(goes(&country, FIRST_DAY, &own), "RECIPIENT_IS_SENDER recipients[0] - -");
    let sender = envelope("H62", &["H44"], &[], &[]);
    assert_eq!(goes(&country, FIRST_DAY, &sender), "SENDER_CLOSED sender H44 -");
}

#[test]
fn the_longest_prefix_on_whole_groups_leads_to_a_neighbour() {
    let host_less = |text| Agency { host: None, ..open(text, None) };
    let mut rows = rows(vec![
        open("G22", None),
        open("H05", None),
        host_less("H05.1"),
        host_less("H05.1.2"),
        host_less("H051"),
        host_less("H01"),
    ]);
    let via = |prefix: &str, via| Prefix {
        prefix: prefix.into(),
        via: SystemId::parse(via).expect("an id"),
    };
    rows.prefixes = vec![via("H05", "bacninh"), via("H05.1.2", "national")];
    let directory = Directory::of(rows.clone()).expect("a directory");
    let goes_to =
        |directory: &Directory, to| goes(directory, FIRST_DAY, &envelope("G22", &[to], &[], &[]));
    assert_eq!(goes_to(&directory, "H05"), "H05", "a host of its own comes first");
    assert_eq!(goes_to(&directory, "H05.1"), "H05.1@bacninh.example");
    assert_eq!(goes_to(&directory, "H05.1.2"), "H05.1.2@nation.example");
    assert_eq!(goes_to(&directory, "H051"), "MAILBOX_MISSING recipients[0] - -");
    rows.prefixes.push(via("", "national"));
    let directory = Directory::of(rows).expect("a directory");
    assert_eq!(goes_to(&directory, "H051"), "H051@nation.example");
    assert_eq!(goes_to(&directory, "H05.1"), "H05.1@bacninh.example");
}

#[test]
fn the_first_rule_that_fits_decides_and_is_named() {
    use crate::directory::Effect::{Allow, Deny};
    let mut rows = rows(vec![
        open("G22", None),
        open("H49", None),
        open("H49.1", Some("H49")),
        open("H49.1.1", Some("H49.1")),
    ]);
    let below = |top| Selector { below: vec![code(top)], ..Selector::default() };
    let codes = |one| Selector { codes: vec![code(one)], ..Selector::default() };
    let rule = |name: &str, effect, from, to| Rule {
        name: name.into(),
        effect,
        from,
        to,
        types: Vec::new(),
        urgencies: Vec::new(),
    };
    rows.rules = vec![
        Rule {
            types: vec!["Báo cáo".into()],
            ..rule("reports-go-up", Allow, below("H49"), codes("G22"))
        },
        Rule {
            urgencies: vec!["flash".into()],
            ..rule("flash-goes-up", Allow, below("H49"), codes("G22"))
        },
        rule("through-the-province", Deny, below("H49"), codes("G22")),
    ];
    let directory = Directory::of(rows).expect("a directory");
    let ask = |from: &str, type_name: &'static str, urgency| {
        let question = Question { today: FIRST_DAY, type_name, urgency: Some(urgency) };
        let explained = explain(&directory, question, &code(from), &code("G22"));
        match explained.outcome {
            Ok((to, _)) => to.to_string(),
            Err(refusal) => {
                assert_eq!(refusal.reason, Reason::RouteForbidden);
                refusal.value("rule").expect("a rule").to_owned()
            }
        }
    };
    assert_eq!(ask("H49", "Công văn", Urgency::Normal), "G22");
    assert_eq!(ask("H49.1.1", "Công văn", Urgency::Normal), "through-the-province");
    assert_eq!(ask("H49.1.1", "Báo cáo", Urgency::Normal), "G22");
    assert_eq!(ask("H49.1", "Công văn", Urgency::Flash), "G22");
    let letter = envelope("H49.1", &["G22"], &[], &[]);
    let refused = "ROUTE_FORBIDDEN recipients[0] - through-the-province";
    assert_eq!(goes(&directory, FIRST_DAY, &letter), refused);
}

#[test]
fn a_list_names_its_members_and_old_codes_in_it_lead_on() {
    let mut rows = rows(vec![
        open("G22", None),
        open("B", None),
        closed("A", Succession::Forward, &["B"]),
        closed("S", Succession::Ask, &["B"]),
    ]);
    let list = |name: &str, members: &[&str]| crate::directory::List {
        name: name.into(),
        members: members.iter().map(|text| code(text)).collect(),
    };
    rows.lists =
        vec![list("old", &["A", "G22"]), list("own", &["G22"]), list("stuck", &["B", "S"])];
    let directory = Directory::of(rows).expect("a directory");
    let to =
        |lists: &[&str], to: &[&str]| goes(&directory, FIRST_DAY, &envelope("G22", to, &[], lists));
    assert_eq!(to(&["old"], &[]), "B<A");
    assert_eq!(to(&["old"], &["B"]), "B");
    assert_eq!(to(&["own"], &[]), "GROUP_EMPTY recipients_lists[0] - -");
    assert_eq!(to(&["old", "none"], &[]), "LIST_UNKNOWN recipients_lists[1] - -");
    assert_eq!(to(&["stuck"], &[]), "AGENCY_CLOSED recipients_lists[0] B ask");
}

/// A history: every agency either stays open or is closed in favour of later ones, which were there
/// from the beginning or begin on the day.
fn histories() -> impl Strategy<Value = Vec<(u8, Vec<prop::sample::Index>)>> {
    let successors = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    prop::collection::vec((0_u8..8, successors), 2..14)
}

fn history(drawn: &[(u8, Vec<prop::sample::Index>)]) -> Vec<Agency> {
    let name = |index: usize| format!("A{index:02}");
    let mut agencies = vec![open("SENDER", None)];
    for (index, (fate, drawn_successors)) in drawn.iter().enumerate() {
        let later = drawn.len() - index - 1;
        let mut successors: Vec<usize> = match later {
            0 => Vec::new(),
            _ => drawn_successors.iter().map(|one| index + 1 + one.index(later)).collect(),
        };
        successors.sort_unstable();
        successors.dedup();
        let split = successors.len() > 1;
        let text = |to: &usize| match split {
            true => format!("{} area {to}", name(*to)),
            false => name(*to),
        };
        let texts: Vec<_> = successors.iter().map(text).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let own = name(index);
        agencies.push(match fate {
            0..=1 => open(&own, None),
            2 => closed(&own, Succession::Ask, &texts),
            3 => closed(&own, Succession::Refuse, &texts),
            _ => closed(&own, Succession::Forward, &texts),
        });
    }
    agencies
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever happened, every code leads to exactly one open agency that may have it, by a delivery
    /// that names both codes, or to a refusal that names every open agency behind it.
    #[test]
    fn no_document_is_lost_doubled_or_guessed(drawn in histories(), turned in any::<bool>()) {
        let mut agencies = history(&drawn);
        let names: Vec<_> = agencies[1..].iter().map(|one| one.code.clone()).collect();
        let rules: Vec<_> = agencies.iter().map(|one| (one.code.clone(), one.clone())).collect();
        let rules: std::collections::HashMap<_, _> = rules.into_iter().collect();
        if turned {
            agencies.reverse();
        }
        let directory = Directory::of(rows(agencies)).expect("a history has no circle");
        for name in &names {
            // The model: all open ends, and whether every step on the way says forward.
            let (mut ends, mut free, mut waiting) = (BTreeSet::new(), true, vec![name.clone()]);
            while let Some(next) = waiting.pop() {
                let agency = &rules[&next];
                if agency.is_open(FIRST_DAY) {
                    ends.insert(next);
                    continue;
                }
                free &= agency.succession == Succession::Forward && !agency.successors.is_empty();
                waiting.extend(agency.successors.iter().map(|one| one.code.clone()));
            }
            let letter = envelope("SENDER", &[name.as_str()], &[], &[]);
            let routed = route(&directory, FIRST_DAY, &letter);
            prop_assert_eq!(&routed, &route(&directory, FIRST_DAY, &letter));
            match routed {
                Ok(route) => {
                    prop_assert!(free && ends.len() == 1);
                    let (to, way) = route.destinations().next().expect("one");
                    prop_assert_eq!(route.destinations().len(), 1);
                    prop_assert!(ends.contains(to));
                    let written = (to != name).then(|| name.clone());
                    prop_assert_eq!(&way.addressed, &written);
                }
                Err(refusal) => {
                    prop_assert!(!(free && ends.len() == 1));
                    prop_assert_eq!(refusal.reason, Reason::AgencyClosed);
                    let named = refusal.value("successors").unwrap_or_default();
                    if !ends.is_empty() {
                        let ends: Vec<_> = ends.iter().map(Code::as_str).collect();
                        prop_assert_eq!(named, ends.join(","));
                    }
                }
            }
            let before = goes(&directory, LAST_DAY, &letter);
            prop_assert_eq!(before, name.to_string(), "until the last day everybody is there");
        }
        let snapshot = directory.canonical();
        let again = Directory::from_canonical(&snapshot).expect("its own snapshot");
        prop_assert_eq!(again.canonical(), snapshot);
    }
}
