//! Compressed sections: what their headers say, and their contents.
//!
//! Two formats exist. SHF_COMPRESSED sections begin with an `Elf64_Chdr` (gABI, "Section Compression") and
//! hold zlib (RFC 1950) or Zstandard (RFC 8878) data. Old `.zdebug_*` sections begin with `ZLIB` and the size
//! as eight bytes, big endian.
//!
//! [`Compressed`] is the checked header; [`Compressed::decompress_into`] fills a buffer of the caller's of
//! exactly the size announced, so that many sections can be inflated in parallel into disjoint pieces of one
//! allocation.
//!
//! The announced size is untrusted and is what the caller allocates. It is held against what the compressed
//! bytes can possibly expand to: deflate makes at most 1032 bytes of one, Zstandard at most one block of
//! 128 KiB of four. A few bytes therefore never ask for terabytes.

use flate2::{Decompress, FlushDecompress, Status};
use std::fmt;
use std::io::Read;

/// A compressed section, its header checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compressed<'a> {
    /// How it is compressed.
    pub algorithm: Algorithm,
    /// Bytes of the contents (`ch_size`); fits `usize` and is possible for the payload's length.
    pub size_bytes: usize,
    /// Alignment of the contents (`ch_addralign`), a power of two; `None` in a `.zdebug` section, where
    /// `sh_addralign` is the one of the contents.
    pub alignment: Option<u64>,
    /// The compressed bytes.
    pub payload: &'a [u8],
}

/// `ch_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ELFCOMPRESS_ZLIB.
    Zlib,
    /// ELFCOMPRESS_ZSTD.
    Zstd,
}

/// Why a section cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompressedError {
    /// It is too short for its header.
    Truncated,
    /// `ch_type` is neither zlib nor Zstandard.
    UnknownAlgorithm(u32),
    /// `ch_addralign` is not a power of two.
    BadAlignment(u64),
    /// The announced size cannot come from so few bytes.
    ImpossibleSize {
        /// As announced.
        size_bytes: u64,
        /// Compressed bytes there are.
        payload_bytes: usize,
    },
    /// The compressed bytes are damaged: the decoder's words.
    Corrupt(String),
    /// They are sound but not of the announced size.
    WrongSize {
        /// As announced.
        expected: usize,
        /// As it came out, or the buffer's size where the data go on.
        found: usize,
    },
}

impl fmt::Display for CompressedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompressedError::Truncated => write!(f, "compressed section is too short for its header"),
            CompressedError::UnknownAlgorithm(algorithm) => {
                write!(f, "compressed section has unknown type {algorithm}")
            }
            CompressedError::BadAlignment(alignment) => {
                write!(f, "compressed section has alignment {alignment:#x}, not a power of two")
            }
            CompressedError::ImpossibleSize { size_bytes, payload_bytes } => {
                write!(f, "{payload_bytes} compressed bytes cannot hold the {size_bytes} bytes announced")
            }
            CompressedError::Corrupt(reason) => write!(f, "compressed section is corrupt: {reason}"),
            CompressedError::WrongSize { expected, found } if found < expected => {
                write!(f, "compressed section holds {found} bytes, not the {expected} announced")
            }
            CompressedError::WrongSize { expected, .. } => {
                write!(f, "compressed section holds more than the {expected} bytes announced")
            }
        }
    }
}

impl std::error::Error for CompressedError {}

/// Size of an `Elf64_Chdr`: `ch_type`, padding, `ch_size`, `ch_addralign`.
const CHDR_BYTES: usize = 24;
const ELFCOMPRESS_ZLIB: u32 = 1;
const ELFCOMPRESS_ZSTD: u32 = 2;
/// `ZLIB` and the size.
const ZDEBUG_HEADER_BYTES: usize = 12;

