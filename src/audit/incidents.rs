//! The log of `log/FORMAT.md`, in whose second epoch much goes wrong, and ways to forge what it says
//! of that.

use super::book::{Book, Epoch};
use super::*;

/// The body of a fenced block of the page.
fn block(info: &str) -> Option<&'static str> {
    let page = include_str!("../log/FORMAT.md");
    let (_, rest) = page.split_once(&format!("\n```{info}\n"))?;
    Some(&rest[..=rest.find("\n```\n")?])
}

fn documented() -> Book {
    let epoch = |number: u32| {
        let leaves = (0..).map_while(|index| block(&format!("entry {number}/{index}")));
        let note = block(&format!("checkpoint {number}")).expect("a checkpoint");
        Epoch {
            leaves: leaves.map(|leaf| leaf.as_bytes().to_vec()).collect(),
            notes: vec![note.as_bytes().to_vec()],
        }
    };
    Book(vec![epoch(1), epoch(2), epoch(3)])
}

fn found(report: &Report) -> Vec<String> {
    let name = |finding: &Finding| {
        let entry = finding.entry.map(|entry| entry.to_string()).unwrap_or_default();
        format!("{} {entry}", finding.rule)
    };
    report.findings.iter().map(name).collect()
}

/// A forgery by an operator who signs the result, the checkpoint before the time-stamp too.
fn check(what: &str, forge: impl FnOnce(&mut Book), expected: &[&str]) {
    let mut book = documented();
    forge(&mut book);
    book.chain(2);
    book.sign_ends();
    let early = book.sign(1, 9);
    book.0[1].notes.insert(0, early);
    let report = book.audit();
    assert_eq!(found(&report), expected, "{what}: {:#?}", report.findings);
}

fn copy(book: &mut Book, from: &str, to: &str) {
    let leaf = book.leaf(from).clone();
    book.insert(to, leaf);
}

#[test]
fn the_documented_log_is_sound() {
    let report = documented().audit();
    assert_eq!(report.findings, []);
    assert_eq!((report.entries, report.epochs), (38, 3));
    assert_eq!((report.counts.failures, report.counts.stamps), (3, 1));
}

#[test]
fn failures_that_did_not_happen_are_named() {
    check(
        "a notice in time is denied",
        |b| b.swap("2/3", "2/4"),
        &["time-backwards 2/4", "stamp-covers 2/9"],
    );
    check(
        "a notice in time stands before the failure",
        |b| {
            b.swap("2/3", "2/4");
            b.edit("2/3", "2026-11-24T04:45:18.123Z", "2026-11-24T03:45:18.123Z");
            b.edit("2/4", "time 2026-11-24T03:46:18.123Z", "time 2026-11-24T04:45:18.123Z");
        },
        &["failure-untrue 2/4", "stamp-covers 2/9"],
    );
    check(
        "content was read in time",
        |b| {
            b.swap("2/3", "2/5");
            b.edit("2/3", "2026-11-24T04:45:19.123Z", "2026-11-24T03:45:18.122Z");
            b.edit("2/5", "time 2026-11-24T03:46:18.123Z", "time 2026-11-24T04:45:19.123Z");
        },
        &["failure-untrue 2/5", "stamp-covers 2/9"],
    );
    check(
        "a failure is told when its time ends",
        |b| b.edit("2/3", "since 2026-11-24T03:45:18.123Z", "since 2026-11-24T03:46:18.123Z"),
        &["failure-untrue 2/3", "stamp-covers 2/9"],
    );
    check(
        "a failure is told before its time has ended",
        |b| b.edit("2/3", "since 2026-11-24", "since 2026-11-25"),
        &["since-later 2/3", "stamp-covers 2/9"],
    );
    check(
        "the time ended before it began",
        |b| b.edit("2/6", "since 2026-11-24", "since 2026-11-22"),
        &["failure-untrue 2/6", "stamp-covers 2/9"],
    );
    check(
        "a document that was taken was not handed over",
        |b| {
            let text = String::from_utf8(b.leaf("1/3").clone()).expect("text");
            let failure = text
                .replace("event ContentHandover", "event ContentHandoverFailure")
                .replace("time 2026-11-22", "time 2026-11-24")
                .replace("status 03", "reason EXPIRED\nsince 2026-11-23T15:45:18.123Z");
            let (_, gateway) = block("entry 1/1").expect("one").split_once("actor ").expect("one");
            let gateway = gateway.lines().next().expect("an actor");
            let (_, actor) = failure.split_once("actor ").expect("an actor");
            let actor = actor.lines().next().expect("an actor").to_owned();
            b.insert("2/3", failure.replace(&actor, gateway).into_bytes());
        },
        &["failure-untrue 2/3", "time-backwards 2/4", "stamp-covers 2/10"],
    );
}

