//! P1–P4 and P8–P11: the byte range, the value, the structure of the file.

use std::io::Write as _;

use vanthu::workshop::sign;

use crate::paper::{
    Custom, blank, byte_range, contents, first, last, overwrite, seal, seal_up_to, signed,
    signed_twice, start, stream, update, with_byte_range,
};
use crate::people::People;
use crate::{Case, Expected, PASSED, doubted, failed};

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = missing_parts(people);
    cases.extend(appended_bytes(people));
    cases.extend(moved_ranges(people));
    cases.extend(shared(people));
    cases.extend(two_views(people));
    cases.extend(exhaustion(people));
    cases
}

/// P1: a signature without value or range is a broken signature, not an unsigned file.
fn missing_parts(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let dictionary = first(&pdf, "8 0 obj");
    let range = first(&pdf, "/ByteRange");
    let token = contents(&pdf);
    let with_value = |value: &[u8]| {
        let mut out = pdf.clone();
        out[token.clone()].fill(b' ');
        out[token.start..token.start + value.len()].copy_from_slice(value);
        out
    };
    let mut zeroed = pdf.clone();
    zeroed[token.start + 1..token.end - 1].fill(b'0');
    let case = |name, bytes, expected| Case::new("P1", name, bytes, expected);
    let wrong_range = |name, numbers| {
        case(name, with_byte_range(&pdf, numbers), failed("BYTE_RANGE", dictionary))
    };
    vec![
        case("signed.pdf", pdf.clone(), PASSED),
        case("value-null.pdf", with_value(b"null"), failed("CONTENTS_MISSING", dictionary)),
        case("value-empty.pdf", with_value(b"<>"), failed("CONTENTS_EMPTY", dictionary)),
        case("value-one-zero.pdf", with_value(b"<00>"), failed("CONTENTS_EMPTY", dictionary)),
        case("value-zeroed.pdf", zeroed, failed("CONTENTS_EMPTY", dictionary)),
        case(
            "value-absent.pdf",
            overwrite(&with_value(b"null"), "/Contents ", "/Contentz"),
            failed("CONTENTS_MISSING", dictionary),
        ),
        case(
            "range-absent.pdf",
            overwrite(&pdf, "/ByteRange", "/BiteRange"),
            failed("BYTE_RANGE", dictionary),
        ),
        wrong_range("range-zeroed.pdf", "0 0 0 0"),
        wrong_range("range-negative.pdf", "0 -1 99 9"),
        wrong_range("range-two-numbers.pdf", "0 99"),
        wrong_range("range-beyond-the-file.pdf", "0 99 999 999999999"),
        wrong_range("range-overflow.pdf", "0 99 9223372036854775807 9"),
        case(
            "field-without-value.pdf",
            overwrite(&pdf, "/V 8 0 R", "/V null"),
            failed("SIGNATURE_UNREACHABLE", range),
        ),
        case(
            "field-refers-to-nothing.pdf",
            overwrite(&pdf, "/V 8 0 R", "/V 0 0 R"),
            failed("SIGNATURE_MISSING", None),
        ),
        case(
            "field-is-no-signature-field.pdf",
            overwrite(&pdf, "/FT /Sig", "/FT /Tx"),
            failed("SIGNATURE_UNREACHABLE", range),
        ),
    ]
}

