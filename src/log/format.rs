//! The examples of `FORMAT.md`, made anew from code and held against the page: a vector that lies
//! breaks the build.

use super::*;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::{Code, SystemId};
use crate::document::{ConsignmentId, DossierCode, Urgency};

const PAGE: &str = include_str!("FORMAT.md");
/// In seconds.
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The body of the fenced block with this info string.
fn block(info: &str) -> &'static str {
    let (_, rest) = PAGE
        .split_once(&format!("\n```{info}\n"))
        .unwrap_or_else(|| panic!("FORMAT.md has no block `{info}`"));
    let end = rest.find("\n```\n").expect("a block ends");
    &rest[..=end]
}

fn check(info: &str, made: &str) {
    assert_eq!(block(info), made, "the block `{info}` of FORMAT.md");
}

/// The private key that is 32 bytes of `byte`, in PKCS #8: worthless.
pub fn key_of(byte: u8) -> Vec<u8> {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend_from_slice(&[byte; 32]);
    der
}

fn key() -> LogKey {
    LogKey::from_pkcs8("gate.example", &key_of(7)).expect("a key")
}

fn actor(system: &str) -> Actor {
    let certificate = match system {
        "gateway" => key().public().fingerprint(),
        other => Sha256::of(other.as_bytes()),
    };
    Actor { system: SystemId::parse(system).expect("an id"), certificate }
}

fn entry(event: Event, system: &str, second: i64) -> Entry {
    let noon: Time = "2026-11-22T03:45:18.123Z".parse().expect("a time");
    let time = Time::from_millis(noon.millis() + second * 1000);
    let mut entry = Entry::new(event, time, actor(system));
    entry.consignment = ConsignmentId::parse("019ab2c3-7d2b-7000-8000-000000000001");
    entry.from = Code::parse("H49.151");
    entry.envelope = Some(Sha256::of(b"envelope"));
    entry
}

fn passed(report: &[u8]) -> VerdictMark {
    let (indication, legal_value) = ("TOTAL-PASSED".into(), "ORIGINAL".into());
    VerdictMark { indication, legal_value, report: Sha256::of(report) }
}

fn at(mut entry: Entry, recipient: &str) -> Entry {
    entry.to = Code::parse(recipient);
    entry
}

/// The epochs of the example log.
fn example() -> [Vec<Entry>; 4] {
    let mut acceptance = entry(Event::SubmissionAcceptance, "commune", 0);
    acceptance.document = Some("H49.151,2026/11/22,12/UBND-VP".into());
    acceptance.number = Some("12/UBND-VP".into());
    acceptance.dossier = DossierCode::parse("H49.151-20261122-0001");
    acceptance.urgency = Some(Urgency::Urgent);
    acceptance.request = Some(Sha256::of(b"H49.151\n0d9a3a4e-52b5-4f61-8f0a-3c1c2f6f2a10"));
    acceptance.recipients = Some(RecipientSet { count: 2, digest: Sha256::of(b"H49\nH49.11\n") });
    acceptance.verdict = Some(passed(b"report"));
    let consigned = |recipient| {
        let mut entry = at(entry(Event::ContentConsignment, "gateway", 0), recipient);
        entry.urgency = Some(Urgency::Urgent);
        entry
    };
    let mut handover = at(entry(Event::ContentHandover, "province", 61), "H49");
    handover.status = Some(Status::Accepted);
    let mut refusal = at(entry(Event::ConsignmentRejection, "province", 62), "H49.11");
    refusal.status = Some(Status::Refused);
    refusal.reason = Some("RECIPIENT".into());
    refusal.note = Some(Sha256::of(b"000102030405060708090a0b0c0d0e0f\nwrong address"));
    let mut report = at(entry(Event::StatusReport, "province", 3600), "H49");
    report.status = Some(Status::InProgress);
    let entries =
        vec![acceptance, consigned("H49"), consigned("H49.11"), handover, refusal, report];

    let second = second_epoch(tree_of(&entries).root());
    let third = third_epoch(tree_of(&second).root());
    let fourth = fourth_epoch(tree_of(&third).root());
    [entries, second, third, fourth]
}

