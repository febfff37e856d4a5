//! Which references let a program see a function's address: what `--icf=safe` must know of code that comes without
//! a table of address-significant symbols.
//!
//! Calls and jumps use an address without showing it, so two equal functions that are only ever called may be one.
//! What asks for the PLT (R_X86_64_PLT32) has already agreed to get an address that is not the function's own. What
//! does not is judged by the instruction in front of the field: assemblers write `call` and `jmp` to local functions
//! as R_X86_64_PC32, compilers without PLT call through the GOT (R_X86_64_GOTPCRELX on `call *` and `jmp *`).
//! Everything else counts as taking the address.
//!
//! One kind of reference leaves no relocation: `lea` of a local function by code in the same section. Its bytes are
//! looked for instead ([`may_take_own_address`]).

use super::relax;
use super::rows::{Calculation, Field, Row};

/// Whether a relocation of this kind gives its place the address of the symbol. `code` is the section's bytes and
/// the field's offset, if the section is executable.
pub fn takes_address(row: &Row, code: Option<(&[u8], usize)>) -> bool {
    match row.calculation {
        Calculation::None
        | Calculation::Plt
        | Calculation::PltRelativeToGot
        | Calculation::Size
        | Calculation::GotBasePc => false,
        Calculation::PcRelative if row.field == Field::I32 => {
            !code.is_some_and(|(bytes, offset)| relax::is_branch(bytes, offset))
        }
        Calculation::GotPcRelaxable => {
            !code.is_some_and(|(bytes, offset)| is_branch_through_memory(bytes, offset))
        }
        _ => true,
    }
}

/// Whether a relocation fills the field of a `call` or `jmp` to the symbol, which no other use of its address is.
pub fn is_direct_branch(row: &Row, code: &[u8], offset: usize) -> bool {
    matches!(row.calculation, Calculation::Plt | Calculation::PcRelative)
        && row.field == Field::I32
        && relax::is_branch(code, offset)
}

/// `call *symbol(%rip)` or `jmp *symbol(%rip)`.
fn is_branch_through_memory(code: &[u8], offset: usize) -> bool {
    matches!(code.get(..offset), Some([.., 0xff, 0x15 | 0x25]))
}

/// Whether code may hold `lea symbol(%rip), %register` for a symbol within itself. True for some code that does not.
pub fn may_take_own_address(code: &[u8]) -> bool {
    const OPCODE: u8 = 0x8d;
    /// Opcode, ModRM, four bytes of distance.
    const LENGTH: usize = 6;
    memchr::memchr_iter(OPCODE, code).any(|at| {
        let Some(&[_, operand, a, b, c, d]) = code.get(at..at + LENGTH) else { return false };
        let is_relative_to_next = operand & 0xc7 == 0x05;
        // A field that a relocation fills is zero before; so is the distance to what follows, which nobody takes.
        let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
        let target = (at + LENGTH) as i64 + distance;
        is_relative_to_next && distance != 0 && (0..code.len() as i64).contains(&target)
    })
}

#[cfg(test)]
mod tests {
    use super::super::rows::row;
    use super::*;

    #[test]
    fn branches_do_not_take_addresses() {
        let takes = |number, code: &[u8]| takes_address(row(number).unwrap(), Some((code, code.len() - 4)));
        for (number, code, expected) in [
            (4, &[0xe8, 0, 0, 0, 0][..], false),
            (4, &[0x48, 0x8d, 0x3d, 0, 0, 0, 0], false),
            (2, &[0xe8, 0, 0, 0, 0], false),
            (2, &[0x0f, 0x84, 0, 0, 0, 0], false),
            (2, &[0x48, 0x8d, 0x3d, 0, 0, 0, 0], true),
            (41, &[0xff, 0x15, 0, 0, 0, 0], false),
            (41, &[0x8b, 0x05, 0, 0, 0, 0], true),
            (42, &[0x48, 0x8b, 0x05, 0, 0, 0, 0], true),
            (1, &[0, 0, 0, 0, 0, 0, 0, 0], true),
            (10, &[0xbf, 0, 0, 0, 0], true),
        ] {
            assert_eq!(takes(number, code), expected, "{number} {code:02x?}");
        }
        assert!(takes_address(row(2).unwrap(), None), "data");
    }

    #[test]
    fn only_the_field_of_a_branch_is_one() {
        let is_branch = |number, code: &[u8]| is_direct_branch(row(number).unwrap(), code, code.len() - 4);
        assert!(is_branch(4, &[0xe8, 0, 0, 0, 0]));
        assert!(is_branch(2, &[0x0f, 0x85, 0, 0, 0, 0]));
        assert!(!is_branch(4, &[0, 0, 0, 0]), "a table of distances");
        assert!(!is_branch(2, &[0x48, 0x8d, 0x3d, 0, 0, 0, 0]));
        assert!(!is_branch(41, &[0xff, 0x15, 0, 0, 0, 0]));
        assert!(!is_branch(1, &[0xe8, 0, 0, 0, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn a_function_that_names_itself_is_found() {
        let with = |distance: i32| [&[0x48, 0x8d, 0x3d][..], &distance.to_le_bytes(), &[0xc3]].concat();
        assert!(may_take_own_address(&with(-7)));
        assert!(!may_take_own_address(&with(0)), "to be relocated");
        assert!(!may_take_own_address(&with(1)), "behind the end");
        assert!(!may_take_own_address(&with(-8)), "before the start");
        assert!(!may_take_own_address(&[0x8d, 0x3d]));
    }
}
