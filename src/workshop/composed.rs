//! Vietnamese in the fonts that every reader has, which lack its letters: the letter without marks is
//! shown in the font, and the marks are drawn over and under it.
//!
//! It needs no font file and looks right on paper and screen. The true text stands as `/ActualText`
//! for search, copying and screen readers. What Latin letters with Vietnamese marks cannot write
//! becomes `?`; an embedded font ([`super::font`]) shows more and looks better.

use unicode_normalization::UnicodeNormalization as _;

use super::page::{escape, text_string};

/// A font of the fourteen (ISO 32000-1 §9.6.2.2).
#[derive(Debug)]
pub struct Standard {
    name: &'static str,
    /// Advance of the characters from space to tilde in thousandths of the size (Adobe Core 14 AFM).
    widths: [u16; 95],
    /// Thickness of the marks.
    stroke: f64,
}

/// Times, upright.
pub static TIMES: Standard = Standard {
    name: "Times-Roman",
    widths: [
        250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500,
        500, 500, 500, 500, 500, 500, 500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667,
        722, 611, 556, 722, 722, 333, 389, 722, 611, 889, 722, 722, 556, 722, 667, 556, 611, 722,
        722, 944, 722, 722, 611, 333, 278, 333, 469, 500, 333, 444, 500, 444, 500, 444, 333, 500,
        500, 278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500,
        444, 480, 200, 480, 541,
    ],
    stroke: 42.0,
};

/// Times, upright and bold.
pub static TIMES_BOLD: Standard = Standard {
    name: "Times-Bold",
    widths: [
        250, 333, 555, 500, 500, 1000, 833, 278, 333, 333, 500, 570, 250, 333, 250, 278, 500, 500,
        500, 500, 500, 500, 500, 500, 500, 500, 333, 333, 570, 570, 570, 500, 930, 722, 667, 722,
        722, 667, 611, 778, 778, 389, 500, 778, 667, 944, 722, 778, 611, 778, 722, 556, 667, 722,
        722, 1000, 722, 722, 667, 333, 278, 333, 581, 500, 333, 500, 556, 444, 556, 444, 333, 500,
        556, 278, 333, 556, 278, 833, 556, 500, 556, 556, 444, 389, 333, 556, 500, 722, 500, 500,
        444, 394, 220, 394, 520,
    ],
    stroke: 62.0,
};

/// The code of the dotless i, which carries marks, in our encoding.
const DOTLESS_I: char = '\u{1}';

/// Heights in thousandths: where marks over small and over capital letters begin, and one mark's room.
const OVER_SMALL: f64 = 505.0;
const OVER_CAPITAL: f64 = 695.0;
const TIER: f64 = 135.0;

impl Standard {
    /// The font dictionary.
    pub fn dictionary(&self) -> String {
        format!(
            "<< /Type /Font /Subtype /Type1 /BaseFont /{} /Encoding << /Type /Encoding \
             /BaseEncoding /WinAnsiEncoding /Differences [1 /dotlessi] >> >>",
            self.name
        )
    }

    /// Width of a text in thousandths of the size.
    pub fn width(&self, text: &str) -> f64 {
        letters(text).map(|letter| self.advance(letter.base)).sum()
    }

    /// The operators that show one line with its left end at (`x`, `y`); `font` is its resource.
    pub fn show(&self, text: &str, font: &str, size: f64, [x, y]: [f64; 2]) -> String {
        let mut shown = String::new();
        let mut strokes = String::new();
        let mut at = 0.0;
        for letter in letters(text) {
            shown.push(letter.base);
            self.marks(&letter, at, &mut strokes);
            at += self.advance(letter.base);
        }
        let shown = escape(&shown);
        let mut out = format!("/Span << /ActualText {} >> BDC\n", text_string(text));
        out.push_str(&format!("BT {font} {size} Tf {x:.2} {y:.2} Td ({shown}) Tj ET\n"));
        if !strokes.is_empty() {
            // One unit is a thousandth of the size.
            let scale = size / 1000.0;
            out.push_str(&format!(
                "q {scale:.5} 0 0 {scale:.5} {x:.2} {y:.2} cm 1 J 1 j {} w\n{strokes}Q\n",
                self.stroke
            ));
        }
        out.push_str("EMC\n");
        out
    }

    fn advance(&self, base: char) -> f64 {
        let code = if base == DOTLESS_I { u32::from('i') } else { u32::from(base) };
        let index = code.checked_sub(32).and_then(|index| usize::try_from(index).ok());
        f64::from(index.and_then(|index| self.widths.get(index)).copied().unwrap_or(0))
    }

