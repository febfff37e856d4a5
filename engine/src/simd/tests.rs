//! Every variant against the scalar one, and the hash against what chance would do.

use super::*;

/// A generator of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }
}

/// Bytes that end where the mapping ends: what reads beyond them faults.
struct Edge {
    start: *mut u8,
    size: usize,
}

const PAGE: usize = 4096;

impl Edge {
    fn new(size: usize) -> Edge {
        use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
        assert_eq!(size % PAGE, 0);
        // SAFETY: a new anonymous mapping, of which the last page is made inaccessible.
        let start = unsafe {
            let start = mmap_anonymous(
                std::ptr::null_mut(),
                size + PAGE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
            .unwrap();
            mprotect(start.byte_add(size), PAGE, MprotectFlags::empty()).unwrap();
            start
        };
        Edge { start: start.cast(), size }
    }

    /// The last `len` bytes.
    fn tail(&mut self, len: usize) -> &mut [u8] {
        assert!(len <= self.size);
        // SAFETY: inside the mapping, which is initialised by being anonymous, and borrowed through `self`.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(self.size - len), len) }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, of which no borrow is left.
        unsafe { rustix::mm::munmap(self.start.cast(), self.size + PAGE).unwrap() };
    }
}

/// All variants but the specification.
fn variants() -> impl Iterator<Item = &'static Kernels> {
    Kernels::all()[1..].iter().copied()
}

fn specification() -> &'static Kernels {
    Kernels::all()[0]
}

/// Fills with bytes of which one in `zeros` is zero.
fn fill(random: &mut Random, bytes: &mut [u8], zeros: usize) {
    for byte in bytes {
        *byte = if random.below(zeros) == 0 { 0 } else { 1 + random.below(255) as u8 };
    }
}

#[test]
fn all_variants_hash_alike_at_every_length_alignment_and_page_end() {
    let mut random = Random(1);
    let mut edge = Edge::new(PAGE);
    let keys = Keys::new(42);
    for len in (0..300).chain([511, 512, 513, 1000, 2048, 4000]) {
        let bytes = edge.tail(len);
        fill(&mut random, bytes, 9);
        let expected = specification().hash(&keys, bytes);
        for kernels in variants() {
            assert_eq!(kernels.hash(&keys, bytes), expected, "{} at length {len}, page end", kernels.name);
        }
    }
    let mut bytes = vec![0; 400];
    fill(&mut random, &mut bytes, 9);
    for start in 0..66 {
        for len in [0, 1, 15, 16, 17, 31, 33, 48, 63, 64, 65, 127, 128, 129, 200] {
            let bytes = &bytes[start..start + len];
            let expected = specification().hash(&keys, bytes);
            for kernels in variants() {
                assert_eq!(kernels.hash(&keys, bytes), expected, "{} at {start}, length {len}", kernels.name);
            }
        }
    }
}

#[test]
fn all_variants_hash_names_alike() {
    let mut random = Random(2);
    let mut edge = Edge::new(4 * PAGE);
    for round in 0..200 {
        let len = random.below(if round % 2 == 0 { 200 } else { 4 * PAGE });
        let strtab = edge.tail(len);
        fill(&mut random, strtab, [5, 30, 200, 100_000][round % 4]);
        // Every other table is as it should be and ends with a NUL.
        if round % 8 < 4
            && let Some(last) = strtab.last_mut()
        {
            *last = 0;
        }
        let mut offsets: Vec<u32> = (0..100).map(|_| random.below(len + 1) as u32).collect();
        offsets.extend([len as u32, len as u32 + 1, u32::MAX]);
        let keys = Keys::new(round as u64);
        let mut expected = vec![NameHash::default()];
        specification().hash_names(&keys, strtab, &offsets, &mut expected);
        for (&offset, name) in offsets.iter().zip(&expected[1..]) {
            let name_bytes = &strtab[(offset as usize).min(len)..][..name.len as usize];
            assert_eq!(name.hash, specification().hash(&keys, name_bytes));
        }
        for kernels in variants() {
            let mut got = vec![NameHash::default()];
            kernels.hash_names(&keys, strtab, &offsets, &mut got);
            assert_eq!(got, expected, "{}, round {round}", kernels.name);
        }
    }
}

#[test]
fn all_variants_cut_strings_alike() {
    let mut random = Random(3);
    let mut edge = Edge::new(8 * PAGE);
    let (mut expected, mut got) = (Pieces::default(), Pieces::default());
    let mut records = (Vec::new(), Vec::new());
    for round in 0..150 {
        let len = random.below(if round % 2 == 0 { 300 } else { 8 * PAGE });
        let bytes = edge.tail(len);
        fill(&mut random, bytes, [1, 2, 20, 90, 100_000][round % 5]);
        let keys = Keys::new(7);
        let mut bitmap = vec![0; len.div_ceil(64)];
        specification().nul_bitmap(bytes, &mut bitmap);
        for (at, &byte) in bytes.iter().enumerate() {
            assert_eq!(bitmap[at / 64] >> (at % 64) & 1, u64::from(byte == 0));
        }
        for entsize in [1, 2, 4, 3] {
            let covered = specification().split_and_hash(&keys, bytes, entsize, &mut expected);
            for kernels in variants() {
                assert_eq!(kernels.split_and_hash(&keys, bytes, entsize, &mut got), covered);
                assert_eq!(got, expected, "{}, entsize {entsize}, round {round}", kernels.name);
                let mut words = vec![u64::MAX; len.div_ceil(64)];
                kernels.nul_bitmap(bytes, &mut words);
                assert_eq!(words, bitmap, "{}, round {round}", kernels.name);
            }
        }
        for size in [1, 4, 8, 16, 24, 32, 100] {
            specification().hash_records(&keys, bytes, size, &mut records.0);
            assert_eq!(records.0.len(), len / size);
            for kernels in variants() {
                kernels.hash_records(&keys, bytes, size, &mut records.1);
                assert_eq!(records.1, records.0, "{}, size {size}, round {round}", kernels.name);
            }
        }
    }
}

