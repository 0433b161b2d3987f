//! What proven entries say, in sentences. Nothing here is taken from anywhere else.

use std::collections::{BTreeMap, BTreeSet};

use super::neighbour::told_by;
use super::receipt::ProvenEntry;
use super::verify::PartInfo;
use crate::directory::Code;
use crate::log::{EntryId, Event, Status};

/// One proven fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The entry that proves it.
    pub entry: EntryId,
    /// The recipient it is about, if it is about one.
    pub recipient: Option<Code>,
    /// In English.
    pub english: String,
    /// In Vietnamese; times are those of Vietnam.
    pub vietnamese: String,
}

impl Statement {
    fn new(entry: &ProvenEntry, english: &str, vietnamese: &str) -> Self {
        let (id, recipient) = (entry.id(), entry.to.clone());
        Self { entry: id, recipient, english: plain(english), vietnamese: plain(vietnamese) }
    }
}

/// Text that can be printed: what senders and recipients wrote must not steer a terminal, break the
/// line or turn its direction.
pub(super) fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
    };
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Texts behind notes, by entry.
pub(super) type Notes = BTreeMap<EntryId, String>;

pub(super) fn statements(
    entries: &[ProvenEntry],
    parts: &[(PartInfo, bool)],
    notes: &Notes,
) -> Vec<Statement> {
    let mut statements = Vec::new();
    for entry in entries {
        match entry.event {
            Event::SubmissionAcceptance => accepted(entry, parts, &mut statements),
            Event::Erasure | Event::Hold | Event::Release => {
                statements.push(keeping(entry, notes));
            }
            _ => statements.push(delivery(entry, notes)),
        }
    }
    statements
}

/// What the file could hold and does not.
pub(super) fn absences(
    entries: &[ProvenEntry],
    parts: &[(PartInfo, bool)],
    notes: &Notes,
) -> Vec<String> {
    let mut absent = Vec::new();
    let answers = [Event::ContentHandover, Event::ConsignmentRejection, Event::RelayRejection];
    let answered: BTreeSet<&Code> = entries
        .iter()
        .filter(|entry| answers.contains(&entry.event))
        .filter_map(|entry| entry.to.as_ref())
        .collect();
    for entry in entries {
        if let (Event::ContentConsignment | Event::Relay, Some(to)) = (entry.event, &entry.to)
            && told_by(entry).is_none()
            && !answered.contains(to)
        {
            absent.push(format!("the file holds no answer of {to}; there may be one in the log"));
        }
        if entry.note.is_some() && !notes.contains_key(&entry.id()) {
            absent
                .push(format!("the text behind the note of entry {} is not enclosed", entry.id()));
        }
    }
    for (part, enclosed) in parts {
        if !enclosed {
            let PartInfo { name, digest, .. } = part;
            let name = plain(name);
            absent.push(format!("the part {name} is not enclosed; its SHA-256 is {digest}"));
        }
    }
    absent
}

fn accepted(entry: &ProvenEntry, parts: &[(PartInfo, bool)], statements: &mut Vec<Statement>) {
    let mut state = |english: String, vietnamese: String| {
        statements.push(Statement::new(entry, &english, &vietnamese));
    };
    let (id, time, local) = (entry.id(), entry.time, entry.time.in_vietnam());
    let (system, certificate) = (&entry.actor.system, entry.actor.certificate);
    let consignment = shown(entry.consignment.as_ref());
    let from = shown(entry.from.as_ref());
    state(
        format!(
            "consignment {consignment} from {from} was accepted at {time} (entry {id}), sent by \
             system {system} with certificate {certificate}"
        ),
        format!(
            "văn bản {consignment} của {from} được tiếp nhận lúc {local} (mục {id}), do hệ thống \
             {system} gửi bằng chứng thư {certificate}"
        ),
    );
    let (document, envelope) = (shown(entry.document.as_ref()), shown(entry.envelope.as_ref()));
    state(
        format!("its document is {document}, its envelope has the SHA-256 {envelope}"),
        format!("mã định danh văn bản: {document}; SHA-256 của phong bì: {envelope}"),
    );
    if let Some(verdict) = &entry.verdict {
        let (indication, legal, report) =
            (&verdict.indication, &verdict.legal_value, verdict.report);
        state(
            format!(
                "its signatures were judged {indication}, legal value {legal}, report {report}"
            ),
            format!(
                "kết quả kiểm tra chữ ký: {indication}; giá trị pháp lý: {legal}; báo cáo {report}"
            ),
        );
    }
    for (part, _) in parts {
        let PartInfo { name, size, digest } = part;
        state(
            format!("its part {name} has {size} bytes and the SHA-256 {digest}"),
            format!("tệp {name} có {size} byte, SHA-256 {digest}"),
        );
    }
}

