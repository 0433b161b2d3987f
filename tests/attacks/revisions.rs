//! P5–P7: proper revisions that change what was signed, and those that are allowed.

use vanthu::workshop::sign::{self, Appearance, Options};

use crate::paper::{
    Custom, PAGE, blank, first, last, overwrite, seal, signed, signed_twice, start, stream, update,
    update_with,
};
use crate::people::People;
use crate::{Case, Expected, PASSED, doubted, failed};

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = allowed(people);
    cases.extend(shadows(people));
    cases.extend(preparations(people));
    cases.extend(annotations(people));
    cases.extend(forms(people));
    cases.extend(pages(people));
    cases
}

/// What may follow a signature.
fn allowed(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let case = |name, bytes| Case::new("P7", name, bytes, PASSED);
    let store = "<</Type/Catalog/Pages 2 0 R/Lang(vi)/AcroForm 10 0 R/DSS 40 0 R>>";
    let certificate = stream("", "not judged here");
    let stored = update(&pdf, &[(1, store), (40, "<</Certs[41 0 R]>>"), (41, &certificate)]);
    let visible = Options {
        appearance: Some(Appearance { rectangle: [350, 780, 540, 830], lines: &["Số: 12/QĐ"] }),
        ..Options::new("seal", people.now)
    };
    let sealed = sign::pdf(&pdf, &people.seal, &visible).unwrap();
    let filling = stream("/Type/Filling", &"x".repeat(9 * 1024 * 1024));
    let large = update(&blank(), &[(8, &filling)]);
    let officer = Custom { number: 20, ..Custom::default() };
    let seal = Custom { number: 30, fields: "20 0 R ", ..Custom::default() };
    let large = officer.sign(&large, &people.officer, people.now);
    let large = seal.sign(&large, &people.seal, people.now);
    vec![
        case("second-signature.pdf", signed_twice(people)),
        case("second-signature-visible.pdf", sealed),
        case("security-store.pdf", stored.clone()),
        case("security-store-twice.pdf", update(&stored, &[(40, "<</Certs[41 0 R]/CRLs[]>>")])),
        case("information.pdf", update(&pdf, &[(7, "<</Title(b)>>")])),
        case("large-signed-twice.pdf", large),
        case("document-time-stamp.pdf", time_stamped(people, &pdf, people.now)),
    ]
}

/// A document time-stamp as a revision of its own.
pub fn time_stamped(people: &People, pdf: &[u8], now: vanthu::clock::Time) -> Vec<u8> {
    seal(stamp_field(pdf), |content| {
        let imprint = vanthu::digest::Sha256::of(content);
        sign::timestamp(imprint, &[], &people.tsa, now).unwrap()
    })
}

/// The field of a document time-stamp beside the officer's, without value.
pub fn stamp_field(pdf: &[u8]) -> Vec<u8> {
    let value = format!(
        "<</Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161\
         /ByteRange[0 ########## ########## ##########]/Contents <{}>>>",
        "0".repeat(8_000)
    );
    update(
        pdf,
        &[
            (10, "<</SigFlags 3/Fields[9 0 R 30 0 R]>>"),
            (30, "<</Type/Annot/Subtype/Widget/FT/Sig/T(time)/V 31 0 R/Rect[0 0 0 0]>>"),
            (31, &value),
        ],
    )
}