#[test]
fn events_that_stand_twice_or_for_nobody_are_named() {
    for (id, next) in [("2/3", "2/4"), ("2/4", "2/5"), ("2/5", "2/6"), ("2/6", "2/7")] {
        check(
            "it stands twice",
            |b| copy(b, id, next),
            &[&format!("event-twice {next}"), "stamp-covers 2/10"],
        );
        check(
            "it is about somebody who was sent nothing",
            |b| b.edit(id, "to H49.12", "to H49.13"),
            &[&format!("answer-orphaned {id}"), "stamp-covers 2/9"],
        );
    }
    check(
        "the gateway reads for the recipient",
        |b| b.edit("2/5", "actor province", "actor gateway"),
        &["entry-actor 2/5", "stamp-covers 2/9"],
    );
    check(
        "a system notifies",
        |b| b.edit("2/4", "actor gateway", "actor province"),
        &["entry-actor 2/4", "stamp-covers 2/9"],
    );
    check(
        "a failure has another reason",
        |b| b.edit("2/3", "reason EXPIRED", "reason RECIPIENT"),
        &["entry-fields 2/3", "stamp-covers 2/9"],
    );
    check(
        "a failure does not say which time ended",
        |b| b.drop_line("2/6", "since"),
        &["entry-fields 2/6", "stamp-covers 2/9"],
    );
    check(
        "another envelope is notified",
        |b| {
            let (_, digest) =
                block("entry 1/0").expect("one").split_once("envelope ").expect("one");
            let (_, own) = block("entry 2/4").expect("one").split_once("envelope ").expect("one");
            b.edit("2/4", &own[..64], &digest[..64]);
        },
        &["parties-differ 2/4", "stamp-covers 2/9"],
    );
}

#[test]
fn services_that_do_not_fit_are_named() {
    check("an outage is left out", |b| b.remove("2/7"), &["outage-order 2/7", "stamp-covers 2/8"]);
    check(
        "an outage within an outage",
        |b| copy(b, "2/7", "2/8"),
        &["outage-order 2/8", "stamp-covers 2/10"],
    );
    check(
        "a repair of another outage",
        |b| b.edit("2/8", "since 2026-11-24T15:46:48", "since 2026-11-24T15:46:47"),
        &["outage-order 2/8", "stamp-covers 2/9"],
    );
    check(
        "an outage begins after it was noticed",
        |b| b.edit("2/7", "since 2026-11-24", "since 2026-11-25"),
        &["since-later 2/7", "outage-order 2/8", "stamp-covers 2/9"],
    );
    check(
        "a time-stamp covers what comes after it",
        |b| b.edit("2/9", "covers 2 9 ", "covers 2 10 "),
        &["stamp-covers 2/9"],
    );
    check(
        "a time-stamp covers a later epoch",
        |b| b.edit("2/9", "covers 2 9 ", "covers 3 9 "),
        &["stamp-covers 2/9"],
    );
    check(
        "a witness stamps",
        |b| b.edit("2/9", "service tsa", "service witness"),
        &["entry-fields 2/9"],
    );
    check(
        "the clock of a time-stamp service",
        |b| b.edit("2/10", "service clock", "service tsa"),
        &["entry-fields 2/10"],
    );
    check(
        "an offset of minus nothing",
        |b| b.edit("2/10", "offset -12", "offset -0"),
        &["entry-form 2/10"],
    );
}

#[test]
fn erasures_and_reads_that_do_not_fit_are_named() {
    for (id, then) in
        [("2/11", Some("hold-order 2/12")), ("2/12", Some("erasure-held 2/13")), ("2/13", None)]
    {
        let orphaned = format!("keeping-orphaned {id}");
        check(
            "nobody was accepted under this consignment",
            |b| b.edit(id, "-000000000002", "-000000000009"),
            &[Some(&*orphaned), then].into_iter().flatten().collect::<Vec<_>>(),
        );
        check(
            "it names another sender",
            |b| b.edit(id, "from H49.151", "from H49"),
            &[&format!("parties-differ {id}")],
        );
    }
    check("bodies are erased that are held", |b| b.remove("2/12"), &["erasure-held 2/12"]);
    check("bodies are erased twice", |b| copy(b, "2/13", "2/14"), &["erasure-twice 2/14"]);
    check("a hold within a hold", |b| copy(b, "2/11", "2/12"), &["hold-order 2/12"]);
    check(
        "a hold of what is erased",
        |b| copy(b, "2/11", "2/14"),
        &["time-backwards 2/14", "hold-order 2/14"],
    );
    check("a hold is released twice", |b| copy(b, "2/12", "2/13"), &["hold-order 2/13"]);
    check(
        "another hold is released",
        |b| b.edit("2/12", "reason INSPECTION", "reason LAWSUIT"),
        &["hold-order 2/12", "erasure-held 2/13"],
    );
    check("no body is erased", |b| b.edit("2/13", "bodies 2", "bodies 0"), &["entry-form 2/13"]);
    check("bodies are not named", |b| b.drop_line("2/13", "bodies"), &["entry-fields 2/13"]);
    check(
        "a body is erased without a reason",
        |b| b.edit("2/13", "reason ORDER", "reason WISH"),
        &["entry-fields 2/13"],
    );
    check(
        "the gateway reads as an auditor",
        |b| b.edit("2/14", "actor inspector", "actor gateway"),
        &["entry-actor 2/14"],
    );
    check(
        "a read does not say of what kind",
        |b| b.edit("2/14", "TRACE", "LOOK"),
        &["entry-fields 2/14"],
    );
}