/// What the second epoch tells of: a document that nobody takes, a service that fails.
fn second_epoch(root: Sha256) -> Vec<Entry> {
    let bare = |event, system, second| Entry {
        consignment: None,
        from: None,
        envelope: None,
        ..entry(event, system, second)
    };
    let of = |event, system, second| Entry {
        consignment: ConsignmentId::parse("019ab7ea-1f6b-7000-8000-000000000002"),
        envelope: Some(Sha256::of(b"envelope 2")),
        ..entry(event, system, second)
    };
    let at = |event, system, second| at(of(event, system, second), "H49.12");
    let expired = |event, second, since| Entry {
        reason: Some("EXPIRED".into()),
        since: Some(entry(event, "gateway", since).time),
        ..at(event, "gateway", second)
    };
    let acceptance = Entry {
        document: Some("H49.151,2026/11/23,13/UBND-VP".into()),
        urgency: Some(Urgency::Normal),
        request: Some(Sha256::of(b"H49.151\n5d0f5a52-6f62-4e0f-9d7a-9b1f0f5f7a11")),
        recipients: Some(RecipientSet { count: 1, digest: Sha256::of(b"H49.12\n") }),
        verdict: Some(passed(b"report 2")),
        ..of(Event::SubmissionAcceptance, "commune", DAY)
    };
    let mut consigned = at(Event::ContentConsignment, "gateway", DAY);
    consigned.urgency = Some(Urgency::Normal);
    let mut opening = bare(Event::EpochOpening, "gateway", DAY);
    opening.previous_epoch = Some(SignedHead { epoch: 1, size: 6, root });
    let mut entries = vec![
        opening,
        acceptance,
        consigned,
        expired(Event::ConsignmentNotificationFailure, 2 * DAY + 60, 2 * DAY),
        at(Event::ConsignmentNotification, "gateway", 2 * DAY + HOUR),
        at(Event::ContentAccessTracking, "province", 2 * DAY + HOUR + 1),
        expired(Event::ContentHandoverFailure, DAY + 36 * HOUR + 60, DAY + 36 * HOUR),
    ];
    let service = |event, kind, second| Entry {
        service: Service::new(kind, "tsa.example"),
        ..bare(event, "gateway", DAY + second)
    };
    let mut outage = service(Event::Outage, ServiceKind::Tsa, 36 * HOUR + 120);
    let mut repair = service(Event::Repair, ServiceKind::Tsa, 40 * HOUR);
    outage.since = Some(bare(Event::Outage, "gateway", DAY + 36 * HOUR + 90).time);
    repair.since = outage.since;
    entries.extend([outage, repair]);
    let mut stamp = service(Event::TimeStamp, ServiceKind::Tsa, 40 * HOUR);
    stamp.covers = Some(SignedHead { epoch: 2, size: 9, root: tree_of(&entries).root() });
    stamp.content = Some(Sha256::of(b"token"));
    let mut clock = service(Event::ClockCheck, ServiceKind::Clock, 40 * HOUR);
    clock.offset = Some(-12);
    let note = |text: &str| {
        Some(Sha256::of(format!("000102030405060708090a0b0c0d0e0f\n{text}").as_bytes()))
    };
    let mut hold = of(Event::Hold, "gateway", DAY + 41 * HOUR);
    (hold.reason, hold.note) = (Some("INSPECTION".into()), note("legal case 7"));
    let mut release = of(Event::Release, "gateway", DAY + 42 * HOUR);
    release.reason = Some("INSPECTION".into());
    let mut erasure = of(Event::Erasure, "gateway", DAY + 43 * HOUR);
    (erasure.reason, erasure.note) = (Some("ORDER".into()), note("order 8"));
    erasure.bodies = Some(BodySet::of(vec![Sha256::of(b"body 1"), Sha256::of(b"body 2")]));
    let mut read = of(Event::AuditorsRead, "inspector", DAY + 44 * HOUR);
    (read.from, read.envelope, read.reason) = (None, None, Some("TRACE".into()));
    read.note = note("consignment 019ab7ea-1f6b-7000-8000-000000000002");
    entries.extend([stamp, clock, hold, release, erasure, read]);
    entries
}

const OTHER: &str = "other.example";
const NATION: &str = "nation.example";

/// An entry of the third epoch about the consignment of this number.
fn later(number: u128, from: &str, event: Event, system: &str, second: i64) -> Entry {
    let id = 0x019a_bd10_1f6b_7000_8000_0000_0000_0000 + number;
    Entry {
        consignment: Some(ConsignmentId(uuid::Uuid::from_u128(id))),
        from: Code::parse(from),
        envelope: Some(Sha256::of(format!("envelope {number}").as_bytes())),
        ..entry(event, system, 3 * DAY + second)
    }
}