/// P5: the page shows something else than when it was signed.
fn shadows(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let end = pdf.len();
    let case = |name, bytes, expected| Case::new("P5", name, bytes, expected);
    let changed = |code| doubted(code, end);
    let content = stream("", "BT (999) Tj ET");
    let page = format!("{PAGE}/Annots[9 0 R]>>").replace("6 0 R", "50 0 R");
    let font = "<</Type/Font/Subtype/Type1/BaseFont/Symbol>>";
    let root = "<</Type/Catalog/Pages 50 0 R/Lang(vi)/AcroForm 10 0 R>>";
    let replaced = |root| update_with(&pdf, &[(50, root)], "/Root 50 0 R");
    let catalog = replaced("<</Type/Catalog/Pages 2 0 R/AcroForm 10 0 R>>");
    let formless = replaced("<</Type/Catalog/Pages 2 0 R>>");
    // The signer signed a page covered by a picture, or a page whose content stood there twice.
    let covered = Custom { number: 20, catalog: "/Cover 50 0 R", ..Custom::default() };
    let covered = Custom { objects: &[(50, "<</Shows true>>")], ..covered };
    let covered = covered.sign(&blank(), &people.officer, people.now);
    let dangling = Custom { number: 20, catalog: "/Cover 60 0 R", ..Custom::default() };
    let dangling = dangling.sign(&blank(), &people.officer, people.now);
    let (hidden, at) = with_hidden_content();
    let officer = Custom { number: 20, ..Custom::default() };
    let hidden = officer.sign(&hidden, &people.officer, people.now);
    let shown = listing(&hidden, 6, at);
    vec![
        case("content-replaced.pdf", update(&pdf, &[(6, &content)]), changed("CONTENT_CHANGED")),
        case("font-replaced.pdf", update(&pdf, &[(4, font)]), changed("CONTENT_CHANGED")),
        case(
            "content-exchanged.pdf",
            update(&pdf, &[(3, &page), (50, &content)]),
            changed("PAGE_CHANGED"),
        ),
        case("other-pages.pdf", update(&pdf, &[(1, root)]), changed("CATALOG_CHANGED")),
        case("other-catalog.pdf", catalog, doubted("CATALOG_REPLACED", None)),
        case(
            "other-catalog-without-form.pdf",
            formless,
            failed("SIGNATURE_UNREACHABLE", first(&pdf, "/ByteRange")),
        ),
        case("cover-removed.pdf", update(&covered, &[(50, "")]), doubted("OBJECT_REMOVED", None)),
        case(
            "missing-object-added.pdf",
            update(&dangling, &[(60, &content)]),
            doubted("DANGLING_REFERENCE", dangling.len()),
        ),
        case("hidden-object-shown.pdf", shown, doubted("CONTENT_CHANGED", at)),
        unreadable(people),
    ]
}

/// The document with another content in front of the one that is shown; where it stands.
fn with_hidden_content() -> (Vec<u8>, usize) {
    let pdf = blank();
    let at = pdf.len();
    let hidden = format!("6 0 obj\n{}\nendobj\n", stream("", "BT (999) Tj ET"));
    let out = [&pdf[..], hidden.as_bytes()].concat();
    (update(&out, &[(6, &stream("", "BT (100) Tj ET"))]), at)
}

/// A revision that only says that an object stands somewhere else.
fn listing(pdf: &[u8], number: u32, at: usize) -> Vec<u8> {
    let text = format!(
        "xref\n{number} 1\n{at:010} 00000 n \ntrailer\n<</Size 99/Root 1 0 R/Info 7 0 R/Prev {}>>\n\
         startxref\n{}\n%%EOF\n",
        start(pdf),
        pdf.len()
    );
    [pdf, text.as_bytes()].concat()
}

/// What cannot be read when it is signed cannot be compared later.
fn unreadable(people: &People) -> Case {
    let odd = update(&blank(), &[(6, "<</Length 3/Odd odd>>\nstream\nabc\nendstream")]);
    let at = last(&odd, "6 0 obj");
    let officer = Custom { number: 20, ..Custom::default() };
    let pdf = officer.sign(&odd, &people.officer, people.now);
    let later = update(&pdf, &[(7, "<</Title(b)>>")]);
    Case::new("P5", "unreadable-part.pdf", later, doubted("NOT_COMPARABLE", at))
}

/// P5 at intake: what prepares such an attack passes, but is flagged.
fn preparations(people: &People) -> Vec<Case> {
    let case = |name, bytes, remark| Case::new("P5", name, bytes, Expected::Passed(remark));
    let officer = Custom { number: 20, ..Custom::default() };
    let (hidden, _) = with_hidden_content();
    let dangling = Custom { catalog: "/Cover 60 0 R", ..officer.clone() };
    let stray = [&blank()[..], b"70 0 obj\n<<>>\nendobj\n"].concat();
    let stray = update(&stray, &[(71, "null")]);
    let sign = |custom: &Custom<'_>, pdf: &[u8]| custom.sign(pdf, &people.officer, people.now);
    vec![
        case(
            "prepared-hidden-object.pdf",
            sign(&officer, &hidden),
            "the file holds an object in a version that is not shown",
        ),
        case(
            "prepared-missing-object.pdf",
            sign(&dangling, &blank()),
            "the document refers to objects that it does not have",
        ),
        case(
            "prepared-stray-object.pdf",
            sign(&officer, &stray),
            "the file holds objects that are not shown",
        ),
    ]
}

