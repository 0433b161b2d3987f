//! P6 and P10 on encrypted files: changes that are hidden in what is encrypted, and encryptions that
//! contradict each other.

use vanthu::workshop::sign;

use crate::paper::{PAGE, last, seal};
use crate::people::People;
use crate::vault::{Scheme, Vault, append, stream};
use crate::{Case, Expected, PASSED, doubted, failed};

const CONTENT: &[u8] = b"BT /F1 12 Tf 72 700 Td (Phe duyet 100 trieu dong) Tj ET";
const FORGED: &[u8] = b"BT /F1 12 Tf 72 700 Td (Phe duyet 900 trieu dong) Tj ET";
const SCHEMES: [(Scheme, &str); 7] = [
    (Scheme::Rc4Short, "rc4-40.pdf"),
    (Scheme::Rc4, "rc4-128.pdf"),
    (Scheme::Rc4Filter, "rc4-filter.pdf"),
    (Scheme::Aes128, "aes-128.pdf"),
    (Scheme::Aes128Streams, "aes-128-streams-only.pdf"),
    (Scheme::Aes256Old, "aes-256-revision-5.pdf"),
    (Scheme::Aes256, "aes-256.pdf"),
];

type Body = ((u32, u16), Vec<u8>);

fn text(number: u32, body: impl Into<String>) -> Body {
    ((number, 0), body.into().into_bytes())
}

/// The document: 1 catalog, 2 pages, 3 page, 4 and 5 fonts, 6 content, 7 information, 8 metadata,
/// 9 encryption.
fn blank(vault: &Vault, dictionary: &str) -> Vec<u8> {
    let font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>";
    let objects = [
        text(1, "<</Type/Catalog/Pages 2 0 R/Metadata 8 0 R>>"),
        text(2, "<</Type/Pages/Kids[3 0 R]/Count 1>>"),
        text(3, format!("{PAGE}>>")),
        text(4, font),
        text(5, font),
        ((6, 0), stream("", &vault.encrypt((6, 0), 1, CONTENT))),
        text(7, format!("<</Title {}>>", vault.string(7, "Quyet dinh"))),
        ((8, 0), vault.metadata(8)),
        text(9, dictionary),
    ];
    append(b"", &objects, &vault.trailer())
}

/// The same with the officer's signature: 20 widget, 21 signature.
fn signed_with(people: &People, vault: &Vault, dictionary: &str, name: &str) -> Vec<u8> {
    let signature = format!(
        "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/Name {}\
         /ByteRange[0 ########## ########## ##########]/Contents <{}>>>",
        vault.string(21, "Van thu"),
        "0".repeat(8_000)
    );
    let objects = [
        text(
            1,
            "<</Type/Catalog/Pages 2 0 R/Metadata 8 0 R/AcroForm<</SigFlags 3/Fields[20 0 R]>>>>",
        ),
        text(3, format!("{PAGE}/Annots[20 0 R]>>")),
        text(
            20,
            format!(
                "<</Type/Annot/Subtype/Widget/FT/Sig/T {name}/V 21 0 R/P 3 0 R/Rect[0 0 0 0]>>"
            ),
        ),
        text(21, signature),
    ];
    let pdf = append(&blank(vault, dictionary), &objects, &vault.trailer());
    seal(pdf, |content| sign::detached(content, &people.officer, people.now).unwrap())
}

fn signed(people: &People, vault: &Vault) -> Vec<u8> {
    signed_with(people, vault, &vault.dictionary, &vault.string(20, "officer"))
}

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = Vec::new();
    for (scheme, name) in SCHEMES {
        let vault = Vault::new(scheme, b"");
        cases.push(Case::new("P10", name, signed(people, &vault), PASSED));
    }
    cases.extend(changes(people));
    cases.extend(contradictions(people));
    cases.extend(closed(people));
    cases
}

/// P6: what an update says under its encryption counts.
fn changes(people: &People) -> Vec<Case> {
    let mut cases = Vec::new();
    for (scheme, changed, again) in [
        (Scheme::Rc4, "rc4-content-changed.pdf", "rc4-content-again.pdf"),
        (Scheme::Aes128, "aes-128-content-changed.pdf", "aes-128-content-again.pdf"),
        (Scheme::Aes256, "aes-256-content-changed.pdf", "aes-256-content-again.pdf"),
    ] {
        let vault = Vault::new(scheme, b"");
        let pdf = signed(people, &vault);
        let with = |id, turn, plain| {
            let body = stream("", &vault.encrypt(id, turn, plain));
            append(&pdf, &[((6, 0), body)], &vault.trailer())
        };
        let forged = with((6, 0), 1, FORGED);
        let place = last(&forged, "6 0 obj");
        cases.push(Case::new("P6", changed, forged, doubted("CONTENT_CHANGED", place)));
        // The same text, encrypted anew.
        cases.push(Case::new("P6", again, with((6, 0), 2, CONTENT), PASSED));
    }
    let vault = Vault::new(Scheme::Aes128, b"");
    let pdf = signed(people, &vault);
    let again = append(&pdf, &[((8, 0), vault.metadata(8))], &vault.trailer());
    cases.push(Case::new("P6", "open-metadata-again.pdf", again, PASSED));
    let vault = Vault::new(Scheme::Rc4, b"");
    let pdf = signed(people, &vault);
    // The same bytes in an object of another generation say something else.
    let body = stream("", &vault.encrypt((6, 0), 1, CONTENT));
    let moved = append(&pdf, &[((6, 1), body)], &vault.trailer());
    let place = last(&moved, "6 1 obj");
    cases.push(Case::new(
        "P6",
        "same-bytes-other-key.pdf",
        moved,
        doubted("CONTENT_CHANGED", place),
    ));
    let renamed = format!(
        "<</Type/Annot/Subtype/Widget/FT/Sig/T {}/V 21 0 R/P 3 0 R/Rect[0 0 0 0]>>",
        vault.string(20, "minister")
    );
    let renamed = append(&pdf, &[text(20, renamed)], &vault.trailer());
    let place = last(&renamed, "20 0 obj");
    cases.push(Case::new("P6", "string-changed.pdf", renamed, doubted("CONTENT_CHANGED", place)));
    let mut broken = pdf.clone();
    let begin = crate::paper::first(&pdf, "stream\n") + 7;
    broken[begin + 3] ^= 1;
    cases.push(Case::new(
        "P6",
        "encrypted-byte-changed.pdf",
        broken,
        failed("DIGEST_DIFFERS", None),
    ));
    cases
}

