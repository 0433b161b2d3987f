//! What the portal has said of one dossier, put together from its messages.
//!
//! They come late, twice and in any order, and mean the same: what is known is a join, so that it
//! depends on which messages came and on nothing else. A later moment overrules an earlier one; at
//! the same moment, the higher state. Where only the digests differ, they decide, for no better reason
//! than that everybody decides the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::message::{Ready, Service};
use crate::digest::Sha256;

/// The citizen asks for the dossier back.
const WITHDRAWAL: u32 = 7;
/// There is a result, or the citizen has it: nothing can be withdrawn any more.
const RESULTS: [u32; 2] = [9, 10];
/// What has happened, in a whole record. When it is to be done says nothing of how new it is.
const MOMENTS: [&str; 3] = ["NgayTiepNhan", "NgayTra", "NgayKetThucXuLy"];
/// The same in each of its supplements.
const SUPPLEMENT_MOMENTS: [&str; 2] = ["NgayBoSung", "NgayTiepNhanBoSung"];

/// How new a message is: its moment as the portal writes it, empty if it has none; then the state,
/// then the digest.
type Age = (String, u32, Sha256);

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The messages, and how many bytes of each were read.
    known: BTreeMap<Sha256, usize>,
    newest: Option<Age>,
    /// The newest whole record.
    record: Option<(Age, Map<String, Value>)>,
    /// Steps by moment and digest.
    steps: BTreeMap<(String, Sha256), Map<String, Value>>,
    /// The newest word about the state that is no withdrawal.
    state: Option<Age>,
    withdrawal: Option<Age>,
    has_result: bool,
}

impl Said {
    /// What one message says.
    pub fn of(message: &Ready) -> Self {
        let age = age(message);
        let (moment, state, digest) = age.clone();
        let is_withdrawal = state == WITHDRAWAL;
        let record = message.record().clone();
        let mut said = Self {
            has_result: RESULTS.contains(&state),
            state: Some(age.clone()).filter(|_| !is_withdrawal),
            withdrawal: Some(age.clone()).filter(|_| is_withdrawal),
            newest: Some(age.clone()),
            known: BTreeMap::from([(digest, message.written().len())]),
            ..Self::default()
        };
        match message.service() {
            Service::Dossier => said.record = Some((age, record)),
            Service::Step => said.steps = BTreeMap::from([((moment, digest), record)]),
            Service::Status | Service::Answer => {}
        }
        said
    }

    /// That there was a message with this digest, whose words are gone.
    pub fn seen(digest: Sha256) -> Self {
        Self { known: BTreeMap::from([(digest, 0)]), ..Self::default() }
    }

    /// Both together.
    #[must_use]
    pub fn join(mut self, mut other: Self) -> Self {
        for (digest, size) in other.known {
            let known = self.known.entry(digest).or_default();
            *known = size.max(*known);
        }
        self.steps.append(&mut other.steps);
        let by_age = |one: &(Age, Map<String, Value>)| one.0.clone();
        Self {
            newest: self.newest.max(other.newest),
            record: [self.record, other.record].into_iter().flatten().max_by_key(by_age),
            state: self.state.max(other.state),
            withdrawal: self.withdrawal.max(other.withdrawal),
            has_result: self.has_result || other.has_result,
            ..self
        }
    }

    /// Whether this message is among what is known.
    pub fn knows(&self, message: &Ready) -> bool {
        self.known.contains_key(&message.digest())
    }

    /// How many messages there were.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// How many bytes it takes to remember them, at most.
    pub fn size(&self) -> usize {
        self.known.values().sum()
    }

    /// The newest moment that is known, `yyyyMMddHHmmss` in Vietnam, if the message is older. One without a
    /// moment may be anything.
    pub fn overtook(&self, message: &Ready) -> Option<&str> {
        let newest = self.newest.as_ref().map(|(moment, ..)| moment.as_str())?;
        let (own, ..) = age(message);
        (!own.is_empty() && own.as_str() < newest).then_some(newest)
    }

    /// The state of the dossier on the portal, 1 to 10, if one was said.
    pub fn state(&self) -> Option<u32> {
        let withdrawal = self.withdrawal.as_ref().filter(|_| !self.has_result);
        self.state.as_ref().max(withdrawal).map(|(_, state, _)| *state)
    }

