//! Compact relocations (SHT_CREL): what LLVM writes with `-Wa,--crel` (LLVM, "ELF: CREL relocation format").
//!
//! A header and then, for each relocation, what differs from the one before, in numbers of variable length (DWARF 5, 7.6,
//! "Variable Length Data"). The header is `count << 3 | has_addends << 2 | shift`; offsets are multiples of `1 << shift`. An
//! entry begins with a byte that holds flags, the low bits of the offset's difference, and in its top bit whether more of
//! that follows:
//!
//! | bit | meaning |
//! |---|---|
//! | 0 | a difference of symbol indices follows |
//! | 1 | a difference of types follows |
//! | 2 | a difference of addends follows, if the header says that there are addends; else the first bit of the offset |
//!
//! They are expanded to the ordinary form where the object is parsed, so nobody later knows. All of it is distrusted.

use super::Rela;
use object::LittleEndian as LE;

/// The type of sections that hold them.
pub const SHT_CREL: u32 = 0x4000_0014;

/// The relocations, expanded, and whether they have addends. `None` if the bytes are damaged.
pub fn expand(data: &[u8]) -> Option<(Vec<Rela>, bool)> {
    let mut rest = data;
    let header = unsigned(&mut rest)?;
    let count = usize::try_from(header >> 3).ok()?;
    let has_addends = header & 4 != 0;
    let shift = header as u32 & 3;
    let flag_bits = if has_addends { 3 } else { 2 };
    // Every entry has a byte at least, so a count cannot ask for more than the file's size.
    if count > rest.len() {
        return None;
    }
    let mut relocations = Vec::with_capacity(count);
    let (mut offset, mut symbol, mut kind, mut addend) = (0u64, 0u32, 0u32, 0i64);
    for _ in 0..count {
        let (first, tail) = rest.split_first()?;
        rest = tail;
        offset = offset.wrapping_add(u64::from(*first >> flag_bits));
        if *first & 0x80 != 0 {
            // The bit that says so has been added, too.
            let more = unsigned(&mut rest)?.wrapping_shl(7 - flag_bits);
            offset = offset.wrapping_add(more).wrapping_sub(0x80 >> flag_bits);
        }
        if first & 1 != 0 {
            symbol = symbol.wrapping_add(signed(&mut rest)? as u32);
        }
        if first & 2 != 0 {
            kind = kind.wrapping_add(signed(&mut rest)? as u32);
        }
        if has_addends && first & 4 != 0 {
            addend = addend.wrapping_add(signed(&mut rest)?);
        }
        relocations.push(Rela {
            r_offset: object::U64::new(LE, offset.wrapping_shl(shift)),
            r_info: object::U64::new(LE, u64::from(symbol) << 32 | u64::from(kind)),
            r_addend: object::I64::new(LE, addend),
        });
    }
    Some((relocations, has_addends))
}

/// ULEB128.
fn unsigned(data: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..).step_by(7) {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        if shift < 64 {
            value |= u64::from(byte & 0x7f) << shift;
        }
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// SLEB128.
fn signed(data: &mut &[u8]) -> Option<i64> {
    let mut value = 0i64;
    for shift in (0..).step_by(7) {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        if shift < 64 {
            value |= i64::from(byte & 0x7f) << shift;
        }
        if byte & 0x80 == 0 {
            let is_negative = byte & 0x40 != 0 && shift + 7 < 64;
            return Some(if is_negative { value | -1 << (shift + 7) } else { value });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(data: &[u8]) -> Option<Vec<(u64, u32, u32, i64)>> {
        let (relocations, _) = expand(data)?;
        let plain = relocations.iter().map(|r| {
            let info = r.r_info.get(LE);
            (r.r_offset.get(LE), (info >> 32) as u32, info as u32, r.r_addend.get(LE))
        });
        Some(plain.collect())
    }

    #[test]
    fn entries_build_on_each_other() {
        // Two with addends, shift 0: offset 1, symbol 5, type 2, addend -4; then offset 1 + 0x25, the rest the same.
        let data = [2 << 3 | 4, 1 << 3 | 7, 5, 2, 0x7c, 0x80 | 5 << 3, 2];
        assert_eq!(list(&data).unwrap(), [(1, 5, 2, -4), (0x26, 5, 2, -4)]);
        // Without addends the offset starts a bit earlier; the shift multiplies it.
        let data = [1 << 3 | 2, 3 << 2 | 1, 0x7f];
        assert_eq!(list(&data).unwrap(), [(12, u32::MAX, 0, 0)]);
        assert_eq!(list(&[0]).unwrap(), []);
    }

    #[test]
    fn damage_is_noticed() {
        let whole = [2 << 3 | 4, 1 << 3 | 7, 5, 2, 0x7c, 0x80 | 5 << 3, 2];
        for end in 0..whole.len() {
            assert_eq!(list(&whole[..end]), None);
        }
        assert_eq!(list(&[0xff; 40]), None);
        // Numbers longer than they need be, to no end.
        assert_eq!(list(&[8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]), None);
    }

    #[test]
    fn signed_numbers() {
        for (bytes, expected) in
            [(&[0x3f][..], 63), (&[0x40], -64), (&[0x80, 0x7f], -128), (&[0xff, 0x00], 127)]
        {
            assert_eq!(signed(&mut &*bytes), Some(expected));
        }
        let lowest = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f];
        assert_eq!(signed(&mut &lowest[..]), Some(i64::MIN));
    }
}
