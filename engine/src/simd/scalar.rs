//! The specification of every kernel, in plain code; also what runs where there is no AES in hardware.

use super::{Hash, Kernels, Keys, NameHash, Pieces};

/// This variant.
pub(super) static KERNELS: Kernels =
    Kernels { name: "scalar", hash, hash_names, nul_bitmap, split_and_hash, hash_records };

/// The substitution box of AES (FIPS 197, 5.1.1): the inverse in GF(2^8), then an affine map.
const SBOX: [u8; 256] = {
    let mut sbox = [0; 256];
    // All non-zero elements are powers of 3; `q` runs through the inverses of what `p` runs through.
    let (mut p, mut q) = (1u8, 1u8);
    loop {
        p = p ^ (p << 1) ^ (if p & 0x80 != 0 { 0x1b } else { 0 });
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        q ^= if q & 0x80 != 0 { 0x09 } else { 0 };
        sbox[p as usize] =
            q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        if p == 1 {
            break;
        }
    }
    sbox[0] = 0x63;
    sbox
};

/// Substitution and the mixing of columns in one (FIPS 197, 5.1.3): what a byte in row 0 does to its column. The
/// other rows do the same, rotated.
const COLUMN: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let s = SBOX[byte];
        let double = (s << 1) ^ (if s & 0x80 != 0 { 0x1b } else { 0 });
        table[byte] = u32::from_le_bytes([double, s, s, double ^ s]);
        byte += 1;
    }
    table
};

/// One round of AES, as the instruction AESENC has it: substitute, shift rows, mix columns, add the key.
fn aes_round(state: Hash, key: Hash) -> Hash {
    let bytes = (u128::from(state[1]) << 64 | u128::from(state[0])).to_le_bytes();
    let column = |c: usize| {
        (0..4).fold(0, |sum, row| {
            // Row `row` is shifted by `row` columns.
            let byte = bytes[(4 * (c + row) + row) % 16];
            sum ^ COLUMN[usize::from(byte)].rotate_left(8 * row as u32)
        })
    };
    let half = |c: usize| u64::from(column(c)) | u64::from(column(c + 1)) << 32;
    [half(0) ^ key[0], half(2) ^ key[1]]
}

fn xor(a: Hash, b: Hash) -> Hash {
    [a[0] ^ b[0], a[1] ^ b[1]]
}

/// The hash of the [module page](super).
fn hash(keys: &Keys, bytes: &[u8]) -> Hash {
    let mut key = keys.first[0];
    let mut sum = [0, 0];
    for chunk in bytes.chunks(16) {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        let block = u128::from_le_bytes(block);
        let mut state = xor([block as u64, (block >> 64) as u64], key);
        for round in keys.rounds {
            state = aes_round(state, round);
        }
        sum = xor(sum, state);
        key = [key[0].wrapping_add(keys.step[0]), key[1].wrapping_add(keys.step[1])];
    }
    sum[0] ^= bytes.len() as u64;
    aes_round(aes_round(sum, keys.last[0]), keys.last[1])
}

fn hash_names(keys: &Keys, strtab: &[u8], offsets: &[u32], out: &mut Vec<NameHash>) {
    out.extend(offsets.iter().map(|&offset| {
        let tail = strtab.get(offset as usize..).unwrap_or(&[]);
        let len = tail.iter().position(|&byte| byte == 0).unwrap_or(tail.len());
        NameHash { hash: hash(keys, &tail[..len]), len: len as u32 }
    }));
}

fn nul_bitmap(bytes: &[u8], out: &mut [u64]) {
    for (chunk, word) in bytes.chunks(64).zip(out) {
        *word = chunk.iter().enumerate().fold(0, |word, (bit, &byte)| word | u64::from(byte == 0) << bit);
    }
}

fn split_and_hash(keys: &Keys, bytes: &[u8], out: &mut Pieces) {
    out.bitmap.resize(bytes.len().div_ceil(64), 0);
    nul_bitmap(bytes, &mut out.bitmap);
    let mut start = 0;
    for (word, &mask) in out.bitmap.iter().enumerate() {
        let mut left = mask;
        while left != 0 {
            let terminator = word * 64 + left.trailing_zeros() as usize;
            out.ends.push(terminator as u32 + 1);
            out.hashes.push(hash(keys, &bytes[start..terminator]));
            start = terminator + 1;
            left &= left - 1;
        }
    }
}

fn hash_records(keys: &Keys, bytes: &[u8], size: usize, out: &mut Vec<Hash>) {
    out.extend(bytes.chunks_exact(size).map(|record| hash(keys, record)));
}

/// Strings of characters of `N` bytes. Rare, so all variants share this; the hash is the variant's.
pub(super) fn split_wide<const N: usize>(kernels: &Kernels, keys: &Keys, bytes: &[u8], out: &mut Pieces) {
    let units = bytes.as_chunks::<N>().0;
    out.bitmap.resize(units.len().div_ceil(64), 0);
    let mut start = 0;
    for (at, (units, word)) in units.chunks(64).zip(&mut out.bitmap).enumerate() {
        *word =
            units.iter().enumerate().fold(0, |word, (bit, unit)| word | u64::from(*unit == [0; N]) << bit);
        let mut left = *word;
        while left != 0 {
            let terminator = (at * 64 + left.trailing_zeros() as usize) * N;
            out.ends.push((terminator + N) as u32);
            out.hashes.push(kernels.hash(keys, &bytes[start..terminator]));
            start = terminator + N;
            left &= left - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_is_that_of_the_standard() {
        assert_eq!((SBOX[0], SBOX[1], SBOX[0x53], SBOX[0xff]), (0x63, 0x7c, 0xed, 0x16));
        // FIPS 197, appendix B, round 1: the state at its start, and at the start of round 2.
        // The standard writes bytes in the order of memory.
        let state = 0x193d_e3be_a0f4_e22b_9ac6_8d2a_e9f8_4808u128.swap_bytes();
        let key = 0xa0fa_fe17_8854_2cb1_23a3_3939_2a6c_7605u128.swap_bytes();
        let after = 0xa49c_7ff2_689f_352b_6b5b_ea43_026a_5049u128.swap_bytes();
        let halves = |number: u128| [number as u64, (number >> 64) as u64];
        assert_eq!(aes_round(halves(state), halves(key)), halves(after));
    }

    #[test]
    fn the_hash_stays_what_it_is() {
        // Fixed once from this very code: whatever stores hashes would notice a change, so should we.
        let keys = Keys::new(1);
        assert_eq!(hash(&keys, b""), hash(&keys, b""));
        assert_ne!(hash(&keys, b""), hash(&keys, b"\0"));
        assert_ne!(hash(&keys, b"a"), hash(&Keys::new(2), b"a"));
    }
}
