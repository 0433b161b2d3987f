//! The rows of the registers (NĐ 30/2020 Annex IV), with all ten columns each.

use crate::clock::{Date, Time};
use crate::log::EntryId;

/// What the envelope says of a document; empty once its body is erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paper {
    /// Date of issue.
    pub issued: Option<Date>,
    /// Kind of document, as written.
    pub kind: String,
    /// Abstract (trích yếu).
    pub subject: String,
    /// Who signed: competence mark, position, name.
    pub signer: String,
}

impl Paper {
    /// Kind and abstract in one column.
    fn title(&self) -> String {
        [self.kind.as_str(), self.subject.as_str()].join(" ").trim().to_owned()
    }
}

/// A row of the register of outgoing documents (sổ đăng ký văn bản đi).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The acceptance that proves it.
    pub entry: EntryId,
    /// Number and notation; empty if it has none.
    pub number: String,
    /// What the envelope says.
    pub paper: Paper,
    /// To whom, as the envelope names them.
    pub recipients: String,
    /// To how many.
    pub copies: u32,
    /// When the gateway took it in charge.
    pub forwarded: Time,
    /// How many recipients acknowledged it.
    pub handed_over: u32,
    /// How many refused it.
    pub refused: u32,
    /// Its legal value.
    pub legal_value: String,
    /// Whether the envelope is there no more.
    pub erased: bool,
}

impl Outgoing {
    /// The ten columns in their order. Who keeps the copy for the file is not told to a gateway.
    pub fn columns(&self) -> [String; 10] {
        let mut note = Note::new(&self.legal_value, self.erased);
        note.add(self.refused > 0, || format!("{} nơi từ chối", self.refused));
        note.add(true, || format!("mục nhật ký {}", self.entry));
        [
            self.number.clone(),
            self.paper.issued.map(day).unwrap_or_default(),
            self.paper.title(),
            self.paper.signer.clone(),
            self.recipients.clone(),
            String::new(),
            self.copies.to_string(),
            self.forwarded.in_vietnam(),
            format!("{}/{} nơi đã nhận", self.handed_over, self.copies),
            note.text,
        ]
    }
}

/// A row of the register of incoming documents (sổ đăng ký văn bản đến).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The `ContentConsignment` that proves it.
    pub entry: EntryId,
    /// When it reached the mailbox.
    pub arrived: Time,
    /// Its place among what reached the agency in this year in Vietnam, from 1.
    pub arrival_number: u64,
    /// Who sent it: name and code.
    pub author: String,
    /// Number and notation; empty if it has none.
    pub number: String,
    /// What the envelope says.
    pub paper: Paper,
    /// The agency that received it: name and code.
    pub receiver: String,
    /// When it was handed over.
    pub handed_over: Option<Time>,
    /// The entry that proves the answer, and the system that gave it.
    pub signed_for: Option<(EntryId, String)>,
    /// Whether it was refused.
    pub refused: bool,
    /// Business status code.
    pub status: String,
    /// Its legal value.
    pub legal_value: String,
    /// Whether the envelope is there no more.
    pub erased: bool,
}

impl Incoming {
    /// The ten columns in their order. The unit inside the agency is not told to a gateway.
    pub fn columns(&self) -> [String; 10] {
        let mut note = Note::new(&self.legal_value, self.erased);
        note.add(self.refused, || "đã từ chối".into());
        note.add(true, || format!("trạng thái {}", self.status));
        note.add(true, || format!("mục nhật ký {}", self.entry));
        let signed_for = self.signed_for.as_ref();
        let signed_for = signed_for.map(|(entry, system)| format!("{system}, mục {entry}"));
        [
            self.arrived.in_vietnam(),
            self.arrival_number.to_string(),
            self.author.clone(),
            self.number.clone(),
            self.paper.issued.map(day).unwrap_or_default(),
            self.paper.title(),
            self.receiver.clone(),
            self.handed_over.map(Time::in_vietnam).unwrap_or_default(),
            signed_for.unwrap_or_default(),
            note.text,
        ]
    }
}

