//! `.note.gnu.property`: what a program promises the loader about all of its code.
//!
//! In: the section of every relocatable input (or that it has none). Out: one note for the output, 8-byte
//! aligned, with the properties in ascending order (x86-64 psABI, "Program Property Note").
//!
//! How values of one property combine follows from its type, see [`Rule`]. A promise holds for the program
//! only if every input makes it, so an object without a note counts as one that promises nothing; assembly
//! files without it are the usual reason why a program loses IBT and SHSTK. Shared objects do not take part.
//!
//! ```text
//! .long 4, descsz, 5   "GNU\0"                         Elf_Nhdr: NT_GNU_PROPERTY_TYPE_0
//! .long 0xc0000002, 4  .long 3       .long 0           pr_type, pr_datasz, pr_data, padding to 8
//! ```

use std::fmt;

/// `n_type` of the note.
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
const NOTE_NAME: &[u8] = b"GNU\0";
/// `Elf_Nhdr` and the name.
const NOTE_HEADER_BYTES: usize = 16;
/// Alignment of the section and of each property in ELFCLASS64.
pub const ALIGNMENT: u64 = 8;

/// Minimum stack size, the greatest wins.
pub const GNU_PROPERTY_STACK_SIZE: u32 = 1;
/// Protected symbols must not be copied; one input suffices.
pub const GNU_PROPERTY_NO_COPY_ON_PROTECTED: u32 = 2;
/// The loader shall seal the mappings of the output (`mseal(2)`).
pub const GNU_PROPERTY_MEMORY_SEAL: u32 = 3;
/// Bit 0: external data is accessed indirectly.
pub const GNU_PROPERTY_1_NEEDED: u32 = 0xb000_8000;
/// Features all code must have: IBT, SHSTK, LAM.
pub const GNU_PROPERTY_X86_FEATURE_1_AND: u32 = 0xc000_0002;
/// Instruction set levels without which the program must not run.
pub const GNU_PROPERTY_X86_ISA_1_NEEDED: u32 = 0xc000_8002;
/// Instruction set levels code may use after asking the processor.
pub const GNU_PROPERTY_X86_ISA_1_USED: u32 = 0xc001_0002;

/// In [`GNU_PROPERTY_X86_FEATURE_1_AND`]: every indirect branch lands on ENDBR.
pub const FEATURE_1_IBT: u32 = 1;
/// In [`GNU_PROPERTY_X86_FEATURE_1_AND`]: the code works with a shadow stack.
pub const FEATURE_1_SHSTK: u32 = 2;

/// How the values of one property combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// All inputs' bits; nothing if one has none. Left out when zero.
    And,
    /// Any input's bits. Left out when zero.
    Or,
    /// Any input's bits, but nothing at all if one input does not say.
    OrAnd,
    /// The greatest 8-byte value.
    Maximum,
    /// No value; there if any input has it.
    Flag,
}

/// Types and their rules, in ascending order: the generic ones (gABI supplement for Linux), then x86's.
const RULES: [(std::ops::RangeInclusive<u32>, Rule); 10] = [
    (GNU_PROPERTY_STACK_SIZE..=GNU_PROPERTY_STACK_SIZE, Rule::Maximum),
    (GNU_PROPERTY_NO_COPY_ON_PROTECTED..=GNU_PROPERTY_NO_COPY_ON_PROTECTED, Rule::Flag),
    (GNU_PROPERTY_MEMORY_SEAL..=GNU_PROPERTY_MEMORY_SEAL, Rule::Flag),
    (0xb000_0000..=0xb000_7fff, Rule::And),
    (0xb000_8000..=0xb000_ffff, Rule::Or),
    // Two numbers of early binutils: ISA used and ISA needed, as bits with older meanings.
    (0xc000_0000..=0xc000_0000, Rule::OrAnd),
    (0xc000_0001..=0xc000_0001, Rule::Or),
    (0xc000_0002..=0xc000_7fff, Rule::And),
    (0xc000_8000..=0xc000_ffff, Rule::Or),
    (0xc001_0000..=0xc001_7fff, Rule::OrAnd),
];

fn rule(kind: u32) -> Option<Rule> {
    RULES.iter().find(|row| row.0.contains(&kind)).map(|row| row.1)
}

