//! LDPT_GET_INPUT_SECTION_*: what a plugin may ask of the sections of the file it is offered.

use crate::elf::{Ehdr, Shdr, c_string, range, section_bytes, section_headers};
use object::LittleEndian as LE;
use object::elf::SHN_XINDEX;

/// The section headers of an object, and their names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sections {
    data: &'static [u8],
    headers: &'static [Shdr],
    names: &'static [u8],
}

impl Sections {
    /// `None` if the bytes are no object with sections.
    pub fn of(data: &'static [u8]) -> Option<Sections> {
        let (header, _) = object::pod::from_bytes::<Ehdr>(data).ok()?;
        if header.e_ident.magic != object::elf::ELFMAG || header.e_ident.class != object::elf::ELFCLASS64 {
            return None;
        }
        let headers = section_headers(data, header)?;
        let names = match header.e_shstrndx.get(LE) {
            SHN_XINDEX => headers.first()?.sh_link.get(LE),
            index => index.into(),
        };
        let names = headers.get(names as usize)?;
        let names = range(data, names.sh_offset.get(LE), names.sh_size.get(LE))?;
        Some(Sections { data, headers, names })
    }

    /// How many there are, with the null section.
    pub fn count(&self) -> usize {
        self.headers.len()
    }

    /// A section header.
    pub fn header(&self, index: u32) -> Option<&'static Shdr> {
        self.headers.get(index as usize)
    }

    /// The name of a section.
    pub fn name(&self, index: u32) -> Option<&'static [u8]> {
        Some(c_string(self.names, self.header(index)?.sh_name.get(LE) as usize))
    }

    /// The bytes of a section.
    pub fn contents(&self, index: u32) -> Option<&'static [u8]> {
        section_bytes(self.data, self.header(index)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stand_in::{Claimed, stand_in};
    use super::*;

    #[test]
    fn sections_of_an_object_are_found() {
        let data = stand_in(&[Claimed { comdat: Some(b"key".to_vec()), ..Claimed::default() }]);
        let sections = Sections::of(data).unwrap();
        assert!(sections.count() > 4);
        assert_eq!(sections.name(1).unwrap(), b".strtab");
        assert!(sections.contents(1).unwrap().ends_with(b"\0"));
        assert!(sections.header(sections.count() as u32).is_none());
        for end in 0..data.len() {
            // Cut off anywhere: nothing, or what is there.
            if let Some(sections) = Sections::of(&data[..end]) {
                let readable = (0..sections.count() as u32).filter(|n| sections.contents(*n).is_some());
                assert!(readable.count() <= sections.count());
            }
        }
        assert!(Sections::of(b"BC\xc0\xde").is_none());
    }
}
