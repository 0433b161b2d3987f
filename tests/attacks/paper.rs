//! PDFs of the workshop, and what an attacker does to their bytes.

use vanthu::clock::Time;
use vanthu::workshop::identity::Identity;
use vanthu::workshop::{page, sign};

use crate::people::People;

/// Room for the signature value, in bytes.
const ROOM: usize = 8_000;
/// The page as the workshop draws it, open.
pub const PAGE: &str = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 6 0 R\
                        /Resources<</Font<</F1 4 0 R/F2 5 0 R>>>>";

/// The document: 1 catalog, 2 pages, 3 page, 4 and 5 fonts, 6 content, 7 information.
pub fn blank() -> Vec<u8> {
    page::pdf("Quyết định", &["Điều 1. Phê duyệt 100 triệu đồng."], 0)
}

/// Signed by the officer: 8 signature, 9 widget, 10 form.
pub fn signed(people: &People) -> Vec<u8> {
    sign::pdf(&blank(), &people.officer, &sign::Options::new("officer", people.now)).unwrap()
}

/// Signed by the officer and then by the seal.
pub fn signed_twice(people: &People) -> Vec<u8> {
    sign::pdf(&signed(people), &people.seal, &sign::Options::new("seal", people.now)).unwrap()
}

/// The last place of `what`.
pub fn last(pdf: &[u8], what: &str) -> usize {
    let what = what.as_bytes();
    pdf.windows(what.len()).rposition(|window| window == what).expect("it is there")
}

/// The first place of `what`.
pub fn first(pdf: &[u8], what: &str) -> usize {
    let what = what.as_bytes();
    pdf.windows(what.len()).position(|window| window == what).expect("it is there")
}

/// `pdf` with the last `old` overwritten by `new` and blanks; no byte moves.
pub fn overwrite(pdf: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert!(new.len() <= old.len());
    let at = last(pdf, old);
    let mut out = pdf.to_vec();
    out[at..at + old.len()].copy_from_slice(format!("{new:<width$}", width = old.len()).as_bytes());
    out
}

/// The last `/Contents` token: `<` to `>`.
pub fn contents(pdf: &[u8]) -> std::ops::Range<usize> {
    let at = last(pdf, "/Contents <") + 10;
    let size = pdf[at..].iter().position(|&byte| byte == b'>').expect("it ends");
    at..at + size + 1
}

/// What stands after the last `startxref`.
pub fn start(pdf: &[u8]) -> usize {
    let at = last(pdf, "startxref") + 9;
    std::str::from_utf8(&pdf[at..]).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// Appends a revision with these objects; an empty body frees the object.
pub fn update(pdf: &[u8], objects: &[(u32, &str)]) -> Vec<u8> {
    update_with(pdf, objects, "/Root 1 0 R")
}

/// The same with other entries in the trailer.
pub fn update_with(pdf: &[u8], objects: &[(u32, &str)], trailer: &str) -> Vec<u8> {
    let mut out = pdf.to_vec();
    let mut table = String::from("xref\n");
    for (number, body) in objects {
        if body.is_empty() {
            table += &format!("{number} 1\n0000000000 00001 f \n");
            continue;
        }
        table += &format!("{number} 1\n{:010} 00000 n \n", out.len());
        out.extend(format!("{number} 0 obj\n{body}\nendobj\n").bytes());
    }
    let previous = start(pdf);
    let begin = out.len();
    out.extend(
        format!(
            "{table}trailer\n<</Size 99/Info 7 0 R{trailer}/Prev {previous}>>\n\
             startxref\n{begin}\n%%EOF\n"
        )
        .bytes(),
    );
    out
}

/// A stream object.
pub fn stream(dictionary: &str, data: &str) -> String {
    format!("<<{dictionary}/Length {}>>\nstream\n{data}\nendstream", data.len())
}

/// A signature of a kind that the workshop does not make.
#[derive(Clone, Default)]
pub struct Custom<'a> {
    /// Number of the new widget; the signature has the next.
    pub number: u32,
    /// Fields that are in the form already: `20 0 R `.
    pub fields: &'a str,
    /// More annotations on the page.
    pub annotations: &'a str,
    /// More entries of the signature dictionary, of the widget, of the catalog.
    pub entries: &'a str,
    pub widget: &'a str,
    pub catalog: &'a str,
    /// More objects in the same revision.
    pub objects: &'a [(u32, &'a str)],
}

