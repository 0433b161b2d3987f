//! PNG images in a PDF: colour and transparency as two image objects.

use png::{ColorType, Decoder, Limits, Transformations};

use super::Error;
use super::font::deflated;
use super::revision::{Object, reference};
use crate::limits::{IMAGE_PIXELS_MAX, IMAGE_SIZE_MAX};

/// Objects that an image takes.
pub const OBJECTS: u32 = 2;

/// An image: RGB and how opaque each pixel is.
#[derive(Debug, Clone)]
pub struct Image {
    width: u32,
    height: u32,
    colours: Vec<u8>,
    opacities: Vec<u8>,
}

impl Image {
    /// Reads a PNG of any kind.
    ///
    /// # Errors
    /// [`Error::Drawing`] if it is none, or too large.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Drawing(format!("the image {why}"));
        if bytes.len() > IMAGE_SIZE_MAX {
            return Err(wrong("is too large"));
        }
        let limits = Limits { bytes: 4 * IMAGE_PIXELS_MAX };
        let mut decoder = Decoder::new_with_limits(std::io::Cursor::new(bytes), limits);
        decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(|_| wrong("is no PNG"))?;
        let (width, height) = (reader.info().width, reader.info().height);
        let count = usize::try_from(u64::from(width) * u64::from(height)).unwrap_or(usize::MAX);
        let size = reader.output_buffer_size().filter(|_| count <= IMAGE_PIXELS_MAX);
        let mut pixels = vec![0; size.ok_or_else(|| wrong("has too many pixels"))?];
        let frame = reader.next_frame(&mut pixels).map_err(|_| wrong("is damaged"))?;
        let (samples, has_opacity) = match frame.color_type {
            ColorType::Grayscale => (1, false),
            ColorType::GrayscaleAlpha => (2, true),
            ColorType::Rgb => (3, false),
            ColorType::Rgba => (4, true),
            ColorType::Indexed => return Err(wrong("is damaged")),
        };
        let mut colours = Vec::with_capacity(3 * count);
        let mut opacities = Vec::with_capacity(count);
        for pixel in pixels.chunks_exact(samples) {
            match pixel {
                [grey] | [grey, _] => colours.extend([*grey; 3]),
                [red, green, blue, ..] => colours.extend([*red, *green, *blue]),
                [] => {}
            }
            let last = pixel.last().copied().filter(|_| has_opacity);
            opacities.push(last.unwrap_or(u8::MAX));
        }
        Ok(Self { width, height, colours, opacities })
    }

    /// Height for a width of one.
    pub fn ratio(&self) -> f64 {
        f64::from(self.height) / f64::from(self.width.max(1))
    }

    /// Whether what lies below shows through anywhere.
    pub fn is_transparent(&self) -> bool {
        self.opacities.iter().any(|opacity| *opacity < u8::MAX)
    }

    /// The image as [`OBJECTS`] objects from `first` on, which is the image.
    pub(super) fn objects(&self, first: u32) -> Vec<Object> {
        let common = format!(
            "/Type /XObject /Subtype /Image /Width {} /Height {} /BitsPerComponent 8 \
             /Filter /FlateDecode",
            self.width, self.height
        );
        let mask = reference(first + 1);
        let picture = format!("<< {common} /ColorSpace /DeviceRGB /SMask {mask} ");
        let opacity = format!("<< {common} /ColorSpace /DeviceGray ");
        vec![
            Object::stream(first, &picture, &deflated(&self.colours)),
            Object::stream(first + 1, &opacity, &deflated(&self.opacities)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(kind: ColorType, pixels: &[u8], width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, 1);
        encoder.set_color(kind);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        out
    }

    #[test]
    fn colour_and_transparency_come_apart() {
        let image = Image::read(&png(ColorType::Rgba, &[9, 8, 7, 255, 1, 2, 3, 0], 2)).unwrap();
        assert_eq!(
            (&image.colours[..], &image.opacities[..]),
            (&[9, 8, 7, 1, 2, 3][..], &[255, 0][..])
        );
        assert!(image.is_transparent());
        assert!((image.ratio() - 0.5).abs() < 1e-9);
        let grey = Image::read(&png(ColorType::GrayscaleAlpha, &[5, 255], 1)).unwrap();
        assert_eq!((&grey.colours[..], grey.is_transparent()), (&[5, 5, 5][..], false));
        assert!(!Image::read(&png(ColorType::Rgb, &[1, 2, 3], 1)).unwrap().is_transparent());
    }

    #[test]
    fn what_is_no_png_or_cut_off_or_huge_is_refused() {
        let whole = png(ColorType::Rgb, &[1, 2, 3], 1);
        for cut in 0..whole.len() - 16 {
            assert!(Image::read(&whole[..cut]).is_err(), "{cut}");
        }
        let mut huge = whole.clone();
        // The width stands at byte 16; its check sum (byte 29) is left wrong.
        huge[16..20].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
        assert!(Image::read(&huge).is_err());
        assert!(Image::read(&vec![0; IMAGE_SIZE_MAX + 1]).is_err());
    }
}
