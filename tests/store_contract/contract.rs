//! The contract: what every store must do, case by case. A case panics if the store does not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use uuid::Uuid;
use vanthu::clock::Time;
use vanthu::delivery::{Cursor, Holder, LeaseRequest, Term, Transport};
use vanthu::digest::Sha256;
use vanthu::document::Urgency;
use vanthu::dossier::State;
use vanthu::gateway::ports::{LeaderTerm, Leased, Place, Settled, Store, StoreError, Which};
use vanthu::limits::DOSSIER_REMINDER;
use vanthu::log::{Entry, EntryId};

use crate::ledger::{
    Extras, Ledger, accepted, at, audit, code, consigned, consignment, envelope, handed_over, key,
    later, request, start, step,
};

/// A place where a store can be opened again and again.
pub trait Site {
    /// Opens the store. The one opened before is gone.
    fn open(&self) -> Result<Box<dyn Store>, StoreError>;
}

/// A site with its store, led by the ledger.
pub struct Desk {
    site: Box<dyn Site>,
    store: Option<Box<dyn Store>>,
    pub ledger: Ledger,
}

impl Desk {
    fn new(site: Box<dyn Site>) -> Self {
        let store = site.open().expect("a new store opens");
        let term = store.lead("first", start(), later(60)).expect("nobody else leads");
        let ledger = Ledger::load(store.as_ref(), term).expect("loads");
        Self { site, store: Some(store), ledger }
    }

    pub fn store(&self) -> &dyn Store {
        self.store.as_deref().expect("open")
    }

    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.site.open().expect("reopens"));
    }

    fn commit(&mut self, entries: &[vanthu::log::Entry]) {
        let store = self.store.as_deref().expect("open");
        self.ledger.commit(store, entries).expect("commits");
    }

    /// A submission with one recipient; gives the item's position.
    fn submit(&mut self, number: u128, to: &str, urgency: Urgency) -> EntryId {
        let position = at(self.ledger.epoch, self.ledger.tree.size() + 1);
        self.commit(&[accepted(number, urgency), consigned(number, to, urgency)]);
        position
    }

    fn settle(
        &mut self,
        number: u128,
        to: &str,
        leased: &Leased,
        now: Time,
    ) -> Result<(), StoreError> {
        let store = self.store.as_deref().expect("open");
        let (position, token) = (leased.item.position, Some(leased.token));
        self.ledger.settle(store, number, to, position, token, now)
    }

    fn lease(&self, holder: u128, to: &str, now: Time, until: Time, max: usize) -> Vec<Leased> {
        let agency = code(to);
        let holder = Holder(Uuid::from_u128(holder));
        let cursor = Cursor::default();
        let request =
            LeaseRequest { agency: &agency, holder, cursor, now, until, max, at_once: max };
        self.store().lease(request).expect("leases")
    }

    fn positions(&self, to: &str) -> Vec<EntryId> {
        let items = self.store().waiting(&code(to), None, 100).expect("reads");
        items.iter().map(|item| item.position).collect()
    }
}

type Case = (&'static str, fn(&mut Desk));

const CASES: &[Case] = &[
    ("there is one leader until its time is over", one_leader),
    ("a takeover raises the term and the old leader writes nothing", takeover),
    ("what is appended is read back, across batches and bundles", append_and_read),
    ("a batch that does not begin at the end is refused", size_is_compared),
    ("a refused commit leaves nothing", refused_commit_leaves_nothing),
    ("lanes are served by urgency, then in order", lane_order),
    ("the oldest of each lane of every mailbox is found, and how often it was taken", backlogs),
    ("a leased item is not handed out twice and blocks no other", leased_once),
    ("an item is answered in the commit of its entry", answered_in_its_commit),
    ("a dead token is refused", dead_token),
    ("an expired lease is handed out again and the late answer refused", expired_lease),
    ("a released item is free at once", released),
    ("an item is not doubled by a retry, nor a request accepted twice", retries),
    ("entries are found in order, after a cursor", index_order),
    ("deliveries are listed in the order of codes", deliveries_in_order),
    ("notices are listed in order, after a cursor", notices_in_order),
    ("dossiers are found by code, agency and alarm, and go along with the epoch", dossiers),
    ("content has one place, the last committed", content_places),
    ("few or many bodies of a consignment are found", bodies_of_a_consignment),
    ("the first checkpoint that covers an entry is found", covering_checkpoint),
    ("a closed epoch stays readable and projections go along", epochs),
    ("an epoch opens only after the present one", epochs_in_sequence),
];

/// Runs every case on a new site; after each the store is opened again and audited. Gives the
/// names of the cases that failed, with why.
pub fn failures(fresh: &dyn Fn() -> Box<dyn Site>) -> Vec<String> {
    let run = |(name, case): &Case| {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut desk = Desk::new(fresh());
            case(&mut desk);
            let leaves = audit(desk.store()).expect("reads");
            desk.reopen();
            assert_eq!(audit(desk.store()).expect("reads"), leaves);
        }));
        let why = outcome.err()?;
        let text = why.downcast_ref::<String>().cloned();
        let text = text.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Some(format!("{name}: {}", text.unwrap_or_default()))
    };
    CASES.iter().filter_map(run).collect()
}

