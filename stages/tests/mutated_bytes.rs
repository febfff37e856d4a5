//! No parser of untrusted bytes panics, whatever the bytes.
//!
//! Each parser gets random bytes, and sound inputs with some bytes changed, cut out, repeated or overwritten
//! with numbers that make trouble. The generator is seeded, so a failure comes back on every run. What the
//! results mean is checked beside each parser; here only that there is one, soon.

use stages::elf::archive::{Archive, Contents};
use stages::elf::compressed::Compressed;
use stages::elf::identify::identify;
use stages::elf::properties::{Properties, merge};
use stages::script::{
    SymbolList, VersionMatcher, glob::Glob, parse_dynamic_list, parse_expr, parse_script,
    parse_version_script,
};
use stages::{demangle, suggest};

/// Xorshift (Marsaglia 2003): good enough to shake inputs, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
    fn bytes(&mut self, length_max: usize) -> Vec<u8> {
        let length = self.below(length_max);
        (0..length).map(|_| self.next() as u8).collect()
    }
    /// A few changes to `data`.
    fn mutate(&mut self, data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            let end = (at + self.below(16)).min(data.len());
            match self.below(7) {
                0 => data.truncate(at),
                1 => drop(data.drain(at..end)),
                2 => {
                    let copy = data[at..end].to_vec();
                    let to = self.below(data.len());
                    data.splice(to..to, copy);
                }
                3 => data[at..end].fill(if self.next() & 1 == 0 { 0 } else { 0xff }),
                4 if end > at => data[at] ^= 1 << self.below(8),
                5 if end > at => data[at] = b" (){};*?[]\\\"'/:@_0123456789EINSTZ"[self.below(33)],
                _ => data.splice(at..at, self.bytes_short()).for_each(drop),
            }
        }
        data
    }
    fn bytes_short(&mut self) -> Vec<u8> {
        self.bytes(9)
    }
}