    fn marks(&self, letter: &Letter, at: f64, out: &mut String) {
        let advance = self.advance(letter.base);
        let middle = at + advance / 2.0;
        let is_capital = letter.base.is_ascii_uppercase();
        let over = if is_capital { OVER_CAPITAL } else { OVER_SMALL };
        let mut place = |strokes: &str, x: f64, y: f64| {
            out.push_str(&format!("q 1 0 0 1 {x:.0} {y:.0} cm {strokes} S Q\n"));
        };
        if letter.has_bar {
            let (x, y) =
                if is_capital { (at + 105.0, 330.0) } else { (at + 0.72 * advance, 560.0) };
            place("-95 0 m 105 0 l", x, y);
        }
        if letter.has_horn {
            let (right, up) = if is_capital { (0.86, 560.0) } else { (0.86, 400.0) };
            place("-20 0 m 60 15 l 105 60 110 115 70 165 c", at + right * advance, up);
        }
        if let Some(shape) = letter.shape {
            place(shape.strokes(), middle, over);
        }
        if letter.has_dot {
            place(&format!("{} w 0 0 m 0 0 l", 2.2 * self.stroke), middle, -150.0);
        }
        if let Some(tone) = letter.tone {
            let tier = if letter.shape.is_some() { TIER } else { 0.0 };
            place(tone.strokes(), middle, over + tier);
        }
    }
}

/// A mark over a letter.
#[derive(Debug, Clone, Copy)]
enum Mark {
    Grave,
    Acute,
    Hook,
    Tilde,
    Circumflex,
    Breve,
}

impl Mark {
    /// Around the middle of the letter and over the foot of the mark's room.
    fn strokes(self) -> &'static str {
        match self {
            Self::Grave => "30 25 m -65 130 l",
            Self::Acute => "-30 25 m 65 130 l",
            Self::Hook => "-35 130 m 5 175 75 140 45 90 c 25 62 0 55 5 18 c",
            Self::Tilde => "-110 40 m -75 120 -35 105 0 75 c 35 45 75 30 110 110 c",
            Self::Circumflex => "-110 15 m 0 115 l 110 15 l",
            Self::Breve => "-105 120 m -80 10 80 10 105 120 c",
        }
    }
}

/// A letter without its marks, and these.
struct Letter {
    base: char,
    /// Circumflex or breve: part of the letter.
    shape: Option<Mark>,
    tone: Option<Mark>,
    has_horn: bool,
    has_dot: bool,
    has_bar: bool,
}

fn letters(text: &str) -> impl Iterator<Item = Letter> {
    let composed: Vec<char> = text.nfc().collect();
    composed.into_iter().map(Letter::of)
}

impl Letter {
    fn of(letter: char) -> Self {
        let mut parts = std::iter::once(letter).nfd();
        let base = parts.next().unwrap_or(letter);
        let mut out = Self {
            base,
            shape: None,
            tone: None,
            has_horn: false,
            has_dot: false,
            has_bar: matches!(base, 'đ' | 'Đ'),
        };
        let mut is_known = true;
        for mark in parts {
            match mark {
                '\u{300}' => out.tone = Some(Mark::Grave),
                '\u{301}' => out.tone = Some(Mark::Acute),
                '\u{303}' => out.tone = Some(Mark::Tilde),
                '\u{309}' => out.tone = Some(Mark::Hook),
                '\u{302}' => out.shape = Some(Mark::Circumflex),
                '\u{306}' => out.shape = Some(Mark::Breve),
                '\u{31b}' => out.has_horn = true,
                '\u{323}' => out.has_dot = true,
                _ => is_known = false,
            }
        }
        out.base = match base {
            _ if !is_known => '?',
            'đ' => 'd',
            'Đ' => 'D',
            'i' if out.tone.is_some() || out.shape.is_some() => DOTLESS_I,
            ' '..='~' => base,
            '–' | '—' => '-',
            '“' | '”' => '"',
            '‘' | '’' => '\'',
            '\u{a0}' => ' ',
            _ => '?',
        };
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vietnamese_letter_has_its_base_and_its_marks() {
        let small = "aàáảãạăằắẳẵặâầấẩẫậbcdđeèéẻẽẹêềếểễệghiìíỉĩịklmnoòóỏõọôồốổỗộơờớởỡợpqrstuùúủũụưừứửữựvxyỳýỷỹỵ";
        for letter in small.chars().chain(small.to_uppercase().chars()) {
            let parts = Letter::of(letter);
            let base = if parts.base == DOTLESS_I { 'i' } else { parts.base };
            assert!(base.is_ascii_alphabetic(), "{letter}");
            let marks =
                [parts.shape.is_some(), parts.tone.is_some(), parts.has_horn, parts.has_dot];
            let count = marks.iter().filter(|mark| **mark).count() + usize::from(parts.has_bar);
            let decomposed = std::iter::once(letter).nfd().count() - 1;
            let barred = usize::from(matches!(letter, 'đ' | 'Đ'));
            assert_eq!(count, decomposed + barred, "{letter}");
        }
    }

    #[test]
    fn both_unicode_forms_are_shown_alike_and_strange_letters_are_marked() {
        let composed = "Nguyễn Thị Phượng";
        let decomposed: String = composed.nfd().collect();
        let at = [0.0, 0.0];
        let body =
            |text: &str| TIMES.show(text, "/F1", 10.0, at).split_once("BDC").unwrap().1.to_owned();
        assert_eq!(body(composed), body(&decomposed));
        assert!(body("ж §").contains("(? ?)"));
        assert_eq!(TIMES.width("Số"), TIMES.width("So"));
    }
}