/// P2: what follows the signed bytes is no proper revision.
fn appended_bytes(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let end = pdf.len();
    let with = |tail: &str| [&pdf[..], tail.as_bytes()].concat();
    let body = "6 0 obj\n<</Length 3>>\nstream\nabc\nendstream\nendobj\n";
    let section = |at: usize, begin: usize| {
        format!(
            "xref\n6 1\n{at:010} 00000 n \ntrailer\n<</Size 99/Root 1 0 R/Prev {}>>\n\
             startxref\n{begin}\n%%EOF\n",
            start(&pdf)
        )
    };
    let hidden = with("% 6 0 obj<</A 1>>endobj\n");
    let tail = section(end + 2, hidden.len());
    let hidden = [hidden, tail.into_bytes()].concat();
    let beside = with(&format!("{body}7 0 obj\n<<>>\nendobj\n"));
    let tail = section(end, beside.len());
    let beside = [beside, tail.into_bytes()].concat();
    let broken = with(&format!("{body}{}", section(end, end + 9)));
    let back = with(&format!("startxref\n{}\n%%EOF\n", start(&blank())));
    let twice = signed_twice(people);
    let undone = format!("startxref\n{}\n%%EOF\n", first_start(&twice));
    let undone = [&twice[..], undone.as_bytes()].concat();
    let case = |name, bytes, expected| Case::new("P2", name, bytes, expected);
    vec![
        case("line-ends-follow.pdf", with("\r\n\n"), PASSED),
        case("object.pdf", with(body), failed("UNPARSED_BYTES", end)),
        case(
            "object-and-end-of-file.pdf",
            with(&format!("{body}%%EOF\n")),
            failed("UNPARSED_BYTES", end),
        ),
        case(
            "object-and-trailer.pdf",
            with(&format!("{body}trailer\n<</Root 1 0 R>>\n%%EOF\n")),
            failed("UNPARSED_BYTES", end),
        ),
        case(
            "object-and-wrong-start.pdf",
            with(&format!("{body}startxref\n5\n%%EOF\n")),
            failed("STRUCTURE_BROKEN", 5),
        ),
        case("junk.pdf", with("junk\n%%EOF\n"), failed("UNPARSED_BYTES", end)),
        case("wrong-start.pdf", broken, failed("STRUCTURE_BROKEN", end + 9)),
        case("object-in-comment.pdf", hidden, failed("HIDDEN_OBJECT", end + 2)),
        case("object-beside.pdf", beside, failed("UNPARSED_BYTES", end + body.len() - 1)),
        case(
            "back-to-the-unsigned-version.pdf",
            back,
            failed("SIGNATURE_UNREACHABLE", first(&pdf, "/ByteRange")),
        ),
        case("back-to-the-first-signature.pdf", undone, failed("UNPARSED_BYTES", end)),
    ]
}

/// Where the section of the first signature stands in a file with two.
fn first_start(twice: &[u8]) -> usize {
    let second = start(twice);
    let text = String::from_utf8_lossy(&twice[second..]);
    text.split("/Prev ").nth(1).unwrap().split([' ', '>']).next().unwrap().parse().unwrap()
}

/// P3 and P4: the range leaves out more than the value, or the value has another form.
fn moved_ranges(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let dictionary = first(&pdf, "8 0 obj");
    let [_, from, to, size] = byte_range(&pdf);
    let case = |name, bytes, expected| Case::new("P3", name, bytes, expected);
    let ranged = |numbers: String, expected| -> (Vec<u8>, Expected) {
        (with_byte_range(&pdf, &numbers), expected)
    };
    let gap = || failed("BYTE_RANGE_GAP", dictionary);
    let (wide, wide_code) = ranged(format!("0 {from} {} {}", to + 9, size - 9), gap());
    let (early, early_code) = ranged(format!("0 {} {to} {size}", from - 9), gap());
    let (late, late_code) =
        ranged(format!("9 {} {to} {size}", from - 9), failed("BYTE_RANGE", dictionary));
    // The signed bytes move to the end of the file; the attacker writes between.
    let mut moved = pdf[..to].to_vec();
    moved.extend(b" /Forged true >>\nendobj\n");
    let second = moved.len();
    moved.extend(&pdf[to..]);
    let moved = with_byte_range(&moved, &format!("0 {from} {second} {size}"));
    let custom = Custom { number: 20, ..Custom::default() };
    let prepared = custom.prepare(&blank());
    let end = prepared.len() - 30;
    let short = seal_up_to(prepared, end, |content| {
        sign::detached(content, &people.officer, people.now).unwrap()
    });
    let literal = literal_value(&pdf);
    vec![
        case("gap-ends-late.pdf", wide, wide_code),
        case("gap-begins-early.pdf", early, early_code),
        case("range-begins-late.pdf", late, late_code),
        case("second-range-moved.pdf", moved, failed("STRUCTURE_BROKEN", start(&pdf))),
        case("range-ends-early.pdf", short, failed("REVISION_BROKEN", end)),
        lifted_signature(people),
        Case::new(
            "P4",
            "value-in-brackets.pdf",
            literal,
            failed("CONTENTS_NOT_HEXADECIMAL", dictionary),
        ),
        Case::new(
            "P4",
            "value-as-name.pdf",
            named_value(&pdf),
            failed("CONTENTS_MISSING", dictionary),
        ),
    ]
}