impl Custom<'_> {
    /// Appends the signature, still without its value.
    pub fn prepare(&self, pdf: &[u8]) -> Vec<u8> {
        let Self { number, fields, annotations, entries, widget, catalog, .. } = self;
        let rectangle = if widget.contains("/Rect") { "" } else { "/Rect[0 0 0 0]" };
        let value = number + 1;
        let root = format!(
            "<</Type/Catalog/Pages 2 0 R{catalog}\
             /AcroForm<</SigFlags 3/Fields[{fields}{number} 0 R]>>>>"
        );
        let page = format!("{PAGE}/Annots[{fields}{annotations}{number} 0 R]>>");
        let widget = format!(
            "<</Type/Annot/Subtype/Widget/FT/Sig/T(s{number})/V {value} 0 R/P 3 0 R{rectangle}{widget}>>"
        );
        let signature = format!(
            "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached{entries}\
             /ByteRange[0 ########## ########## ##########]/Contents <{}>>>",
            "0".repeat(ROOM * 2)
        );
        let mut objects: Vec<(u32, &str)> =
            vec![(1, &root), (3, &page), (*number, &widget), (value, &signature)];
        objects.extend(self.objects);
        update(pdf, &objects)
    }

    /// Appends the signature and makes its value.
    pub fn sign(&self, pdf: &[u8], signer: &Identity, now: Time) -> Vec<u8> {
        seal(self.prepare(pdf), |content| sign::detached(content, signer, now).unwrap())
    }
}

/// Fills in the last byte range up to the end of the file, and the value that `make` gives.
pub fn seal(pdf: Vec<u8>, make: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let end = pdf.len();
    seal_up_to(pdf, end, make)
}

/// The same for a signature that covers the file up to `end` only.
pub fn seal_up_to(mut pdf: Vec<u8>, end: usize, make: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let range = last(&pdf, "/ByteRange[");
    let gap = contents(&pdf);
    let text = format!("/ByteRange[0 {:<10} {:<10} {:<10}]", gap.start, gap.end, end - gap.end);
    pdf[range..range + text.len()].copy_from_slice(text.as_bytes());
    let value = make(&[&pdf[..gap.start], &pdf[gap.end..end]].concat());
    fill(&mut pdf, gap, &value);
    pdf
}

/// Writes a value into its room.
pub fn fill(pdf: &mut [u8], gap: std::ops::Range<usize>, value: &[u8]) {
    let digits = vanthu::digest::hex(value);
    let room = &mut pdf[gap.start + 1..gap.end - 1];
    assert!(digits.len() <= room.len());
    room.fill(b'0');
    room[..digits.len()].copy_from_slice(digits.as_bytes());
}

/// The numbers of the last `/ByteRange`.
pub fn byte_range(pdf: &[u8]) -> [usize; 4] {
    let at = last(pdf, "/ByteRange") + 10;
    let text = String::from_utf8_lossy(&pdf[at..at + 60]).into_owned();
    let inner = text.split(['[', ']']).nth(1).expect("an array");
    let numbers: Vec<usize> = inner.split_whitespace().map(|n| n.parse().unwrap()).collect();
    numbers.try_into().expect("four numbers")
}

/// The same file with other numbers in its last `/ByteRange`.
pub fn with_byte_range(pdf: &[u8], numbers: &str) -> Vec<u8> {
    let at = last(pdf, "/ByteRange") + 10;
    let open = at + pdf[at..].iter().position(|&byte| byte == b'[').expect("an array");
    let close = open + pdf[open..].iter().position(|&byte| byte == b']').expect("it ends");
    let room = String::from_utf8(pdf[open..=close].to_vec()).unwrap();
    // The workshop leaves blanks after the array.
    let blanks = pdf[close + 1..].iter().take_while(|&&byte| byte == b' ').count();
    let room = format!("{room}{}", " ".repeat(blanks));
    overwrite(pdf, &room, &format!("[{numbers}]"))
}