const DRAWN: &str = "/Rect[0 0 300 300]/AP<</N 6 0 R>>";

/// P6: something is drawn over the signed page.
fn annotations(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let case = |name, bytes, expected| Case::new("P6", name, bytes, expected);
    let page = format!("{PAGE}/Annots[9 0 R 50 0 R]>>");
    let note = |body: &str| {
        let noted = update(&pdf, &[(3, &page), (50, body)]);
        let at = last(&noted, "50 0 obj");
        (noted, at)
    };
    let widget = format!("<</Subtype/Widget/FT/Sig/T(x){DRAWN}>>");
    let (text, text_at) = note("<</Type/Annot/Subtype/FreeText/Rect[0 0 9 9]>>");
    let (stamp, stamp_at) = note("<</Type/Annot/Subtype/Stamp/Rect[0 0 9 9]/AP<</N 6 0 R>>>>");
    let (active, active_at) =
        note("<</Subtype/Widget/FT/Sig/T(x)/A<</S/JavaScript>>/Rect[0 0 0 0]>>");
    let (beside, beside_at) = note(&widget);
    let (borrowed, borrowed_at) = note(&widget.replace("/T(x)", "/V 8 0 R"));
    let listed = update(&beside, &[(10, "<</SigFlags 3/Fields[9 0 R 50 0 R]>>")]);
    let moved = update(
        &pdf,
        &[(
            9,
            "<</Type/Annot/Subtype/Widget/FT/Sig/T(officer)/V 8 0 R/F 132/P 3 0 R/Rect[0 0 9 9]>>",
        )],
    );
    let large = Options {
        appearance: Some(Appearance { rectangle: [0, 0, 595, 800], lines: &["999"] }),
        ..Options::new("seal", people.now)
    };
    let large = sign::pdf(&pdf, &people.seal, &large).unwrap();
    let large_at = last(&large, "12 0 obj");
    let by_stranger = Options {
        appearance: Some(Appearance { rectangle: [72, 700, 300, 780], lines: &["999"] }),
        ..Options::new("stranger", people.now)
    };
    let by_stranger = sign::pdf(&pdf, &people.stranger, &by_stranger).unwrap();
    let (certified, certified_at) = annotated_certificate(people, 3);
    vec![
        case("text.pdf", text, doubted("ANNOTATION_ADDED", text_at)),
        case("stamp.pdf", stamp, doubted("ANNOTATION_ADDED", stamp_at)),
        case("action.pdf", active, doubted("FIELD_NOT_ALLOWED", active_at)),
        case("widget-beside-the-form.pdf", beside, doubted("ANNOTATION_ADDED", beside_at)),
        case("widget-with-borrowed-value.pdf", borrowed, doubted("ANNOTATION_ADDED", borrowed_at)),
        case("field-without-value-draws.pdf", listed, doubted("UNSIGNED_FIELD_DRAWS", beside_at)),
        case("widget-moved.pdf", moved, doubted("CONTENT_CHANGED", pdf.len())),
        case("seal-over-the-page.pdf", large, doubted("SIGNATURE_COVERS_PAGE", large_at)),
        case("signed-by-a-stranger.pdf", by_stranger, doubted("ROOT_NOT_TRUSTED", None)),
        case("certified-for-notes.pdf", certified, doubted("ANNOTATION_ADDED", certified_at)),
    ]
}

const CERTIFIED: [&str; 3] = [
    "/Reference[<</TransformMethod/DocMDP/TransformParams<</P 1>>>>]",
    "/Reference[<</TransformMethod/DocMDP/TransformParams<</P 2>>>>]",
    "/Reference[<</TransformMethod/DocMDP/TransformParams<</P 3>>>>]",
];

fn annotated_certificate(people: &People, level: usize) -> (Vec<u8>, usize) {
    let officer = Custom { number: 20, entries: CERTIFIED[level - 1], ..Custom::default() };
    let pdf = officer.sign(&blank(), &people.officer, people.now);
    let page = format!("{PAGE}/Annots[20 0 R 50 0 R]>>");
    let note = "<</Type/Annot/Subtype/Text/Rect[0 0 9 9]>>";
    let noted = update(&pdf, &[(3, &page), (50, note)]);
    let at = last(&noted, "50 0 obj");
    (noted, at)
}

