//! `-z unique-symbol`: no two local symbols have one name.
//!
//! In: the local symbols of the output, object by object. Out: their new names: `.N` is appended, N counting the symbols
//! of that name so far, in hexadecimal, from 0. As with GNU ld every local symbol gets a number, be it alone: a name
//! that ends in `.0` by itself cannot then be that of another. Tools that tell functions apart by name (live patching,
//! profilers) ask for it.

use std::collections::HashMap;

/// New names by position of the object and index of the symbol.
#[derive(Debug, Default)]
pub struct UniqueNames {
    names: HashMap<(u32, u32), &'static [u8]>,
    counts: HashMap<&'static [u8], u32>,
}

impl UniqueNames {
    /// Gives a symbol its new name; symbols must come in the order of the output.
    pub fn add(&mut self, position: usize, index: usize, name: &'static [u8]) -> &'static [u8] {
        let count = self.counts.entry(name).or_default();
        let unique: &'static [u8] = [name, format!(".{count:x}").as_bytes()].concat().leak();
        *count += 1;
        self.names.insert((position as u32, index as u32), unique);
        unique
    }

    /// The new name of a symbol, if it has one.
    pub fn get(&self, position: usize, index: usize) -> Option<&'static [u8]> {
        if self.names.is_empty() { None } else { self.names.get(&(position as u32, index as u32)).copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted() {
        let mut names = UniqueNames::default();
        assert_eq!(names.get(0, 1), None);
        assert_eq!(names.add(0, 1, b"f"), b"f.0");
        assert_eq!(names.add(0, 2, b"g"), b"g.0");
        (0..15).for_each(|n| {
            names.add(1, n, b"f");
        });
        assert_eq!(names.add(2, 1, b"f"), b"f.10");
        assert_eq!(names.get(0, 1), Some(&b"f.0"[..]));
        assert_eq!(names.get(9, 1), None);
    }
}
