//! Compresses sections of the output that are not loaded (`--compress-debug-sections`, `--compress-sections`; gABI,
//! "Section Compression").
//!
//! In: [`Image`], all addresses known. Out: the bytes of the compressed sections, header included, which stand in the
//! place of the sections' members; the caller lays out the file again, which moves offsets of what is not loaded but no
//! address.
//!
//! A section is cut into shards of about [`SHARD_BYTES`], each of which is filled as it would be written and compressed
//! where it lies: the section as a whole is nowhere, compressed or not.
//! zlib shards are deflate streams that end on a byte border and follow each other; Zstandard shards are frames
//! of their own, which the format allows to follow each other. Borders depend on the layout alone. A section that
//! would not get smaller stays as it is.

use crate::config::{Config, DebugCompression};
use crate::emit;
use crate::image::Image;
use crate::outputs::{Content, Member, OutputSection, Outputs};
use crate::report::Problem;
use crate::script::glob::Glob;
use flate2::{Compress, Compression, FlushCompress, Status};
use object::elf::{
    ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, SHF_ALLOC, SHF_COMPRESSED, SHT_RELA, SHT_STRTAB, SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
};

/// Bytes that are compressed at once, about.
const SHARD_BYTES: u64 = 1 << 20;
/// Size of `Elf64_Chdr`.
const HEADER_BYTES: usize = 24;
/// The modulus of Adler-32 (RFC 1950).
const ADLER_MODULUS: u64 = 65_521;

/// Compresses what the options ask for. The members of those sections become [`Content::Bytes`], which are returned.
pub fn compress(image: &Image, outputs: &mut Outputs) -> Vec<Vec<u8>> {
    let tasks = emit::tasks(image);
    let mut all = Vec::new();
    for (position, section) in image.outputs.sections.iter().enumerate() {
        let kind = kind_of(image, section);
        if kind == DebugCompression::None {
            continue;
        }
        let shards = emit::section_runs(image, &tasks, position, SHARD_BYTES);
        let scratch = || (Vec::new(), Vec::new());
        let packed = image.cx.pool.map_with("compress", shards.len(), 1, scratch, |(contents, part), n| {
            emit::fill_run(image, &shards[n], contents, part);
            image.cx.pool.tracer().add_bytes(contents.len());
            pack(kind, contents, n + 1 == shards.len())
        });
        match frame(kind, section, packed) {
            Ok(pieces) => replace(&mut outputs.sections[position], pieces, &mut all),
            Err(what) => {
                let name = String::from_utf8_lossy(section.name).into_owned();
                image.cx.problems.push(Problem::error(format!("cannot compress {name}: {what}")));
            }
        }
    }
    all
}

/// Puts compressed bytes in the place of a section's members, if they are fewer.
fn replace(section: &mut OutputSection, pieces: Vec<Vec<u8>>, all: &mut Vec<Vec<u8>>) {
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    if size >= section.size {
        return;
    }
    section.size = size;
    section.align_log2 = 3;
    section.flags |= SHF_COMPRESSED;
    section.members.clear();
    let mut offset = 0;
    for piece in pieces {
        let (size, content) = (piece.len() as u64, Content::Bytes(all.len() as u32));
        section.members.push(Member { offset, size, align_log2: 0, content, order: 0 });
        offset += size;
        all.push(piece);
    }
}

/// Whether the options ask for compressed sections.
pub fn is_asked_for(config: &Config) -> bool {
    config.compress_debug != DebugCompression::None || !config.compress_sections.is_empty()
}

/// How a section is compressed: as the last of `--compress-sections` that matches says, or as debug sections are.
fn kind_of(image: &Image, section: &OutputSection) -> DebugCompression {
    let config = image.cx.config;
    if section.size == 0 || section.members.is_empty() {
        return DebugCompression::None;
    }
    let matches = |(glob, _): &&(Vec<u8>, DebugCompression)| Glob::new(glob).matches(section.name);
    let Some((glob, kind)) = config.compress_sections.iter().rfind(matches) else {
        let is_debug = section.name.starts_with(b".debug_") && !section.has(SHF_ALLOC);
        return if is_debug { config.compress_debug } else { DebugCompression::None };
    };
    let is_table = matches!(section.sh_type, SHT_SYMTAB | SHT_SYMTAB_SHNDX | SHT_STRTAB | SHT_RELA);
    let why = match (*kind, section.has(SHF_ALLOC), is_table) {
        (DebugCompression::None, ..) => return DebugCompression::None,
        (_, true, _) => "it is loaded",
        (_, _, true) => "readers of other sections need it as it is",
        _ => return *kind,
    };
    let (glob, name) = (String::from_utf8_lossy(glob), String::from_utf8_lossy(section.name));
    let problem = Problem::error(format!("--compress-sections={glob}: {name} cannot be compressed: {why}"));
    image.cx.problems.push(problem);
    DebugCompression::None
}

