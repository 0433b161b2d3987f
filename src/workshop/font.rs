//! TrueType fonts: a text is shown with the glyphs of a font file, and only these are embedded.
//!
//! The letters are found by their composed Unicode form; scripts that join or reorder letters are not
//! set right. The font's own licence bits are kept to (OpenType `OS/2.fsType`).

use std::collections::BTreeMap;
use std::io::Write as _;

use subsetter::GlyphRemapper;
use ttf_parser::{GlyphId, Permissions};
use unicode_normalization::UnicodeNormalization as _;

use super::Error;
use super::page::text_string;
use super::revision::{Object, hex_string, reference};
use crate::digest::Sha256;

/// A font file.
pub struct Font {
    bytes: Vec<u8>,
}

impl Font {
    /// Takes a TrueType font (`.ttf`, or the first of a `.ttc`).
    ///
    /// # Errors
    /// [`Error::Drawing`] if it is none, has no TrueType outlines, or may not be embedded.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Error> {
        let face = face(&bytes)?;
        if face.tables().glyf.is_none() {
            return Err(wrong("the font has no TrueType outlines"));
        }
        if face.permissions() == Some(Permissions::Restricted) || !face.is_subsetting_allowed() {
            return Err(wrong("the maker of the font does not permit to embed a part of it"));
        }
        Ok(Self { bytes })
    }

    /// Width of a text in thousandths of the size.
    ///
    /// # Errors
    /// [`Error::Drawing`] if a letter is not in the font.
    pub fn width(&self, text: &str) -> Result<f64, Error> {
        let face = face(&self.bytes)?;
        let mut width = 0.0;
        for letter in text.nfc() {
            width += advance(&face, glyph(&face, letter)?);
        }
        Ok(width)
    }

    /// Chooses the glyphs for all lines that will be shown.
    ///
    /// # Errors
    /// [`Error::Drawing`] if a letter is not in the font.
    pub fn subset<'a>(&'a self, lines: &[String]) -> Result<Subset<'a>, Error> {
        let face = face(&self.bytes)?;
        let mut glyphs = GlyphRemapper::new();
        let mut letters = BTreeMap::new();
        for letter in lines.iter().flat_map(|line| line.nfc()) {
            let glyph = glyph(&face, letter)?;
            letters.insert(letter, (glyphs.remap(glyph.0), advance(&face, glyph)));
        }
        Ok(Subset { font: self, face, glyphs, letters })
    }
}

/// A part of a font.
pub struct Subset<'a> {
    font: &'a Font,
    face: ttf_parser::Face<'a>,
    glyphs: GlyphRemapper,
    /// Number in the subset and advance.
    letters: BTreeMap<char, (u16, f64)>,
}