fn ours(event: Event, system: &str, second: i64) -> Entry {
    later(3, "H49.151", event, system, second)
}

fn theirs(event: Event, system: &str, second: i64) -> Entry {
    later(4, "H01.151", event, system, second)
}

fn neighbour(name: &str) -> Option<Service> {
    Service::new(ServiceKind::Gateway, name)
}

/// What a neighbour brought or told.
fn told(by: &str, entry: Entry) -> Entry {
    let content = Some(Sha256::of(format!("told by {by}").as_bytes()));
    Entry { service: neighbour(by), content, ..entry }
}

fn accepted(entry: Entry, document: &str, recipients: &str) -> Entry {
    Entry {
        document: Some(document.into()),
        urgency: Some(Urgency::Normal),
        request: Some(Sha256::of(document.as_bytes())),
        recipients: Some(RecipientSet {
            count: u32::try_from(recipients.lines().count()).expect("few"),
            digest: Sha256::of(recipients.as_bytes()),
        }),
        verdict: Some(passed(document.as_bytes())),
        ..entry
    }
}

fn ordered(reason: &str, status: Status, entry: Entry) -> Entry {
    Entry { status: Some(status), reason: Some(reason.into()), ..entry }
}

/// What the third epoch tells of: neighbours, a closed agency, and documents that are called back.
fn third_epoch(root: Sha256) -> Vec<Entry> {
    use Event as E;
    let urgency = Some(Urgency::Normal);
    let bare = |event, second| Entry {
        consignment: None,
        from: None,
        envelope: None,
        ..ours(event, "gateway", second)
    };
    let mut opening = bare(E::EpochOpening, 0);
    opening.previous_epoch = Some(SignedHead { epoch: 2, size: 15, root });
    let first = ours(E::SubmissionAcceptance, "commune", 0);
    let mut relay = at(ours(E::Relay, "gateway", 0), "H01.151");
    (relay.urgency, relay.service) = (urgency, neighbour(OTHER));
    let mut consigned = at(ours(E::ContentConsignment, "gateway", 0), "H49.13");
    (consigned.urgency, consigned.addressed) = (urgency, Code::parse("H49.61"));
    let reported = |event, second| told(OTHER, at(ours(event, "neighbour", second), "H01.151"));
    let mut arrived = reported(E::ContentConsignment, 10);
    arrived.urgency = urgency;
    let mut taken = reported(E::ContentHandover, 70);
    taken.status = Some(Status::Accepted);
    let recall = at(ours(E::Order, "commune", 80), "H01.151");
    let mut directory = bare(E::DirectoryChange, HOUR);
    directory.content = Some(Sha256::of(b"directory"));
    directory.note = Some(Sha256::of(b"000102030405060708090a0b0c0d0e0f\ndecision 9"));
    let mut redirection = at(ours(E::Redirection, "gateway", HOUR + 1), "H49.14");
    (redirection.urgency, redirection.addressed) = (urgency, Code::parse("H49.13"));
    let second = told(OTHER, theirs(E::SubmissionAcceptance, "neighbour", 2 * HOUR));
    let mut on = at(theirs(E::Relay, "gateway", 2 * HOUR), "G22");
    (on.urgency, on.service) = (urgency, neighbour(NATION));
    let replace = at(ours(E::Order, "commune", 3 * HOUR), "H49.14");
    let withdrawn = at(ours(E::OrderAnswer, "gateway", 3 * HOUR), "H49.14");
    let mut late = at(theirs(E::RelayFailure, "gateway", 14 * HOUR + 60), "G22");
    (late.service, late.reason) = (neighbour(NATION), Some("EXPIRED".into()));
    late.since = Some(theirs(E::RelayFailure, "gateway", 14 * HOUR).time);
    let mut refused = told(NATION, at(theirs(E::RelayRejection, "nation", 15 * HOUR), "G22"));
    refused.reason = Some("RECIPIENT_UNKNOWN".into());
    let by = second.consignment;
    vec![
        opening,
        accepted(first, "H49.151,2026/11/24,14/UBND-VP", "H01.151\nH49.13\n"),
        relay,
        consigned,
        reported(E::RelayAcceptance, 10),
        arrived,
        taken,
        ordered("RECALL", Status::Withdrawal, recall),
        ordered("RECALL", Status::Declined, reported(E::OrderAnswer, 90)),
        directory,
        redirection,
        accepted(second, "H01.151,2026/11/24,7/UBND", "G22\n"),
        on,
        Entry { by, ..ordered("REPLACE", Status::Withdrawal, replace) },
        ordered("REPLACE", Status::Agreed, withdrawn),
        late,
        refused,
    ]
}