const LOCKED: &str = "/Reference[<</TransformMethod/DocMDP/TransformParams<</P 2>>>>\
     <</TransformMethod/FieldMDP/TransformParams<</Action/Include/Fields[(amount)]>>>>]";

/// A form with one text field.
const FIELD: &str = "<</Type/Annot/Subtype/Widget/FT/Tx/T(amount)/V(100)/Rect[0 0 99 20]/P 3 0 R>>";
const FILLED: &str =
    "<</Type/Annot/Subtype/Widget/FT/Tx/T(amount)/V(999)/Rect[0 0 99 20]/P 3 0 R>>";

fn form(entries: &'static str, widget: &'static str) -> Custom<'static> {
    Custom {
        number: 20,
        fields: "40 0 R ",
        objects: &[(40, FIELD)],
        entries,
        widget,
        ..Custom::default()
    }
}

/// P6: forms under DocMDP and FieldMDP.
fn forms(people: &People) -> Vec<Case> {
    let case = |name, bytes, expected| Case::new("P6", name, bytes, expected);
    let after = |custom: Custom<'_>, body: &str| {
        let pdf = custom.sign(&blank(), &people.officer, people.now);
        (update(&pdf, &[(40, body)]), pdf.len())
    };
    let appearance = FILLED.replace("/P 3 0 R", "/P 3 0 R/AP<</N 50 0 R>>");
    let moved = FILLED.replace("0 0 99 20", "0 0 595 842");
    let (filled, _) = after(form(CERTIFIED[1], ""), FILLED);
    let (notes, _) = after(form(CERTIFIED[2], ""), FILLED);
    let (drawn, _) = after(form(CERTIFIED[1], ""), &appearance);
    let (plain, plain_at) = after(form("", ""), FILLED);
    let (strict, strict_at) = after(form(CERTIFIED[0], ""), FILLED);
    let (stretched, stretched_at) = after(form(CERTIFIED[1], ""), &moved);
    let open = "/Reference[<</TransformMethod/DocMDP/TransformParams<</P 2>>>>\
                <</TransformMethod/FieldMDP/TransformParams<</Action/Exclude/Fields[(amount)]>>>>]";
    let (locked, locked_at) = after(form(LOCKED, ""), FILLED);
    let (open, _) = after(form(open, ""), FILLED);
    let (by_field, by_field_at) =
        after(form(CERTIFIED[1], "/Lock<</Type/SigFieldLock/Action/All>>"), FILLED);
    let certified = Custom { number: 20, entries: CERTIFIED[0], ..Custom::default() };
    let certified = certified.sign(&blank(), &people.officer, people.now);
    let second = Custom { number: 30, fields: "20 0 R ", ..Custom::default() };
    let second = second.sign(&certified, &people.seal, people.now);
    let filled_and_signed = {
        let (filled, _) = after(form(CERTIFIED[1], ""), FILLED);
        let seal = Custom { number: 30, fields: "40 0 R 20 0 R ", ..Custom::default() };
        seal.sign(&filled, &people.seal, people.now)
    };
    vec![
        case("certified.pdf", certified.clone(), PASSED),
        case("filled-as-certified.pdf", filled, Expected::Passed("filled in after signing")),
        case("filled-where-notes-may-follow.pdf", notes, PASSED),
        case("filled-with-picture.pdf", drawn, PASSED),
        case("filled-field-not-locked.pdf", open, PASSED),
        case("filled-and-signed-again.pdf", filled_and_signed, PASSED),
        drawn_anew(people, "filled-and-drawn-anew.pdf", CERTIFIED[1], "", PASSED),
        drawn_anew(
            people,
            "drawn-anew-on-the-page-too.pdf",
            CERTIFIED[1],
            "/Cover 50 0 R",
            doubted("CONTENT_CHANGED", None),
        ),
        drawn_anew(
            people,
            "drawn-anew-without-certification.pdf",
            "",
            "",
            doubted("CONTENT_CHANGED", None),
        ),
        drawn_anew(
            people,
            "drawn-anew-where-a-field-is-locked.pdf",
            LOCKED,
            "",
            doubted("FIELD_LOCKED", None),
        ),
        case("filled-without-certification.pdf", plain, doubted("FIELD_FILLED", plain_at)),
        case(
            "filled-where-nothing-may-follow.pdf",
            strict,
            doubted("CERTIFIED_WITHOUT_CHANGES", strict_at),
        ),
        case("filled-and-stretched.pdf", stretched, doubted("CONTENT_CHANGED", stretched_at)),
        case("filled-locked-field.pdf", locked, doubted("FIELD_LOCKED", locked_at)),
        case("filled-field-locked-by-field.pdf", by_field, doubted("FIELD_LOCKED", by_field_at)),
        case(
            "signed-where-nothing-may-follow.pdf",
            second,
            doubted("CATALOG_CHANGED", certified.len()),
        ),
    ]
}