impl Rule {
    /// `pr_datasz`.
    fn data_bytes(self) -> usize {
        match self {
            Rule::Flag => 0,
            Rule::Maximum => 8,
            _ => 4,
        }
    }
}

/// The properties of one input, or of the output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// `pr_type` and value, ascending. Every type has a rule.
    list: Vec<(u32, u64)>,
    /// Types without a known rule, which the output will not have; for a warning.
    pub unknown: Vec<u32>,
}

/// What is wrong with a `.note.gnu.property` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyError {
    /// Offset in the section.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "corrupt .note.gnu.property at offset {:#x}: {}", self.offset, self.message)
    }
}

impl std::error::Error for PropertyError {}

impl Properties {
    /// Reads the contents of a `.note.gnu.property` section (ELFCLASS64, little endian). Notes of other names
    /// and types in it are stepped over.
    pub fn parse(section: &[u8]) -> Result<Properties, PropertyError> {
        let mut properties = Properties::default();
        let mut offset = 0;
        while offset < section.len() {
            let error = |message: &str| PropertyError { offset, message: message.to_owned() };
            let rest = &section[offset..];
            let (Some(name_size), Some(desc_size), Some(kind)) =
                (word(rest, 0), word(rest, 4), word(rest, 8))
            else {
                // Padding between and behind notes.
                if rest.iter().all(|byte| *byte == 0) {
                    break;
                }
                return Err(error("note is cut off"));
            };
            let desc_start = align(12 + u64::from(name_size), 4);
            let desc_end = desc_start + u64::from(desc_size);
            let (Ok(start), Ok(end)) = (usize::try_from(desc_start), usize::try_from(desc_end)) else {
                return Err(error("note is too long"));
            };
            let Some(desc) = rest.get(start..end) else {
                return Err(error("note reaches beyond the section"));
            };
            if kind == NT_GNU_PROPERTY_TYPE_0 && name_size == 4 && rest.get(12..16) == Some(NOTE_NAME) {
                properties.parse_list(desc, offset + start)?;
            }
            offset = offset.saturating_add(align(desc_end, ALIGNMENT) as usize);
        }
        Ok(properties)
    }

    /// Reads the property array of one note; `base` is its offset in the section.
    fn parse_list(&mut self, mut desc: &[u8], base: usize) -> Result<(), PropertyError> {
        let total = desc.len();
        while !desc.is_empty() {
            let offset = base + total - desc.len();
            let error = |message: String| PropertyError { offset, message };
            let (Some(kind), Some(size)) = (word(desc, 0), word(desc, 4)) else {
                return Err(error("property is cut off".to_owned()));
            };
            let Some(data) = desc.get(8..).and_then(|rest| rest.get(..size as usize)) else {
                return Err(error(format!("property {kind:#x} reaches beyond the note")));
            };
            match rule(kind) {
                None => self.unknown.push(kind),
                Some(rule) if rule.data_bytes() != data.len() => {
                    let message = format!("property {kind:#x} has a size of {size} bytes");
                    return Err(error(message));
                }
                Some(rule) => {
                    let mut value = [0; 8];
                    value[..data.len()].copy_from_slice(data);
                    self.insert(kind, rule, u64::from_le_bytes(value));
                }
            }
            let next = align(8 + u64::from(size), ALIGNMENT) as usize;
            desc = desc.get(next..).unwrap_or_default();
        }
        Ok(())
    }

    /// Adds a property; within one file equal types join.
    fn insert(&mut self, kind: u32, rule: Rule, value: u64) {
        match self.list.binary_search_by_key(&kind, |entry| entry.0) {
            Ok(index) if rule == Rule::Maximum => self.list[index].1 = self.list[index].1.max(value),
            Ok(index) => self.list[index].1 |= value,
            Err(index) => self.list.insert(index, (kind, value)),
        }
    }

    /// The value of property `kind`; 0 for a flag that is there.
    pub fn get(&self, kind: u32) -> Option<u64> {
        let index = self.list.binary_search_by_key(&kind, |entry| entry.0).ok()?;
        Some(self.list[index].1)
    }