/// A compressed shard.
struct Packed {
    bytes: Vec<u8>,
    /// Of its contents.
    adler: u32,
    /// Bytes of its contents.
    size: u64,
}

fn pack(kind: DebugCompression, shard: &[u8], is_last: bool) -> Result<Packed, String> {
    let (bytes, adler) = match kind {
        DebugCompression::Zstd(level) => {
            (zstd::bulk::compress(shard, level).map_err(|error| error.to_string())?, 0)
        }
        DebugCompression::Zlib(level) => (deflate(shard, level, is_last)?, simd_adler32::adler32(&shard)),
        DebugCompression::None => (shard.to_vec(), 0),
    };
    Ok(Packed { bytes, adler, size: shard.len() as u64 })
}

/// A raw deflate stream (RFC 1951); one that is not the last ends with an empty stored block.
fn deflate(shard: &[u8], level: u32, is_last: bool) -> Result<Vec<u8>, String> {
    let mut encoder = Compress::new(Compression::new(level), false);
    let mut out = Vec::with_capacity(shard.len() / 2 + 64);
    let flush = if is_last { FlushCompress::Finish } else { FlushCompress::Sync };
    loop {
        let rest = &shard[encoder.total_in() as usize..];
        let status = encoder.compress_vec(rest, &mut out, flush).map_err(|error| error.to_string())?;
        let has_room = out.len() < out.capacity();
        let is_done = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => encoder.total_in() as usize == shard.len() && has_room,
        };
        if is_done {
            return Ok(out);
        }
        out.reserve(out.capacity().max(64));
    }
}

/// Header, shards, and what the format wants behind them.
fn frame(
    kind: DebugCompression,
    section: &OutputSection,
    packed: Vec<Result<Packed, String>>,
) -> Result<Vec<Vec<u8>>, String> {
    let ch_type = match kind {
        DebugCompression::Zstd(_) => ELFCOMPRESS_ZSTD,
        _ => ELFCOMPRESS_ZLIB,
    };
    let mut header = Vec::with_capacity(HEADER_BYTES + 2);
    header.extend(u64::from(ch_type).to_le_bytes());
    header.extend(section.size.to_le_bytes());
    header.extend((1u64 << section.align_log2).to_le_bytes());
    if ch_type == ELFCOMPRESS_ZLIB {
        // 32 KiB window, default level (RFC 1950).
        header.extend([0x78, 0x9c]);
    }
    let mut pieces = vec![header];
    let mut checksum = 1u32;
    for shard in packed {
        let shard = shard?;
        checksum = combine(checksum, shard.adler, shard.size);
        pieces.push(shard.bytes);
    }
    if ch_type == ELFCOMPRESS_ZLIB {
        pieces.push(checksum.to_be_bytes().to_vec());
    }
    Ok(pieces)
}

/// The Adler-32 of two parts, from those of each: the sums of the second part start at 1 and 0, and each of its
/// bytes adds the first part's sum once more.
fn combine(first: u32, second: u32, second_len: u64) -> u32 {
    let split = |checksum: u32| (u64::from(checksum & 0xffff), u64::from(checksum >> 16));
    let ((a1, b1), (a2, b2)) = (split(first), split(second));
    let before = (a1 + ADLER_MODULUS - 1) % ADLER_MODULUS;
    let a = (before + a2) % ADLER_MODULUS;
    let b = (b1 + b2 + second_len % ADLER_MODULUS * before) % ADLER_MODULUS;
    (b << 16 | a) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn zlib_shards_are_one_stream() {
        let shard = SHARD_BYTES as usize;
        let contents: Vec<u8> = (0..3 * shard + 17).map(|i| (i / 7 % 251) as u8).collect();
        let kind = DebugCompression::Zlib(6);
        let shards: Vec<&[u8]> = contents.chunks(shard).collect();
        let packed = shards.iter().enumerate().map(|(n, s)| pack(kind, s, n + 1 == shards.len())).collect();
        let mut section = OutputSection::new(b".debug_info", 1, 0);
        section.size = contents.len() as u64;
        let bytes = frame(kind, &section, packed).unwrap().concat();
        let mut inflated = Vec::new();
        flate2::read::ZlibDecoder::new(&bytes[HEADER_BYTES..]).read_to_end(&mut inflated).unwrap();
        assert!(inflated == contents);
    }
}