#[test]
fn what_a_neighbour_cannot_say_is_named() {
    check(
        "a neighbour tells of a recipient of ours",
        |b| b.edit("3/6", "to H01.151", "to H49.13"),
        &["neighbour-wrong 3/6", "redirection-wrong 3/10"],
    );
    check(
        "another neighbour tells",
        |b| b.edit("3/6", "gateway other", "gateway nation"),
        &["neighbour-wrong 3/6"],
    );
    check(
        "nobody tells what only a neighbour can know",
        |b| {
            b.drop_line("3/6", "content");
            b.drop_line("3/6", "service");
        },
        &["neighbour-wrong 3/6"],
    );
    check("a neighbour has no evidence", |b| b.drop_line("3/6", "content"), &["entry-fields 3/6"]);
    check(
        "a neighbour is a time-stamping authority",
        |b| b.edit("3/2", "service gateway", "service tsa"),
        &[
            "entry-fields 3/2",
            "neighbour-wrong 3/4",
            "neighbour-wrong 3/5",
            "neighbour-wrong 3/6",
            "neighbour-wrong 3/8",
        ],
    );
    check(
        "an order comes from a neighbour that brought nothing",
        |b| {
            let text = String::from_utf8(b.leaf("3/6").clone()).expect("text");
            let told = &text[text.find("content ").expect("told")..];
            let order = String::from_utf8(b.leaf("3/7").clone()).expect("text");
            *b.leaf("3/7") = format!("{order}{told}").into_bytes();
        },
        &["neighbour-wrong 3/7"],
    );
    check(
        "a neighbour has in a mailbox what it did not take",
        |b| {
            copy(b, "3/4", "3/5");
            b.edit("3/5", "event RelayAcceptance", "event RelayRejection");
            b.edit("3/5", "content", "reason BUSY\ncontent");
        },
        &["event-twice 3/6"],
    );
    check("a neighbour takes it twice", |b| copy(b, "3/4", "3/5"), &["event-twice 3/5"]);
    check(
        "a neighbour had answered in time",
        |b| {
            b.swap("3/15", "3/16");
            b.edit("3/15", "T18:45:18.123Z", "T17:45:18.123Z");
        },
        &["failure-untrue 3/16"],
    );
    check(
        "the gateway acts as a neighbour",
        |b| {
            let text = String::from_utf8(b.leaf("3/2").clone()).expect("text");
            let ours = text.lines().find(|line| line.starts_with("actor ")).expect("an actor");
            b.drop_line("3/6", "actor");
            b.edit("3/6", "consignment", &format!("{ours}\nconsignment"));
        },
        &["entry-actor 3/6"],
    );
}

#[test]
fn redirections_and_orders_that_do_not_fit_are_named() {
    check(
        "a recipient is its own successor",
        |b| b.edit("3/10", "to H49.14", "to H49.13"),
        &["redirection-wrong 3/10", "answer-orphaned 3/13", "answer-orphaned 3/14"],
    );
    check(
        "what is behind a neighbour is redirected",
        |b| b.edit("3/10", "addressed H49.13", "addressed H01.151"),
        &["redirection-wrong 3/10"],
    );
    check(
        "nothing was there to be redirected",
        |b| b.edit("3/10", "addressed H49.13", "addressed H49.99"),
        &["redirection-wrong 3/10"],
    );
    check(
        "what was redirected is redirected again",
        |b| copy(b, "3/10", "3/11"),
        &["redirection-wrong 3/11"],
    );
    check(
        "another urgency",
        |b| b.edit("3/10", "urgency normal", "urgency flash"),
        &["parties-differ 3/10"],
    );
    check(
        "what was redirected is withdrawn",
        |b| {
            b.edit("3/13", "to H49.14", "to H49.13");
            b.edit("3/14", "to H49.14", "to H49.13");
        },
        &["answer-twice 3/14"],
    );
    check("an order within an order", |b| copy(b, "3/7", "3/8"), &["order-sequence 3/8"]);
    check("an answer to no order", |b| b.remove("3/7"), &["order-sequence 3/7"]);
    check(
        "an answer to another order",
        |b| b.edit("3/8", "RECALL", "UPDATE"),
        &["order-sequence 3/8"],
    );
    check(
        "a recall by another document",
        |b| b.edit("3/7", "RECALL\n", "RECALL\nby 019abd10-1f6b-7000-8000-000000000003\n"),
        &["order-sequence 3/7"],
    );
    check("a replacement by nothing", |b| b.drop_line("3/13", "by"), &["order-sequence 3/13"]);
    check(
        "a replacement by what was not accepted",
        |b| b.edit("3/13", "by 019abd10", "by 019abd11"),
        &["order-sequence 3/13"],
    );
}