/// A step of the dossier of the fourth epoch.
fn step(word: &str, system: &str, from: &str, second: i64) -> Entry {
    let request = format!("{from}\n{word}");
    Entry {
        consignment: None,
        envelope: None,
        from: Code::parse(from),
        dossier: DossierCode::parse("H49.151-20261126-0002"),
        request: (system != "gateway").then(|| Sha256::of(request.as_bytes())),
        reason: Some(word.into()),
        ..entry(Event::DossierStep, system, 4 * DAY + second)
    }
}

fn commented(entry: Entry, text: &str) -> Entry {
    let note = Sha256::of(format!("000102030405060708090a0b0c0d0e0f\n{text}").as_bytes());
    Entry { note: Some(note), ..entry }
}

/// The last moment of a day in Vietnam.
fn end_of(day: &str) -> Option<Time> {
    Time::end_in_vietnam(day.parse().expect("a day"))
}

/// What the fourth epoch tells of: a dossier that is late.
fn fourth_epoch(root: Sha256) -> Vec<Entry> {
    let commune = |word, second| step(word, "commune", "H49.151", second);
    let department = |word, second| step(word, "province", "H49.11", second);
    let gateway = |word, second| step(word, "gateway", "H49.11", second);
    let mut opening = gateway("", 0);
    (opening.event, opening.from, opening.dossier) = (Event::EpochOpening, None, None);
    opening.reason = None;
    opening.previous_epoch = Some(SignedHead { epoch: 3, size: 17, root });
    let procedure = Some("1.004227".to_owned());
    let applicant = Some(Sha256::of(b"000102030405060708090a0b0c0d0e0f\nan applicant"));
    let (first, moved) = (end_of("2026-12-03"), end_of("2026-12-04"));
    let (answered, promised) = (end_of("2026-12-02"), end_of("2026-12-08"));
    let rule = Some("CONSENT-AFTER-3-WORKING-DAYS".to_owned());
    let asked = Entry {
        due: answered,
        rule: rule.clone(),
        ..department("OPINION_REQUEST", DAY + 3 * HOUR)
    };
    let consent = Entry { since: answered, rule, ..gateway("DEEMED_CONSENT", 6 * DAY + 14 * HOUR) };
    let result = Entry {
        consignment: ConsignmentId::parse("019abd10-1f6b-7000-8000-000000000005"),
        envelope: Some(Sha256::of(b"envelope 5")),
        event: Event::SubmissionAcceptance,
        reason: None,
        ..department("", 9 * DAY)
    };
    let mut result = accepted(result, "H49.11,2026/12/05,15/STNMT", "H49.151\n");
    let consigned = Entry {
        event: Event::ContentConsignment,
        consignment: result.consignment,
        envelope: result.envelope,
        urgency: result.urgency,
        dossier: None,
        reason: None,
        ..at(gateway("", 9 * DAY), "H49.151")
    };
    result.dossier = DossierCode::parse("H49.151-20261126-0002");
    let completion =
        Entry { consignment: result.consignment, ..department("COMPLETION", 9 * DAY + 60) };
    let graded = Entry { grade: Grade::new(5), ..commune("SATISFACTION", 9 * DAY + 3 * HOUR) };
    vec![
        opening,
        Entry { procedure: procedure.clone(), applicant, ..commune("REGISTRATION", 60) },
        Entry { procedure, due: first, ..commune("RECEPTION", 120) },
        at(commune("HANDOVER", HOUR), "H49.11"),
        commented(department("SUPPLEMENT_REQUEST", 2 * HOUR), "a map"),
        Entry { due: moved, ..commune("SUPPLEMENT", DAY + 2 * HOUR) },
        at(asked, "G22"),
        Entry { due: moved, ..gateway("REMINDER", 5 * DAY + 14 * HOUR) },
        at(consent, "G22"),
        department("APPRAISAL", 7 * DAY),
        department("APPROVAL", 8 * DAY),
        Entry { since: moved, ..gateway("OVERDUE", 8 * DAY + 14 * HOUR) },
        commented(Entry { due: promised, ..commune("APOLOGY", 8 * DAY + 15 * HOUR) }, "a flood"),
        department("SEALING", 9 * DAY),
        result,
        consigned,
        completion,
        commune("RETURN", 9 * DAY + HOUR),
        commented(commune("FEEDBACK", 9 * DAY + 2 * HOUR), "the map was there"),
        commented(graded, "polite"),
    ]
}

