//! A message to the portal: read as one-stop systems write it, written as the portal wants it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::client::Procedure;
use super::fields::{DOSSIER, Field, Kind, OF_PROCEDURE, STATUS, STEP, question_id};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::limits::PORTAL_MESSAGE_SIZE_MAX;

/// Characters of a name that a sender gets back.
const NAME_LENGTH_MAX: usize = 64;

/// What the portal is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// To take a dossier, or to replace what it has of it (DongBoHoSoMC).
    Dossier,
    /// To take a step of a dossier (CapNhatTienDoHoSoMC).
    Step,
    /// To change the state of a dossier and nothing else (DongBoTrangThaiHoSo).
    Status,
    /// To take the answer to a citizen's question (DongBoHoiDap).
    Answer,
}

impl Service {
    /// Those about dossiers.
    pub const ALL: [Self; 3] = [Self::Dossier, Self::Step, Self::Status];

    /// The one with this name on the wire.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Answer]).find(|service| service.name() == name)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dossier => "DongBoHoSoMC",
            Self::Step => "CapNhatTienDoHoSoMC",
            Self::Status => "DongBoTrangThaiHoSo",
            Self::Answer => "DongBoHoiDap",
        }
    }

    /// The fields of its record; none are known of an answer.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Dossier => DOSSIER,
            Self::Step => STEP,
            Self::Status => STATUS,
            Self::Answer => &[],
        }
    }
}

/// Why a message cannot go to the portal; reaches its sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is too large.
    #[error("a message has at most {PORTAL_MESSAGE_SIZE_MAX} bytes")]
    TooLarge,
    /// It is no message.
    #[error("not a JSON object with service and data")]
    Form,
    /// It names another service.
    #[error(
        "service: none of DongBoHoSoMC, CapNhatTienDoHoSoMC, DongBoTrangThaiHoSo, DongBoHoiDap"
    )]
    Service,
    /// A compulsory field is missing or empty.
    #[error("{0}: compulsory field missing")]
    Missing(&'static str),
    /// The service has no such field.
    #[error("{0}: no such field")]
    Unknown(String),
    /// The field holds something else than it should.
    #[error("{0}: not a text")]
    NotText(&'static str),
    /// The field should hold records.
    #[error("{0}: not a list of records")]
    NotAList(&'static str),
    /// The field should hold a moment.
    #[error(
        "{0}: neither yyyyMMddHHmmss in Vietnam nor a moment such as 2026-11-22T10:45:18+07:00"
    )]
    NotAMoment(&'static str),
    /// The state is not on the portal, and no local one that the map has.
    #[error("{0}: neither a state of the portal, 1 to 10, nor in the state map")]
    State(&'static str),
    /// The catalogue has no such procedure.
    #[error("MaTTHC: the portal's catalogue has no such procedure")]
    Procedure,
    /// The sender is of another province or central body than the dossier.
    #[error("MaHoSo: a dossier of {of}, about which {sender} may not write")]
    Foreign {
        /// Who sent it.
        sender: String,
        /// The first level of the dossier's code.
        of: String,
    },
    /// The sender answers a question, and gets none.
    #[error("service: {0} gets no questions of citizens, and may not answer them")]
    NotAsked(String),
    /// It is about another dossier than its envelope.
    #[error("MaHoSo: not the dossier code of the envelope")]
    OtherDossier,
}

impl Wrong {
    /// The same for the clerk.
    pub fn in_vietnamese(&self) -> String {
        match self {
            Self::TooLarge => format!("thông điệp có tối đa {PORTAL_MESSAGE_SIZE_MAX} byte"),
            Self::Form => "không phải đối tượng JSON có service và data".into(),
            Self::Service => "service: không phải dịch vụ của Cổng được hỗ trợ".into(),
            Self::Missing(field) => format!("{field}: thiếu trường bắt buộc"),
            Self::Unknown(field) => format!("{field}: không có trường này"),
            Self::NotText(field) => format!("{field}: không phải chuỗi ký tự"),
            Self::NotAList(field) => format!("{field}: không phải danh sách bản ghi"),
            Self::NotAMoment(field) => {
                format!("{field}: không phải thời điểm yyyyMMddHHmmss theo giờ Việt Nam")
            }
            Self::State(field) => {
                format!(
                    "{field}: không phải trạng thái 1 đến 10 của Cổng, không có trong bảng ánh xạ"
                )
            }
            Self::Procedure => "MaTTHC: danh mục của Cổng không có thủ tục này".into(),
            Self::Foreign { sender, of } => {
                format!("MaHoSo: hồ sơ của {of}; {sender} không được gửi thông điệp về hồ sơ này")
            }
            Self::NotAsked(sender) => {
                format!("service: {sender} không được giao trả lời câu hỏi của công dân")
            }
            Self::OtherDossier => "MaHoSo: không phải mã hồ sơ ghi trên phong bì".into(),
        }
    }
}

/// A site's own states, and which state of the portal each of them is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States(BTreeMap<String, u32>);

impl States {
    /// The map, if all its states are on the portal.
    pub fn new(map: BTreeMap<String, u32>) -> Option<Self> {
        map.values().all(|number| is_state(*number)).then_some(Self(map))
    }

    /// The state of the portal that this one is.
    pub fn on_portal(&self, state: &str) -> Option<u32> {
        let mapped = self.0.get(state).copied();
        mapped.or_else(|| state.parse().ok().filter(|number| is_state(*number)))
    }
}

/// TrangThaiHoSo goes from 1 (mới đăng ký) to 10 (đã trả kết quả).
fn is_state(number: u32) -> bool {
    (1..=10).contains(&number)
}

/// A message as it was read; what the portal's catalogue says may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    service: Service,
    record: Map<String, Value>,
}

/// A message with every compulsory field, as the portal wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    service: Service,
    record: Map<String, Value>,
}