    /// Sets bits in the value of property `kind`.
    pub fn set(&mut self, kind: u32, bits: u64) {
        self.insert(kind, Rule::Or, bits);
    }

    /// Takes bits out of the value of property `kind`, and the property out if none are left.
    pub fn clear(&mut self, kind: u32, bits: u64) {
        if let Ok(index) = self.list.binary_search_by_key(&kind, |entry| entry.0) {
            self.list[index].1 &= !bits;
            if self.list[index].1 == 0 {
                self.list.remove(index);
            }
        }
    }

    /// Whether no note is needed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Size of the note in bytes, 0 without properties.
    pub fn note_bytes(&self) -> usize {
        if self.list.is_empty() { 0 } else { NOTE_HEADER_BYTES + self.desc_bytes() }
    }

    fn desc_bytes(&self) -> usize {
        let sizes = self.list.iter().map(|(kind, _)| rule(*kind).map_or(0, Rule::data_bytes));
        sizes.map(|size| align(8 + size as u64, ALIGNMENT) as usize).sum()
    }

    /// The note: [`Properties::note_bytes`] bytes, to stand at an address divisible by [`ALIGNMENT`].
    pub fn note(&self) -> Vec<u8> {
        let mut note = Vec::with_capacity(self.note_bytes());
        if self.list.is_empty() {
            return note;
        }
        note.extend(4u32.to_le_bytes());
        note.extend((self.desc_bytes() as u32).to_le_bytes());
        note.extend(NT_GNU_PROPERTY_TYPE_0.to_le_bytes());
        note.extend(NOTE_NAME);
        for (kind, value) in &self.list {
            let size = rule(*kind).map_or(0, Rule::data_bytes);
            note.extend(kind.to_le_bytes());
            note.extend((size as u32).to_le_bytes());
            note.extend(&value.to_le_bytes()[..size]);
            note.resize(align(note.len() as u64, ALIGNMENT) as usize, 0);
        }
        debug_assert_eq!(note.len(), self.note_bytes());
        note
    }
}

/// What the command line adds to the merged properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forced {
    /// Bits set in [`GNU_PROPERTY_X86_FEATURE_1_AND`] whatever the inputs say (`-z ibt`, `-z shstk`).
    pub feature_1: u32,
    /// Bits set in [`GNU_PROPERTY_X86_ISA_1_NEEDED`] (`-z x86-64-v3` and relatives).
    pub isa_1_needed: u32,
    /// [`GNU_PROPERTY_MEMORY_SEAL`] is there (`-z memory-seal`); only the command line can say so.
    pub memory_seal: bool,
}

/// Combines the properties of all relocatable `inputs`, `None` being one without a note. The order does not
/// matter.
pub fn merge<'a>(inputs: impl IntoIterator<Item = Option<&'a Properties>>, forced: Forced) -> Properties {
    let mut merged: Option<Vec<(u32, u64)>> = None;
    for input in inputs {
        let list = input.map_or(&[][..], |properties| &properties.list);
        merged = Some(match merged {
            None => list.to_vec(),
            Some(merged) => merge_two(&merged, list),
        });
    }
    let mut properties = Properties { list: merged.unwrap_or_default(), unknown: Vec::new() };
    for (kind, bits) in [
        (GNU_PROPERTY_X86_FEATURE_1_AND, forced.feature_1),
        (GNU_PROPERTY_X86_ISA_1_NEEDED, forced.isa_1_needed),
    ] {
        if bits != 0 {
            properties.insert(kind, Rule::Or, bits.into());
        }
    }
    // What one object wishes is no promise of the others.
    properties.list.retain(|(kind, _)| *kind != GNU_PROPERTY_MEMORY_SEAL);
    if forced.memory_seal {
        properties.insert(GNU_PROPERTY_MEMORY_SEAL, Rule::Flag, 0);
    }
    // Only now: while merging, a zero in an AND property is needed to keep it zero.
    properties
        .list
        .retain(|(kind, value)| *value != 0 || !matches!(rule(*kind), Some(Rule::And | Rule::Or) | None));
    properties
}