/// The picture of a form field is overwritten in its place.
fn drawn_anew(
    people: &People,
    name: &'static str,
    entries: &str,
    catalog: &str,
    expected: Expected,
) -> Case {
    let field = FIELD.replace("/V(100)", "/V(100)/AP<</N 50 0 R>>");
    let objects = [(40, field.as_str()), (50, &stream("/Type/XObject", "BT (100) Tj ET"))];
    let custom = Custom {
        number: 20,
        fields: "40 0 R ",
        entries,
        catalog,
        objects: &objects,
        widget: "",
        annotations: "",
    };
    let pdf = custom.sign(&blank(), &people.officer, people.now);
    let expected = match expected {
        Expected::Refused(indication, code, _) => {
            Expected::Refused(indication, code, Some(pdf.len()))
        }
        passed => passed,
    };
    let drawn = update(&pdf, &[(50, &stream("/Type/XObject", "BT (999) Tj ET"))]);
    Case::new("P6", name, drawn, expected)
}

/// P7: pages, and the signature dictionary itself.
fn pages(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let end = pdf.len();
    let case = |name, bytes, expected| Case::new("P7", name, bytes, expected);
    let two = update(
        &blank(),
        &[(2, "<</Type/Pages/Kids[3 0 R 50 0 R]/Count 2>>"), (50, &format!("{PAGE}>>"))],
    );
    let officer = Custom { number: 20, ..Custom::default() };
    let two = officer.sign(&two, &people.officer, people.now);
    let tree = |kids: &str, count: u8| format!("<</Type/Pages/Kids[{kids}]/Count {count}>>");
    let new_page = format!("{PAGE}>>");
    let added = update(&pdf, &[(2, &tree("3 0 R 60 0 R", 2)), (60, &new_page)]);
    // The dictionary is written again with another reason; its value stays as it was.
    let from = first(&pdf, "8 0 obj") + 8;
    let dictionary = String::from_utf8_lossy(&pdf[from..from + first(&pdf[from..], "endobj")]);
    let reason = dictionary.replacen("/Type /Sig", "/Type /Sig /Reason (Other)", 1);
    let mut renamed = pdf.clone();
    renamed[first(&pdf, "/Name <") + 14] ^= 1;
    vec![
        case("page-added.pdf", added, doubted("PAGE_ADDED", end)),
        case(
            "page-removed.pdf",
            update(&two, &[(2, &tree("3 0 R", 1))]),
            doubted("PAGE_REMOVED", two.len()),
        ),
        case(
            "pages-exchanged.pdf",
            update(&two, &[(2, &tree("50 0 R 3 0 R", 2))]),
            doubted("PAGES_CHANGED", two.len()),
        ),
        case("page-deleted.pdf", update(&two, &[(50, "")]), doubted("OBJECT_REMOVED", None)),
        case(
            "reason-replaced.pdf",
            update(&pdf, &[(8, reason.as_str())]),
            failed("BYTE_RANGE_GAP", end),
        ),
        case("name-replaced.pdf", renamed, failed("DIGEST_DIFFERS", None)),
        case(
            "media-box.pdf",
            update(&pdf, &[(3, &format!("{PAGE}/Annots[9 0 R]/Rotate 180>>"))]),
            doubted("PAGE_CHANGED", end),
        ),
        case(
            "producer-replaced.pdf",
            overwrite(&pdf, "(Vanthu", "(Vantha"),
            failed("DIGEST_DIFFERS", None),
        ),
    ]
}