impl<'a> Compressed<'a> {
    /// Reads the header of the SHF_COMPRESSED section `section` (ELFCLASS64, little endian).
    pub fn parse(section: &'a [u8]) -> Result<Compressed<'a>, CompressedError> {
        let (header, payload) = section.split_at_checked(CHDR_BYTES).ok_or(CompressedError::Truncated)?;
        let word = |offset: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&header[offset..offset + 8]);
            u64::from_le_bytes(bytes)
        };
        let algorithm = match word(0) as u32 {
            ELFCOMPRESS_ZLIB => Algorithm::Zlib,
            ELFCOMPRESS_ZSTD => Algorithm::Zstd,
            other => return Err(CompressedError::UnknownAlgorithm(other)),
        };
        let alignment = word(16).max(1);
        if !alignment.is_power_of_two() {
            return Err(CompressedError::BadAlignment(alignment));
        }
        let size_bytes = possible_size(algorithm, word(8), payload)?;
        Ok(Compressed { algorithm, size_bytes, alignment: Some(alignment), payload })
    }

    /// Reads the header of the `.zdebug_*` section `section`. `Ok(None)` if it has none: such a section was
    /// left uncompressed.
    pub fn parse_zdebug(section: &'a [u8]) -> Result<Option<Compressed<'a>>, CompressedError> {
        if !section.starts_with(b"ZLIB") {
            return Ok(None);
        }
        let (header, payload) =
            section.split_at_checked(ZDEBUG_HEADER_BYTES).ok_or(CompressedError::Truncated)?;
        let mut size = [0; 8];
        size.copy_from_slice(&header[4..]);
        let algorithm = Algorithm::Zlib;
        let size_bytes = possible_size(algorithm, u64::from_be_bytes(size), payload)?;
        Ok(Some(Compressed { algorithm, size_bytes, alignment: None, payload }))
    }

    /// The first bytes of the contents, as many as `output` takes.
    pub fn first_bytes(&self, output: &mut [u8]) -> Result<(), CompressedError> {
        let result = match self.algorithm {
            Algorithm::Zlib => flate2::bufread::ZlibDecoder::new(self.payload).read_exact(output),
            Algorithm::Zstd => zstd::stream::read::Decoder::with_buffer(self.payload)
                .and_then(|mut decoder| decoder.read_exact(output)),
        };
        result.map_err(|error| CompressedError::Corrupt(error.to_string()))
    }

    /// Decompresses into `output`, which must have [`Compressed::size_bytes`] bytes.
    pub fn decompress_into(&self, output: &mut [u8]) -> Result<(), CompressedError> {
        if output.len() != self.size_bytes {
            return Err(CompressedError::WrongSize { expected: self.size_bytes, found: output.len() });
        }
        match self.algorithm {
            Algorithm::Zlib => inflate(self.payload, output),
            Algorithm::Zstd => unzstd(self.payload, output),
        }
    }
}

/// `size` if the payload can expand to so much.
fn possible_size(algorithm: Algorithm, size: u64, payload: &[u8]) -> Result<usize, CompressedError> {
    // The best of deflate: a match of 258 bytes in two bits. The best of Zstandard: a block of 128 KiB from
    // a header of three bytes and one more.
    let ratio_max = match algorithm {
        Algorithm::Zlib => 1032,
        Algorithm::Zstd => (128 << 10) / 4,
    };
    let limit = (payload.len() as u64).saturating_mul(ratio_max);
    match usize::try_from(size) {
        Ok(size_bytes) if size <= limit && isize::try_from(size).is_ok() => Ok(size_bytes),
        _ => Err(CompressedError::ImpossibleSize { size_bytes: size, payload_bytes: payload.len() }),
    }
}

/// Several zlib streams may follow each other: `ld -r` of old joined compressed sections as they were.
fn inflate(mut input: &[u8], output: &mut [u8]) -> Result<(), CompressedError> {
    let mut decoder = Decompress::new(true);
    let mut filled = 0;
    loop {
        let (read_before, written_before) = (decoder.total_in(), decoder.total_out());
        let status = decoder
            .decompress(input, &mut output[filled..], FlushDecompress::Finish)
            .map_err(|error| CompressedError::Corrupt(error.to_string()))?;
        input = &input[(decoder.total_in() - read_before) as usize..];
        filled += (decoder.total_out() - written_before) as usize;
        match status {
            Status::StreamEnd if filled == output.len() => return Ok(()),
            Status::StreamEnd if !input.is_empty() => decoder.reset(true),
            _ => break,
        }
    }
    if filled < output.len() && !input.is_empty() {
        return Err(CompressedError::Corrupt("data end in the middle".to_owned()));
    }
    Err(CompressedError::WrongSize { expected: output.len(), found: filled })
}

