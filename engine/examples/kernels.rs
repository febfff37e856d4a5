//! Measures the kernels against each other and against xxh3: `cargo run --release --example kernels -p engine`.
//!
//! Inputs are made to look like a debug build's: mangled names of 10 to 250 bytes in a string table, debug strings
//! of some 70 bytes. Each number is the best of several runs, in nanoseconds per name or piece; `hot` is a table in
//! the second-level cache, `cold` one of many megabytes.

use std::hint::black_box;
use std::time::Instant;

use engine::simd::{Kernels, Keys, NameHash, Pieces};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// A string table with the offsets of its names.
fn table(names: usize, mean: usize) -> (Vec<u8>, Vec<u32>) {
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut bytes = vec![0];
    let mut offsets = Vec::new();
    for number in 0..names {
        offsets.push(bytes.len() as u32);
        bytes.extend_from_slice(format!("_ZN{number}").as_bytes());
        // Two draws: short ones are more frequent, long ones exist.
        let len = random(mean * 2) * random(mean * 2) / mean + 3;
        bytes.extend((0..len).map(|_| b'a' + random(26) as u8));
        bytes.push(0);
    }
    (bytes, offsets)
}

/// The best time of `f` over several runs, in nanoseconds.
fn time(mut f: impl FnMut()) -> f64 {
    (0..15)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_nanos() as f64
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let keys = Keys::new(1);
    for (what, names, mean) in [("hot", 4000, 70), ("cold", 500_000, 70), ("cold, short", 1_000_000, 20)] {
        let (strtab, offsets) = table(names, mean);
        let n = names as f64;
        println!(
            "\n{what}: {names} names, {:.1} MB, {:.0} bytes a name",
            strtab.len() as f64 / 1e6,
            strtab.len() as f64 / n
        );
        println!(
            "{:10} {:>12} {:>12} {:>12} {:>12}",
            "ns each", "hash_names", "hash only", "nul bitmap", "split+hash"
        );
        let mut out: Vec<NameHash> = Vec::new();
        let mut pieces = Pieces::default();
        let ends: Vec<usize> =
            offsets.iter().skip(1).map(|&next| next as usize - 1).chain([strtab.len() - 1]).collect();
        let mut words = vec![0; strtab.len().div_ceil(64)];
        for kernels in Kernels::all() {
            let names = time(|| {
                out.clear();
                kernels.hash_names(&keys, &strtab, &offsets, &mut out);
                black_box(&out);
            });
            let only = time(|| {
                for (&start, &end) in offsets.iter().zip(&ends) {
                    black_box(kernels.hash(&keys, &strtab[start as usize..end]));
                }
            });
            let bitmap = time(|| {
                kernels.nul_bitmap(&strtab, &mut words);
                black_box(&words);
            });
            let split = time(|| {
                black_box(kernels.split_and_hash(&keys, &strtab, 1, &mut pieces));
            });
            println!(
                "{:10} {:12.1} {:12.1} {:12.2} {:12.1}",
                kernels.name,
                names / n,
                only / n,
                bitmap / n,
                split / n
            );
        }
        let memchr = time(|| {
            for &start in &offsets {
                let tail = &strtab[start as usize..];
                let len = tail.iter().position(|&byte| byte == 0).unwrap_or(tail.len());
                black_box(xxh3_128_with_seed(&tail[..len], 1));
            }
        });
        let only = time(|| {
            for (&start, &end) in offsets.iter().zip(&ends) {
                black_box(xxh3_128_with_seed(&strtab[start as usize..end], 1));
            }
        });
        println!("{:10} {:12.1} {:12.1}", "xxh3_128", memchr / n, only / n);
    }
}