impl Draft {
    /// Reads a message about `dossier`.
    ///
    /// # Errors
    /// [`Wrong`] with the first field that cannot be used.
    pub fn parse(bytes: &[u8], dossier: &str, states: &States) -> Result<Self, Wrong> {
        let message: Value = serde_json::from_slice(bytes).map_err(|_| Wrong::Form)?;
        let name = message.get("service").and_then(Value::as_str).ok_or(Wrong::Form)?;
        let data = message.get("data").and_then(Value::as_object).ok_or(Wrong::Form)?;
        let service = Service::named(name).ok_or(Wrong::Service)?;
        let draft = Self::of(service, data, states)?;
        match draft.dossier() {
            code if !code.is_empty() && code != dossier => Err(Wrong::OtherDossier),
            _ => Ok(draft),
        }
    }

    /// Reads a record for a service.
    ///
    /// # Errors
    /// [`Wrong`] with the first field that cannot be used.
    pub fn of(service: Service, data: &Map<String, Value>, states: &States) -> Result<Self, Wrong> {
        let record = match service {
            Service::Answer => {
                question_id(data).ok_or(Wrong::Missing("id"))?;
                data.clone()
            }
            Service::Dossier | Service::Step | Service::Status => {
                written(data, service.fields(), states)?
            }
        };
        Ok(Self { service, record })
    }

    /// What the portal is to be asked to do.
    pub fn service(&self) -> Service {
        self.service
    }

    /// The dossier code, or nothing.
    fn dossier(&self) -> &str {
        text(&self.record, "MaHoSo")
    }

    /// The procedure whose entry in the catalogue completes the message; `None` if nothing is missing
    /// that stands there.
    pub fn procedure(&self) -> Option<&str> {
        let lacks = |name: &&str| text(&self.record, name).is_empty();
        let wants = self.service == Service::Dossier && OF_PROCEDURE.iter().any(lacks);
        Some(text(&self.record, "MaTTHC")).filter(|code| wants && !code.is_empty())
    }

    /// The message with what the catalogue says, if it was asked.
    ///
    /// # Errors
    /// [`Wrong::Missing`] with the first compulsory field that is not there.
    pub fn ready(mut self, procedure: Option<&Procedure>) -> Result<Ready, Wrong> {
        if let Some(Procedure { name, field_code, field_name }) = procedure {
            for (field, known) in OF_PROCEDURE.iter().zip([name, field_code, field_name]) {
                if text(&self.record, field).is_empty() {
                    self.record.insert((*field).to_owned(), json!(known));
                }
            }
        }
        let fields = self.service.fields().iter();
        let mut compulsory = fields.filter(|field| field.compulsory);
        match compulsory.find(|field| text(&self.record, field.name).is_empty()) {
            Some(field) => Err(Wrong::Missing(field.name)),
            None => Ok(Ready { service: self.service, record: self.record }),
        }
    }
}

