//! The kernels with AVX2 and AES-NI: blocks of 16 bytes in registers, four of them under way at once.
//!
//! The same code compiled for SSE4.1 and AES-NI alone is a tenth slower; the CPUs that would need it stopped being
//! sold before 2015, and run `scalar`.
//!
//! All loads are whole blocks inside the slice; the last bytes before the end of a slice are copied to a buffer.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::{Hash, Kernels, Keys, NameHash, Pieces};

/// This variant, if the CPU has what it needs (Haswell, Zen and later).
pub(super) fn detect() -> Option<&'static Kernels> {
    static KERNELS: Kernels = Kernels {
        name: "avx2",
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
    let detected = is_x86_feature_detected!("avx2")
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
    first: __m128i,
    step: __m128i,
    rounds: [__m128i; 4],
    last: [__m128i; 2],
}

fn load_pair(pair: &[u64; 2]) -> __m128i {
    // SAFETY: 16 bytes of any alignment; SSE2 is part of the architecture.
    unsafe { _mm_loadu_si128(pair.as_ptr().cast()) }
}

fn rounds(keys: &Keys) -> Rounds {
    Rounds {
        first: load_pair(&keys.first[0]),
        step: load_pair(&keys.step),
        rounds: keys.rounds.each_ref().map(load_pair),
        last: keys.last.each_ref().map(load_pair),
    }
}

/// The block at `at`.
#[inline]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes of any alignment; SSE2 is part of the architecture.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Ones for the first `len` bytes of four blocks (at most 64), zeros for the rest.
#[inline]
fn masks(len: usize) -> [__m128i; 4] {
    const MASKS: [u8; 128] = {
        let mut masks = [0; 128];
        let mut at = 0;
        while at < 64 {
            masks[at] = 0xff;
            at += 1;
        }
        masks
    };
    let from = 64 - len.min(64);
    match MASKS[from..].first_chunk::<64>() {
        Some(masks) => load_four(masks),
        None => unreachable!("64 of 128 bytes are left"),
    }
}

#[inline]
fn load_four(chunk: &[u8; 64]) -> [__m128i; 4] {
    let (blocks, _) = chunk.as_chunks::<16>();
    [load(&blocks[0]), load(&blocks[1]), load(&blocks[2]), load(&blocks[3])]
}

/// A message under way.
struct State {
    key: __m128i,
    sum: __m128i,
}

impl State {
    #[inline]
    #[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
    fn new(keys: &Rounds) -> State {
        State { key: keys.first, sum: _mm_setzero_si128() }
    }

    /// What the next four blocks come to, side by side.
    #[inline]
    #[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
    fn encrypt(&mut self, keys: &Rounds, blocks: [__m128i; 4]) -> [__m128i; 4] {
        let mut states = blocks;
        for state in &mut states {
            *state = _mm_xor_si128(*state, self.key);
            self.key = _mm_add_epi64(self.key, keys.step);
        }
        for round in keys.rounds {
            for state in &mut states {
                *state = _mm_aesenc_si128(*state, round);
            }
        }
        states
    }

    /// Takes in the next four blocks.
    #[inline]
    #[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
    fn absorb(&mut self, keys: &Rounds, blocks: [__m128i; 4]) {
        let states = self.encrypt(keys, blocks);
        let sum = _mm_xor_si128(_mm_xor_si128(states[0], states[1]), _mm_xor_si128(states[2], states[3]));
        self.sum = _mm_xor_si128(self.sum, sum);
    }

    /// Takes in the first `left` bytes, at most 64, of the last blocks of a message of `len` bytes; the hash. Bytes
    /// and blocks that are too many are masked: a branch on their number would be mispredicted.
    #[inline]
    #[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
    fn finish_with(mut self, keys: &Rounds, mut blocks: [__m128i; 4], left: usize, len: usize) -> Hash {
        for (block, mask) in blocks.iter_mut().zip(masks(left)) {
            *block = _mm_and_si128(*block, mask);
        }
        let mut states = self.encrypt(keys, blocks);
        for (state, mask) in states.iter_mut().zip(masks(left.next_multiple_of(16))) {
            *state = _mm_and_si128(*state, mask);
        }
        let sum = _mm_xor_si128(_mm_xor_si128(states[0], states[1]), _mm_xor_si128(states[2], states[3]));
        self.sum = _mm_xor_si128(self.sum, sum);
        self.finish(keys, len)
    }

