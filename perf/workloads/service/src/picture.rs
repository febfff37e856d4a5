//! A picture drawn and encoded on request.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, imageops::FilterType};

/// A square PNG of `size` pixels a side with a colour gradient.
pub fn png(size: u32) -> anyhow::Result<Vec<u8>> {
    let shade = |part: u32| (255 * part / 256) as u8;
    let full = RgbImage::from_fn(256, 256, |x, y| Rgb([shade(x), shade(y), shade((x + y) / 2)]));
    let scaled = DynamicImage::ImageRgb8(full).resize_exact(size, size, FilterType::Triangle).blur(0.5);
    let mut bytes = Cursor::new(Vec::new());
    scaled.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// Width and height of an encoded picture of whatever format.
pub fn dimensions(bytes: &[u8]) -> anyhow::Result<(u32, u32)> {
    let picture = image::load_from_memory(bytes)?;
    Ok((picture.width(), picture.height()))
}