fn one_leader(desk: &mut Desk) {
    let held = desk.store().lead("second", later(59), later(200));
    assert_eq!(held, Err(StoreError::HeldByOther { owner: "first".into(), until: later(60) }));
    assert_eq!(desk.store().lead("first", later(50), later(120)), Ok(LeaderTerm(1)));
    desk.reopen();
    let held = desk.store().lead("second", later(119), later(200));
    assert_eq!(held, Err(StoreError::HeldByOther { owner: "first".into(), until: later(120) }));
    assert_eq!(desk.store().lead("second", later(120), later(200)), Ok(LeaderTerm(2)));
}

fn takeover(desk: &mut Desk) {
    desk.submit(1, "H49.11", Urgency::Normal);
    assert_eq!(desk.store().lead("second", later(60), later(120)), Ok(LeaderTerm(2)));
    let stale = StoreError::StaleTerm { held: 1, current: 2 };
    let entries = [accepted(2, Urgency::Normal)];
    for _ in 0..2 {
        let store = desk.store.as_deref().expect("open");
        assert_eq!(desk.ledger.commit(store, &entries), Err(stale.clone()));
        assert_eq!(desk.ledger.open_epoch(store), Err(stale.clone()));
        assert_eq!(store.head().expect("reads").size, 2);
        desk.reopen();
    }
    desk.ledger.term = LeaderTerm(2);
    desk.commit(&entries);
}

fn append_and_read(desk: &mut Desk) {
    assert_eq!(desk.store().head().map(|head| (head.epoch, head.size)), Ok((1, 0)));
    let mut expected = Vec::new();
    for (batch, count) in [1u128, 100, 27, 1, 130, 300, 5].into_iter().enumerate() {
        let first = batch as u128 * 1000;
        let entries: Vec<_> =
            (first..first + count).map(|number| handed_over(number, "H49")).collect();
        desk.commit(&entries);
        expected.extend(entries.iter().map(vanthu::log::Entry::to_leaf));
    }
    for _ in 0..2 {
        assert_eq!(audit(desk.store()).expect("reads"), expected);
        let some = desk.store().leaves(at(1, 120), 20).expect("reads");
        assert_eq!(some, expected[120..140]);
        let last = desk.store().leaves(at(1, 563), 20).expect("reads");
        assert_eq!(last, expected[563..]);
        assert_eq!(desk.store().leaves(at(1, 564), 20), Ok(Vec::new()));
        assert_eq!(desk.store().leaves(at(2, 0), 20), Ok(Vec::new()));
        let row = desk.store().row(1, 0, 4).expect("reads").expect("reached");
        assert_eq!(row.len(), (564 - 512) * 32);
        assert_eq!(desk.store().row(1, 0, 5), Ok(None));
        assert_eq!(desk.store().row(1, 2, 0), Ok(None));
        desk.reopen();
    }
}

fn size_is_compared(desk: &mut Desk) {
    let entries = [handed_over(1, "H49")];
    let (early, _) = desk.ledger.batch(desk.store(), &entries, Extras::default());
    desk.submit(1, "H49.11", Urgency::Normal);
    let refused = Err(StoreError::SizeMismatch { expected: 0, actual: 2 });
    assert_eq!(desk.store().commit(early.clone()), refused);
    let before = audit(desk.store()).expect("reads");
    desk.reopen();
    assert_eq!(desk.store().commit(early), refused);
    assert_eq!(audit(desk.store()).expect("reads"), before);
}