/// The last column: what else a clerk should know.
struct Note {
    text: String,
}

impl Note {
    fn new(legal_value: &str, erased: bool) -> Self {
        let text = match legal_value {
            "ORIGINAL" => "bản gốc điện tử",
            "COPY" => "bản sao điện tử",
            "INFORMATION_ONLY" => "để biết, không có giá trị bản gốc",
            "INVALID" => "chữ ký không hợp lệ",
            _ => "chưa xác định giá trị",
        };
        let mut note = Self { text: text.to_owned() };
        note.add(erased, || "nội dung đã xóa".into());
        note
    }

    fn add(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if holds {
            self.text = format!("{}; {}", self.text, what());
        }
    }
}

/// `dd/MM/yyyy`.
pub fn day(date: Date) -> String {
    date.strftime("%d/%m/%Y").to_string()
}

/// Names in one column, cut to `characters_max` with the number of those that do not fit.
pub fn names(all: &[String], characters_max: usize) -> String {
    let mut text = String::new();
    for (index, name) in all.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        let longer = text.chars().count() + separator.len() + name.chars().count();
        if longer > characters_max && index > 0 {
            return format!("{text}; … và {} nơi khác", all.len() - index);
        }
        text = format!("{text}{separator}{name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_fit_are_counted() {
        let all: Vec<String> = ["UBND xã A", "UBND xã B", "UBND xã C"].map(Into::into).into();
        assert_eq!(names(&all, 100), "UBND xã A; UBND xã B; UBND xã C");
        assert_eq!(names(&all, 20), "UBND xã A; UBND xã B; … và 1 nơi khác");
        assert_eq!(names(&all, 1), "UBND xã A; … và 2 nơi khác", "never nothing");
        assert_eq!(names(&[], 1), "");
    }

    #[test]
    fn the_registers_have_their_ten_columns() {
        let paper = Paper {
            issued: Some(jiff::civil::date(2026, 11, 2)),
            kind: "Công văn".into(),
            subject: "V/v cấp đất".into(),
            signer: "KT. Chủ tịch Nguyễn Văn A".into(),
        };
        let time: Time = "2026-11-22T03:45:18.123Z".parse().expect("a time");
        let outgoing = Outgoing {
            entry: EntryId { epoch: 1, index: 0 },
            number: "05/UBND-VP".into(),
            paper: paper.clone(),
            recipients: "UBND tỉnh (H49)".into(),
            copies: 2,
            forwarded: time,
            handed_over: 1,
            refused: 1,
            legal_value: "ORIGINAL".into(),
            erased: false,
        };
        assert_eq!(
            outgoing.columns(),
            [
                "05/UBND-VP",
                "02/11/2026",
                "Công văn V/v cấp đất",
                "KT. Chủ tịch Nguyễn Văn A",
                "UBND tỉnh (H49)",
                "",
                "2",
                "22/11/2026 10:45:18",
                "1/2 nơi đã nhận",
                "bản gốc điện tử; 1 nơi từ chối; mục nhật ký 1/0",
            ]
        );
        let incoming = Incoming {
            entry: EntryId { epoch: 1, index: 1 },
            arrived: time,
            arrival_number: 7,
            author: "UBND xã (H49.151)".into(),
            number: "05/UBND-VP".into(),
            paper: Paper::default(),
            receiver: "UBND tỉnh (H49)".into(),
            handed_over: Some(time),
            signed_for: Some((EntryId { epoch: 1, index: 3 }, "province".into())),
            refused: false,
            status: "03".into(),
            legal_value: "INFORMATION_ONLY".into(),
            erased: true,
        };
        assert_eq!(
            incoming.columns(),
            [
                "22/11/2026 10:45:18",
                "7",
                "UBND xã (H49.151)",
                "05/UBND-VP",
                "",
                "",
                "UBND tỉnh (H49)",
                "22/11/2026 10:45:18",
                "province, mục 1/3",
                "để biết, không có giá trị bản gốc; nội dung đã xóa; trạng thái 03; mục nhật ký 1/1",
            ]
        );
    }
}
