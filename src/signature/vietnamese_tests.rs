//! The catalogue is complete, and what it says is what was said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn say(code: &'static str, message: &str) -> String {
    let reason = Reason { code, message: message.to_owned(), offset: None };
    reason_in_vietnamese(&reason, Some(SubIndication::TryLater))
}

#[test]
fn names_and_dates_stay_and_parts_are_translated() {
    assert_eq!(
        say(
            "EXPIRED",
            "The certificate of “UBND phường Hà Tu” ran out on 01/02/2026 07:00:00, and \
             nothing proves that the signature is older."
        ),
        "Chứng thư của “UBND phường Hà Tu” đã hết hạn ngày 01/02/2026 07:00:00, và không có gì \
         chứng minh chữ ký có trước đó."
    );
    assert_eq!(
        say(
            "CRL_MISSING",
            "Whether the certificate of “A” was revoked is unknown: the revocation \
             list of “B” is needed, and it ran out on 05/06/2026 00:00:00."
        ),
        "Không biết chứng thư của “A” có bị thu hồi hay không: cần danh sách thu hồi (CRL) của “B”, \
         nhưng danh sách đã hết hạn ngày 05/06/2026 00:00:00."
    );
    assert_eq!(
        say(
            "CRL_MISSING",
            "Whether the certificate of “A” was revoked when the signature was made, \
             by 05/06/2018 00:00:00, is unknown: a revocation list or response of “B” is needed, \
             and none is at hand."
        ),
        "Không biết chứng thư của “A” có bị thu hồi hay không vào lúc ký (chậm nhất 05/06/2018 \
         00:00:00): cần danh sách thu hồi (CRL) hoặc phản hồi OCSP của “B”, nhưng hiện không có."
    );
    assert_eq!(
        say(
            "SIGNATURE_ALGORITHM",
            "The signature fits, but SHA-1 is accepted until 31/12/2019 \
             only, and nothing proves that it was used before."
        ),
        "Giá trị chữ ký khớp, nhưng SHA-1 chỉ được chấp nhận đến hết ngày 31/12/2019, và không có \
         gì chứng minh là đã dùng trước đó."
    );
    assert_eq!(
        say(
            "CRL_MISSING",
            "Whether the certificate of “A” was revoked is unknown: the revocation \
             list of “B” is needed, and the certificate of its signer does not hold (“C” is not one \
             of the trusted roots)."
        ),
        "Không biết chứng thư của “A” có bị thu hồi hay không: cần danh sách thu hồi (CRL) của “B”, \
         nhưng chứng thư của bên ký danh sách không hợp lệ (“C” không thuộc các chứng thư gốc tin \
         cậy)."
    );
}

#[test]
fn what_is_missing_is_said_in_general_words() {
    let general = "Chưa đủ dữ liệu thu hồi; hãy kiểm tra lại sau.";
    assert_eq!(say("NOT_IN_THE_CATALOGUE", "Something new."), general);
    assert_eq!(say("EXPIRED", "Something new."), general);
    for sub in SubIndication::ALL {
        assert!(CATALOGUE.general.contains_key(sub.as_str()), "={sub}");
    }
    assert!(CATALOGUE.general.contains_key(""));
}

#[test]
fn no_name_can_speak_for_the_catalogue() {
    for name in
        ["{1}", "{2}{3}", "” ran out on 01/01/2020, and {1}", "", "x".repeat(9_999).as_str()]
    {
        let message = format!("The certificate of “{name}” is not valid before 01/01/2027.");
        let said = say("NOT_YET_VALID", &message);
        assert!(said.contains(name) && said.ends_with("trước 01/01/2027."), "{said}");
    }
}

#[test]
fn every_line_is_well_formed() {
    for line in include_str!("reasons_vi.txt").lines() {
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let columns: Vec<&str> = line.split(" |").map(str::trim).collect();
        let [code, english, vietnamese] = columns[..] else { panic!("three columns: {line}") };
        assert!(!vietnamese.is_empty(), "{line}");
        assert_eq!(english.is_empty(), code.starts_with('='), "{line}");
        let gaps = english.matches("{}").count();
        for gap in 1..=9 {
            let is_filled = vietnamese.contains(&format!("{{{gap}}}"));
            assert_eq!(is_filled, gap <= gaps, "gap {gap}: {line}");
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && !name.contains("test") && !name.contains("scenarios") {
            found.push(path);
        }
    }
    found
}

/// Every string literal of a source file before its tests, with gaps as `{}`.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: Vec<&str> =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n").replace("'\"'", "' '").replace("b'\"'", "b' '");
    let mut found = Vec::new();
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' if letters.peek() == Some(&'\n') => {
                    while letters.peek().is_some_and(|next| next.is_whitespace()) {
                        letters.next();
                    }
                }
                '\\' => text.extend(letters.next()),
                '{' => {
                    let _ = letters.by_ref().find(|&end| end == '}');
                    text.push_str("{}");
                }
                letter => text.push(letter),
            }
        }
        found.push(text);
    }
    found
}

fn looks_like_code(text: &str) -> bool {
    text.len() >= 4
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|one| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_')
}

fn looks_like_sentence(text: &str) -> bool {
    text.ends_with('.')
        && text.contains(' ')
        && text.starts_with(|c: char| c.is_uppercase() || c == '“')
}

/// As a note, or as the sentence of some reason.
fn is_known(sentence: &str) -> bool {
    let without = sentence.trim_end_matches('.');
    CATALOGUE.part(sentence, 0) != sentence || CATALOGUE.part(without, 0) != without
}

/// Whoever adds a reason adds a line to `reasons_vi.txt`: what is missing is printed as it must begin.
#[test]
fn everything_that_the_room_says_is_in_the_catalogue() {
    let catalogue = include_str!("reasons_vi.txt");
    let ignored: BTreeSet<&str> =
        catalogue.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let subs: BTreeSet<&str> = SubIndication::ALL.iter().map(|sub| sub.as_str()).collect();
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/signature");
    let (mut codes, mut sentences) = (BTreeSet::new(), BTreeSet::new());
    for path in sources(&room) {
        for text in literals(&std::fs::read_to_string(&path).unwrap()) {
            let known = subs.contains(text.as_str()) || ignored.contains(text.as_str());
            if looks_like_code(&text) && !known && !CATALOGUE.reasons.contains_key(text.as_str()) {
                codes.insert(text.clone());
            }
            if looks_like_sentence(&text) && !is_known(&text) {
                sentences.insert(text);
            }
        }
    }
    let missing: Vec<String> = codes
        .iter()
        .map(|code| format!("{code} | … | …"))
        .chain(sentences.iter().map(|text| format!("… | {text} | …")))
        .collect();
    assert!(missing.is_empty(), "not in reasons_vi.txt:\n{}", missing.join("\n"));
    assert!(CATALOGUE.reasons.len() > 80, "the sources were read");
}