/// The value as a literal string in the same room.
fn literal_value(pdf: &[u8]) -> Vec<u8> {
    let token = contents(pdf);
    let mut out = pdf.to_vec();
    out[token.start] = b'(';
    out[token.end - 1] = b')';
    out
}

/// The value as a name of the same length.
fn named_value(pdf: &[u8]) -> Vec<u8> {
    let token = contents(pdf);
    let mut out = pdf.to_vec();
    out[token.start] = b'/';
    out[token.end - 1] = b'0';
    out
}

/// A complete document whose form does not lead to the signature that a later revision shows.
fn lifted_signature(people: &People) -> Case {
    let signature = format!(
        "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached\
         /ByteRange[0 ########## ########## ##########]/Contents <{}>>>",
        "0".repeat(8_000)
    );
    let pdf = seal(update(&blank(), &[(21, &signature)]), |content| {
        sign::detached(content, &people.officer, people.now).unwrap()
    });
    let dictionary = last(&pdf, "21 0 obj");
    let lifted = update(
        &pdf,
        &[
            (1, "<</Type/Catalog/Pages 2 0 R/AcroForm<</SigFlags 3/Fields[20 0 R]>>>>"),
            (20, "<</Type/Annot/Subtype/Widget/FT/Sig/T(s)/V 21 0 R/Rect[0 0 0 0]>>"),
        ],
    );
    let expected = failed("SIGNATURE_NOT_IN_REVISION", dictionary);
    Case::new("P3", "lifted-into-a-form.pdf", lifted, expected)
}

/// P8 and P9: one signature for several fields, and content inside of the value.
fn shared(people: &People) -> Vec<Case> {
    let twice = signed_twice(people);
    let two_fields = Custom {
        number: 20,
        fields: "22 0 R ",
        objects: &[(22, "<</Type/Annot/Subtype/Widget/FT/Sig/T(t)/V 21 0 R/Rect[0 0 0 0]>>")],
        ..Custom::default()
    };
    let shared = two_fields.sign(&blank(), &people.officer, people.now);
    let place = last(&shared, "21 0 obj");
    // A later revision copies the whole dictionary: its value is no gap of its range.
    let pdf = signed(people);
    let from = first(&pdf, "8 0 obj") + 8;
    let copied = String::from_utf8_lossy(&pdf[from..from + first(&pdf[from..], "endobj")]);
    let copied = update(
        &pdf,
        &[
            (10, "<</SigFlags 3/Fields[9 0 R 30 0 R]>>"),
            (30, "<</Type/Annot/Subtype/Widget/FT/Sig/T(c)/V 31 0 R/Rect[0 0 0 0]>>"),
            (31, &copied),
        ],
    );
    let copy = last(&copied, "31 0 obj");
    let custom = Custom { number: 20, ..Custom::default() };
    let inside =
        |content: &[u8], document: &[u8]| crate::message::with_content(people, content, document);
    let other = seal(custom.prepare(&blank()), |document| inside(&blank(), document));
    let empty = seal(custom.prepare(&blank()), |document| inside(b"", document));
    let gap = contents(&other).start;
    let two_signers = seal(custom.prepare(&blank()), |document| {
        crate::message::with_two_signers(people, document)
    });
    let no_message = seal(custom.prepare(&blank()), |_| b"\x30\x03\x02\x01\x07".to_vec());
    vec![
        Case::new("P8", "two-signatures.pdf", twice, PASSED),
        Case::new("P8", "one-signature-two-fields.pdf", shared, failed("SIGNATURE_SHARED", place)),
        Case::new("P8", "copied-signature.pdf", copied, failed("BYTE_RANGE_GAP", copy)),
        Case::new("P8", "two-signers.pdf", two_signers, failed("SIGNER_COUNT", gap)),
        Case::new("P9", "other-pdf-inside.pdf", other, failed("CONTENT_INSIDE", gap)),
        Case::new("P9", "empty-content-inside.pdf", empty, failed("CONTENT_INSIDE", gap)),
        Case::new("P9", "no-message-at-all.pdf", no_message, failed("CMS_UNREADABLE", gap)),
    ]
}