fn refused_commit_leaves_nothing(desk: &mut Desk) {
    let position = desk.submit(1, "H49.11", Urgency::Normal);
    let held = desk.lease(1, "H49.11", start(), later(60), 1);
    let before = desk.store().head().expect("reads");
    let entries = [
        accepted(2, Urgency::Flash),
        consigned(2, "H49.11", Urgency::Flash),
        handed_over(1, "H49.11"),
    ];
    let digest = Sha256::of(b"body");
    let settled = vec![Settled { agency: code("H49.11"), position, token: None }];
    let contents = vec![(digest, Place::File { size: 4 })];
    let store = desk.store.as_deref().expect("open");
    let refused =
        desk.ledger.commit_with(store, &entries, Extras { settled, contents, ..Extras::default() });
    assert!(matches!(refused, Err(StoreError::Lease(_))), "{refused:?}");
    for _ in 0..2 {
        let store = desk.store();
        assert_eq!(store.head().expect("reads"), before);
        assert_eq!(store.leaves(at(1, 0), 10).expect("reads").len(), 2);
        assert_eq!(store.request(&request(2)), Ok(None));
        assert_eq!(store.consignment(consignment(2)), Ok(None));
        assert_eq!(store.place(&digest, None), Ok(None));
        assert_eq!(store.find(&Term::Consignment(consignment(2)), EntryId::ZERO, 9), Ok(vec![]));
        assert_eq!(desk.positions("H49.11"), vec![position]);
        if held.len() == 1 {
            desk.reopen();
        }
    }
}

fn lane_order(desk: &mut Desk) {
    let grades = [Urgency::Normal, Urgency::Urgent, Urgency::Flash, Urgency::Immediate];
    let mut expected = Vec::new();
    for (number, urgency) in grades.iter().cycle().take(12).enumerate() {
        let position = desk.submit(number as u128, "H49.11", *urgency);
        expected.push((*urgency, position));
        desk.submit(100 + number as u128, "H49.1", *urgency);
    }
    expected.sort();
    for _ in 0..2 {
        let waiting = desk.store().waiting(&code("H49.11"), None, 100).expect("reads");
        let found: Vec<_> = waiting.iter().map(|item| (item.urgency, item.position)).collect();
        assert_eq!(found, expected);
        let rest = desk.store().waiting(&code("H49.11"), Some(expected[4]), 3).expect("reads");
        assert_eq!(rest, waiting[5..8]);
        let leased = desk.lease(1, "H49.11", start(), later(60), 5);
        let found: Vec<_> = leased.iter().map(|l| (l.item.urgency, l.item.position)).collect();
        assert_eq!(found, expected[..5]);
        desk.reopen();
    }
}

fn backlogs(desk: &mut Desk) {
    let first = desk.submit(1, "H49.11", Urgency::Normal);
    let urgent = desk.submit(2, "H49.11", Urgency::Urgent);
    desk.submit(3, "H49.11", Urgency::Normal);
    let other = desk.submit(4, "G22", Urgency::Flash);
    for _ in 0..2 {
        let all = desk.store().backlogs(None, 9).expect("reads");
        let found: Vec<_> = all
            .iter()
            .map(|one| {
                let oldest = one.oldest.iter().map(|item| (item.urgency, item.position));
                (one.agency.clone(), oldest.collect::<Vec<_>>())
            })
            .collect();
        let ours = vec![(Urgency::Urgent, urgent), (Urgency::Normal, first)];
        let expected = vec![(code("G22"), vec![(Urgency::Flash, other)]), (code("H49.11"), ours)];
        assert_eq!(found, expected);
        assert_eq!(desk.store().backlogs(None, 1), Ok(all[..1].to_vec()));
        assert_eq!(desk.store().backlogs(Some(&code("G22")), 9), Ok(all[1..].to_vec()));
        assert_eq!(desk.store().backlogs(Some(&code("H49.11")), 9), Ok(vec![]));
        assert_eq!(
            (desk.store().unanswered(1), desk.store().attempts(&code("G22"), other)),
            (0, 0)
        );
        for (holder, from) in [(1, 0), (2, 60)] {
            assert_eq!(desk.lease(holder, "G22", later(from), later(from + 60), 1).len(), 1);
        }
        assert_eq!((desk.store().unanswered(2), desk.store().unanswered(3)), (1, 0));
        assert_eq!(desk.store().attempts(&code("G22"), other), 2);
        desk.reopen();
    }
}