impl Ready {
    /// What the portal is asked to do.
    pub fn service(&self) -> Service {
        self.service
    }

    /// The dossier code.
    pub fn dossier(&self) -> &str {
        text(&self.record, "MaHoSo")
    }

    /// The record as it is sent.
    pub fn record(&self) -> &Map<String, Value> {
        &self.record
    }

    /// A field of it; empty where nothing is given.
    pub fn text(&self, name: &str) -> &str {
        text(&self.record, name)
    }

    /// The message as a part of a document: the same bytes for the same record, because its names stand
    /// in order and its values in one form.
    pub fn written(&self) -> Vec<u8> {
        json!({ "service": self.service.name(), "data": self.record }).to_string().into_bytes()
    }

    /// The digest of that part, by which the message is known.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&self.written())
    }
}

fn text<'a>(record: &'a Map<String, Value>, name: &str) -> &'a str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A record with all its fields, each in the portal's form; empty where nothing is given.
fn written(
    data: &Map<String, Value>,
    fields: &'static [Field],
    states: &States,
) -> Result<Map<String, Value>, Wrong> {
    if let Some(name) = data.keys().find(|name| fields.iter().all(|field| field.name != **name)) {
        let name = name.chars().filter(|c| !c.is_control()).take(NAME_LENGTH_MAX).collect();
        return Err(Wrong::Unknown(name));
    }
    let value = |field: &Field| {
        let given = data.get(field.name).unwrap_or(&Value::Null);
        Ok((field.name.to_owned(), one(field, given, states)?))
    };
    fields.iter().map(value).collect()
}

fn one(field: &Field, given: &Value, states: &States) -> Result<Value, Wrong> {
    if let Kind::List(members) = field.kind {
        return list(field, given, members, states);
    }
    let given = match given {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Wrong::NotText(field.name));
        }
    };
    if given.is_empty() {
        return Ok(json!(""));
    }
    Ok(match field.kind {
        Kind::Moment => json!(moment(&given).ok_or(Wrong::NotAMoment(field.name))?),
        Kind::State => {
            let state = states.on_portal(&given).ok_or(Wrong::State(field.name))?;
            json!(state.to_string())
        }
        Kind::Text | Kind::List(_) => json!(given),
    })
}