/// P10: two readers see two documents.
fn two_views(people: &People) -> Vec<Case> {
    let custom = Custom { number: 20, ..Custom::default() };
    let sign = |pdf: &[u8]| custom.sign(pdf, &people.officer, people.now);
    let case = |name, bytes, expected| Case::new("P10", name, bytes, expected);
    let (content, other) = (stream("", "BT (100) Tj ET"), stream("", "BT (999) Tj ET"));
    let revised = update(&blank(), &[(6, &content)]);
    // Behind the content that the table lists stands another one that it does not.
    let place = start(&revised);
    let object = format!("6 0 obj\n{other}\nendobj\n");
    let mut doubled = revised.clone();
    doubled.splice(place..place, object.bytes());
    let begin = last(&doubled, "startxref");
    doubled.truncate(begin);
    doubled.extend(format!("startxref\n{}\n%%EOF\n", place + object.len()).bytes());
    // The table names two places for the content.
    let twice = update(&blank(), &[(6, &content), (6, &other)]);
    let table = start(&twice);
    // The table names a wrong place: only a reader that repairs files shows the content.
    let lost = last(&revised, "6 0 obj");
    let entry = |at: usize| format!("{at:010} 00000 n");
    let wrong = overwrite(&revised, &entry(lost), &entry(lost + 3));
    let (hybrid, second) = hybrid(&content, &other);
    // The newest section says that there is no earlier one.
    let pdf = signed(people);
    let cut = custom.prepare(&pdf);
    let cut = overwrite(&cut, &format!("/Prev {}", start(&pdf)), "/Prev 0");
    let cut = seal(cut, |content| sign::detached(content, &people.seal, people.now).unwrap());
    let attached = stream("/Type/EmbeddedFile", &String::from_utf8_lossy(&pdf));
    let attached = update(&blank(), &[(8, &attached)]);
    vec![
        case("revised-before-signing.pdf", sign(&revised), PASSED),
        case("signed-pdf-attached.pdf", sign(&attached), PASSED),
        case("unsigned-with-signed-pdf.pdf", attached, Expected::Unsigned),
        case("object-twice.pdf", sign(&doubled), doubted("VIEWS_DIFFER", place)),
        case("entry-twice.pdf", sign(&twice), doubted("VIEWS_DIFFER", table)),
        case("wrong-offset.pdf", sign(&wrong), doubted("VIEWS_DIFFER", lost)),
        case("hybrid-contradicts.pdf", sign(&hybrid), doubted("VIEWS_DIFFER", second)),
        case(
            "earlier-signature-cut-off.pdf",
            cut,
            failed("SIGNATURE_UNREACHABLE", first(&pdf, "/ByteRange")),
        ),
    ]
}