fn delivery(entry: &ProvenEntry, notes: &Notes) -> Statement {
    let (id, time, local) = (entry.id(), entry.time, entry.time.in_vietnam());
    let (system, certificate) = (&entry.actor.system, entry.actor.certificate);
    let to = shown(entry.to.as_ref());
    let by = format!("by system {system} with certificate {certificate}");
    let by_vietnamese = format!("bởi hệ thống {system}, chứng thư {certificate}");
    let note = notes.get(&id).map(|text| format!(": {text}")).unwrap_or_default();
    let since = shown(entry.since.as_ref());
    let since_local = entry.since.map(|since| since.in_vietnam()).unwrap_or_default();
    let addressed = entry.addressed.as_ref();
    let instead = addressed.map(|code| format!(", addressed to {code},")).unwrap_or_default();
    let instead_vietnamese =
        addressed.map(|code| format!(" (gửi theo mã {code})")).unwrap_or_default();
    let (english, vietnamese) = match entry.event {
        Event::Relay | Event::RelayAcceptance | Event::RelayRejection | Event::RelayFailure => {
            return relay(entry);
        }
        Event::ContentConsignment => (
            format!("it was put into the mailbox of {to}{instead} at {time} (entry {id})"),
            format!("đã đến hộp thư của {to}{instead_vietnamese} lúc {local} (mục {id})"),
        ),
        Event::Redirection => (
            format!("it was taken to the mailbox of {to}{instead} at {time} (entry {id})"),
            format!("đã chuyển sang hộp thư của {to}{instead_vietnamese} lúc {local} (mục {id})"),
        ),
        Event::ContentHandover => (
            format!("{to} took and acknowledged it at {time} (entry {id}), {by}"),
            format!("{to} đã tiếp nhận lúc {local} (mục {id}), {by_vietnamese}"),
        ),
        Event::ConsignmentRejection => (
            format!("{to} refused it at {time} (entry {id}), {by}{note}"),
            format!("{to} từ chối tiếp nhận lúc {local} (mục {id}), {by_vietnamese}{note}"),
        ),
        Event::ConsignmentNotification => (
            format!("the system of {to} was given notice of it at {time} (entry {id})"),
            format!("hệ thống của {to} đã nhận thông báo lúc {local} (mục {id})"),
        ),
        Event::ContentAccessTracking => (
            format!("{to} read its content for the first time at {time} (entry {id}), {by}"),
            format!("{to} mở nội dung lần đầu lúc {local} (mục {id}), {by_vietnamese}"),
        ),
        Event::ConsignmentNotificationFailure => (
            format!("until {since} nobody of {to} took a notice of it (entry {id})"),
            format!("đến {since_local} chưa có ai của {to} nhận thông báo (mục {id})"),
        ),
        Event::ContentHandoverFailure => (
            format!("until {since} {to} neither took nor refused it (entry {id})"),
            format!("đến {since_local} {to} chưa tiếp nhận cũng chưa từ chối (mục {id})"),
        ),
        Event::Order | Event::OrderAnswer => return order(entry, &note),
        _ => {
            let status = entry.status.map(|status| status.code()).unwrap_or_default();
            (
                format!("{to} reported status {status} at {time} (entry {id}), {by}{note}"),
                format!(
                    "{to} báo trạng thái {status} lúc {local} (mục {id}), {by_vietnamese}{note}"
                ),
            )
        }
    };
    if told_by(entry).is_none() {
        return Statement::new(entry, &english, &vietnamese);
    }
    let neighbour = entry.service.as_ref().map(|service| service.name()).unwrap_or_default();
    let english = format!("{english}, as the gateway {neighbour} told");
    Statement::new(entry, &english, &format!("{vietnamese}, theo cổng {neighbour}"))
}

