//! Damaging input files, the same way each time.
//!
//! In: the bytes of an object, archive or shared object. Out: damaged copies of it. A linker reads what
//! broken disks, interrupted compilers and other people's tools left behind; it may refuse it, but must not
//! crash, hang, or run out of memory. The damage is chosen by a fixed generator, so a failure is found again
//! by its number.

/// How a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Cut at lengths spread over the whole file.
    Truncate,
    /// A few fields of the ELF header or the section headers get other values.
    Headers,
    /// A few bytes anywhere get other values.
    Anywhere,
}

impl Damage {
    /// The damage with this name: `truncate`, `headers` or `anywhere`.
    pub fn named(name: &str) -> Option<Damage> {
        match name {
            "truncate" => Some(Damage::Truncate),
            "headers" => Some(Damage::Headers),
            "anywhere" => Some(Damage::Anywhere),
            _ => None,
        }
    }

    /// The copy with number `index` of `count`.
    pub fn apply(self, original: &[u8], index: u32, count: u32) -> Vec<u8> {
        let mut copy = original.to_vec();
        let mut random = Random(u64::from(index) + 1);
        if copy.is_empty() {
            return copy;
        }
        match self {
            Damage::Truncate => {
                let length = copy.len() as u64 * u64::from(index) / u64::from(count.max(1));
                copy.truncate(length as usize);
            }
            Damage::Headers => {
                for _ in 0..1 + random.below(2) {
                    let at = random.field(original);
                    let value = random.value(original.len() as u64).to_le_bytes();
                    let size = 1 << random.below(4);
                    copy.iter_mut().skip(at).zip(&value[..size]).for_each(|(byte, new)| *byte = *new);
                }
            }
            Damage::Anywhere => {
                for _ in 0..1 + random.below(4) {
                    let at = random.below(copy.len() as u64) as usize;
                    copy[at] = random.next() as u8;
                }
            }
        }
        copy
    }
}

/// SplitMix64: short, fixed, good enough.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A number that tends to be wrong in an interesting way.
    fn value(&mut self, file_size: u64) -> u64 {
        match self.below(7) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => file_size.wrapping_add(self.below(16)).wrapping_sub(8),
            4 => u64::MAX - self.below(4096),
            5 => self.below(256),
            _ => self.next(),
        }
    }

    /// The offset of a field: in the ELF header, or in the section headers that `e_shoff` leads to.
    fn field(&mut self, original: &[u8]) -> usize {
        let start =
            original.get(40..48).map_or(0, |b| u64::from_le_bytes(b.try_into().expect("eight bytes")));
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(original.len());
        let in_header = self.below(4) == 0 || start == original.len();
        let size = if in_header { original.len().min(64) } else { original.len() - start };
        let at = self.below(size as u64) as usize & !3;
        if in_header { at } else { start + at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_the_same_each_time_and_differs_by_number() {
        let original: Vec<u8> = (0..=255).collect();
        for damage in [Damage::Truncate, Damage::Headers, Damage::Anywhere] {
            let copy = |index| damage.apply(&original, index, 10);
            assert_eq!(copy(3), copy(3));
            assert_ne!(copy(3), copy(4));
        }
        assert_eq!(Damage::Truncate.apply(&original, 5, 10).len(), 128);
        assert!(Damage::Headers.apply(&[], 1, 2).is_empty());
    }
}