/// Merges two ascending lists.
fn merge_two(left: &[(u32, u64)], right: &[(u32, u64)]) -> Vec<(u32, u64)> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let kind = match (l.peek(), r.peek()) {
            (Some(a), Some(b)) => a.0.min(b.0),
            (Some(entry), None) | (None, Some(entry)) => entry.0,
            (None, None) => return merged,
        };
        let a = l.next_if(|entry| entry.0 == kind).map(|entry| entry.1);
        let b = r.next_if(|entry| entry.0 == kind).map(|entry| entry.1);
        let Some(rule) = rule(kind) else { continue };
        let value = match (rule, a, b) {
            (Rule::And, Some(a), Some(b)) => Some(a & b),
            (Rule::Or | Rule::Flag, a, b) => Some(a.unwrap_or(0) | b.unwrap_or(0)),
            (Rule::OrAnd, Some(a), Some(b)) => Some(a | b),
            (Rule::And | Rule::OrAnd, _, _) => None,
            (Rule::Maximum, a, b) => a.max(b),
        };
        merged.extend(value.map(|value| (kind, value)));
    }
}

/// What `-z cet-report` says about an input: which of the features IBT and SHSTK it lacks, those in `forced`
/// not counting (`-z ibt` claims IBT in any case). `None` if it lacks none.
pub fn missing_cet(properties: Option<&Properties>, forced: Forced) -> Option<&'static str> {
    let feature_1 = properties.and_then(|p| p.get(GNU_PROPERTY_X86_FEATURE_1_AND)).unwrap_or(0);
    let has = |bit: u32| (feature_1 | u64::from(forced.feature_1)) & u64::from(bit) != 0;
    match (has(FEATURE_1_IBT), has(FEATURE_1_SHSTK)) {
        (true, true) => None,
        (false, false) => Some("missing IBT and SHSTK properties"),
        (false, true) => Some("missing IBT property"),
        (true, false) => Some("missing SHSTK property"),
    }
}

