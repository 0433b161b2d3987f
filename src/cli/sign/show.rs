//! What a signature shows on the page, and where.

use std::path::PathBuf;
use std::str::FromStr;

use super::{failure, read};
use crate::cli::exit::Failure;
use crate::clock::Time;
use crate::limits::{FONT_SIZE_MAX, IMAGE_SIZE_MAX, SIGNATURE_AREA_MAX};
use crate::workshop::drawing::{Drawing, Face, MILLIMETRE, WhichPage};
use crate::workshop::font::Font;
use crate::workshop::image::Image;
use crate::workshop::official::{self, SEAL_DIAMETER_MM};

/// What a signature shows on the page, and where.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "What the page shows (NĐ 30/2020/NĐ-CP, Phụ lục I)")]
pub(super) struct Options {
    /// What the page shows [default: nothing]
    #[arg(long, value_enum, conflicts_with = "detached")]
    show: Option<Show>,
    /// PNG with a transparent background: the signature or the seal
    #[arg(long, value_name = "PNG", requires = "show")]
    image: Option<PathBuf>,
    /// TrueType font to embed, such as LiberationSerif-Regular.ttf, as wide as Times New Roman
    /// [default: the reader's own Times, its Vietnamese marks drawn]
    #[arg(long, value_name = "TTF", requires = "show")]
    font: Option<PathBuf>,
    /// person: the page, counted from 1 [default: the last]
    #[arg(long, requires = "show")]
    page: Option<usize>,
    /// person: left, bottom, width and height of its place in mm from the lower left corner
    #[arg(long, value_name = "MM,MM,MM,MM", default_value = "110,60,80,25")]
    place: Place,
    /// seal: field of the signature to cover a third of [default: the newest that is shown]
    #[arg(long, value_name = "FIELD", requires = "show")]
    over: Option<String>,
    /// seal: its real width in mm
    #[arg(long, value_name = "MM", default_value_t = SEAL_DIAMETER_MM)]
    diameter: f64,
    /// annex: number and notation of the main document
    #[arg(long, value_name = "NUMBER", requires = "show")]
    number: Option<String>,
    /// copy: the form of copy
    #[arg(long, value_name = "FORM", default_value = "SAO Y")]
    copy_form: String,
    /// copy: name of the agency that copies
    #[arg(long, value_name = "NAME", requires = "show")]
    agency: Option<String>,
}

/// What the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Show {
    /// The image of a person's signature, in the middle of --place
    Person,
    /// The image of the seal, over the left third of the person's signature
    Seal,
    /// Number and time in the upper right corner: an annex in a file of its own
    Annex,
    /// Form of copy, agency and time in the upper right corner: an electronic copy
    Copy,
}

/// Left, bottom, width, height in mm.
#[derive(Debug, Clone, Copy)]
struct Place([f64; 4]);

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>();
        let numbers = numbers.ok().and_then(|numbers| <[f64; 4]>::try_from(numbers).ok());
        let [left, bottom, width, height] =
            numbers.ok_or("four numbers are expected: left,bottom,width,height")?;
        let sound =
            [left, bottom, width, height].iter().all(|number| (0.0..=5_000.0).contains(number));
        let area = width * height * MILLIMETRE * MILLIMETRE;
        if !sound || width < 1.0 || height < 1.0 || area > SIGNATURE_AREA_MAX {
            return Err("the place is empty, or larger than half a page");
        }
        Ok(Self([left, bottom, width, height]))
    }
}

/// Files that the drawing is made from.
pub(super) struct Materials {
    image: Option<Image>,
    font: Option<Font>,
}

impl Materials {
    pub fn read(options: &Options) -> Result<Self, Failure> {
        let image = options
            .image
            .as_deref()
            .map(|path| Image::read(&read(path, size(IMAGE_SIZE_MAX))?).map_err(failure));
        let font = options
            .font
            .as_deref()
            .map(|path| Font::read(read(path, size(FONT_SIZE_MAX))?).map_err(failure));
        let materials = Self { image: image.transpose()?, font: font.transpose()? };
        if materials.image.as_ref().is_some_and(|image| !image.is_transparent()) {
            eprintln!(
                "vanthu: warning: the image has no transparent background; it hides what it covers"
            );
        }
        Ok(materials)
    }

    /// What is shown on `pdf`; nothing if nothing was asked for.
    pub fn drawing<'a>(
        &'a self,
        options: &Options,
        pdf: &[u8],
        now: Time,
    ) -> Result<Option<Drawing<'a>>, Failure> {
        let Some(show) = options.show else { return Ok(None) };
        let image = || {
            let missing =
                || Failure::other("there is no image to show").with_hint("name a PNG with --image");
            self.image.as_ref().ok_or_else(missing)
        };
        let lacks = |what: &str| Failure::other(format!("there is no {what} to show"));
        let face = self.font.as_ref().map_or(Face::Composed, Face::Embedded);
        let drawing = match show {
            Show::Person => {
                let page = options.page.map_or(WhichPage::Last, WhichPage::Number);
                let [left, bottom, width, height] = options.place.0;
                let place = [left, bottom, left + width, bottom + height];
                Ok(official::person(image()?, page, place.map(|side| side * MILLIMETRE)))
            }
            Show::Seal => {
                if !(5.0..=100.0).contains(&options.diameter) {
                    return Err(Failure::other("a seal is between 5 and 100 mm wide"));
                }
                official::seal(pdf, image()?, options.diameter, options.over.as_deref())
            }
            Show::Annex => {
                let number = options.number.as_deref().ok_or_else(|| lacks("number"))?;
                official::corner(pdf, official::annex_lines(number, now), face)
            }
            Show::Copy => {
                let agency = options.agency.as_deref().ok_or_else(|| lacks("agency"))?;
                let lines = official::copy_lines(&options.copy_form, agency, now);
                official::corner(pdf, lines, face)
            }
        };
        drawing.map(Some).map_err(failure)
    }
}

fn size(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_four_numbers_of_a_size_that_a_page_has() {
        assert!("110,60,80,25".parse::<Place>().is_ok());
        for wrong in
            ["", "1,2,3", "1,2,3,4,5", "a,2,3,4", "1,2,0,4", "-1,2,3,4", "1,2,NaN,4", "0,0,210,297"]
        {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