fn list(
    field: &Field,
    given: &Value,
    members: &'static [Field],
    states: &States,
) -> Result<Value, Wrong> {
    let records = match given {
        Value::Null => return Ok(json!([])),
        Value::Array(records) => records,
        _ => return Err(Wrong::NotAList(field.name)),
    };
    let record = |given: &Value| match given {
        Value::Object(_) if members.is_empty() => Ok(given.clone()),
        Value::Object(data) => written(data, members, states).map(Value::Object),
        _ => Err(Wrong::NotAList(field.name)),
    };
    records.iter().map(record).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// A moment in the portal's form.
fn moment(text: &str) -> Option<String> {
    if text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let read = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", text);
        return read.is_ok().then(|| text.to_owned());
    }
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Time::from_millis(moment.as_millisecond()).compact_in_vietnam())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "H49.151-20261122-0001";

    fn states() -> States {
        let map = [("cho-bo-sung".to_owned(), 5)].into();
        States::new(map).expect("states of the portal")
    }

    fn dossier() -> Value {
        json!({
            "MaHoSo": CODE, "MaTTHC": "1.003003", "LoaiDoiTuong": 1, "Email": "a@example.invalid",
            "SoDienThoai": "0", "TrichYeuHoSo": "Đăng ký biến động", "HinhThuc": "0",
            "NgayTiepNhan": "2026-11-22T03:45:18Z", "NgayHenTra": "20261211170000",
            "TrangThaiHoSo": "cho-bo-sung", "DonViXuLy": "UBND xã",
            "DanhSachHoSoBoSung": [{ "NgayBoSung": "2026-11-23T08:00:00+07:00" }],
        })
    }

    fn parse(service: &str, data: &Value) -> Result<Draft, Wrong> {
        let message = json!({ "service": service, "data": data }).to_string();
        Draft::parse(message.as_bytes(), CODE, &states())
    }

    #[test]
    fn a_dossier_is_written_as_the_portal_wants_it() {
        let draft = parse("DongBoHoSoMC", &dossier()).expect("a message");
        assert_eq!(draft.procedure(), Some("1.003003"));
        let procedure = Procedure {
            name: "Đăng ký".into(),
            field_code: "G13-ĐĐ".into(),
            field_name: "Đất đai".into(),
        };
        let ready = draft.ready(Some(&procedure)).expect("everything is there");
        let record = ready.record();
        assert_eq!(record.len(), DOSSIER.len());
        for (name, value) in [
            ("NgayTiepNhan", json!("20261122104518")),
            ("NgayHenTra", json!("20261211170000")),
            ("TrangThaiHoSo", json!("5")),
            ("LoaiDoiTuong", json!("1")),
            ("TenLinhVuc", json!("Đất đai")),
            ("ChuHoSo", json!("")),
            ("TaiLieuNop", json!([])),
        ] {
            assert_eq!(record.get(name), Some(&value), "{name}");
        }
        assert_eq!(record["DanhSachHoSoBoSung"][0]["NgayBoSung"], json!("20261123080000"));
    }

    #[test]
    fn each_compulsory_field_is_missed_by_its_name() {
        for service in Service::ALL {
            let full = service.fields().iter().filter(|field| field.compulsory).map(|field| {
                let value = match field.kind {
                    Kind::Moment => "20261122104518",
                    Kind::State => "4",
                    _ => "x",
                };
                let value = if field.name == "MaHoSo" { CODE } else { value };
                (field.name.to_owned(), json!(value))
            });
            let full: Map<_, _> = full.collect();
            let ready = |data: &Map<_, _>| {
                parse(service.name(), &json!(data)).and_then(|draft| draft.ready(None))
            };
            assert!(ready(&full).is_ok());
            for field in service.fields().iter().filter(|field| field.compulsory) {
                for empty in [Value::Null, json!(" ")] {
                    let mut data = full.clone();
                    data.insert(field.name.to_owned(), empty);
                    assert_eq!(ready(&data), Err(Wrong::Missing(field.name)));
                }
            }
        }
    }

    #[test]
    fn what_the_portal_would_not_understand_is_refused_with_its_field() {
        let changed = |name: &str, value: Value| {
            let mut data = dossier();
            data[name] = value;
            parse("DongBoHoSoMC", &data).err()
        };
        for (name, value, wrong) in [
            ("NgayHenTra", json!("20260230000000"), Wrong::NotAMoment("NgayHenTra")),
            ("NgayHenTra", json!("30/2/2026"), Wrong::NotAMoment("NgayHenTra")),
            ("TrangThaiHoSo", json!("11"), Wrong::State("TrangThaiHoSo")),
            ("TrangThaiHoSo", json!("da-xong"), Wrong::State("TrangThaiHoSo")),
            ("Email", json!(["x"]), Wrong::NotText("Email")),
            ("TaiLieuNop", json!("x"), Wrong::NotAList("TaiLieuNop")),
            ("TaiLieuNop", json!([1]), Wrong::NotAList("TaiLieuNop")),
            ("TaiLieuNop", json!([{ "Ten": "x" }]), Wrong::Unknown("Ten".into())),
            ("Emai", json!("x"), Wrong::Unknown("Emai".into())),
            ("MaHoSo", json!("H49.151-20261122-0002"), Wrong::OtherDossier),
        ] {
            assert_eq!(changed(name, value), Some(wrong));
        }
        assert_eq!(parse("XoaHoSo", &dossier()), Err(Wrong::Service));
        // Of answers no fields are known but the name of the question.
        let answer = |data: Value| parse("DongBoHoiDap", &data).map(|draft| draft.record);
        let passed = json!({ "MaHoiDap": 7, "TraLoi": ["x"] });
        assert_eq!(answer(passed.clone()).map(Value::Object), Ok(passed));
        for nameless in [json!({}), json!({ "id": " " }), json!({ "ID": ["7"] })] {
            assert_eq!(answer(nameless), Err(Wrong::Missing("id")));
        }
        for text in ["", "{", "[]", "{\"service\": \"DongBoHoSoMC\", \"data\": []}"] {
            assert_eq!(Draft::parse(text.as_bytes(), CODE, &states()), Err(Wrong::Form), "{text}");
        }
        assert_eq!(States::new([("x".to_owned(), 11)].into()), None);
    }
}