/// Its way through another gateway.
fn relay(entry: &ProvenEntry) -> Statement {
    let (id, time, local) = (entry.id(), entry.time, entry.time.in_vietnam());
    let to = shown(entry.to.as_ref());
    let neighbour = entry.service.as_ref().map(|service| service.name()).unwrap_or_default();
    let reason = shown(entry.reason.as_ref());
    let since = shown(entry.since.as_ref());
    let since_local = entry.since.map(|since| since.in_vietnam()).unwrap_or_default();
    let (english, vietnamese) = match entry.event {
        Event::Relay => (
            format!("for {to} it waits for the gateway {neighbour} since {time} (entry {id})"),
            format!("chờ chuyển đến {to} qua cổng {neighbour} từ {local} (mục {id})"),
        ),
        Event::RelayAcceptance => (
            format!(
                "the gateway {neighbour} took it in charge for {to}, known at {time} (entry {id})"
            ),
            format!(
                "cổng {neighbour} đã tiếp nhận để chuyển đến {to}, biết lúc {local} (mục {id})"
            ),
        ),
        Event::RelayRejection => (
            format!(
                "it was not taken for {to}: {reason}, as the gateway {neighbour} told, known at {time} (entry {id})"
            ),
            format!(
                "không được nhận chuyển đến {to}: {reason}, theo cổng {neighbour}, biết lúc {local} (mục {id})"
            ),
        ),
        Event::RelayFailure if told_by(entry).is_some() => (
            format!(
                "until {since} a gateway behind {neighbour} neither took nor refused it for {to}, as {neighbour} told (entry {id})"
            ),
            format!(
                "đến {since_local} một cổng sau {neighbour} chưa nhận cũng chưa từ chối chuyển đến {to}, theo cổng {neighbour} (mục {id})"
            ),
        ),
        _ => (
            format!(
                "until {since} the gateway {neighbour} neither took nor refused it for {to} (entry {id})"
            ),
            format!(
                "đến {since_local} cổng {neighbour} chưa nhận cũng chưa từ chối chuyển đến {to} (mục {id})"
            ),
        ),
    };
    Statement::new(entry, &english, &vietnamese)
}

/// What the sender asked afterwards, and what was answered.
fn order(entry: &ProvenEntry, note: &str) -> Statement {
    let (id, time, local) = (entry.id(), entry.time, entry.time.in_vietnam());
    let to = shown(entry.to.as_ref());
    let system = &entry.actor.system;
    let (english, vietnamese) = match (entry.event, entry.status) {
        (Event::Order, _) => {
            let (asked, asked_vietnamese) = match (entry.reason.as_deref(), entry.by) {
                (Some("UPDATE"), Some(by)) => {
                    (format!("is updated by {by}"), format!("được cập nhật bằng {by}"))
                }
                (Some("REPLACE"), Some(by)) => {
                    (format!("is replaced by {by}"), format!("được thay thế bằng {by}"))
                }
                _ => ("is to be given back".to_owned(), "được yêu cầu thu hồi".to_owned()),
            };
            (
                format!(
                    "its sender told {to} that it {asked}, at {time} (entry {id}), by system \
                     {system}{note}"
                ),
                format!(
                    "nơi gửi báo {to}: văn bản {asked_vietnamese}, lúc {local} (mục {id}), bởi hệ \
                     thống {system}{note}"
                ),
            )
        }
        _ if entry.actor.is_gateway() => (
            format!("it was taken out of the mailbox of {to} at {time} (entry {id})"),
            format!("đã rút khỏi hộp thư của {to} lúc {local} (mục {id})"),
        ),
        (_, status) => {
            let (says, says_vietnamese) = match status {
                Some(Status::Agreed) => ("agreed", "đồng ý"),
                _ => ("did not agree", "không đồng ý"),
            };
            (
                format!("{to} {says} to that at {time} (entry {id}), by system {system}{note}"),
                format!(
                    "{to} {says_vietnamese} lúc {local} (mục {id}), bởi hệ thống {system}{note}"
                ),
            )
        }
    };
    Statement::new(entry, &english, &vietnamese)
}

/// What was done with the bodies.
fn keeping(entry: &ProvenEntry, notes: &Notes) -> Statement {
    let (id, time, local) = (entry.id(), entry.time, entry.time.in_vietnam());
    let reason = shown(entry.reason.as_ref());
    let note = notes.get(&id).map(|text| format!(": {text}")).unwrap_or_default();
    let (english, vietnamese) = match entry.event {
        Event::Erasure => {
            let count = entry.bodies.map(|bodies| bodies.count).unwrap_or_default();
            (
                format!("{count} of its bodies were erased at {time}, {reason} (entry {id}){note}"),
                format!("đã xóa {count} tệp nội dung lúc {local}, {reason} (mục {id}){note}"),
            )
        }
        Event::Hold => (
            format!("its bodies are held since {time}, {reason} (entry {id}){note}"),
            format!("nội dung được giữ lại từ {local}, {reason} (mục {id}){note}"),
        ),
        _ => (
            format!("the hold {reason} on its bodies ended at {time} (entry {id}){note}"),
            format!("việc giữ lại nội dung {reason} kết thúc lúc {local} (mục {id}){note}"),
        ),
    };
    Statement::new(entry, &english, &vietnamese)
}

/// A field as text; an entry that was proven and followed has it.
fn shown(field: Option<&impl std::fmt::Display>) -> String {
    field.map(ToString::to_string).unwrap_or_default()
}