/// A table that names one content and a stream that names another; where the other one stands.
fn hybrid(content: &str, other: &str) -> (Vec<u8>, usize) {
    let mut out = blank();
    let previous = start(&out);
    let mut add = |object: &[u8]| {
        let at = out.len();
        out.extend(object);
        at
    };
    let listed = add(format!("6 0 obj\n{content}\nendobj\n").as_bytes());
    let second = add(format!("6 0 obj\n{other}\nendobj\n").as_bytes());
    let row = [&[1][..], &u32::try_from(second).unwrap().to_be_bytes(), &[0]].concat();
    let stream = add(&sections(50, "/W[1 4 1]/Index[6 1]/Size 99", &row));
    let table = add(b"");
    add(format!(
        "xref\n6 1\n{listed:010} 00000 n \n50 1\n{stream:010} 00000 n \ntrailer\n<</Size 99\
         /Root 1 0 R/Info 7 0 R/Prev {previous}/XRefStm {stream}>>\nstartxref\n{table}\n%%EOF\n"
    )
    .as_bytes());
    (out, second)
}

/// A cross-reference stream.
fn sections(number: u32, entries: &str, data: &[u8]) -> Vec<u8> {
    binary(number, &format!("/Type/XRef{entries}"), data)
}

/// An object with a stream of any bytes.
fn binary(number: u32, entries: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("{number} 0 obj\n<<{entries}/Length {}>>\nstream\n", data.len());
    [head.as_bytes(), data, b"\nendstream\nendobj\n"].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// P11: files that cost more than they should.
fn exhaustion(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let end = pdf.len();
    let case = |name, bytes, expected| Case::new("P11", name, bytes, expected);
    let over = || doubted("OVER_BUDGET", None);
    // A section at the end of the signed file; `{at}` is its own place.
    let tail = |text: &str| {
        let text = text.replace("{at}", &end.to_string());
        [&pdf[..], text.as_bytes()].concat()
    };
    let stream_tail = |entries: &str, data: &[u8]| {
        let stream = sections(50, &format!("/Root 1 0 R{entries}"), data);
        [&pdf[..], &stream, format!("startxref\n{end}\n%%EOF\n").as_bytes()].concat()
    };
    let catalog = |extra: &str| {
        let root = format!("<</Type/Catalog/Pages 2 0 R/AcroForm 10 0 R/X {extra}>>");
        update(&pdf, &[(1, &root)])
    };
    let long = format!("({})", "x".repeat(30 * 1024 * 1024));
    let mut many = pdf.clone();
    for _ in 0..1_100 {
        many = update(&many, &[(90, "null")]);
    }
    let custom = Custom { number: 20, ..Custom::default() };
    let sign = |custom: &Custom<'_>, pdf: &[u8]| custom.sign(pdf, &people.officer, people.now);
    let looping = Custom { widget: "/Kids[20 0 R]", ..custom.clone() };
    vec![
        case(
            "section-before-itself.pdf",
            tail("xref\n0 0\ntrailer\n<</Root 1 0 R/Prev {at}>>\nstartxref\n{at}\n%%EOF\n"),
            failed("STRUCTURE_BROKEN", end),
        ),
        case("many-sections.pdf", many, over()),
        case(
            "bomb-of-sections.pdf",
            stream_tail(
                "/W[1 2 1]/Size 9/Filter/FlateDecode",
                &deflated(&vec![0; 65 * 1024 * 1024]),
            ),
            over(),
        ),
        case(
            "bomb-of-entries.pdf",
            stream_tail(
                "/W[1 0 0]/Size 9000000/Filter/FlateDecode",
                &deflated(&vec![0; 9_000_000]),
            ),
            over(),
        ),
        case("bomb-of-values.pdf", catalog(&format!("[{}]", "0 ".repeat(5_000_000))), over()),
        case(
            "bomb-of-small-dictionaries.pdf",
            catalog(&format!("[{}]", "<</A 1>>".repeat(2_000_000))),
            over(),
        ),
        case("bomb-of-strings.pdf", catalog(&format!("[{}]", long.repeat(8))), over()),
        case(
            "bomb-of-brackets.pdf",
            catalog(&"[".repeat(200_000)),
            failed("STRUCTURE_BROKEN", end),
        ),
        case(
            "bomb-of-dictionaries.pdf",
            catalog(&format!("{}1{}", "<</A ".repeat(100_000), ">>".repeat(100_000))),
            failed("STRUCTURE_BROKEN", end),
        ),
        case("object-stream-in-itself.pdf", in_itself(&pdf), failed("STRUCTURE_BROKEN", end)),
        case("object-stream-extends-itself.pdf", sign(&custom, &extends_itself()), PASSED),
        case("field-below-itself.pdf", sign(&looping, &blank()), PASSED),
        parents_in_a_circle(people),
        case(
            "padding.pdf",
            tail(&" \n".repeat(4_000_000)),
            failed("STRUCTURE_BROKEN", end + 8_000_000 - 1_024),
        ),
    ]
}

/// The catalog is in an object stream whose length is in the same stream.
fn in_itself(pdf: &[u8]) -> Vec<u8> {
    let begin = pdf.len();
    let packed = "1 0 51 40 <</Type/Catalog/Pages 2 0 R>>                 8";
    let object = format!(
        "50 0 obj\n<</Type/ObjStm/N 2/First 10/Length 51 0 R>>\nstream\n{packed}\nendstream\nendobj\n"
    );
    let mut out = [pdf, object.as_bytes()].concat();
    let at = out.len();
    let place = u32::try_from(begin).unwrap().to_be_bytes();
    let row = |kind: u8, second: [u8; 4], third: u8| [&[kind][..], &second, &[third]].concat();
    let container = 50_u32.to_be_bytes();
    let rows = [row(2, container, 0), row(1, place, 0), row(2, container, 1)].concat();
    let entries = format!("/W[1 4 1]/Index[1 1 50 2]/Size 99/Root 1 0 R/Prev {}", start(pdf));
    out.extend(sections(52, &entries, &rows));
    out.extend(format!("startxref\n{at}\n%%EOF\n").bytes());
    out
}

/// An object stream that says it continues itself; nobody needs to follow that.
fn extends_itself() -> Vec<u8> {
    let mut out = blank();
    let (previous, begin) = (start(&out), out.len());
    out.extend(binary(50, "/Type/ObjStm/N 1/First 5/Extends 50 0 R", b"51 0 <</A 1>>"));
    let at = out.len();
    let place = u32::try_from(begin).unwrap().to_be_bytes();
    let rows = [&[1][..], &place, &[0], &[2], &50_u32.to_be_bytes(), &[0]].concat();
    let entries = format!("/W[1 4 1]/Index[50 2]/Size 99/Root 1 0 R/Info 7 0 R/Prev {previous}");
    out.extend(sections(52, &entries, &rows));
    out.extend(format!("startxref\n{at}\n%%EOF\n").bytes());
    out
}

/// A field whose parent is its own child is changed after signing.
fn parents_in_a_circle(people: &People) -> Case {
    let circle = Custom {
        number: 20,
        fields: "40 0 R ",
        objects: &[
            (40, "<</T(a)/Parent 41 0 R/Kids[41 0 R]>>"),
            (41, "<</T(b)/Parent 40 0 R/Kids[40 0 R]>>"),
        ],
        ..Custom::default()
    };
    let pdf = circle.sign(&blank(), &people.officer, people.now);
    let changed = update(&pdf, &[(40, "<</T(a)/V(1)/Parent 41 0 R/Kids[41 0 R]>>")]);
    Case::new("P11", "parents-in-a-circle.pdf", changed, doubted("OVER_BUDGET", None))
}
