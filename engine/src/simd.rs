//! The few byte kernels that deserve SIMD: hashing of names, finding the ends of strings, hashing what lies between.
//!
//! In: byte slices as they are mapped. Out: 128-bit hashes, offsets, bitmaps. Every kernel exists as `scalar`,
//! which is the specification, and in variants for what the CPU offers; [`kernels`] chooses once per process.
//! All variants give the same values for the same input and seed, on every machine.
//!
//! The hash. A message is cut into blocks of 16 bytes, the last one filled up with zeros. Block `i` is combined
//! with a key of its own (`key + i * step`), goes through four rounds of AES, and all results are combined by
//! exclusive or; the length is mixed in, and two more rounds finish. Four rounds of AES change any difference
//! between two blocks into a given other difference with probability at most 2^-113 over the keys (Park et al.,
//! FSE 2003), so two different messages collide with about that probability, whatever their structure; messages of
//! one block never do. Against somebody who knows the seed there is no defence: draw it per run where that matters.
//! Chaining one round a block, as many fast hashes do, is no match: messages that differ in one byte of a block and
//! in the right four of the next collide with probability 2^-6.
//!
//! Invariants
//! - No variant reads outside of the slices it is given: near the end it copies or masks.
//! - A kernel of a variant runs only where its CPU features were detected: only [`Kernels::all`] hands them out.
//!
//! Cost: see the table in `engine/README.md`; `cargo run --release --example kernels -p engine` measures anew.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod below;
mod keys;
mod scalar;
#[cfg(test)]
mod tests;

pub use below::{WINDOW, below};
pub use keys::Keys;

use std::sync::OnceLock;

/// A 128-bit hash, low half first.
pub type Hash = [u64; 2];

/// Hash and length of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NameHash {
    /// The hash of the name's bytes, without its NUL.
    pub hash: Hash,
    /// How many bytes, without the NUL.
    pub len: u32,
}

const _: () = assert!(size_of::<NameHash>() == 24);

/// The strings of a section, in order. Reuse it: its buffers keep their memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pieces {
    /// A bit a unit of the section (a byte, or a wider character): set where a terminator is.
    pub bitmap: Vec<u64>,
    /// Where each piece ends: the offset in bytes behind its terminator, which is where the next begins.
    pub ends: Vec<u32>,
    /// The hash of each piece, without its terminator.
    pub hashes: Vec<Hash>,
}

impl Pieces {
    fn clear(&mut self) {
        self.bitmap.clear();
        self.ends.clear();
        self.hashes.clear();
    }
}

/// One variant of all kernels.
#[derive(Debug)]
pub struct Kernels {
    /// What it is called: `scalar`, `avx2`, `avx512`.
    pub name: &'static str,
    hash: fn(&Keys, &[u8]) -> Hash,
    hash_names: fn(&Keys, &[u8], &[u32], &mut Vec<NameHash>),
    nul_bitmap: fn(&[u8], &mut [u64]),
    split_and_hash: fn(&Keys, &[u8], &mut Pieces),
    hash_records: fn(&Keys, &[u8], usize, &mut Vec<Hash>),
}

/// Bytes a [`Pieces`] can describe.
const PIECES_MAX: usize = u32::MAX as usize;

impl Kernels {
    /// The variants this CPU can run, the plainest first and the one to use last.
    pub fn all() -> &'static [&'static Kernels] {
        static ALL: OnceLock<Vec<&'static Kernels>> = OnceLock::new();
        ALL.get_or_init(|| {
            #[allow(unused_mut, reason = "other architectures have one variant")]
            let mut all = vec![&scalar::KERNELS];
            #[cfg(target_arch = "x86_64")]
            {
                all.extend(avx2::detect());
                all.extend(avx512::detect());
            }
            all
        })
    }

    /// The hash of `bytes`.
    pub fn hash(&self, keys: &Keys, bytes: &[u8]) -> Hash {
        (self.hash)(keys, bytes)
    }

    /// See [`hash_names`].
    pub fn hash_names(&self, keys: &Keys, strtab: &[u8], offsets: &[u32], out: &mut Vec<NameHash>) {
        (self.hash_names)(keys, strtab, offsets, out);
    }

    /// See [`nul_bitmap`].
    ///
    /// # Panics
    /// If `out` has not one word for every 64 bytes begun.
    pub fn nul_bitmap(&self, bytes: &[u8], out: &mut [u64]) {
        assert_eq!(out.len(), bytes.len().div_ceil(64), "one bit a byte");
        (self.nul_bitmap)(bytes, out);
    }

    /// See [`split_and_hash`].
    pub fn split_and_hash(&self, keys: &Keys, bytes: &[u8], entsize: usize, out: &mut Pieces) -> usize {
        out.clear();
        let bytes = &bytes[..bytes.len().min(PIECES_MAX)];
        match entsize {
            1 => (self.split_and_hash)(keys, bytes, out),
            2 => scalar::split_wide::<2>(self, keys, bytes, out),
            4 => scalar::split_wide::<4>(self, keys, bytes, out),
            _ => return 0,
        }
        debug_assert_eq!(out.ends.len(), out.hashes.len());
        out.ends.last().map_or(0, |&end| end as usize)
    }

    /// See [`hash_records`].
    pub fn hash_records(&self, keys: &Keys, bytes: &[u8], size: usize, out: &mut Vec<Hash>) {
        out.clear();
        if size > 0 {
            (self.hash_records)(keys, &bytes[..bytes.len() - bytes.len() % size], size, out);
        }
    }
}

/// The best variant this CPU can run.
pub fn kernels() -> &'static Kernels {
    static BEST: OnceLock<&'static Kernels> = OnceLock::new();
    BEST.get_or_init(|| Kernels::all().last().expect("scalar is always there"))
}

/// The 128-bit hash of `bytes`. Who hashes many keeps a [`Keys`] and calls [`Kernels::hash`].
pub fn hash_bytes(bytes: &[u8], seed: u64) -> Hash {
    kernels().hash(&Keys::new(seed), bytes)
}

/// Appends to `out` the length and hash of the NUL-terminated name at each of `offsets` into `strtab`.
///
/// A name that no NUL ends goes to the end of `strtab`; an offset behind the end is an empty name.
pub fn hash_names(strtab: &[u8], offsets: &[u32], seed: u64, out: &mut Vec<NameHash>) {
    kernels().hash_names(&Keys::new(seed), strtab, offsets, out);
}

/// Sets bit `i % 64` of word `i / 64` of `out` where byte `i` is zero, and clears all others.
///
/// # Panics
/// If `out` has not one word for every 64 bytes begun.
pub fn nul_bitmap(bytes: &[u8], out: &mut [u64]) {
    kernels().nul_bitmap(bytes, out);
}

/// Cuts a section of zero-terminated strings, of characters of `entsize` bytes (1, 2 or 4), into pieces.
///
/// Returns how many bytes the pieces cover. It is less than `bytes.len()` if the last string has no terminator (its
/// bytes are in no piece, but in the bitmap), if `bytes` is longer than 4 GiB (call again with the rest), and 0 for
/// any other `entsize`.
pub fn split_and_hash(bytes: &[u8], entsize: usize, seed: u64, out: &mut Pieces) -> usize {
    kernels().split_and_hash(&Keys::new(seed), bytes, entsize, out)
}

/// Fills `out` with the hashes of consecutive records of `size` bytes. What is left at the end is left out.
pub fn hash_records(bytes: &[u8], size: usize, seed: u64, out: &mut Vec<Hash>) {
    kernels().hash_records(&Keys::new(seed), bytes, size, out);
}