#[test]
fn pieces_end_behind_their_terminators() {
    let mut pieces = Pieces::default();
    assert_eq!(split_and_hash(b"int\0\0char\0rest", 1, 5, &mut pieces), 10);
    assert_eq!(pieces.ends, [4, 5, 10]);
    assert_eq!(pieces.hashes, [&b"int"[..], b"", b"char"].map(|piece| hash_bytes(piece, 5)));
    assert_eq!(pieces.bitmap, [0b10_0001_1000]);
    // "ab", with units of two bytes: the zero bytes of "\x01\x00" and "\x00\x01" end nothing.
    assert_eq!(split_and_hash(b"\x01\0\0\x01\0\0\0\0a\0", 2, 5, &mut pieces), 8);
    assert_eq!((&pieces.ends[..], &pieces.bitmap[..]), (&[6, 8][..], &[0b1100][..]));
}

/// Names as compilers make them: long common parts, differences of a digit or a letter.
fn names(n: usize) -> Vec<String> {
    (0..n)
        .map(|i| match i % 5 {
            0 => format!(
                "_ZN4core3ptr{}drop_in_place$LT$alloc..vec..Vec$LT$u{}$GT$$GT$17h{:016x}E",
                i % 90,
                i / 90,
                i
            ),
            1 => format!(
                "_ZNSt6vectorIN4llvm12SmallVectorIiLj{}EEESaIS2_EE17_M_realloc_insertIJRKS2_EEEvv{}",
                i,
                i % 7
            ),
            2 => format!(".L.str.{i}"),
            3 => format!("x{i}"),
            _ => format!("_ZN{}a{}b{}c{}Ev", "N1x".repeat(i % 60), i & 0xff, i >> 8 & 0xff, i >> 16),
        })
        .collect()
}

/// How many pairs of `values` are equal.
fn collisions(mut values: Vec<u64>) -> usize {
    values.sort_unstable();
    values.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

#[test]
fn any_32_bits_of_the_hash_collide_as_often_as_chance() {
    let n = 300_000;
    let kernels = kernels();
    let keys = Keys::new(0);
    let mut messages: Vec<Vec<u8>> = names(n).into_iter().map(String::into_bytes).collect();
    // Sparse ones: two bytes of a long run of zeros changed, in all places.
    for a in 0..400usize {
        for b in 0..a {
            let mut message = vec![0u8; 400];
            (message[a], message[b]) = (1, 1);
            messages.push(message);
        }
    }
    messages.extend((1..2000).map(|len| vec![0; len]));
    messages.extend((0..100_000u32).map(|number| number.to_le_bytes().to_vec()));
    messages.sort_unstable();
    messages.dedup();
    let hashes: Vec<Hash> = messages.iter().map(|message| kernels.hash(&keys, message)).collect();
    let n = messages.len() as f64;
    let expected = n * n / 2.0 / 2f64.powi(32);
    assert!(expected > 25.0);
    for window in 0..13 {
        let bits = |hash: &Hash| ((u128::from(hash[1]) << 64 | u128::from(hash[0])) >> (window * 8)) as u32;
        let count = collisions(hashes.iter().map(|hash| u64::from(bits(hash))).collect()) as f64;
        // Six standard deviations.
        assert!(
            (count - expected).abs() < 6.0 * expected.sqrt(),
            "bits from {}: {count}, not {expected}",
            window * 8
        );
    }
    for half in 0..2 {
        assert_eq!(collisions(hashes.iter().map(|hash| hash[half]).collect()), 0, "64 bits collide");
    }
}

#[test]
fn every_bit_of_a_message_or_seed_changes_half_of_the_hash() {
    let kernels = kernels();
    let mut random = Random(9);
    let rounds = 400;
    for len in [1, 8, 16, 17, 40, 64, 65, 200] {
        // Of some input bits, how often each output bit changes.
        for bit in (0..len * 8).step_by(1 + len / 3) {
            let mut changes = [0u32; 128];
            for round in 0..rounds {
                let keys = Keys::new(round);
                let mut bytes = vec![0; len];
                fill(&mut random, &mut bytes, 4);
                let before = kernels.hash(&keys, &bytes);
                bytes[bit / 8] ^= 1 << (bit % 8);
                let after = kernels.hash(&keys, &bytes);
                for (out, count) in changes.iter_mut().enumerate() {
                    *count += ((before[out / 64] ^ after[out / 64]) >> (out % 64) & 1) as u32;
                }
            }
            // Half of 400 with a standard deviation of 10; some 30,000 draws in all.
            assert!(
                changes.iter().all(|count| (140..260).contains(count)),
                "length {len}, bit {bit}: {changes:?}"
            );
        }
    }
    let flips: u32 = (0..64)
        .map(|bit| {
            let [a, b] = [hash_bytes(b"main", 77), hash_bytes(b"main", 77 ^ 1 << bit)];
            (a[0] ^ b[0]).count_ones() + (a[1] ^ b[1]).count_ones()
        })
        .sum();
    assert!((3800..4400).contains(&flips), "{flips} of {} bits", 64 * 128);
}