impl Subset<'_> {
    /// The operators that show one line with its left end at (`x`, `y`); `font` is its resource.
    pub fn show(&self, text: &str, font: &str, size: f64, [x, y]: [f64; 2]) -> String {
        let codes: Vec<u8> = text
            .nfc()
            .filter_map(|letter| self.letters.get(&letter))
            .flat_map(|(glyph, _)| glyph.to_be_bytes())
            .collect();
        // Glyph numbers say nothing: readers that ignore /ToUnicode get the text here.
        let actual = text_string(text);
        let shown = hex_string(&codes);
        format!(
            "/Span << /ActualText {actual} >> BDC\n\
             BT {font} {size} Tf {x:.2} {y:.2} Td {shown} Tj ET\nEMC\n"
        )
    }

    /// The font as five objects from `first` on, which is the font dictionary.
    pub(super) fn objects(&self, first: u32) -> Result<Vec<Object>, Error> {
        let program = subsetter::subset(&self.font.bytes, 0, &self.glyphs)
            .map_err(|_| wrong("the font is damaged"))?;
        let name = self.name();
        let [cid, descriptor, file, unicode] = [1, 2, 3, 4].map(|step| first + step);
        let mut widths: Vec<(u16, f64)> = self.letters.values().copied().collect();
        widths.sort_by_key(|(glyph, _)| *glyph);
        let widths: String =
            widths.iter().map(|(glyph, width)| format!(" {glyph} [{width:.0}]")).collect();
        let scaled = |value: i16| f64::from(value) * 1000.0 / f64::from(self.face.units_per_em());
        let bounds = self.face.global_bounding_box();
        let bounds = [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(scaled);
        let bounds = bounds.map(|value| format!("{value:.0}")).join(" ");
        let font = format!(
            "<< /Type /Font /Subtype /Type0 /BaseFont /{name} /Encoding /Identity-H \
             /DescendantFonts [{}] /ToUnicode {} >>",
            reference(cid),
            reference(unicode)
        );
        let descendant = format!(
            "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{name} /CIDToGIDMap /Identity \
             /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> \
             /FontDescriptor {} /W [{}] >>",
            reference(descriptor),
            widths.trim_start()
        );
        let description = format!(
            "<< /Type /FontDescriptor /FontName /{name} /Flags 4 /FontBBox [{bounds}] \
             /ItalicAngle 0 /Ascent {:.0} /Descent {:.0} /CapHeight {:.0} /StemV 80 /FontFile2 {} >>",
            scaled(self.face.ascender()),
            scaled(self.face.descender()),
            scaled(self.face.capital_height().unwrap_or(self.face.ascender())),
            reference(file)
        );
        let size = program.len();
        let dictionary = format!("<< /Filter /FlateDecode /Length1 {size} ");
        Ok(vec![
            Object::new(first, font),
            Object::new(cid, descendant),
            Object::new(descriptor, description),
            Object::stream(file, &dictionary, &deflated(&program)),
            Object::stream(unicode, "<< ", self.to_unicode().as_bytes()),
        ])
    }

    /// Six letters tell subsets of one font apart (ISO 32000-1 §9.6.4).
    fn name(&self) -> String {
        let letters: String = self.letters.keys().collect();
        let tag = Sha256::of(letters.as_bytes());
        let tag: String = tag.0[..6].iter().map(|byte| char::from(b'A' + byte % 26)).collect();
        let names = self.face.names().into_iter();
        let own = names
            .filter(|name| name.name_id == ttf_parser::name_id::POST_SCRIPT_NAME)
            .find_map(|name| name.to_string());
        let own = own.unwrap_or_default();
        let own: String = own.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        format!("{tag}+{}", if own.is_empty() { "Font" } else { &own })
    }

    fn to_unicode(&self) -> String {
        let mut out = String::from(
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n\
             /CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n\
             /CMapName /Adobe-Identity-UCS def /CMapType 2 def\n\
             1 begincodespacerange <0000> <ffff> endcodespacerange\n",
        );
        let letters: Vec<_> = self.letters.iter().collect();
        // A block has at most a hundred lines.
        for block in letters.chunks(100) {
            out.push_str(&format!("{} beginbfchar\n", block.len()));
            for (letter, (glyph, _)) in block {
                let units: Vec<u8> =
                    letter.to_string().encode_utf16().flat_map(u16::to_be_bytes).collect();
                out.push_str(&format!("<{glyph:04x}> {}\n", hex_string(&units)));
            }
            out.push_str("endbfchar\n");
        }
        out.push_str("endcmap CMapName currentdict /CMap defineresource pop end end\n");
        out
    }
}

fn wrong(why: &str) -> Error {
    Error::Drawing(why.to_owned())
}

fn face(bytes: &[u8]) -> Result<ttf_parser::Face<'_>, Error> {
    ttf_parser::Face::parse(bytes, 0).map_err(|_| wrong("the font is no TrueType font"))
}

fn glyph(face: &ttf_parser::Face<'_>, letter: char) -> Result<GlyphId, Error> {
    face.glyph_index(letter)
        .ok_or_else(|| Error::Drawing(format!("the font has no letter “{letter}”")))
}

fn advance(face: &ttf_parser::Face<'_>, glyph: GlyphId) -> f64 {
    let advance = f64::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    advance * 1000.0 / f64::from(face.units_per_em())
}

/// Deflated as PDF wants it (zlib, RFC 1950).
pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_font_is_refused() {
        for wrong in [&b""[..], b"OTTO", b"%PDF-1.7", &[0, 1, 0, 0, 0, 200, 0, 0]] {
            assert!(matches!(Font::read(wrong.to_vec()), Err(Error::Drawing(_))));
        }
    }
}