    /// DonViXuLy of the newest whole record.
    pub fn office(&self) -> Option<&str> {
        self.record.as_ref()?.1.get("DonViXuLy")?.as_str()
    }

    /// What TraCuuHoSo answers about this dossier; nothing if nothing is known.
    pub fn found(&self, dossier: &str) -> Option<Value> {
        let state = self.state()?;
        let record = self.record.as_ref().map(|(_, record)| record.clone());
        let mut found = Value::Object(record.unwrap_or_default());
        found["MaHoSo"] = json!(dossier);
        found["TrangThaiHoSo"] = json!(state.to_string());
        found["TienDoXuLy"] = self.steps.values().cloned().map(Value::Object).collect();
        Some(found)
    }
}

/// How new a message is.
fn age(message: &Ready) -> Age {
    let moment = match message.service() {
        Service::Dossier => of_record(message),
        Service::Step => message.text("ThoiDiemXuLy").to_owned(),
        Service::Status | Service::Answer => message.text("NgayXuLy").to_owned(),
    };
    let field = if message.service() == Service::Dossier { "TrangThaiHoSo" } else { "TrangThai" };
    (moment, message.text(field).parse().unwrap_or(0), message.digest())
}

/// The last thing that a whole record says to have happened.
fn of_record(message: &Ready) -> String {
    let supplements = message.record().get("DanhSachHoSoBoSung").and_then(Value::as_array);
    let supplements = supplements.into_iter().flatten().flat_map(|one| {
        SUPPLEMENT_MOMENTS.iter().filter_map(|name| one.get(*name).and_then(Value::as_str))
    });
    let moments = MOMENTS.iter().map(|name| message.text(name)).chain(supplements);
    moments.max().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::courier::portal::message::{Draft, States};

    const CODE: &str = "H49.151-20261128-0001";

    fn message(service: Service, more: Value) -> Ready {
        let mut data = match service {
            Service::Dossier => json!({
                "MaTTHC": "1.003003", "TenTTHC": "Đăng ký", "MaLinhVuc": "G15-DD", "TenLinhVuc": "Đất đai",
                "LoaiDoiTuong": "1", "Email": "a@example.invalid", "SoDienThoai": "0", "TrichYeuHoSo": "x",
                "NgayTiepNhan": "20261128080000", "NgayHenTra": "20271211170000", "TrangThaiHoSo": "1",
                "HinhThuc": "0", "DonViXuLy": "UBND xã",
            }),
            Service::Step => json!({ "NguoiXuLy": "A", "NoiDungXuLy": "x" }),
            Service::Status | Service::Answer => json!({}),
        };
        data["MaHoSo"] = json!(CODE);
        for (name, value) in more.as_object().expect("fields") {
            data[name] = value.clone();
        }
        let data = data.as_object().expect("a record");
        let draft = Draft::of(service, data, &States::default()).expect("a record");
        draft.ready(None).expect("everything is there")
    }

    fn step(moment: &str, state: u32) -> Ready {
        message(Service::Step, json!({ "ThoiDiemXuLy": moment, "TrangThai": state }))
    }

    fn status(moment: &str, state: u32) -> Ready {
        message(Service::Status, json!({ "NgayXuLy": moment, "TrangThai": state }))
    }

    fn joined<'a>(messages: impl IntoIterator<Item = &'a Ready>) -> Said {
        messages.into_iter().map(Said::of).fold(Said::default(), Said::join)
    }

    /// Numbers that follow from a seed (xorshift).
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % limit as u64).expect("it is below")
        }
    }

    /// Any message about one dossier, from a small world in which many of them meet.
    fn any(chance: &mut Chance) -> Ready {
        let moments = ["20261128080000", "20261128090000", "20261129080000", "20261201080000"];
        let (moment, state) = (moments[chance.below(4)], u32::try_from(1 + chance.below(10)));
        let state = state.expect("a state");
        match chance.below(4) {
            0 => message(
                Service::Dossier,
                json!({ "TrangThaiHoSo": state, "NgayTra": moment, "GhiChu": chance.below(2) }),
            ),
            1 => message(Service::Dossier, json!({ "TrangThaiHoSo": state })),
            2 => step(moment, state),
            _ => status(["", moment][chance.below(2)], state),
        }
    }

    #[test]
    fn the_same_messages_mean_the_same_in_any_order_and_however_often() {
        let seed = 20_261_128;
        println!("seed {seed}");
        let mut chance = Chance(seed);
        for round in 0..300 {
            let count = 1 + chance.below(8);
            let messages: Vec<_> = (0..count).map(|_| any(&mut chance)).collect();
            let expected = joined(&messages);
            let mut told: Vec<_> = messages.iter().collect();
            for _ in 0..4 {
                told.push(&messages[chance.below(count)]);
                for last in (1..told.len()).rev() {
                    told.swap(last, chance.below(last + 1));
                }
                let again = joined(told.iter().copied());
                assert_eq!(again, expected, "round {round}");
                assert_eq!(again.found(CODE), expected.found(CODE), "round {round}");
                // In two halves, and with itself.
                let (one, other) = told.split_at(chance.below(told.len() + 1));
                let (one, other) = (joined(one.iter().copied()), joined(other.iter().copied()));
                assert_eq!(one.clone().join(other.clone()), expected, "round {round}");
                assert_eq!(other.join(one), expected, "round {round}");
                assert_eq!(expected.clone().join(expected.clone()), expected, "round {round}");
            }
            assert!(messages.iter().all(|message| expected.knows(message)));
        }
    }

    #[test]
    fn the_newest_moment_decides_and_a_result_cannot_be_withdrawn() {
        let (early, noon, late) = ("20261128090000", "20261128120000", "20261128170000");
        let first = message(Service::Dossier, json!({}));
        for (messages, state) in [
            (vec![first.clone()], 1),
            (vec![first.clone(), step(early, 2)], 2),
            (vec![step(noon, 5), step(early, 4), first.clone()], 5),
            (vec![step(noon, 4), step(noon, 5)], 5),
            (vec![step(early, 4), status(noon, 7)], 7),
            (vec![step(late, 4), status(noon, 7)], 4),
            (vec![step(noon, 9), status(late, 7)], 9),
            (vec![status(late, 7), step(early, 10), step(noon, 4)], 4),
            (vec![status("", 7)], 7),
            (vec![step(early, 4), status("", 7)], 4),
        ] {
            assert_eq!(joined(&messages).state(), Some(state));
        }
        assert_eq!(Said::default().found(CODE), None);
        assert_eq!(Said::seen(Sha256::of(b"x")).found(CODE), None);
    }

    #[test]
    fn the_newest_whole_record_is_shown_with_every_step_in_order() {
        let supplement = json!([{ "NgayBoSung": "20261130080000" }]);
        let newer = json!({ "GhiChu": "mới", "DanhSachHoSoBoSung": supplement });
        let newer = message(Service::Dossier, newer);
        // Only its date of return is later.
        let older =
            message(Service::Dossier, json!({ "GhiChu": "cũ", "NgayHenTra": "20281211170000" }));
        let steps = [step("20261129090000", 4), step("20261128090000", 2)];
        let said = joined([&newer, &steps[0], &older, &steps[1]]);
        let found = said.found(CODE).expect("it is known");
        assert_eq!((&found["GhiChu"], &found["TrangThaiHoSo"]), (&json!("mới"), &json!("1")));
        let moments = found["TienDoXuLy"].as_array().expect("steps").iter();
        let moments: Vec<_> = moments.map(|step| &step["ThoiDiemXuLy"]).collect();
        assert_eq!(moments, ["20261128090000", "20261129090000"]);
        assert_eq!(said.overtook(&older), Some("20261130080000"));
        assert_eq!((said.overtook(&newer), said.overtook(&status("", 7))), (None, None));
        assert_eq!((said.count(), said.office()), (4, Some("UBND xã")));
        let only = joined(&steps[..1]).found(CODE).expect("something is known");
        assert_eq!((&only["MaHoSo"], &only["TrangThaiHoSo"]), (&json!(CODE), &json!("4")));
    }
}