/// P10: programs that read other trailers see other documents.
fn contradictions(people: &People) -> Vec<Case> {
    let vault = Vault::new(Scheme::Aes128, b"");
    let other = Vault::new(Scheme::Rc4, b"");
    let pdf = signed(people, &vault);
    let title = || text(7, format!("<</Title {}>>", vault.string(7, "Khac")));
    let without = append(&pdf, &[title()], "/Root 1 0 R/Info 7 0 R");
    let replaced = append(&pdf, &[text(9, other.dictionary.clone())], &vault.trailer());
    let renamed = vault.trailer().replace("/Encrypt 9 0 R", "/Encrypt 10 0 R");
    let elsewhere = append(&pdf, &[text(10, other.dictionary.clone())], &renamed);
    let identified = vault.trailer().replace("/ID[<56", "/ID[<57");
    let identified = append(&pdf, &[title()], &identified);
    let unencrypted = crate::paper::signed(people);
    let late = crate::paper::update_with(
        &unencrypted,
        &[(19, &vault.dictionary)],
        "/Root 1 0 R/Encrypt 19 0 R",
    );
    let differs = || failed("ENCRYPTION_DIFFERS", None);
    let remark = Expected::Passed("the document information was changed");
    vec![
        Case::new("P10", "title-changed.pdf", append(&pdf, &[title()], &vault.trailer()), remark),
        Case::new("P10", "encryption-dropped.pdf", without, differs()),
        Case::new("P10", "encryption-replaced.pdf", replaced, differs()),
        Case::new("P10", "encryption-elsewhere.pdf", elsewhere, differs()),
        Case::new("P10", "file-identifier-changed.pdf", identified, differs()),
        Case::new("P10", "encryption-added.pdf", late, differs()),
    ]
}

/// What cannot be read is undecided, whatever the signature is.
fn closed(people: &People) -> Vec<Case> {
    let mut cases = Vec::new();
    for (scheme, name) in [
        (Scheme::Rc4Short, "password-rc4-40.pdf"),
        (Scheme::Aes128, "password-aes-128.pdf"),
        (Scheme::Aes256Old, "password-revision-5.pdf"),
        (Scheme::Aes256, "password-aes-256.pdf"),
    ] {
        let vault = Vault::new(scheme, b"bi mat");
        let expected = doubted("PASSWORD_NEEDED", None);
        cases.push(Case::new("P10", name, signed(people, &vault), expected));
    }
    let vault = Vault::new(Scheme::Aes128, b"");
    let name = vault.string(20, "officer");
    let with = |old: &str, new: &str| {
        let dictionary = vault.dictionary.replace(old, new);
        assert_ne!(dictionary, vault.dictionary);
        signed_with(people, &vault, &dictionary, &name)
    };
    let recipients = with("/Filter/Standard", "/Filter/Adobe.PubSec");
    let handler = with("/Filter/Standard", "/Filter/Foo.Bar");
    let version = with("/V 4", "/V 3");
    let cipher = with("/CFM/AESV2", "/CFM/ROT13");
    let nothing = with("/U<", "/X<");
    let undeciphered = signed_with(people, &vault, &vault.dictionary, "<00112233>");
    let at = last(&undeciphered, "20 0 obj");
    let not_judged = || doubted("ENCRYPTION_NOT_JUDGED", None);
    cases.extend([
        Case::new(
            "P10",
            "for-recipients.pdf",
            recipients,
            doubted("ENCRYPTED_FOR_RECIPIENTS", None),
        ),
        Case::new("P10", "handler-unknown.pdf", handler, not_judged()),
        Case::new("P10", "version-unpublished.pdf", version, not_judged()),
        Case::new("P10", "cipher-unknown.pdf", cipher, not_judged()),
        Case::new("P10", "user-entry-absent.pdf", nothing, doubted("ENCRYPTION_UNREADABLE", None)),
        Case::new("P10", "string-undeciphered.pdf", undeciphered, doubted("UNDECIPHERED", at)),
    ]);
    cases
}
