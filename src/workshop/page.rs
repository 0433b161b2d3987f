//! A one-page PDF 1.7, small enough to be read in an editor.
//!
//! No font is embedded: see `composed.rs` for how Vietnamese is shown all the same.

use super::composed::{Standard, TIMES, TIMES_BOLD};
use super::revision::{Object, hex_string};
use crate::digest::Sha256;

/// A4 in points.
const PAGE: (usize, usize) = (595, 842);
/// Margins and sizes of NĐ 30/2020, Phụ lục I, phần I, mục I: left 30–35 mm, right 15–20 mm.
const LEFT: f64 = 88.0;
const WIDTH: f64 = 454.0;
const TOP: f64 = 725.0;
const LEADING: f64 = 16.0;
/// Where the heading stands: the middle of the right half, and its two lines. They begin 20 mm below the
/// edge; what an annex or copy shows (`official.rs`) stands above them.
const HEADING_MIDDLE: f64 = 405.0;
const HEADING: [(&str, f64, f64); 2] = [
    ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", 12.0, 772.0),
    ("Độc lập - Tự do - Hạnh phúc", 13.0, 757.0),
];
const TITLE_SIZE: f64 = 14.0;
const TEXT_SIZE: f64 = 13.0;
/// Lines between the margins; what follows is not printed.
const LINES_MAX: usize = 42;
/// A PDF with a title and lines of text, of at least `size_min` bytes: the rest is noise that does
/// not compress. The same arguments make the same bytes. Lines that do not fit the page are left out.
pub fn pdf(title: &str, lines: &[&str], size_min: usize) -> Vec<u8> {
    let content = content(title, lines);
    let (width, height) = PAGE;
    let mut objects = vec![
        Object::new(1, "<< /Type /Catalog /Pages 2 0 R /Lang (vi) >>"),
        Object::new(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>"),
        Object::new(
            3,
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 6 0 R \
                 /Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> >>"
            ),
        ),
        Object::new(4, TIMES.dictionary()),
        Object::new(5, TIMES_BOLD.dictionary()),
        Object::stream(6, "<< ", content.as_bytes()),
        Object::new(
            7,
            format!("<< /Title {} /Producer (Vanthu workshop, dev) >>", text_string(title)),
        ),
    ];
    let used: usize = objects.iter().map(|object| object.body.len()).sum();
    // What the file has besides its objects comes on top.
    if used < size_min {
        let filler = noise(size_min - used);
        objects.push(Object::stream(8, "<< /Type /VanthuFiller ", &filler));
    }
    assemble(&objects)
}

/// A PDF text string (ISO 32000-1 §7.9.2.2) in UTF-16BE, written in hexadecimal.
pub(super) fn text_string(text: &str) -> String {
    let mut bytes = vec![0xfe, 0xff];
    bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    hex_string(&bytes)
}

/// Escapes what a literal string may not hold.
pub(super) fn escape(ascii: &str) -> String {
    ascii.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)")
}

fn content(title: &str, lines: &[&str]) -> String {
    let bold = wrap(title, &TIMES_BOLD, TITLE_SIZE).into_iter();
    let bold = bold.map(|line| (&TIMES_BOLD, "/F2", TITLE_SIZE, line));
    let plain = lines.iter().flat_map(|line| wrap(line, &TIMES, TEXT_SIZE));
    let plain = std::iter::once(String::new()).chain(plain);
    let plain = plain.map(|line| (&TIMES, "/F1", TEXT_SIZE, line));
    let mut y = TOP;
    let mut out = String::new();
    for (line, size, y) in HEADING {
        let left = HEADING_MIDDLE - TIMES_BOLD.width(line) * size / 2000.0;
        out.push_str(&TIMES_BOLD.show(line, "/F2", size, [left, y]));
    }
    // The rule under the motto is as long as it (mục II.1).
    out.push_str("0.7 w 325 752 m 485 752 l S\n");
    for (face, font, size, line) in bold.chain(plain).take(LINES_MAX) {
        out.push_str(&face.show(&line, font, size, [LEFT, y]));
        y -= LEADING;
    }
    out
}