    /// The hash of a message of `len` bytes.
    #[inline]
    #[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
    fn finish(self, keys: &Rounds, len: usize) -> Hash {
        let sum = _mm_xor_si128(self.sum, _mm_cvtsi64_si128(len as i64));
        let end = _mm_aesenc_si128(_mm_aesenc_si128(sum, keys.last[0]), keys.last[1]);
        [_mm_cvtsi128_si64(end) as u64, _mm_extract_epi64::<1>(end) as u64]
    }
}

/// The hash of `bytes[start..start + len]`; the slice around it lets whole blocks be loaded.
#[inline]
#[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
fn hash_within(keys: &Rounds, bytes: &[u8], start: usize, len: usize) -> Hash {
    let mut state = State::new(keys);
    let mut tail = &bytes[start..];
    let mut left = len;
    while left > 64
        && let Some((chunk, rest)) = tail.split_first_chunk::<64>()
    {
        state.absorb(keys, load_four(chunk));
        (tail, left) = (rest, left - 64);
    }
    match tail.first_chunk::<64>() {
        Some(chunk) => state.finish_with(keys, load_four(chunk), left, len),
        None => {
            let mut buffer = [0; 64];
            buffer[..left].copy_from_slice(&tail[..left]);
            state.finish_with(keys, load_four(&buffer), left, len)
        }
    }
}

/// A bit a byte: set where it is zero.
#[inline]
#[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
fn zeros(chunk: &[u8; 64]) -> u64 {
    let (halves, _) = chunk.as_chunks::<32>();
    let half = |half: &[u8; 32]| {
        // SAFETY: 32 bytes of any alignment.
        let bytes = unsafe { _mm256_loadu_si256(half.as_ptr().cast()) };
        u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256())) as u32)
    };
    half(&halves[0]) | half(&halves[1]) << 32
}

#[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
fn hash(keys: &Keys, bytes: &[u8]) -> Hash {
    hash_within(&rounds(keys), bytes, 0, bytes.len())
}

/// Length and hash of the name at the start of `tail`, in one pass.
#[inline]
#[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
fn hash_name(keys: &Rounds, tail: &[u8]) -> NameHash {
    let mut state = State::new(keys);
    let mut len = 0;
    loop {
        let rest = &tail[len..];
        let mut buffer = [0; 64];
        let chunk = match rest.first_chunk::<64>() {
            Some(chunk) => chunk,
            None => {
                // The zeros behind it end the name.
                buffer[..rest.len()].copy_from_slice(rest);
                &buffer
            }
        };
        let blocks = load_four(chunk);
        let ends = zeros(chunk);
        if ends == 0 {
            state.absorb(keys, blocks);
            len += 64;
            continue;
        }
        let left = ends.trailing_zeros() as usize;
        len += left;
        return NameHash { hash: state.finish_with(keys, blocks, left, len), len: len as u32 };
    }
}

#[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
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

#[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
fn nul_bitmap(bytes: &[u8], out: &mut [u64]) {
    let (chunks, rest) = bytes.as_chunks::<64>();
    for (chunk, word) in chunks.iter().zip(&mut *out) {
        *word = zeros(chunk);
    }
    if !rest.is_empty() {
        let mut buffer = [0xff; 64];
        buffer[..rest.len()].copy_from_slice(rest);
        out[chunks.len()] = zeros(&buffer);
    }
}

/// Words of the bitmap made before their pieces are hashed: 4 KiB of strings, still in the first-level cache.
const WORDS: usize = 64;

#[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
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
        out.ends.reserve(count);
        for (word, &mask) in words.iter().enumerate() {
            let base = ((first_word + word) * 64 + 1) as u32;
            let mut left = mask;
            while left != 0 {
                out.ends.push(base + left.trailing_zeros());
                left &= left - 1;
            }
        }
        out.hashes.reserve(count);
        let slots: &mut [MaybeUninit<Hash>] = &mut out.hashes.spare_capacity_mut()[..count];
        for (&end, slot) in out.ends[first..].iter().zip(slots) {
            let end = end as usize;
            slot.write(hash_within(&keys, bytes, start, end - 1 - start));
            start = end;
        }
        // SAFETY: `ends` grew by `count`, the number of bits, so every slot of the added part was written.
        unsafe { out.hashes.set_len(out.hashes.len() + count) };
    }
}

#[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt")]
fn hash_records(keys: &Keys, bytes: &[u8], size: usize, out: &mut Vec<Hash>) {
    let keys = rounds(keys);
    out.extend((0..bytes.len() / size).map(|at| hash_within(&keys, bytes, at * size, size)));
}