/// Calls `parse` with `rounds` mutations of each seed, and with random bytes.
fn shake(seeds: &[&[u8]], rounds: usize, parse: impl Fn(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for seed in seeds {
        parse(seed);
        for _ in 0..rounds {
            parse(&random.mutate(seed));
        }
    }
    for _ in 0..rounds {
        parse(&random.bytes(200));
    }
}

#[test]
fn scripts() {
    let seeds: [&[u8]; 4] = [
        b"OUTPUT_FORMAT(elf64-x86-64) GROUP ( /lib/libc.so.6 -lfoo AS_NEEDED ( a.o, \"b c\" ) ) INCLUDE x",
        b"x = foo + 4; PROVIDE(y = ALIGN(x, 0x10K) ? 1 : ~2); ASSERT(x, \"m\") z <<= MAX(1, 2);",
        b"VERSION { V1 { global: foo; extern \"C++\" { ns::*; }; local: *; }; } ENTRY(e) EXTERN(a b)",
        b"SECTIONS { . = 0; .text : { *(.text) } }",
    ];
    shake(&seeds, 3000, |text| {
        if let Err(error) = parse_script(text, "fuzz.ld") {
            assert!(error.line > 0 && error.column > 0 && !error.to_string().is_empty());
        }
    });
}

#[test]
fn expressions() {
    let seeds: [&[u8]; 3] = [
        b"(a + b * 3 << 2) == 0x10K && !DEFINED(c) ? ALIGN(., 8) : -SIZEOF(.text)",
        b"MAX(a, MIN(1, LOG2CEIL(3))) | SEGMENT_START(\"text\", 4) ^ ~$ff % 0ffh",
        b"((((((((((1))))))))))",
    ];
    shake(&seeds, 3000, |text| {
        if let Ok(expr) = parse_expr(text) {
            expr.for_each_symbol(&mut |name| assert!(!name.is_empty()));
        }
    });
}

#[test]
fn version_scripts_and_lists() {
    let seeds: [&[u8]; 3] = [
        b"V1 { global: foo; b*r; \"q*\"; extern \"C++\" { ns::*; \"f(int)\" }; local: *; };\nV2 { baz[a-c]; } V1;",
        b"{ foo; extern \"C++\" { typeinfo*; }; };",
        b"# comment\n{ global: [[:alpha:]_]*; local: \\*; };",
    ];
    shake(&seeds, 2000, |text| {
        if let Ok(script) = parse_version_script(text, "fuzz.map") {
            let matcher = VersionMatcher::new(&[script]);
            matcher.find(b"foo", || None);
            matcher.find(b"_Z1fi", || Some(b"f(int)".to_vec()));
            matcher.unmatched().for_each(drop);
        }
        if let Ok(list) = parse_dynamic_list(text, "fuzz.list") {
            let mut symbols = SymbolList::default();
            symbols.add_list(list);
            symbols.matches(b"foo", || None);
        }
    });
}

#[test]
fn globs() {
    let seeds: [&[u8]; 3] = [b"a*b?c[x-z]", b"[[:alpha:]]*[!a]\\*", b"*a*b*c*"];
    shake(&seeds, 3000, |pattern| {
        let glob = Glob::new(pattern);
        glob.matches(pattern);
        glob.matches(b"");
        glob.matches(b"a]b[c*d\\e");
    });
}

#[test]
fn archives() {
    let header = |name: &str, size: usize| format!("{name:<16}{:<32}{size:<10}`\n", 0);
    let gnu =
        format!("!<arch>\n{}tabl{}long_name.o/\n{}data", header("/", 4), header("//", 13), header("/0", 4));
    let bsd = format!("!<arch>\n{}name.o\0\0data{}xx", header("#1/8", 12), header("a.o/", 2));
    let thin =
        format!("!<thin>\n{}dir/a.o/\nb.a/\n\n{}{}", header("//", 15), header("/0", 9), header("/9:68", 9));
    shake(&[gnu.as_bytes(), bsd.as_bytes(), thin.as_bytes()], 3000, |data| {
        identify(data);
        if let Ok(archive) = Archive::parse(data, "fuzz.a") {
            for member in archive.members {
                if let Contents::Inside(range) = member.contents {
                    identify(&data[range]);
                }
            }
        }
    });
}

#[test]
fn compressed_sections() {
    let contents: Vec<u8> = (0..5000u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &contents).unwrap();
    let zlib = encoder.finish().unwrap();
    let zstd = zstd::bulk::compress(contents.as_slice(), 1).unwrap();
    let section = |kind: u64, payload: &[u8]| {
        [&kind.to_le_bytes()[..], &(contents.len() as u64).to_le_bytes(), &8u64.to_le_bytes(), payload]
            .concat()
    };
    let old = [&b"ZLIB"[..], &(contents.len() as u64).to_be_bytes(), &zlib].concat();
    shake(&[&section(1, &zlib), &section(2, &zstd), &old], 700, |data| {
        let parsed = [Compressed::parse(data).ok(), Compressed::parse_zdebug(data).ok().flatten()];
        for compressed in parsed.into_iter().flatten() {
            // The bound allows a lot; no need to try it here.
            if compressed.size_bytes < 1 << 20 {
                let _ = compressed.decompress_into(&mut vec![0; compressed.size_bytes]);
            }
        }
    });
}

#[test]
fn properties() {
    let note = b"\x04\0\0\0\x20\0\0\0\x05\0\0\0GNU\0\x02\0\0\xc0\x04\0\0\0\x03\0\0\0\0\0\0\0\
                 \x02\x80\0\xc0\x04\0\0\0\x01\0\0\0\0\0\0\0";
    shake(&[note], 20_000, |data| {
        if let Ok(properties) = Properties::parse(data) {
            let merged = merge([Some(&properties), Some(&properties)], Default::default());
            assert_eq!(merged.note().len(), merged.note_bytes());
        }
    });
}

#[test]
fn symbol_names() {
    let seeds: [&[u8]; 6] = [
        b"_ZNSt6vectorIN3foo3barIiLj3EEESaIS2_EE9push_backEOS2_@@V1",
        b"_ZZN1a1bIJiPKcEEEvDpT_ENKUlRT_E_clIS3_EEDaS5_",
        b"_ZNK1AcvT_IiEEv",
        b"_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE",
        b"_RNvMs_NtCs1234_7mycrate3fooINtB4_3BarpE3new",
        b"_ZTv0_n24_NSt13basic_fstreamIwSt11char_traitsIwEED1Ev",
    ];
    shake(&seeds, 3000, |name| {
        demangle::demangle(name);
        demangle::demangle_cxx(name);
        suggest::suggest(name, seeds);
    });
}