fn leased_once(desk: &mut Desk) {
    for number in 0..3 {
        desk.submit(number, "H49.11", Urgency::Normal);
    }
    let first = desk.lease(1, "H49.11", start(), later(60), 2);
    let second = desk.lease(2, "H49.11", start(), later(60), 9);
    assert_eq!((first.len(), second.len()), (2, 1));
    assert_eq!(first[0].attempt, 1);
    assert_eq!(desk.lease(3, "H49.11", later(1), later(60), 9), vec![]);
    desk.settle(2, "H49.11", &second[0], later(1)).expect("answers while others are held");
    desk.settle(0, "H49.11", &first[0], later(1)).expect("answers");
    assert_eq!(desk.positions("H49.11"), vec![first[1].item.position]);
}

fn answered_in_its_commit(desk: &mut Desk) {
    let position = desk.submit(1, "H49.11", Urgency::Normal);
    let leased = desk.lease(1, "H49.11", start(), later(60), 1);
    assert_eq!(leased[0].item.position, position);
    assert_eq!(leased[0].item.consignment, consignment(1));
    desk.settle(1, "H49.11", &leased[0], later(5)).expect("answers");
    for _ in 0..2 {
        assert_eq!(desk.positions("H49.11"), vec![]);
        assert_eq!(desk.lease(2, "H49.11", later(100), later(160), 9), vec![]);
        let which = Which::At(&code("H49.11"));
        let delivery = desk.store().deliveries(consignment(1), which).expect("reads");
        assert_eq!(delivery[0].transport, Transport::HandedOver);
        assert_eq!((delivery[0].consigned, delivery[0].latest), (position, at(1, 2)));
        assert_eq!(desk.store().head().expect("reads").size, 3);
        desk.reopen();
    }
}

fn dead_token(desk: &mut Desk) {
    desk.submit(1, "H49.11", Urgency::Normal);
    let leased = desk.lease(1, "H49.11", start(), later(60), 1);
    let mut forged = leased[0].clone();
    forged.token = vanthu::delivery::Token(Uuid::from_u128(99));
    let lost = desk.settle(1, "H49.11", &forged, later(1));
    assert!(matches!(lost, Err(StoreError::Lease(_))), "{lost:?}");
    let settled = |leased: &Leased| Settled {
        agency: code("H49.11"),
        position: leased.item.position,
        token: Some(leased.token),
    };
    assert!(desk.store().check_lease(&settled(&forged), later(1)).is_err());
    assert_eq!(desk.store().check_lease(&settled(&leased[0]), later(1)), Ok(()));
    desk.settle(1, "H49.11", &leased[0], later(1)).expect("answers");
    let again = desk.settle(1, "H49.11", &leased[0], later(2));
    assert!(matches!(again, Err(StoreError::Lease(_))), "{again:?}");
}

fn expired_lease(desk: &mut Desk) {
    desk.submit(1, "H49.11", Urgency::Normal);
    let first = desk.lease(1, "H49.11", start(), later(60), 1);
    assert_eq!(desk.lease(2, "H49.11", later(59), later(119), 1), vec![]);
    let second = desk.lease(2, "H49.11", later(60), later(120), 1);
    assert_eq!(second[0].item, first[0].item);
    assert_ne!(second[0].token, first[0].token);
    assert_eq!(second[0].attempt, 2);
    let late = desk.settle(1, "H49.11", &first[0], later(61));
    assert!(matches!(late, Err(StoreError::Lease(_))), "{late:?}");
    let too_late = desk.settle(1, "H49.11", &second[0], later(120));
    assert!(matches!(too_late, Err(StoreError::Lease(_))), "{too_late:?}");
    desk.settle(1, "H49.11", &second[0], later(119)).expect("answers");
}