fn tree_of(entries: &[Entry]) -> Tree {
    let mut tree = Tree::default();
    tree.append(entries.iter().map(|entry| leaf_hash(&entry.to_leaf())).collect());
    tree
}

fn note(epoch: u32, entries: &[Entry]) -> String {
    let origin = Origin { gateway: "gate.example".into(), epoch };
    let root = tree_of(entries).root();
    let checkpoint = Checkpoint { origin, size: entries.len() as u64, root };
    String::from_utf8(key().sign(&checkpoint)).expect("a note is text")
}

#[test]
fn every_entry_on_the_page_is_the_entry_it_claims_to_be() {
    let epochs = example();
    for (epoch, entries) in (1..).zip(&epochs) {
        for (index, entry) in entries.iter().enumerate() {
            let leaf = String::from_utf8(entry.to_leaf()).expect("an entry is text");
            let info = format!("entry {epoch}/{index}");
            check(&info, &leaf);
            assert_eq!(Entry::from_leaf(block(&info).as_bytes()).as_ref(), Ok(entry));
        }
    }
    let written = PAGE.matches("\n```entry ").count();
    assert_eq!(
        written,
        epochs.iter().map(Vec::len).sum::<usize>(),
        "an entry on the page is not checked"
    );
}

#[test]
fn the_hashes_on_the_page_are_right() {
    let [entries, second, third, fourth] = example();
    let hash = |entry: &Entry| leaf_hash(&entry.to_leaf());
    let mut lines: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| format!("leaf 1/{index} {}", hash(entry)))
        .collect();
    let leaf = |index: usize| hash(&entries[index]);
    let node = |left: usize| node_hash(&leaf(left), &leaf(left + 1));
    lines.push(format!("node 0..2 {}", node(0)));
    lines.push(format!("node 2..4 {}", node(2)));
    lines.push(format!("node 4..6 {}", node(4)));
    lines.push(format!("node 0..4 {}", node_hash(&node(0), &node(2))));
    lines.push(format!("root 1 6 {}", tree_of(&entries).root()));
    lines.push(format!("root 2 15 {}", tree_of(&second).root()));
    lines.push(format!("root 3 17 {}", tree_of(&third).root()));
    lines.push(format!("root 4 20 {}", tree_of(&fourth).root()));
    check("hashes", &(lines.join("\n") + "\n"));
}

#[test]
fn the_key_the_checkpoints_and_the_texts_on_the_page_are_right() {
    let [entries, second, third, fourth] = example();
    check("vkey", &format!("{}\n", key().public()));
    check("checkpoint 1", &note(1, &entries));
    check("checkpoint 2", &note(2, &second));
    check("checkpoint 3", &note(3, &third));
    check("checkpoint 4", &note(4, &fourth));
    for epoch in 1..=4 {
        let note = block(&format!("checkpoint {epoch}"));
        let opened = key().public().open(note.as_bytes()).expect("signed");
        assert_eq!(opened.origin.epoch, epoch);
    }
    let request = entries[0].request.expect("an acceptance has one");
    check("request", &format!("H49.151\n0d9a3a4e-52b5-4f61-8f0a-3c1c2f6f2a10\n{request}\n"));
    let note = entries[4].note.expect("a rejection has one");
    check("note", &format!("000102030405060708090a0b0c0d0e0f\nwrong address\n{note}\n"));
    let recipients = entries[0].recipients.expect("an acceptance has them").digest;
    check("recipients", &format!("H49\nH49.11\n{recipients}\n"));
    let bodies = vec![Sha256::of(b"body 1"), Sha256::of(b"body 2")];
    let (set, mut sorted) = (BodySet::of(bodies.clone()), bodies);
    sorted.sort();
    check("bodies", &format!("{}\n{}\n{}\n", sorted[0], sorted[1], set.digest));
}

#[test]
fn the_names_of_tiles_on_the_page_are_right() {
    let names: Vec<String> = ["0/x001/x234/067", "1/000.p/17", "entries/005.p/112"]
        .into_iter()
        .map(|text| {
            let TileName { kind, index, width } = TileName::parse(text).expect("a name");
            let kind = match kind {
                TileKind::Hashes(level) => level.to_string(),
                TileKind::Entries => "entries".to_owned(),
            };
            format!("{text} {kind} {index} {width}\n")
        })
        .collect();
    check("tiles", &names.concat());
}
