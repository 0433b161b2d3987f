//! What a visible signature shows: images and lines of text in a rectangle of a page.
//!
//! Places are given as a reader sees the page: in points from the lower left corner of what is
//! visible, upright also where the page is turned.

use super::Error;
use super::composed::TIMES;
use super::font::{Font, Subset};
use super::image::{self, Image};
use super::revision::{Object, Page, reference};

/// A rectangle: left, bottom, right, top in points.
pub type Rectangle = [f64; 4];

/// Points in a millimetre.
pub const MILLIMETRE: f64 = 72.0 / 25.4;

/// A drawing and where it stands.
#[derive(Clone)]
pub struct Drawing<'a> {
    /// The page.
    pub page: WhichPage,
    /// Where on it.
    pub rectangle: Rectangle,
    /// An image that fills the rectangle.
    pub image: Option<&'a Image>,
    /// Lines from the top left corner down.
    pub lines: Vec<String>,
    /// The font of the lines.
    pub face: Face<'a>,
}

/// One page of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichPage {
    /// The last one.
    Last,
    /// Counted from 1.
    Number(usize),
}

/// How lines are set.
#[derive(Clone, Copy)]
pub enum Face<'a> {
    /// In the reader's own Times, with the marks of Vietnamese drawn.
    Composed,
    /// In a font that is embedded.
    Embedded(&'a Font),
}

/// NĐ 30/2020, Phụ lục I, phần I, mục II.8: cỡ chữ 10.
pub const TEXT_SIZE: f64 = 10.0;
/// From one line to the next.
pub const LEADING: f64 = 12.0;
/// Space between the text and the edge of its rectangle.
pub const MARGIN: f64 = 2.0;

impl Face<'_> {
    /// Width of a line in points.
    ///
    /// # Errors
    /// [`Error::Drawing`] if the font lacks a letter.
    pub fn width(&self, line: &str) -> Result<f64, Error> {
        let thousandths = match self {
            Self::Composed => TIMES.width(line),
            Self::Embedded(font) => font.width(line)?,
        };
        Ok(thousandths * TEXT_SIZE / 1000.0)
    }
}

impl WhichPage {
    /// The page among all.
    ///
    /// # Errors
    /// [`Error::Pdf`] if there is none.
    pub(crate) fn of(self, pages: &[Page]) -> Result<&Page, Error> {
        let page = match self {
            Self::Last => pages.last(),
            Self::Number(number) => number.checked_sub(1).and_then(|index| pages.get(index)),
        };
        page.ok_or(Error::Pdf("it has no such page"))
    }
}

/// The rectangle in the coordinates of the page.
pub(super) fn on_page(page: &Page, [x, y, u, v]: Rectangle) -> Rectangle {
    let [left, bottom, right, top] = page.visible;
    let turn = |x: f64, y: f64| match page.rotation {
        90 => [right - y, bottom + x],
        180 => [right - x, top - y],
        270 => [left + y, top - x],
        _ => [left + x, bottom + y],
    };
    ordered(turn(x, y), turn(u, v))
}

/// A rectangle of the page as a reader sees it.
pub(super) fn as_seen(page: &Page, [x, y, u, v]: Rectangle) -> Rectangle {
    let [left, bottom, right, top] = page.visible;
    let turn = |x: f64, y: f64| match page.rotation {
        90 => [y - bottom, right - x],
        180 => [right - x, top - y],
        270 => [top - y, x - left],
        _ => [x - left, y - bottom],
    };
    ordered(turn(x, y), turn(u, v))
}

fn ordered([x, y]: [f64; 2], [u, v]: [f64; 2]) -> Rectangle {
    [x.min(u), y.min(v), x.max(u), y.max(v)]
}

/// Width and height of a page as a reader sees it.
pub(super) fn size_seen(page: &Page) -> [f64; 2] {
    let [_, _, width, height] = as_seen(page, page.visible);
    [width, height]
}

/// Points that a place may reach over the edge: what rounding takes.
const OVER_THE_EDGE_MAX: f64 = 0.5;

