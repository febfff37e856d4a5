//! The kernels with AVX-512 and VAES: stripes of 64 bytes, their ends masked rather than branched on.
//!
//! A masked load does not touch the bytes it leaves out, so a stripe may stand at the very end of a mapping. The
//! common case, a message of one stripe, has no branch that depends on its length.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::{Hash, Kernels, Keys, NameHash, Pieces};

/// This variant, if the CPU has what it needs (Ice Lake, Zen 4 and later).
pub(super) fn detect() -> Option<&'static Kernels> {
    static KERNELS: Kernels = Kernels {
        name: "avx512",
        // SAFETY: the table is handed out only below, where the features were detected.
        hash: |keys, bytes| unsafe { hash(keys, bytes) },
        // SAFETY: as above.
        hash_names: |keys, strtab, offsets, out| unsafe { hash_names(keys, strtab, offsets, out) },
        // SAFETY: as above.
        nul_bitmap: |bytes, out| unsafe { nul_bitmap(bytes, out) },
        // SAFETY: as above.
        split_and_hash: |keys, bytes, out| unsafe { split_and_hash(keys, bytes, out) },
        // SAFETY: as above.
        hash_records: |keys, bytes, size, out| unsafe { hash_records(keys, bytes, size, out) },
    };
    let detected = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("aes")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt");
    detected.then_some(&KERNELS)
}

/// How many names ahead the first line of a name is fetched.
const AHEAD: usize = 8;

/// The keys in registers.
#[derive(Clone, Copy)]
struct Rounds {
    first: __m512i,
    stride: __m512i,
    rounds: [__m512i; 4],
    last: [__m128i; 2],
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn rounds(keys: &Keys) -> Rounds {
    // SAFETY: 16 bytes of any alignment.
    let pair = |pair: &[u64; 2]| unsafe { _mm_loadu_si128(pair.as_ptr().cast()) };
    // SAFETY: 64 bytes of any alignment.
    let four = |four: &[[u64; 2]; 4]| unsafe { _mm512_loadu_si512(four.as_ptr().cast()) };
    let [a, b, c, d] = keys.rounds.each_ref().map(|round| _mm512_broadcast_i32x4(pair(round)));
    Rounds {
        first: four(&keys.first),
        stride: four(&keys.stride),
        rounds: [a, b, c, d],
        last: [pair(&keys.last[0]), pair(&keys.last[1])],
    }
}

/// The first 64 bytes of `bytes`, zeros where it has fewer, and how many of its own they are.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn load(bytes: &[u8]) -> (__m512i, __mmask64) {
    let mask = _bzhi_u64(u64::MAX, bytes.len().min(64) as u32);
    // SAFETY: only bytes of the slice are selected, and a masked load touches no others.
    (unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) }, mask)
}

/// A message under way.
struct State {
    key: __m512i,
    sum: __m512i,
}