/// `value` rounded up to a multiple of `alignment`, a power of two; the values here are far from overflow.
fn align(value: u64, alignment: u64) -> u64 {
    (value + alignment - 1) & !(alignment - 1)
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURE: u32 = GNU_PROPERTY_X86_FEATURE_1_AND;
    const NEEDED: u32 = GNU_PROPERTY_X86_ISA_1_NEEDED;
    const USED: u32 = GNU_PROPERTY_X86_ISA_1_USED;

    fn properties(list: &[(u32, u64)]) -> Properties {
        Properties { list: list.to_vec(), unknown: Vec::new() }
    }

    /// Merges inputs given as lists, an empty one being an input without a note.
    fn merged(inputs: &[&[(u32, u64)]], forced: Forced) -> Vec<(u32, u64)> {
        let inputs: Vec<Properties> = inputs.iter().map(|list| properties(list)).collect();
        let result = merge(inputs.iter().map(|input| (!input.is_empty()).then_some(input)), forced);
        let backwards = merge(inputs.iter().rev().map(Some), forced);
        assert_eq!(result, backwards, "the order must not matter");
        result.list
    }

    #[test]
    fn notes_are_read_and_written_back() {
        let list = [(1, 0x3000), (2, 0), (FEATURE, 3), (NEEDED, 1), (USED, 7)];
        let note = properties(&list).note();
        assert_eq!(note.len(), 16 + 16 + 8 + 3 * 16);
        assert_eq!(Properties::parse(&note).unwrap(), properties(&list));
        assert_eq!(properties(&[]).note(), b"");
        let expected = b"\x04\0\0\0\x10\0\0\0\x05\0\0\0GNU\0\x02\0\0\xc0\x04\0\0\0\x01\0\0\0\0\0\0\0";
        assert_eq!(properties(&[(FEATURE, 1)]).note(), expected);
    }

    #[test]
    fn several_notes_and_strangers_in_one_section() {
        let mut section = b"\x04\0\0\0\x04\0\0\0\x01\0\0\0abc\0\x01\x02\x03\x04\0\0\0\0".to_vec();
        section.truncate(20);
        section.resize(24, 0);
        section.extend(properties(&[(NEEDED, 1)]).note());
        section.extend(properties(&[(NEEDED, 4), (1, 8)]).note());
        section.extend([0; 8]);
        assert_eq!(Properties::parse(&section).unwrap(), properties(&[(1, 8), (NEEDED, 5)]));
    }

    #[test]
    fn promises_hold_only_if_all_make_them() {
        let none = Forced::default();
        assert_eq!(merged(&[&[(FEATURE, 3)], &[(FEATURE, 3)]], none), [(FEATURE, 3)]);
        assert_eq!(merged(&[&[(FEATURE, 3)], &[(FEATURE, 1)]], none), [(FEATURE, 1)]);
        assert_eq!(merged(&[&[(FEATURE, 3)], &[]], none), []);
        assert_eq!(merged(&[&[(FEATURE, 2)], &[(FEATURE, 1)], &[(FEATURE, 3)]], none), []);
        assert_eq!(merged(&[&[(0xb000_0000, 1)], &[]], none), []);
    }

    #[test]
    fn needs_add_up_and_uses_do_if_all_tell() {
        let none = Forced::default();
        assert_eq!(merged(&[&[(NEEDED, 1)], &[(NEEDED, 2)], &[]], none), [(NEEDED, 3)]);
        assert_eq!(merged(&[&[(NEEDED, 0)]], none), []);
        assert_eq!(merged(&[&[(USED, 1)], &[(USED, 2)]], none), [(USED, 3)]);
        assert_eq!(merged(&[&[(USED, 0)]], none), [(USED, 0)]);
        assert_eq!(merged(&[&[(USED, 1)], &[]], none), []);
        assert_eq!(merged(&[&[(1, 0x1000)], &[], &[(1, 0x3000)]], none), [(1, 0x3000)]);
        assert_eq!(merged(&[&[(2, 0)], &[]], none), [(2, 0)]);
        assert_eq!(merged(&[&[(GNU_PROPERTY_1_NEEDED, 1)], &[]], none), [(GNU_PROPERTY_1_NEEDED, 1)]);
    }

    #[test]
    fn the_command_line_adds_bits() {
        let forced = Forced { feature_1: FEATURE_1_IBT, isa_1_needed: 4, ..Forced::default() };
        assert_eq!(merged(&[&[]], forced), [(FEATURE, 1), (NEEDED, 4)]);
        assert_eq!(merged(&[&[(FEATURE, 2), (NEEDED, 1)]], forced), [(FEATURE, 3), (NEEDED, 5)]);
        assert_eq!(merged(&[], forced), [(FEATURE, 1), (NEEDED, 4)]);
    }

    #[test]
    fn cet_report_names_what_is_missing() {
        let none = Forced::default();
        let ibt = Forced { feature_1: FEATURE_1_IBT, ..Forced::default() };
        let with = |bits| properties(&[(FEATURE, bits)]);
        assert_eq!(missing_cet(None, none), Some("missing IBT and SHSTK properties"));
        assert_eq!(missing_cet(None, ibt), Some("missing SHSTK property"));
        assert_eq!(missing_cet(Some(&with(1)), none), Some("missing SHSTK property"));
        assert_eq!(missing_cet(Some(&with(2)), none), Some("missing IBT property"));
        assert_eq!(missing_cet(Some(&with(2)), ibt), None);
        assert_eq!(missing_cet(Some(&with(3)), none), None);
    }

    #[test]
    fn damage_is_noticed() {
        let note = properties(&[(FEATURE, 3)]).note();
        let error = |bytes: &[u8]| Properties::parse(bytes).unwrap_err().to_string();
        assert!(error(&note[..10]).ends_with("note is cut off"));
        assert!(error(&note[..24]).ends_with("note reaches beyond the section"));
        let mut bad = note.clone();
        bad[20] = 8;
        assert_eq!(
            error(&bad),
            "corrupt .note.gnu.property at offset 0x10: property 0xc0000002 has a size of 8 bytes"
        );
        bad[20] = 9;
        assert!(error(&bad).ends_with("property 0xc0000002 reaches beyond the note"));
        let mut huge = note.clone();
        huge[0..8].fill(0xff);
        assert!(error(&huge).ends_with("note reaches beyond the section"));
        let mut unknown = note;
        unknown[16..20].copy_from_slice(&0xc002_0000u32.to_le_bytes());
        assert_eq!(Properties::parse(&unknown).unwrap().unknown, [0xc002_0000]);
    }
}
