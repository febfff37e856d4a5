//! `.sframe`: stack traces without registers (SFrame format, versions 1 to 3).
//!
//! In: the section of one object, which is one table, or several behind each other where `-r` has joined objects. Out:
//! the functions, each with the bytes that describe its frames. Those do not depend
//! on addresses, so they are copied as they are; only how long they are must be found by walking them.
//!
//! ```text
//! preamble   u16 0xdee2, u8 version, u8 flags
//! header     u8 ABI, i8 fixed FP offset, i8 fixed RA offset, u8 auxiliary bytes,
//!            u32 FDEs, u32 FREs, u32 bytes of FREs, u32 offset of FDEs, u32 offset of FREs   (from the header's end)
//! FDE        i32 start, u32 size, u32 offset of its FREs, u32 number of FREs, u8 info   (2: u8 block size, u16 padding)
//! FRE        start (1, 2 or 4 bytes), u8 info, offsets (0 to 15 of 1, 2 or 4 bytes)
//! ```
//!
//! In version 3 the start has 64 bits, and what is known of the frames of a function stands in front of them:
//!
//! ```text
//! FDE        i64 start, u32 size, u32 offset of its attributes
//! attributes u16 number of FREs, u8 info, u8 more info, u8 block size; then the FREs
//! ```

use std::ops::Range;

/// The first two bytes, little endian.
pub const MAGIC: u16 = 0xdee2;
/// The FDEs are sorted by address.
pub const FDE_SORTED: u8 = 1;
/// All functions keep a frame pointer.
pub const FRAME_POINTER: u8 = 2;
/// The start of a function is given from its field on, and not from the start of the section.
pub const START_FROM_FIELD: u8 = 4;
/// `sh_addralign`.
const ALIGNMENT: usize = 8;
/// Bytes of preamble and header.
pub const HEADER_SIZE: u64 = 28;

/// What all functions of a table have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// 1 to 3.
    pub version: u8,
    /// Machine and byte order.
    pub abi: u8,
    /// Where the frame pointer always is, 0 for nowhere.
    pub fixed_fp: u8,
    /// Where the return address always is.
    pub fixed_ra: u8,
}

impl Kind {
    /// Bytes of an FDE.
    pub fn fde_size(self) -> u64 {
        match self.version {
            1 => 17,
            2 => 20,
            _ => 16,
        }
    }

    /// Whether starts have 64 bits, and frames have their attributes in front of them.
    pub fn is_wide(self) -> bool {
        self.version == 3
    }
}

/// Bytes of the attributes of a function's frames, version 3.
const ATTRIBUTES: usize = 5;

/// One function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Offset of the field with the function's start, which a relocation fills.
    pub field: u64,
    /// Bytes of code.
    pub size: u32,
    /// Number of FREs.
    pub count: u32,
    /// Types of FDE and FREs.
    pub info: u8,
    /// Size of the block that repeats, for tables of equal code.
    pub block: u8,
    /// The bytes of its FREs within the section, with the attributes in front of them where there are such.
    pub frames: Range<usize>,
}

/// A table taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What its functions have in common.
    pub kind: Kind,
    /// Flags.
    pub flags: u8,
    /// In the order of the table.
    pub functions: Vec<Function>,
    /// Where the table ends in the section.
    pub end: usize,
}

/// Why a table is not taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A version nobody has told of.
    Version(u8),
    /// It cannot be right, at this offset.
    Damaged(usize),
}

fn bytes<const N: usize>(section: &[u8], at: usize) -> Result<[u8; N], Refusal> {
    let field = at.checked_add(N).and_then(|end| section.get(at..end));
    field.and_then(|field| field.try_into().ok()).ok_or(Refusal::Damaged(at))
}

fn word(section: &[u8], at: usize) -> Result<u32, Refusal> {
    bytes(section, at).map(u32::from_le_bytes)
}

/// Takes a section apart. Tables begin at multiples of 8, with zeros between them.
pub fn parse(section: &[u8]) -> Result<Vec<Table>, Refusal> {
    let mut tables = Vec::new();
    let mut at = 0;
    while at < section.len() {
        let table = parse_table(section, at)?;
        at = table.end.next_multiple_of(ALIGNMENT);
        tables.push(table);
    }
    Ok(tables)
}

/// Takes the table apart that begins at an offset.
fn parse_table(section: &[u8], at: usize) -> Result<Table, Refusal> {
    let [low, high, version, flags, abi, fixed_fp, fixed_ra, auxiliary] = bytes(section, at)?;
    if u16::from_le_bytes([low, high]) != MAGIC {
        return Err(Refusal::Damaged(at));
    }
    if !matches!(version, 1..=3) {
        return Err(Refusal::Version(version));
    }
    let kind = Kind { version, abi, fixed_fp, fixed_ra };
    let body = at + HEADER_SIZE as usize + usize::from(auxiliary);
    let count = word(section, at + 8)? as usize;
    let (fdes, fres) = (body + word(section, at + 20)? as usize, body + word(section, at + 24)? as usize);
    let frames_end = fres + word(section, at + 16)? as usize;
    let step = kind.fde_size() as usize;
    if count.checked_mul(step).is_none_or(|size| size > section.len()) || frames_end > section.len() {
        return Err(Refusal::Damaged(at + 8));
    }
    let mut functions = Vec::with_capacity(count);
    for n in 0..count {
        let fde = fdes + n * step;
        if kind.is_wide() {
            functions.push(wide_function(section, fde, fres, frames_end)?);
            continue;
        }
        let [info] = bytes(section, fde + 16)?;
        let [block] = if version == 1 { [0] } else { bytes(section, fde + 17)? };
        let start = fres + word(section, fde + 8)? as usize;
        let count = word(section, fde + 12)?;
        let end = frames(&section[..frames_end], start, count, info)?;
        let size = word(section, fde + 4)?;
        functions.push(Function { field: fde as u64, size, count, info, block, frames: start..end });
    }
    let end = frames_end.max(fdes + count * step);
    Ok(Table { kind, flags, functions, end })
}