impl State {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
    fn new(keys: &Rounds) -> State {
        State { key: keys.first, sum: _mm512_setzero_si512() }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
    fn encrypt(&self, keys: &Rounds, stripe: __m512i) -> __m512i {
        let mut state = _mm512_xor_si512(stripe, self.key);
        for round in keys.rounds {
            state = _mm512_aesenc_epi128(state, round);
        }
        state
    }

    /// Takes in the next four blocks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
    fn absorb(&mut self, keys: &Rounds, stripe: __m512i) {
        self.sum = _mm512_xor_si512(self.sum, self.encrypt(keys, stripe));
        self.key = _mm512_add_epi64(self.key, keys.stride);
    }

    /// Takes in the last `left` bytes, at most 64 and zeros behind them, of a message of `len`; the hash.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
    fn finish(self, keys: &Rounds, stripe: __m512i, left: usize, len: usize) -> Hash {
        // Blocks with no byte of the message do not count; a block is two of eight halves.
        let begun = _bzhi_u32(0xff, (left as u32).div_ceil(16) * 2) as __mmask8;
        let state = self.encrypt(keys, stripe);
        let sum = _mm512_mask_xor_epi64(self.sum, begun, self.sum, state);
        let half = _mm256_xor_si256(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
        let sum = _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
        let sum = _mm_xor_si128(sum, _mm_cvtsi64_si128(len as i64));
        let end = _mm_aesenc_si128(_mm_aesenc_si128(sum, keys.last[0]), keys.last[1]);
        [_mm_cvtsi128_si64(end) as u64, _mm_extract_epi64::<1>(end) as u64]
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn hash_slice(keys: &Rounds, bytes: &[u8]) -> Hash {
    let mut state = State::new(keys);
    let mut rest = bytes;
    while rest.len() > 64 {
        state.absorb(keys, load(rest).0);
        rest = &rest[64..];
    }
    state.finish(keys, load(rest).0, rest.len(), bytes.len())
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn hash(keys: &Keys, bytes: &[u8]) -> Hash {
    hash_slice(&rounds(keys), bytes)
}

/// Length and hash of the name at the start of `tail`, in one pass.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn hash_name(keys: &Rounds, tail: &[u8]) -> NameHash {
    let mut state = State::new(keys);
    let mut len = 0;
    loop {
        // Bytes not loaded are zeros, so the end of the slice ends the name.
        let (stripe, _) = load(&tail[len..]);
        let ends = _mm512_testn_epi8_mask(stripe, stripe);
        if ends == 0 {
            state.absorb(keys, stripe);
            len += 64;
            continue;
        }
        let left = ends.trailing_zeros();
        let stripe = _mm512_maskz_mov_epi8(_bzhi_u64(u64::MAX, left), stripe);
        len += left as usize;
        return NameHash { hash: state.finish(keys, stripe, left as usize, len), len: len as u32 };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn hash_names(keys: &Keys, strtab: &[u8], offsets: &[u32], out: &mut Vec<NameHash>) {
    let keys = rounds(keys);
    out.reserve(offsets.len());
    let slots = &mut out.spare_capacity_mut()[..offsets.len()];
    for (at, (&offset, slot)) in offsets.iter().zip(slots).enumerate() {
        if let Some(tail) = offsets.get(at + AHEAD).and_then(|&ahead| strtab.get(ahead as usize..)) {
            _mm_prefetch::<_MM_HINT_T0>(tail.as_ptr().cast());
        }
        slot.write(hash_name(&keys, strtab.get(offset as usize..).unwrap_or(&[])));
    }
    // SAFETY: every slot of the added part was written.
    unsafe { out.set_len(out.len() + offsets.len()) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn nul_bitmap(bytes: &[u8], out: &mut [u64]) {
    for (chunk, word) in bytes.chunks(64).zip(out) {
        let (stripe, mask) = load(chunk);
        *word = _mm512_mask_testn_epi8_mask(mask, stripe, stripe);
    }
}

/// Words of the bitmap made before their pieces are hashed: 4 KiB of strings, still in the first-level cache.
const WORDS: usize = 64;

/// Appends `base` + the position of each bit of `mask` to `ends`, which has room for 16 more than there are bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn push_positions(ends: &mut Vec<u32>, mut mask: u64, base: u32) {
    const POSITIONS: [u8; 64] = {
        let mut positions = [0; 64];
        let mut at = 0;
        while at < 64 {
            positions[at] = at as u8;
            at += 1;
        }
        positions
    };
    // SAFETY: 64 bytes of any alignment.
    let positions = unsafe { _mm512_loadu_si512(POSITIONS.as_ptr().cast()) };
    let base = _mm512_set1_epi32(base as i32);
    while mask != 0 {
        let sixteen = _mm512_castsi512_si128(_mm512_maskz_compress_epi8(mask, positions));
        let sixteen = _mm512_add_epi32(_mm512_cvtepu8_epi32(sixteen), base);
        let count = mask.count_ones().min(16) as usize;
        let slots = ends.spare_capacity_mut();
        debug_assert!(slots.len() >= 16);
        // SAFETY: the caller has reserved 16 slots more than it has bits to push; those counted were written.
        unsafe {
            _mm512_storeu_si512(slots.as_mut_ptr().cast(), sixteen);
            ends.set_len(ends.len() + count);
        }
        if mask.count_ones() <= 16 {
            return;
        }
        // Clears the lowest 16 bits set.
        mask &= !_pdep_u64(0xffff, mask);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn split_and_hash(keys: &Keys, bytes: &[u8], out: &mut Pieces) {
    let keys = rounds(keys);
    let mut start = 0;
    for (at, part) in bytes.chunks(WORDS * 64).enumerate() {
        let first_word = at * WORDS;
        out.bitmap.resize(first_word + part.len().div_ceil(64), 0);
        let words = &mut out.bitmap[first_word..];
        nul_bitmap(part, words);
        let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        let first = out.ends.len();
        out.ends.reserve(count + 16);
        for (word, &mask) in words.iter().enumerate() {
            push_positions(&mut out.ends, mask, ((first_word + word) * 64 + 1) as u32);
        }
        out.hashes.reserve(count);
        let slots: &mut [MaybeUninit<Hash>] = &mut out.hashes.spare_capacity_mut()[..count];
        for (&end, slot) in out.ends[first..].iter().zip(slots) {
            let end = end as usize;
            slot.write(hash_slice(&keys, &bytes[start..end - 1]));
            start = end;
        }
        // SAFETY: `ends` grew by `count`, the number of bits, so every slot of the added part was written.
        unsafe { out.hashes.set_len(out.hashes.len() + count) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,vaes,aes,bmi1,bmi2,popcnt")]
fn hash_records(keys: &Keys, bytes: &[u8], size: usize, out: &mut Vec<Hash>) {
    let keys = rounds(keys);
    out.extend(bytes.chunks_exact(size).map(|record| hash_slice(&keys, record)));
}