/// Breaks a line at spaces.
fn wrap(line: &str, face: &Standard, size: f64) -> Vec<String> {
    let mut out = vec![String::new()];
    for word in line.split_whitespace() {
        let last = out.last_mut().expect("starts with one line");
        if last.is_empty() {
            last.push_str(word);
            continue;
        }
        let longer = format!("{last} {word}");
        if face.width(&longer) * size / 1000.0 <= WIDTH {
            *last = longer;
        } else {
            out.push(word.to_owned());
        }
    }
    out
}

fn assemble(objects: &[Object]) -> Vec<u8> {
    // The comment of high bytes tells transfer programs that the file is binary (§7.5.2).
    let mut out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for object in objects {
        table.push_str(&format!("{:010} 00000 n \n", out.len()));
        out.extend_from_slice(&object.body);
    }
    let id = hex_string(&Sha256::of(&out).0[..16]);
    let start = out.len();
    out.extend_from_slice(table.as_bytes());
    let size = objects.len() + 1;
    let trailer = format!(
        "trailer\n<< /Size {size} /Root 1 0 R /Info 7 0 R /ID [{id} {id}] >>\n\
         startxref\n{start}\n%%EOF\n"
    );
    out.extend_from_slice(trailer.as_bytes());
    out
}

/// Bytes that look random and are always the same (xorshift64, Marsaglia 2003).
fn noise(size: usize) -> Vec<u8> {
    let mut state: u64 = 0x5661_6e74_6875_2121;
    let mut out = Vec::with_capacity(size + 8);
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(size);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::revision::{Id, Revision};

    #[test]
    fn every_cross_reference_points_at_its_object() {
        let file = pdf("Quyết định", &["Điều 1. Phê duyệt (kèm \\ và ngoặc)."], 0);
        let file = file.as_slice();
        let revision = Revision::read(&file).unwrap();
        assert_eq!(revision.size(), 8);
        for number in [1, 2, 3, 4, 5, 6, 7] {
            revision.outline().values(Id { number, generation: 0 }).unwrap();
        }
        assert!(revision.outline().values(Id { number: 8, generation: 0 }).is_err());
    }

    #[test]
    fn the_page_shows_letters_under_their_marks_and_keeps_the_true_title() {
        let file = pdf("Quyết định", &["Điều 1. Đất đai (sửa đổi)"], 0);
        let text = String::from_utf8_lossy(&file);
        assert!(text.contains("(Dieu 1. Dat dai \\(sua doi\\)) Tj"), "{text}");
        assert!(text.contains(&format!("/Title {}", text_string("Quyết định"))));
    }

    #[test]
    fn a_file_has_the_size_asked_for_and_is_the_same_each_time() {
        for size in [0, 4_000, 4_500, 100 * 1024] {
            let file = pdf("Công văn", &["Kính gửi: các cơ quan"], size);
            assert!(file.len() >= size && file.len() < size.max(4_096) + 1_024, "{size}");
            assert_eq!(file, pdf("Công văn", &["Kính gửi: các cơ quan"], size));
        }
    }

    #[test]
    fn the_heading_begins_where_official_documents_do() {
        let edge = 842.0 - 20.0 * crate::workshop::drawing::MILLIMETRE;
        for (line, size, y) in HEADING {
            assert!(y + size <= edge, "{line}");
        }
    }

    #[test]
    fn long_lines_are_wrapped_and_a_full_page_ends() {
        let long = "chữ ".repeat(2_000);
        let file = pdf("", &[&long], 0);
        assert_eq!(
            String::from_utf8_lossy(&file).matches(" Tj ET").count(),
            HEADING.len() + LINES_MAX
        );
    }
}
