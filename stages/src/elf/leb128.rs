//! LEB128 numbers, written (DWARF 5, 7.6).

/// Appends a number that has no sign.
pub fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number that may be negative.
pub fn signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = value as u8 & 0x7f;
        value >>= 7;
        let is_last = value == 0 && byte & 0x40 == 0 || value == -1 && byte & 0x40 != 0;
        out.push(if is_last { byte } else { byte | 0x80 });
        if is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::Reader as _;

    #[test]
    fn numbers_are_read_back() {
        for value in [0i64, 1, -1, 63, 64, -64, -65, 300, -300, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            signed(&mut bytes, value);
            let mut reader = gimli::EndianSlice::new(&bytes, gimli::LittleEndian);
            assert_eq!(reader.read_sleb128().unwrap(), value);
            bytes.clear();
            unsigned(&mut bytes, value as u64);
            let mut reader = gimli::EndianSlice::new(&bytes, gimli::LittleEndian);
            assert_eq!(reader.read_uleb128().unwrap(), value as u64);
        }
    }
}
