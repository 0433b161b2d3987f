//! A one-page PDF 1.7, small enough to be read in an editor.
//!
//! No font is embedded, and the fonts that every reader has lack Vietnamese: the page *shows* the text
//! without diacritics, and carries the true text as `/ActualText` for search, copying and screen readers.

use super::revision::{Object, hex_string};
use crate::digest::Sha256;

/// A4 in points.
const PAGE: (usize, usize) = (595, 842);
const LEFT: usize = 72;
const TOP: usize = 770;
const LEADING: usize = 16;
/// Characters of Helvetica 11 that surely fit between the margins.
const LINE_CHARS: usize = 80;
/// Lines between the margins; what follows is not printed.
const LINES_MAX: usize = 42;
/// How an incompressible stream object looks without its bytes and length.
const FILLER_FRAME_SIZE: usize = 512;

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
        Object::new(4, font("Helvetica")),
        Object::new(5, font("Helvetica-Bold")),
        Object::stream(6, "<< ", content.as_bytes()),
        Object::new(
            7,
            format!("<< /Title {} /Producer (Vanthu workshop, dev) >>", text_string(title)),
        ),
    ];
    let used: usize = objects.iter().map(|object| object.body.len()).sum();
    if let Some(missing) = size_min.checked_sub(used + FILLER_FRAME_SIZE) {
        objects.push(Object::stream(
            8,
            "<< /Type /VanthuFiller ",
            &noise(missing + FILLER_FRAME_SIZE),
        ));
    }
    assemble(&objects)
}

/// ASCII for eyes only: Vietnamese letters lose their marks, anything else unknown becomes `?`.
pub(super) fn fold(text: &str) -> String {
    text.chars().map(fold_char).collect()
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

fn font(name: &str) -> String {
    format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>")
}

fn content(title: &str, lines: &[&str]) -> String {
    let bold = wrap(title).into_iter().map(|line| ("/F2 13 Tf", line));
    let plain = lines.iter().flat_map(|line| wrap(line)).map(|line| ("/F1 11 Tf", line));
    let blank = std::iter::once(("/F1 11 Tf", String::new()));
    let mut out = format!("BT {LEFT} {TOP} Td {LEADING} TL\n");
    for (font, line) in bold.chain(blank).chain(plain).take(LINES_MAX) {
        let shown = escape(&fold(&line));
        let actual = text_string(&line);
        out.push_str(&format!("{font} /Span << /ActualText {actual} >> BDC ({shown}) Tj EMC T*\n"));
    }
    out.push_str("ET\n");
    out
}

/// Breaks a line at spaces.
fn wrap(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for word in line.split_whitespace() {
        let last = out.last_mut().expect("starts with one line");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= LINE_CHARS {
            last.push(' ');
            last.push_str(word);
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

fn fold_char(letter: char) -> char {
    let small = letter.to_lowercase().next().unwrap_or(letter);
    let folded = match small {
        ' '..='~' => return letter,
        'à' | 'á' | 'ả' | 'ã' | 'ạ' | 'ă' | 'ằ' | 'ắ' | 'ẳ' | 'ẵ' | 'ặ' | 'â' | 'ầ' | 'ấ' | 'ẩ'
        | 'ẫ' | 'ậ' => 'a',
        'đ' => 'd',
        'è' | 'é' | 'ẻ' | 'ẽ' | 'ẹ' | 'ê' | 'ề' | 'ế' | 'ể' | 'ễ' | 'ệ' => 'e',
        'ì' | 'í' | 'ỉ' | 'ĩ' | 'ị' => 'i',
        'ò' | 'ó' | 'ỏ' | 'õ' | 'ọ' | 'ô' | 'ồ' | 'ố' | 'ổ' | 'ỗ' | 'ộ' | 'ơ' | 'ờ' | 'ớ' | 'ở'
        | 'ỡ' | 'ợ' => 'o',
        'ù' | 'ú' | 'ủ' | 'ũ' | 'ụ' | 'ư' | 'ừ' | 'ứ' | 'ử' | 'ữ' | 'ự' => 'u',
        'ỳ' | 'ý' | 'ỷ' | 'ỹ' | 'ỵ' => 'y',
        '–' | '—' => '-',
        '“' | '”' => '"',
        '‘' | '’' => '\'',
        _ => '?',
    };
    if small == letter { folded } else { folded.to_ascii_uppercase() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::revision::Revision;

    #[test]
    fn every_cross_reference_points_at_its_object() {
        let file = pdf("Quyết định", &["Điều 1. Phê duyệt (kèm \\ và ngoặc)."], 0);
        let revision = Revision::read(&file).unwrap();
        for number in 1..=7 {
            revision.object(number).unwrap();
        }
        assert!(revision.object(8).is_err());
    }

    #[test]
    fn the_page_shows_ascii_and_keeps_the_true_title() {
        let file = pdf("Quyết định", &["Điều 1. Đất đai (sửa đổi)"], 0);
        let text = String::from_utf8_lossy(&file);
        assert!(text.contains("(Dieu 1. Dat dai \\(sua doi\\)) Tj"), "{text}");
        assert!(text.contains(&format!("/Title {}", text_string("Quyết định"))));
    }

    #[test]
    fn a_file_has_the_size_asked_for_and_is_the_same_each_time() {
        for size in [0, 1_500, 2_000, 100 * 1024] {
            let file = pdf("Công văn", &["Kính gửi: các cơ quan"], size);
            assert!(file.len() >= size && file.len() < size.max(1_500) + 2_048, "{size}");
            assert_eq!(file, pdf("Công văn", &["Kính gửi: các cơ quan"], size));
        }
    }

    #[test]
    fn long_lines_are_wrapped_and_a_full_page_ends() {
        let long = "chữ ".repeat(2_000);
        let file = pdf("", &[&long], 0);
        assert_eq!(String::from_utf8_lossy(&file).matches(" Tj EMC").count(), LINES_MAX);
    }
}