/// The function of an FDE of version 3.
fn wide_function(section: &[u8], fde: usize, fres: usize, frames_end: usize) -> Result<Function, Refusal> {
    let size = word(section, fde + 8)?;
    let start = fres + word(section, fde + 12)? as usize;
    let [low, high, info, _, block] = bytes::<ATTRIBUTES>(section, start)?;
    let count = u16::from_le_bytes([low, high]).into();
    let end = frames(&section[..frames_end], start + ATTRIBUTES, count, info)?;
    Ok(Function { field: fde as u64, size, count, info, block, frames: start..end })
}

/// Where `count` FREs end that begin at `at`.
fn frames(section: &[u8], mut at: usize, count: u32, info: u8) -> Result<usize, Refusal> {
    let start_size = match info & 0xf {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => return Err(Refusal::Damaged(at)),
    };
    if at > section.len() {
        return Err(Refusal::Damaged(at));
    }
    for _ in 0..count {
        let [info] = bytes(section, at + start_size)?;
        let offset_size = match info >> 5 & 3 {
            3 => return Err(Refusal::Damaged(at)),
            log2 => 1 << log2,
        };
        at += start_size + 1 + usize::from(info >> 1 & 15) * offset_size;
        if at > section.len() {
            return Err(Refusal::Damaged(at));
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of version 2 with one function of two FREs.
    fn table() -> Vec<u8> {
        let mut table = vec![0xe2, 0xde, 2, 4, 3, 0, 0xf8, 0];
        for word in [1u32, 2, 7, 0, 20] {
            table.extend(word.to_le_bytes());
        }
        for word in [0u32, 0x30, 0, 2] {
            table.extend(word.to_le_bytes());
        }
        table.extend([0, 0, 0, 0]);
        table.extend([0, 0x03, 8, 1, 0x05, 16, 0xf0]);
        table
    }

    #[test]
    fn a_table_is_taken_apart() {
        let [parsed] = parse(&table()).unwrap().try_into().unwrap();
        assert_eq!(parsed.kind, Kind { version: 2, abi: 3, fixed_fp: 0, fixed_ra: 0xf8 });
        assert_eq!(parsed.flags, START_FROM_FIELD);
        let function = Function { field: 28, size: 0x30, count: 2, info: 0, block: 0, frames: 48..55 };
        assert_eq!(parsed.functions, [function]);
        let mut joined = table();
        joined.resize(joined.len().next_multiple_of(8), 0);
        let second = joined.len();
        joined.extend(table());
        let tables = parse(&joined).unwrap();
        assert_eq!(tables.len(), 2);
        assert_eq!(tables[1].functions[0].field, second as u64 + 28);
        assert_eq!(tables[1].functions[0].frames, second + 48..second + 55);
    }

    /// A table of version 3 with one function of two FREs.
    fn wide_table() -> Vec<u8> {
        let mut table = vec![0xe2, 0xde, 3, 4, 3, 0, 0xf8, 0];
        for word in [1u32, 2, 12, 0, 16, 0, 0, 0x30, 0] {
            table.extend(word.to_le_bytes());
        }
        table.extend([2, 0, 0x80, 1, 0]);
        table.extend([0, 0x03, 8, 1, 0x05, 16, 0xf0]);
        table
    }

    #[test]
    fn a_table_of_version_3_is_taken_apart() {
        let [parsed] = parse(&wide_table()).unwrap().try_into().unwrap();
        assert_eq!((parsed.kind.version, parsed.kind.fde_size(), parsed.end), (3, 16, 56));
        let function = Function { field: 28, size: 0x30, count: 2, info: 0x80, block: 0, frames: 44..56 };
        assert_eq!(parsed.functions, [function]);
        for length in 1..56 {
            assert!(matches!(parse(&wide_table()[..length]), Err(Refusal::Damaged(_))), "{length}");
        }
    }

    #[test]
    fn damage_is_noticed() {
        let good = table();
        for length in 1..good.len() {
            assert!(matches!(parse(&good[..length]), Err(Refusal::Damaged(_))), "{length}");
        }
        for (at, byte) in [(0, 0), (8, 0xff), (11, 0xff), (19, 0x7f), (44, 3), (49, 0x63), (36, 0xff)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(parse(&bad).is_err(), "{at}");
        }
        let mut newer = good;
        newer[2] = 4;
        assert_eq!(parse(&newer), Err(Refusal::Version(4)));
    }
}
