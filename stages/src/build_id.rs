//! The build ID: bytes that name the output by its contents (`--build-id`).
//!
//! Hashing the whole output with a cryptographic hash would cost about as much as writing it. So the output
//! is cut into chunks at fixed borders; whoever fills a chunk hashes it while it is still in cache
//! ([`chunk_digest`], fast and 128 bits wide); and [`build_id`] applies the hash asked for to the short list
//! of digests. **The ID is therefore a hash of chunk hashes**, not the `sha1sum` of the file: it has the
//! length of the hash named, and the same output gives the same ID, which is all that debuginfod, `gdb` and
//! package builds rely on. Two linkers, or two ways to cut, give different IDs for the same file.
//!
//! Invariants: the list is in file order, chunks do not overlap, and borders depend on the output alone (not
//! on threads or timing). The bytes of the ID itself are zero while their chunk is hashed.

use crate::config::BuildId;
use sha1::Digest;
use std::io;

/// The digest of one chunk of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkDigest {
    /// Where the chunk begins in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// [`chunk_digest`] of its bytes.
    pub digest: u128,
}

/// Separates these hashes from others of the same bytes, and versions of this scheme from each other.
const DOMAIN: &[u8] = b"manifold build id 2\0";

/// The digest of a chunk's bytes: not cryptographic, faster than memory, and the same on every machine.
pub fn chunk_digest(bytes: &[u8]) -> u128 {
    const SEED: u64 = u64::from_le_bytes(*b"build id");
    let [low, high] = engine::simd::hash_bytes(bytes, SEED);
    u128::from(high) << 64 | u128::from(low)
}

/// Bytes of the ID (the note's descriptor); 0 without one.
pub fn size_bytes(kind: &BuildId) -> usize {
    match kind {
        BuildId::None => 0,
        BuildId::Md5 | BuildId::Uuid => 16,
        BuildId::Fast | BuildId::Sha1 => 20,
        BuildId::Sha256 => 32,
        BuildId::Bytes(bytes) => bytes.len(),
    }
}

/// The ID of the output whose chunks, in file order, are `chunks`: [`size_bytes`] bytes. Fails only for
/// [`BuildId::Uuid`], when the system has no random bytes to give.
pub fn build_id(kind: &BuildId, chunks: &[ChunkDigest]) -> io::Result<Vec<u8>> {
    debug_assert!(chunks.is_sorted_by(|a, b| a.offset + a.length <= b.offset), "chunks in file order");
    let id = match kind {
        BuildId::None => Vec::new(),
        // SHA-1 over the list: the chunks' own digests limit its strength anyway, and 40 hex digits are what
        // tools expect.
        BuildId::Fast | BuildId::Sha1 => combine::<sha1::Sha1>(chunks),
        BuildId::Md5 => combine::<md5::Md5>(chunks),
        BuildId::Sha256 => combine::<sha2::Sha256>(chunks),
        BuildId::Uuid => uuid()?,
        BuildId::Bytes(bytes) => bytes.clone(),
    };
    debug_assert_eq!(id.len(), size_bytes(kind));
    Ok(id)
}

fn combine<D: Digest>(chunks: &[ChunkDigest]) -> Vec<u8> {
    let mut hash = D::new();
    hash.update(DOMAIN);
    for chunk in chunks {
        hash.update(chunk.offset.to_le_bytes());
        hash.update(chunk.length.to_le_bytes());
        hash.update(chunk.digest.to_le_bytes());
    }
    hash.finalize().to_vec()
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> io::Result<Vec<u8>> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(contents: &[&[u8]]) -> Vec<ChunkDigest> {
        let mut offset = 0;
        let chunks = contents.iter().map(|bytes| {
            let length = bytes.len() as u64;
            offset += length;
            ChunkDigest { offset: offset - length, length, digest: chunk_digest(bytes) }
        });
        chunks.collect()
    }

    #[test]
    fn sizes_are_those_of_the_hashes() {
        let chunks = chunks(&[b"hello", b"world"]);
        for (kind, size) in [
            (BuildId::None, 0),
            (BuildId::Fast, 20),
            (BuildId::Md5, 16),
            (BuildId::Sha1, 20),
            (BuildId::Sha256, 32),
            (BuildId::Uuid, 16),
            (BuildId::Bytes(vec![1, 2, 3]), 3),
        ] {
            assert_eq!(size_bytes(&kind), size);
            assert_eq!(build_id(&kind, &chunks).unwrap().len(), size);
        }
        assert_eq!(build_id(&BuildId::Bytes(vec![1, 2, 3]), &chunks).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn equal_contents_have_equal_ids_and_others_not() {
        let id = |contents: &[&[u8]]| build_id(&BuildId::Sha1, &chunks(contents)).unwrap();
        assert_eq!(id(&[b"hello", b"world"]), id(&[b"hello", b"world"]));
        assert_ne!(id(&[b"hello", b"world"]), id(&[b"world", b"hello"]));
        assert_ne!(id(&[b"hello"]), id(&[b"hello", b""]));
        assert_ne!(id(&[b"hello"]), id(&[b"hellp"]));
        assert_eq!(build_id(&BuildId::Md5, &[]).unwrap(), build_id(&BuildId::Md5, &[]).unwrap());
    }

    #[test]
    fn random_ids_are_uuids_of_version_4() {
        let (a, b) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(a, b);
        assert_eq!((a[6] >> 4, a[8] >> 6), (4, 2));
    }
}
