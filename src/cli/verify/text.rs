//! What was found in a file, for people.

use std::fmt::Write as _;
use std::path::Path;

use super::legal;
use crate::signature::{
    Indication, LegalValue, Report, Signature, Verdict, note_in_vietnamese, reason_in_vietnamese,
};

pub(super) fn english(path: &Path, report: &Report) -> String {
    let legal = legal(report);
    let mut text = format!("{}: {} ({})\n", path.display(), report.word(), legal.value);
    for signature in &report.signatures {
        let verdict = &signature.verdict;
        let name = signer(signature).unwrap_or("unknown signer");
        let domain = domain(signature, "trust domain");
        let (format, word) = (signature.format, outcome(verdict));
        let over = signature.counter_signs.map(|at| format!(" over signature {}", at + 1));
        let over = over.unwrap_or_default();
        let _ = writeln!(text, "  {format}{over}: {word}, {name}{domain}");
        for reason in verdict.reasons() {
            let place = reason.offset.map(|at| format!(" (byte {at})")).unwrap_or_default();
            let _ = writeln!(text, "    {}: {}{place}", reason.code, reason.message);
        }
        for stamp in &signature.timestamps {
            let time = stamp.time.map_or_else(String::new, |time| time.in_vietnam());
            let (kind, word) = (stamp.kind, stamp.verdict.indication());
            let _ = writeln!(text, "    time-stamp on the {kind}: {word}, {time}");
        }
        if let Some(time) = signature.best_time {
            let _ = writeln!(text, "    proven to exist by {}", time.in_vietnam());
        }
        for quirk in &signature.quirks {
            let _ = writeln!(text, "    note: {quirk}");
        }
    }
    text
}

pub(super) fn vietnamese(path: &Path, report: &Report) -> String {
    let legal = legal(report);
    let word = report.indication().map_or("không có chữ ký", word);
    let (file, value) = (path.display(), value(legal.value));
    let mut text = format!("{file}: {word} ({value})\n");
    let _ = writeln!(text, "  {}", note_in_vietnamese(&legal.sentence));
    for signature in &report.signatures {
        let verdict = &signature.verdict;
        let name = signer(signature).unwrap_or("không rõ người ký");
        let domain = domain(signature, "vùng tin cậy");
        let outcome = format!("{} ({})", self::word(verdict.indication()), outcome(verdict));
        let over = signature.counter_signs.map(|at| format!(" xác nhận chữ ký {}", at + 1));
        let over = over.unwrap_or_default();
        let _ = writeln!(text, "  {}{over}: {outcome}, {name}{domain}", signature.format);
        for reason in verdict.reasons() {
            let place = reason.offset.map(|at| format!(" (byte {at})")).unwrap_or_default();
            let sentence = reason_in_vietnamese(reason, verdict.sub_indication());
            let _ = writeln!(text, "    {}: {sentence}{place}", reason.code);
        }
        for stamp in &signature.timestamps {
            let time = stamp.time.map_or_else(String::new, |time| time.in_vietnam());
            let kind = note_in_vietnamese(&stamp.kind.to_string());
            let word = self::word(stamp.verdict.indication());
            let _ = writeln!(text, "    dấu thời gian trên {kind}: {word}, {time}");
        }
        if let Some(time) = signature.best_time {
            let _ = writeln!(text, "    được chứng minh đã tồn tại lúc {}", time.in_vietnam());
        }
        for quirk in &signature.quirks {
            let _ = writeln!(text, "    lưu ý: {}", note_in_vietnamese(quirk));
        }
    }
    text
}

fn signer(signature: &Signature) -> Option<&str> {
    signature.signer.as_ref().map(|signer| signer.subject.as_str())
}

fn domain(signature: &Signature, label: &str) -> String {
    signature.domain.as_ref().map(|name| format!(" [{label} {name}]")).unwrap_or_default()
}

fn outcome(verdict: &Verdict) -> String {
    let sub = verdict.sub_indication().map(|sub| format!("/{sub}")).unwrap_or_default();
    format!("{}{sub}", verdict.indication())
}

fn word(indication: Indication) -> &'static str {
    match indication {
        Indication::TotalPassed => "hợp lệ",
        Indication::Indeterminate => "chưa xác định",
        Indication::TotalFailed => "không hợp lệ",
    }
}

fn value(value: LegalValue) -> &'static str {
    match value {
        LegalValue::Original => "bản gốc",
        LegalValue::Copy => "bản sao",
        LegalValue::InformationOnly => "chỉ để tham khảo",
        LegalValue::Undetermined => "chưa xác định được giá trị pháp lý",
        LegalValue::Invalid => "không có giá trị",
    }
}