fn released(desk: &mut Desk) {
    desk.submit(1, "H49.11", Urgency::Normal);
    assert_eq!(desk.lease(1, "H49.11", start(), later(60), 1).len(), 1);
    desk.store().release(Holder(Uuid::from_u128(1)));
    assert_eq!(desk.lease(2, "H49.11", later(1), later(60), 1).len(), 1);
}

fn retries(desk: &mut Desk) {
    let position = desk.submit(1, "H49.11", Urgency::Normal);
    let used = desk.store().request(&request(1));
    assert_eq!(used, Ok(Some((envelope(1), at(1, 0)))));
    let leased = desk.lease(1, "H49.11", start(), later(60), 1);
    desk.settle(1, "H49.11", &leased[0], later(1)).expect("answers");
    for _ in 0..2 {
        let again = [accepted(1, Urgency::Normal), consigned(1, "H49.11", Urgency::Normal)];
        let store = desk.store.as_deref().expect("open");
        assert!(desk.ledger.commit(store, &again).is_err(), "the request {position} was used");
        desk.reopen();
        assert_eq!(desk.positions("H49.11"), vec![]);
        assert_eq!(desk.store().request(&request(1)), used);
        assert_eq!(desk.store().head().expect("reads").size, 3);
    }
}

fn index_order(desk: &mut Desk) {
    let term = Term::Consignment(consignment(7));
    let mut expected = Vec::new();
    for round in 0..300u64 {
        if round % 100 == 0 {
            desk.submit(1000 + u128::from(round), "H49.11", Urgency::Normal);
        }
        if round % 10 == 0 {
            expected.push(at(1, desk.ledger.tree.size()));
            desk.commit(&[handed_over(7, "H49.11")]);
        }
    }
    desk.store.as_deref().map(|store| desk.ledger.open_epoch(store)).expect("open").expect("opens");
    expected.push(at(2, 1));
    desk.commit(&[handed_over(7, "H49.11")]);
    for _ in 0..2 {
        let find = |after, max| desk.store().find(&term, after, max).expect("reads");
        assert_eq!(find(EntryId::ZERO, 100), expected);
        assert_eq!(find(expected[3], 5), expected[4..9]);
        assert_eq!(find(expected[29], 5), expected[30..]);
        assert_eq!(find(expected[30], 5), vec![]);
        assert_eq!(find(at(1, expected[3].index - 1), 1), expected[3..4]);
        let whole = Term::Consignment(consignment(1000));
        assert_eq!(desk.store().find(&whole, EntryId::ZERO, 9), Ok(vec![at(1, 0), at(1, 1)]));
        assert_eq!(desk.store().find(&whole, at(1, 0), 9), Ok(vec![at(1, 1)]));
        let document = Term::Document("H49,2026/11/22,1000/UBND".into());
        assert_eq!(desk.store().find(&document, EntryId::ZERO, 9), Ok(vec![at(1, 0)]));
        assert_eq!(
            desk.store().find(&Term::Document("H49".into()), EntryId::ZERO, 9),
            Ok(Vec::new())
        );
        desk.reopen();
    }
}

fn deliveries_in_order(desk: &mut Desk) {
    let codes = ["H49.11", "H49", "H50", "H49-A", "H49.2"];
    let mut entries = vec![accepted(1, Urgency::Normal)];
    entries.extend(codes.iter().map(|to| consigned(1, to, Urgency::Normal)));
    desk.commit(&entries);
    desk.submit(2, "H48", Urgency::Normal);
    let mut expected = codes.map(code);
    expected.sort();
    for _ in 0..2 {
        let list = |after: Option<&vanthu::directory::Code>, max| {
            let found = desk.store().deliveries(consignment(1), Which::After(after, max));
            found.expect("reads").into_iter().map(|d| d.recipient).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 9), expected);
        assert_eq!(list(Some(&expected[1]), 2), expected[2..4]);
        assert_eq!(list(Some(&expected[4]), 2), vec![]);
        let known = desk.store().consignment(consignment(1)).expect("reads").expect("known");
        assert_eq!((known.accepted, known.envelope), (at(1, 0), envelope(1)));
        desk.reopen();
    }
}

