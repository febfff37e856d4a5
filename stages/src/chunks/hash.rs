//! `.hash` (gABI, "Hash Table") and `.gnu.hash`.
//!
//! `.gnu.hash` is a Bloom filter of 64-bit words, buckets, and a chain of hashes whose lowest bit marks the end of
//! a bucket; the symbols it covers stand at the end of `.dynsym`, in the order of their buckets.

use crate::dynamic::{Dynamic, sysv_hash};

/// Bits per word of the Bloom filter by which the second bit of a symbol is shifted.
const BLOOM_SHIFT: u32 = 26;

fn hashed(dynamic: &Dynamic) -> usize {
    dynamic.symbols.len() - dynamic.first_hashed
}

/// Words of the Bloom filter: some 12 bits a symbol, a power of two.
fn bloom_words(dynamic: &Dynamic) -> usize {
    (hashed(dynamic) * 12).div_ceil(64).next_power_of_two().max(1)
}

/// Bytes of `.gnu.hash`.
pub(super) fn gnu_size(dynamic: &Dynamic) -> u64 {
    (16 + bloom_words(dynamic) * 8 + dynamic.buckets as usize * 4 + hashed(dynamic) * 4) as u64
}

/// Bytes of `.hash`.
pub(super) fn sysv_size(dynamic: &Dynamic) -> u64 {
    let symbols = dynamic.symbols.len() as u64 + 1;
    (2 + sysv_buckets(dynamic) + symbols) * 4
}

fn sysv_buckets(dynamic: &Dynamic) -> u64 {
    (dynamic.symbols.len() as u64).div_ceil(2).max(1)
}

fn put(out: &mut [u8], index: usize, value: u32) {
    out[index * 4..index * 4 + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn write_gnu(dynamic: &Dynamic, out: &mut [u8]) {
    let words = bloom_words(dynamic);
    let first = dynamic.first_hashed as u32 + 1;
    for (index, value) in [dynamic.buckets, first, words as u32, BLOOM_SHIFT].into_iter().enumerate() {
        put(out, index, value);
    }
    let (bloom, rest) = out[16..].split_at_mut(words * 8);
    let (buckets, chain) = rest.split_at_mut(dynamic.buckets as usize * 4);
    let mut filter = vec![0u64; words];
    let symbols = &dynamic.symbols[dynamic.first_hashed..];
    for (n, symbol) in symbols.iter().enumerate() {
        let hash = symbol.hash;
        let word = &mut filter[hash as usize / 64 % words];
        *word |= 1 << (hash % 64) | 1 << ((hash >> BLOOM_SHIFT) % 64);
        let bucket = hash % dynamic.buckets;
        let is_first = n == 0 || symbols[n - 1].hash % dynamic.buckets != bucket;
        let is_last = symbols.get(n + 1).is_none_or(|next| next.hash % dynamic.buckets != bucket);
        if is_first {
            put(buckets, bucket as usize, first + n as u32);
        }
        put(chain, n, hash & !1 | u32::from(is_last));
    }
    for (word, out) in filter.iter().zip(bloom.chunks_exact_mut(8)) {
        out.copy_from_slice(&word.to_le_bytes());
    }
}

pub(super) fn write_sysv(dynamic: &Dynamic, out: &mut [u8]) {
    let buckets = sysv_buckets(dynamic) as usize;
    let symbols = dynamic.symbols.len() + 1;
    put(out, 0, buckets as u32);
    put(out, 1, symbols as u32);
    let mut heads = vec![0u32; buckets];
    for (n, symbol) in dynamic.symbols.iter().enumerate() {
        let bucket = sysv_hash(symbol.name) as usize % buckets;
        put(out, 2 + buckets + n + 1, heads[bucket]);
        heads[bucket] = n as u32 + 1;
    }
    for (bucket, head) in heads.into_iter().enumerate() {
        put(out, 2 + bucket, head);
    }
}
