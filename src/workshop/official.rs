//! Where the signatures of an official document stand and what they show: NĐ 30/2020/NĐ-CP,
//! Phụ lục I, phần I, mục II.7–8 and phần II.
//!
//! The person's signature is an image between position and name. The agency's is the image of its
//! seal in real size, over the left third of the person's. Annexes in files of their own and copies
//! show no image but a few lines in the upper right corner of the first page.

use super::Error;
use super::drawing::{
    self, Drawing, Face, LEADING, MARGIN, MILLIMETRE, Rectangle, TEXT_SIZE, WhichPage,
};
use super::image::Image;
use super::revision::{Field, Page, Revision, reference_to};
use crate::clock::Time;

/// A round seal of a commune or province: 36 mm (TT 07/2010/TT-BCA kept the sizes of TT 08/2003).
pub const SEAL_DIAMETER_MM: f64 = 36.0;
/// What of the person's signature the seal covers (mục II.8a).
const COVERED: f64 = 1.0 / 3.0;
/// Right margin of an official document: 15–20 mm (mục I.4).
const RIGHT_MARGIN_MM: f64 = 15.0;
/// From the upper edge to the lines of an annex or copy: three end above the 20 mm at which an
/// official document begins (mục I.4), and printers reach them.
const TOP_MARGIN_MM: f64 = 4.0;

/// The image of a person's signature, as wide as its place and not higher.
pub fn person<'a>(image: &'a Image, page: WhichPage, place: Rectangle) -> Drawing<'a> {
    let [left, bottom, right, top] = place;
    let ratio = image.ratio();
    let width = (right - left).min((top - bottom) / ratio.max(f64::MIN_POSITIVE));
    let height = width * ratio;
    let (middle, level) = ((left + right) / 2.0, (bottom + top) / 2.0);
    let rectangle =
        [middle - width / 2.0, level - height / 2.0, middle + width / 2.0, level + height / 2.0];
    Drawing { page, rectangle, image: Some(image), lines: Vec::new(), face: Face::Composed }
}

/// The seal over the left third of the signature `over`; the newest visible one if it is not named.
///
/// # Errors
/// [`Error::Pdf`] if there is no such signature.
pub fn seal<'a>(
    pdf: &[u8],
    image: &'a Image,
    diameter_mm: f64,
    over: Option<&str>,
) -> Result<Drawing<'a>, Error> {
    let revision = Revision::read(&pdf)?;
    let pages = revision.outline().pages()?;
    let fields = revision.outline().fields()?;
    let visible = fields.iter().rev().filter(|field| field.is_signed).filter_map(|field| {
        let (number, page) = page_of(&revision, &pages, field)?;
        let [left, bottom, right, top] = field.rectangle?;
        (left < right && bottom < top).then_some((field, number, page))
    });
    let mut wanted = visible.filter(|(field, ..)| over.is_none_or(|name| field.name == name));
    let (field, number, page) = wanted
        .next()
        .ok_or(Error::Pdf("it shows no signature for the seal to cover a third of"))?;
    let below = drawing::as_seen(page, field.rectangle.unwrap_or_default());
    let width = diameter_mm * MILLIMETRE;
    let height = width * image.ratio();
    let right = below[0] + (below[2] - below[0]) * COVERED;
    let level = (below[1] + below[3]) / 2.0;
    let rectangle = [right - width, level - height / 2.0, right, level + height / 2.0];
    Ok(Drawing {
        page: WhichPage::Number(number),
        rectangle,
        image: Some(image),
        lines: Vec::new(),
        face: Face::Composed,
    })
}

/// The page that the field names, or else the one that lists it.
fn page_of<'p>(
    revision: &Revision<'_>,
    pages: &'p [Page],
    field: &Field,
) -> Option<(usize, &'p Page)> {
    let lists = |page: &Page| {
        let own = field.id.map(reference_to);
        let values = revision.outline().values(page.id).ok();
        let items = values.and_then(|page| revision.outline().items(page.get("Annots")).ok());
        items.is_some_and(|items| items.iter().any(|item| Some(item) == own.as_ref()))
    };
    let is_its = |page: &Page| field.page.map_or_else(|| lists(page), |id| id == page.id);
    let (index, page) = pages.iter().enumerate().find(|(_, page)| is_its(page))?;
    Some((index + 1, page))
}

/// Lines in the upper right corner of the first page.
///
/// # Errors
/// [`Error::Pdf`] if the file cannot be signed, [`Error::Drawing`] if the lines do not fit.
pub fn corner<'a>(pdf: &[u8], lines: Vec<String>, face: Face<'a>) -> Result<Drawing<'a>, Error> {
    let revision = Revision::read(&pdf)?;
    let pages = revision.outline().pages()?;
    let [page_width, page_height] = drawing::size_seen(WhichPage::Number(1).of(&pages)?);
    let mut widest: f64 = 0.0;
    let mut height = TEXT_SIZE - LEADING + 2.0 * MARGIN;
    for line in &lines {
        widest = widest.max(face.width(line)?);
        height += LEADING;
    }
    let right = page_width - RIGHT_MARGIN_MM * MILLIMETRE;
    let top = page_height - TOP_MARGIN_MM * MILLIMETRE;
    let rectangle = [right - widest - 2.0 * MARGIN, top - height, right, top];
    if rectangle[0] < 0.0 || rectangle[1] < 0.0 {
        return Err(Error::Drawing("the lines do not fit on the page".into()));
    }
    Ok(Drawing { page: WhichPage::Number(1), rectangle, image: None, lines, face })
}

/// What an annex in a file of its own shows: number and notation of the main document, and when it
/// was signed (mục II.8b).
pub fn annex_lines(number: &str, now: Time) -> Vec<String> {
    vec![format!("Số: {number}"), format!("Thời gian ký: {}", moment(now))]
}

/// What an electronic copy shows: the form of copy, who made it, and when (phần II).
pub fn copy_lines(form: &str, agency: &str, now: Time) -> Vec<String> {
    vec![form.to_owned(), agency.to_owned(), format!("Thời gian ký: {}", moment(now))]
}

/// Date, hours, minutes, seconds and the time zone of Vietnam.
fn moment(time: Time) -> String {
    format!("{} +07:00", time.in_vietnam())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_vietnam_and_names_its_zone() {
        let now: Time = "2026-11-22T20:45:18.000Z".parse().unwrap();
        let lines = annex_lines("12/QĐ-UBND", now);
        assert_eq!(lines, ["Số: 12/QĐ-UBND", "Thời gian ký: 23/11/2026 03:45:18 +07:00"]);
        let lines = copy_lines("SAO Y", "Ủy ban nhân dân xã", now);
        assert_eq!(lines[..2], ["SAO Y", "Ủy ban nhân dân xã"]);
    }
}
