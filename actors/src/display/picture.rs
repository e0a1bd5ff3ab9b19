//! Encodes a screen's pixels as a JPEG.

use bytes::Bytes;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::framebuffer::Frame;

/// The JPEG quality: text is still readable, and a thumbnail of a page takes about ten kilobytes.
const QUALITY: u8 = 70;

/// Encodes the screen as a JPEG of this width, which must not exceed its own. Takes milliseconds of CPU.
///
/// # Errors
/// Errors of the libraries, which accept every frame.
pub(super) fn jpeg(frame: &Frame, width: u16) -> Result<Bytes, String> {
    if width == frame.width {
        return encode(&frame.pixels, frame.width, frame.height);
    }
    let height = height_of(frame, width);
    let (from_width, from_height) = (frame.width.into(), frame.height.into());
    let source = ImageRef::new(from_width, from_height, &frame.pixels, PixelType::U8x4).map_err(text)?;
    let mut smaller = Image::new(width.into(), height.into(), PixelType::U8x4);
    // The fourth byte of a pixel is unused, not transparency.
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    Resizer::new().resize(&source, &mut smaller, &options).map_err(text)?;
    encode(smaller.buffer(), width, height)
}

/// The height that keeps the screen's aspect ratio.
fn height_of(frame: &Frame, width: u16) -> u16 {
    let [across, down, width] = [frame.width, frame.height, width].map(u32::from);
    let height = (down * width + across / 2) / across;
    // At most the screen's own height, because the width is not larger either.
    u16::try_from(height).unwrap_or(frame.height).max(1)
}

fn encode(pixels: &[u8], width: u16, height: u16) -> Result<Bytes, String> {
    // Pixels are blue, green, red and an unused byte.
    let colours: Vec<u8> = pixels.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    let (mut jpeg, rgb) = (Vec::new(), ExtendedColorType::Rgb8);
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    encoder.encode(&colours, width.into(), height.into(), rgb).map_err(text)?;
    Ok(jpeg.into())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The width and height of a JPEG, by its start of frame (ITU-T T.81, annex B.2.2).
    pub(crate) fn size_of_jpeg(jpeg: &[u8]) -> (u16, u16) {
        assert_eq!(jpeg[..2], [0xff, 0xd8], "it is a JPEG");
        let mut at = 2;
        while jpeg[at + 1] != 0xc0 {
            at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        }
        let side = |at: usize| u16::from_be_bytes([jpeg[at], jpeg[at + 1]]);
        (side(at + 7), side(at + 5))
    }

    fn frame(width: u16, height: u16) -> Frame {
        let count = usize::from(width) * usize::from(height);
        Frame { width, height, pixels: [70, 160, 20, 0].repeat(count) }
    }

    #[test]
    fn a_picture_keeps_the_aspect_ratio_of_its_screen() {
        for (screen, width, size) in [
            ((1920, 1080), 1920, (1920, 1080)),
            ((1920, 1080), 320, (320, 180)),
            ((1024, 768), 333, (333, 250)),
            ((7680, 320), 16, (16, 1)),
            ((320, 7680), 16, (16, 384)),
        ] {
            let jpeg = jpeg(&frame(screen.0, screen.1), width).unwrap();
            assert_eq!(size_of_jpeg(&jpeg), size, "{screen:?}");
        }
    }
}