fn dossiers(desk: &mut Desk) {
    let codes: Vec<_> =
        (1..=5).map(|number| step(number, "", "H49").dossier.expect("one")).collect();
    for number in (1..=5).rev() {
        desk.commit(&[step(number, "RECEPTION", "H49")]);
    }
    let to = Some(code("H49.11"));
    desk.commit(&[Entry { to, ..step(2, "HANDOVER", "H49") }]);
    desk.commit(&[step(3, "WITHDRAWAL", "H49")]);
    for round in 0..3 {
        let store = desk.store();
        let found = store.dossier(&codes[1]).expect("reads").expect("one");
        assert_eq!((found.state, found.holder.as_str()), (State::InProcess, "H49.11"));
        assert_eq!(store.dossier(&step(9, "", "H49").dossier.expect("one")), Ok(None));
        let all = |after, max| store.dossiers(after, max).expect("reads").into_iter();
        let all = |after, max| Vec::from_iter(all(after, max).map(|one| one.code));
        assert_eq!(all(None, 9), codes);
        assert_eq!(all(Some(&codes[1]), 2), codes[2..4]);
        let of = |agency, after, max| store.dossiers_of(&code(agency), after, max).expect("reads");
        assert_eq!(of("H49", None, 9), codes);
        assert_eq!(of("H49", Some(&codes[1]), 2), codes[2..4]);
        assert_eq!(of("H49.11", None, 9), codes[1..2]);
        assert_eq!(of("H4", None, 9), []);
        // Three days before its date, and none of what has ended.
        let reminder = later(5_000_000).before(DOSSIER_REMINDER);
        let alarms = |until, max| store.alarms(until, max).expect("reads");
        let expected = [&codes[..2], &codes[3..]].concat();
        assert_eq!(alarms(later(9_000_000), 9), expected);
        assert_eq!(alarms(later(9_000_000), 2), expected[..2]);
        assert_eq!(alarms(reminder, 9), expected[..3], "what is not before it");
        desk.reopen();
        if round == 1 {
            let store = desk.store.as_deref().expect("open");
            desk.ledger.open_epoch(store).expect("opens");
        }
    }
}

fn notices_in_order(desk: &mut Desk) {
    let mut expected = Vec::new();
    for number in 0..5 {
        let position = desk.submit(number, "H49.11", Urgency::Normal);
        desk.commit(&[handed_over(number, "H49.11")]);
        expected.push(at(1, position.index + 1));
    }
    for _ in 0..2 {
        let notices = |after, max| desk.store().notices(&code("H49"), after, max).expect("reads");
        assert_eq!(notices(EntryId::ZERO, 9), expected);
        assert_eq!(notices(expected[1], 2), expected[2..4]);
        assert_eq!(desk.store().notices(&code("H4"), EntryId::ZERO, 9), Ok(Vec::new()));
        desk.reopen();
    }
}

fn content_places(desk: &mut Desk) {
    let digest = Sha256::of(b"body");
    let places = [Place::File { size: 4 }, Place::Volume { volume: 2, offset: 1 << 33, size: 4 }];
    for (number, place) in (1..).zip(places) {
        let extras = Extras { contents: vec![(digest, place)], ..Extras::default() };
        let store = desk.store.as_deref().expect("open");
        desk.ledger.commit_with(store, &[handed_over(number, "H49")], extras).expect("commits");
        desk.reopen();
        assert_eq!(desk.store().place(&digest, None), Ok(Some(place)));
        assert_eq!(desk.store().place(&digest, Some(consignment(number))), Ok(Some(place)));
        assert_eq!(desk.store().place(&Sha256::of(b"other"), None), Ok(None));
    }
}