fn unzstd(mut input: &[u8], output: &mut [u8]) -> Result<(), CompressedError> {
    // Frames may follow each other; the decoder takes one at a time.
    let mut decoder = zstd::zstd_safe::DCtx::create();
    let mut filled = 0;
    while !input.is_empty() {
        let corrupt = |code| CompressedError::Corrupt(zstd::zstd_safe::get_error_name(code).to_string());
        let frame = zstd::zstd_safe::find_frame_compressed_size(input).map_err(corrupt)?;
        let (frame, rest) = input.split_at(frame);
        match decoder.decompress(&mut output[filled..], frame) {
            Ok(count) => filled += count,
            // Sound as far as it goes, but more than was announced.
            Err(code) if zstd::zstd_safe::get_error_name(code).contains("Destination buffer") => {
                return Err(CompressedError::WrongSize { expected: output.len(), found: output.len() });
            }
            Err(code) => return Err(corrupt(code)),
        }
        input = rest;
    }
    if filled == output.len() {
        Ok(())
    } else {
        Err(CompressedError::WrongSize { expected: output.len(), found: filled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sample() -> Vec<u8> {
        (0..100_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect()
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(data, 1).unwrap()
    }

    fn section(algorithm: u32, size: u64, alignment: u64, payload: &[u8]) -> Vec<u8> {
        let mut section = u64::from(algorithm).to_le_bytes().to_vec();
        section.extend(size.to_le_bytes());
        section.extend(alignment.to_le_bytes());
        section.extend(payload);
        section
    }

    fn decompress(section: &[u8]) -> Result<Vec<u8>, CompressedError> {
        let compressed = Compressed::parse(section)?;
        let mut output = vec![0; compressed.size_bytes];
        compressed.decompress_into(&mut output)?;
        Ok(output)
    }

    #[test]
    fn both_algorithms_give_back_the_contents() {
        let data = sample();
        for (algorithm, payload) in [(1, zlib(&data)), (2, zstd(&data))] {
            let section = section(algorithm, data.len() as u64, 8, &payload);
            assert_eq!(Compressed::parse(&section).unwrap().alignment, Some(8));
            assert!(decompress(&section).unwrap() == data);
        }
        assert_eq!(decompress(&section(1, 0, 0, &zlib(b""))), Ok(vec![]));
    }

    #[test]
    fn joined_zlib_streams_are_one_section() {
        let payload = [zlib(b"hello "), zlib(b"world")].concat();
        assert_eq!(decompress(&section(1, 11, 1, &payload)).unwrap(), b"hello world");
    }

    #[test]
    fn zdebug_sections() {
        let data = sample();
        let section = [&b"ZLIB"[..], &(data.len() as u64).to_be_bytes(), &zlib(&data)].concat();
        let compressed = Compressed::parse_zdebug(&section).unwrap().unwrap();
        let mut output = vec![0; compressed.size_bytes];
        compressed.decompress_into(&mut output).unwrap();
        assert!(output == data);
        assert_eq!(Compressed::parse_zdebug(b"plain"), Ok(None));
        assert_eq!(Compressed::parse_zdebug(b"ZLIB\0\0"), Err(CompressedError::Truncated));
    }

    #[test]
    fn wrong_sizes_are_noticed() {
        let data = sample();
        for (algorithm, payload) in [(1, zlib(&data)), (2, zstd(&data))] {
            for size in [data.len() - 1, data.len() + 1] {
                let error = decompress(&section(algorithm, size as u64, 1, &payload)).unwrap_err();
                assert!(matches!(error, CompressedError::WrongSize { .. }), "{algorithm} {error}");
            }
            let cut = &payload[..payload.len() / 2];
            let error = decompress(&section(algorithm, data.len() as u64, 1, cut)).unwrap_err();
            assert!(!error.to_string().is_empty());
            let size = 1 << 60;
            let error = decompress(&section(algorithm, size, 1, &payload)).unwrap_err();
            assert_eq!(
                error,
                CompressedError::ImpossibleSize { size_bytes: size, payload_bytes: payload.len() }
            );
        }
    }

    #[test]
    fn damaged_headers_are_noticed() {
        assert_eq!(Compressed::parse(&[0; 23]), Err(CompressedError::Truncated));
        assert_eq!(Compressed::parse(&section(3, 1, 1, b"x")), Err(CompressedError::UnknownAlgorithm(3)));
        assert_eq!(Compressed::parse(&section(1, 1, 3, b"x")), Err(CompressedError::BadAlignment(3)));
        let error = decompress(&section(1, 4, 1, b"junk")).unwrap_err();
        assert!(matches!(error, CompressedError::Corrupt(_)), "{error}");
        let error = decompress(&section(2, 4, 1, b"junk")).unwrap_err();
        assert!(matches!(error, CompressedError::Corrupt(_)), "{error}");
    }
}