impl Drawing<'_> {
    /// A reader must see all of it.
    pub(super) fn fits(&self, page: &Page) -> Result<(), Error> {
        let [left, bottom, right, top] = self.rectangle;
        let [width, height] = size_seen(page);
        let over = [-left, -bottom, right - width, top - height];
        if over.iter().all(|over| *over <= OVER_THE_EDGE_MAX) {
            return Ok(());
        }
        let [width_mm, height_mm] = [width, height].map(|side| side / MILLIMETRE);
        Err(Error::OutsidePage { width_mm, height_mm })
    }

    /// The form XObject that is object `first`, and after it what it uses.
    pub(super) fn objects(&self, first: u32, rotation: u16) -> Result<Vec<Object>, Error> {
        let [left, bottom, right, top] = self.rectangle;
        let (width, height) = (right - left, top - bottom);
        if !(width > 0.0 && height > 0.0) {
            return Err(Error::Drawing("the place of the signature is empty".into()));
        }
        let mut resources = String::new();
        let mut content = String::new();
        let mut objects = Vec::new();
        let mut next = first + 1;
        if let Some(image) = self.image {
            resources.push_str(&format!(" /XObject << /Im {} >>", reference(next)));
            content.push_str(&format!("q {width:.2} 0 0 {height:.2} 0 0 cm /Im Do Q\n"));
            objects.extend(image.objects(next));
            next += image::OBJECTS;
        }
        if !self.lines.is_empty() {
            let set = Set::of(self.face, &self.lines)?;
            resources.push_str(&format!(" /Font << /F1 {} >>", reference(next)));
            content.push_str("0 g 0 G\n");
            for (index, line) in (0_u32..).zip(&self.lines) {
                let y = height - MARGIN - TEXT_SIZE * 0.8 - LEADING * f64::from(index);
                content.push_str(&set.show(line, [MARGIN, y]));
            }
            objects.extend(set.objects(next)?);
        }
        let matrix = match rotation {
            90 => " /Matrix [0 1 -1 0 0 0]",
            180 => " /Matrix [-1 0 0 -1 0 0]",
            270 => " /Matrix [0 -1 1 0 0 0]",
            _ => "",
        };
        let dictionary = format!(
            "<< /Type /XObject /Subtype /Form /BBox [0 0 {width:.2} {height:.2}]{matrix} \
             /Resources <<{resources} >> "
        );
        objects.insert(0, Object::stream(first, &dictionary, content.as_bytes()));
        Ok(objects)
    }
}

/// A face with the glyphs of its lines.
enum Set<'a> {
    Composed,
    Embedded(Box<Subset<'a>>),
}

impl<'a> Set<'a> {
    fn of(face: Face<'a>, lines: &[String]) -> Result<Self, Error> {
        Ok(match face {
            Face::Composed => Self::Composed,
            Face::Embedded(font) => Self::Embedded(Box::new(font.subset(lines)?)),
        })
    }

    fn show(&self, line: &str, at: [f64; 2]) -> String {
        match self {
            Self::Composed => TIMES.show(line, "/F1", TEXT_SIZE, at),
            Self::Embedded(subset) => subset.show(line, "/F1", TEXT_SIZE, at),
        }
    }

    fn objects(&self, first: u32) -> Result<Vec<Object>, Error> {
        match self {
            Self::Composed => Ok(vec![Object::new(first, TIMES.dictionary())]),
            Self::Embedded(subset) => subset.objects(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::revision::Id;

    #[test]
    fn a_place_is_the_same_seen_from_the_page_and_from_the_reader() {
        for rotation in [0, 90, 180, 270] {
            let id = Id { number: 3, generation: 0 };
            let page = Page { id, visible: [10.0, 20.0, 605.0, 862.0], rotation };
            let seen = [30.0, 40.0, 130.0, 90.0];
            let placed = on_page(&page, seen);
            assert_eq!(as_seen(&page, placed), seen, "{rotation}");
            let is_turned = rotation % 180 == 90;
            assert_eq!(size_seen(&page), if is_turned { [842.0, 595.0] } else { [595.0, 842.0] });
            assert_eq!(placed[2] - placed[0], if is_turned { 50.0 } else { 100.0 });
        }
        // The lower left corner of a page turned clockwise is its lower right one.
        let id = Id { number: 3, generation: 0 };
        let page = Page { id, visible: [0.0, 0.0, 595.0, 842.0], rotation: 90 };
        assert_eq!(on_page(&page, [0.0, 0.0, 10.0, 20.0]), [575.0, 0.0, 595.0, 10.0]);
    }
}