/// A few bodies are in the record of their consignment, many are not; all are found.
fn bodies_of_a_consignment(desk: &mut Desk) {
    let body = |number: u128, index: u64| {
        let digest = Sha256::of(format!("{number} {index}").as_bytes());
        (digest, Place::Volume { volume: 1, offset: index, size: 1 + index })
    };
    let counts = [(1u128, 3u64), (2, 200), (3, 0)];
    for (number, count) in counts {
        let bodies = vec![(consignment(number), (0..count).map(|at| body(number, at)).collect())];
        let entries =
            [accepted(number, Urgency::Normal), consigned(number, "H49.11", Urgency::Normal)];
        let store = desk.store.as_deref().expect("open");
        let extras = Extras { bodies, ..Extras::default() };
        desk.ledger.commit_with(store, &entries, extras).expect("commits");
    }
    for _ in 0..2 {
        for (number, count) in counts {
            for (digest, place) in (0..count).map(|index| body(number, index)) {
                let found = desk.store().place(&digest, Some(consignment(number)));
                assert_eq!(found, Ok(Some(place)), "{number} of {count}");
            }
            assert!(desk.store().consignment(consignment(number)).expect("reads").is_some());
        }
        assert_eq!(desk.store().place(&body(1, 0).0, Some(consignment(2))), Ok(None));
        desk.reopen();
    }
}

fn covering_checkpoint(desk: &mut Desk) {
    for count in [1u64, 3, 1, 10] {
        let entries: Vec<_> =
            (0..count).map(|number| handed_over(u128::from(number), "H49")).collect();
        desk.commit(&entries);
    }
    for closed in [false, true] {
        if closed {
            let store = desk.store.as_deref().expect("open");
            desk.ledger.open_epoch(store).expect("opens");
        }
        for _ in 0..2 {
            for (size, covers) in [(1, 1), (2, 4), (4, 4), (5, 5), (6, 15), (15, 15)] {
                let note = desk.store().checkpoint(1, size).expect("reads").expect("covered");
                assert_eq!(key().public().open(&note).expect("signed").size, covers);
            }
            assert_eq!(desk.store().checkpoint(1, 16), Ok(None));
            desk.reopen();
        }
    }
}

fn epochs(desk: &mut Desk) {
    let position = desk.submit(1, "H49.11", Urgency::Normal);
    let entries: Vec<_> = (0..700).map(|number| handed_over(number + 50, "H49")).collect();
    desk.commit(&entries);
    let before = audit(desk.store()).expect("reads");
    let rows: Vec<_> = (0..7).map(|index| desk.store().row(1, 0, index).expect("reads")).collect();
    let store = desk.store.as_deref().expect("open");
    desk.ledger.open_epoch(store).expect("opens");
    for round in 0..2 {
        let head = desk.store().head().expect("reads");
        assert_eq!((head.epoch, head.size), (2, 1 + round));
        assert_eq!(audit(desk.store()).expect("reads")[..702], before);
        assert_eq!(desk.store().leaves(at(1, 250), 20).expect("reads"), before[250..270]);
        assert_eq!(desk.store().leaves(at(1, 700), 20).expect("reads"), before[700..]);
        for (index, row) in rows.iter().enumerate() {
            assert_eq!(&desk.store().row(1, 0, index as u64).expect("reads"), row);
        }
        assert_eq!(desk.store().row(1, 1, 0).expect("reads").map(|row| row.len()), Some(64));
        assert_eq!(desk.positions("H49.11"), vec![position]);
        assert_eq!(desk.store().request(&request(1)), Ok(Some((envelope(1), at(1, 0)))));
        assert!(desk.store().lead("second", later(1), later(9)).is_err(), "the leader stays");
        desk.reopen();
        desk.commit(&[handed_over(900, "H49")]);
    }
    let store = desk.store.as_deref().expect("open");
    desk.ledger.open_epoch(store).expect("opens");
    desk.reopen();
    assert_eq!(audit(desk.store()).expect("reads").len(), 702 + 3 + 1);
}

fn epochs_in_sequence(desk: &mut Desk) {
    let store = desk.store.as_deref().expect("open");
    assert!(desk.ledger.open_epoch(store).is_err(), "an empty epoch is not closed");
    desk.submit(1, "H49.11", Urgency::Normal);
    let store = desk.store.as_deref().expect("open");
    desk.ledger.epoch = 2;
    assert!(desk.ledger.open_epoch(store).is_err(), "epoch 3 does not follow epoch 1");
    desk.ledger.epoch = 1;
    desk.ledger.open_epoch(store).expect("opens");
    let head = store.head().expect("reads");
    assert_eq!((head.epoch, head.size), (2, 1));
}
