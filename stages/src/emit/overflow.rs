//! What made a relocation overflow: by how much it does, and which output sections are in the way.
//!
//! In: the place, where it points, the value and its limits. Out: notes for the error. A field of 32 bits reaches 2 GiB;
//! what is farther away is so because something large lies between, and that is what the reader must know to decide
//! between a larger code model and smaller data.

use crate::elf::is_large;
use crate::image::Image;
use crate::outputs::OutputSection;
use object::elf::SHF_ALLOC;

/// Output sections that are named.
const SHOWN: usize = 3;
/// Bytes from which on a section is worth a name.
const LARGE: u64 = 16 << 20;

/// A value that does not fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Excess {
    /// Address of the field, for a distance from it.
    pub place: Option<u64>,
    /// The address it points to, if the value is about one.
    pub target: Option<u64>,
    /// What should be written.
    pub value: i64,
    /// The least value that can be.
    pub min: i64,
    /// The greatest one.
    pub max: u64,
}

impl Excess {
    /// How far the value is from the nearest one that fits.
    fn bytes(&self) -> u64 {
        match u64::try_from(self.value) {
            Ok(value) if value > self.max => value - self.max,
            _ => self.min.abs_diff(self.value),
        }
    }

    /// Notes for the error.
    pub fn notes(&self, image: &Image) -> Vec<String> {
        let mut notes = vec![format!("out of range by {} bytes", self.bytes())];
        let Some(target) = self.target else { return notes };
        let start =
            self.place.unwrap_or_else(|| image.layout.segments.iter().map(|s| s.address).min().unwrap_or(0));
        let (low, high) = (start.min(target), start.max(target));
        let mut between: Vec<(u64, &OutputSection)> = image
            .outputs
            .sections
            .iter()
            .zip(&image.layout.placements)
            .filter(|(section, _)| section.has(SHF_ALLOC) && !section.members.is_empty())
            .filter_map(|(section, place)| {
                let inside = (place.address + section.size).min(high).checked_sub(place.address.max(low))?;
                (inside >= LARGE).then_some((inside, section))
            })
            .collect();
        between.sort_by_key(|(inside, _)| std::cmp::Reverse(*inside));
        let shown = between.iter().take(SHOWN).map(|(inside, section)| {
            format!("{} bytes of {}", inside, String::from_utf8_lossy(section.name))
        });
        let shown: Vec<String> = shown.collect();
        if !shown.is_empty() {
            notes.push(format!("in between lie {}", shown.join(", ")));
        }
        if between.iter().any(|(_, section)| !is_large(section.flags)) {
            notes.push("-mcmodel=medium puts large data where it is in nobody's way".to_string());
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_limit_counts() {
        let bytes = |value, min, max| Excess { place: None, target: None, value, min, max }.bytes();
        assert_eq!(bytes(1 << 31, -(1 << 31), (1 << 31) - 1), 1);
        assert_eq!(bytes(-(1 << 31) - 5, -(1 << 31), (1 << 31) - 1), 5);
        assert_eq!(bytes(256, -128, 255), 1);
        assert_eq!(bytes(i64::MIN, 0, u64::from(u32::MAX)), 1 << 63);
    }
}
