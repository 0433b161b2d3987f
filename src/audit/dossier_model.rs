//! The room that decides on steps and the auditor that judges them share no code: whatever the one lets
//! pass the other finds sound, and whatever it refuses the other names.

use super::Auditor;
use super::book::key;
use super::report::{Finding, Rule};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::{Code, SystemId};
use crate::document::DossierCode;
use crate::dossier::{By, Dossier, Extra, Step, TRANSITIONS, consent_rule};
use crate::log::{Actor, Entry, EntryId, Event, Grade};

const AGENCIES: [&str; 4] = ["H49.151", "H49.11", "H49", "G22"];
const HOUR: i64 = 3_600_000;

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % count
    }

    fn agency(&mut self) -> Code {
        Code::parse(AGENCIES[self.below(AGENCIES.len())]).expect("a code")
    }
}

fn actor(system: &str) -> Actor {
    let certificate = match system {
        "gateway" => key("gate.example", 7).public().fingerprint(),
        other => Sha256::of(other.as_bytes()),
    };
    Actor { system: SystemId::parse(system).expect("an id"), certificate }
}

fn entry(system: &str, from: Code, step: Step, now: Time) -> Entry {
    Entry {
        from: Some(from),
        dossier: DossierCode::parse("H49.151-20261126-0001"),
        reason: Some(step.word().into()),
        ..Entry::new(Event::DossierStep, now, actor(system))
    }
}

/// A step of a system with the fields that it needs.
fn attempt(dice: &mut Dice, number: usize, now: Time, dossier: Option<&Dossier>) -> Entry {
    let systems: Vec<_> = TRANSITIONS.iter().filter(|row| row.by != By::Gateway).collect();
    let row = systems[dice.below(systems.len())];
    let has = |field| row.must.contains(&field);
    let from = dice.agency();
    let mut to = dice.agency();
    while to == from {
        to = dice.agency();
    }
    let appointment = dossier.and_then(|dossier| dossier.appointment).unwrap_or(now).max(now);
    let later = i64::try_from(1 + dice.below(200)).expect("small") * HOUR;
    let named = has(Extra::To) || row.takes(Extra::To) && dice.below(2) == 0;
    Entry {
        request: Some(Sha256::of(&number.to_be_bytes())),
        to: named.then_some(to),
        note: has(Extra::Note).then(|| Sha256::of(b"note")),
        procedure: has(Extra::Procedure).then(|| "1.004227".into()),
        due: has(Extra::Due).then(|| Time::from_millis(appointment.millis() + later)),
        rule: has(Extra::Rule).then(|| consent_rule(3)),
        grade: Grade::new(4).filter(|_| has(Extra::Grade)),
        ..entry("commune", from, row.step, now)
    }
}

fn findings(entries: &[Entry]) -> Vec<Finding> {
    let mut auditor = Auditor::new(key("gate.example", 7).public());
    entries.iter().for_each(|entry| auditor.entry(&entry.to_leaf()));
    let mut found = auditor.finish().findings;
    found.retain(|finding| finding.rule != Rule::EntriesUnsigned);
    found
}

/// One life of a dossier; gives how many steps were refused.
fn live(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let (mut entries, mut dossier): (Vec<Entry>, Option<Dossier>) = (Vec::new(), None);
    let mut now = Time::from_seconds(1_795_000_000);
    let mut refused = 0;
    for number in 0..120 {
        let hours = i64::try_from(dice.below(30)).expect("small");
        now = Time::from_millis(now.millis() + hours * HOUR + 1);
        while let Some(before) = &dossier {
            let alarm = before.alarm(now);
            assert_eq!(
                alarm.is_some(),
                before.alarm_at().is_some_and(|at| at < now),
                "seed {seed}"
            );
            let Some(alarm) = alarm else { break };
            let entry = alarm.entry(before, Entry::new(Event::DossierStep, now, actor("gateway")));
            dossier = Some(before.after(EntryId::ZERO, &entry));
            entries.push(entry);
        }
        let entry = attempt(&mut dice, number, now, dossier.as_ref());
        let (from, to) = (entry.from.clone().expect("it has one"), entry.to.as_ref());
        let step = entry.reason.as_deref().and_then(Step::from_word).expect("a step");
        if Dossier::check(dossier.as_ref(), step, &from, to).is_ok() {
            dossier = match &dossier {
                Some(before) => Some(before.after(EntryId::ZERO, &entry)),
                None => Dossier::begin(EntryId::ZERO, &entry),
            };
            entries.push(entry);
            continue;
        }
        refused += 1;
        let mut forged = entries.clone();
        forged.push(entry);
        let found = findings(&forged);
        assert!(!found.is_empty(), "seed {seed}, {number}: {:#?}", forged.last());
    }
    assert_eq!(findings(&entries), [], "seed {seed}");
    refused
}

#[test]
fn what_the_room_lets_pass_is_sound_and_what_it_refuses_is_named() {
    let refused: usize = (0..60).map(live).sum();
    assert!(refused > 1_000, "only {refused} steps were refused");
}
