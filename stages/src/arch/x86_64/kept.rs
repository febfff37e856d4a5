//! What a relocation says of the bytes that were written for it (`--emit-relocs`).
//!
//! A tool that reads the relocations of a finished program (BOLT, the kernel's own) takes the program apart by them:
//! type, place, symbol and addend must describe what stands there now. Where an instruction was rewritten, its
//! relocation is rewritten too; where nothing is left to fill in (the call of `__tls_get_addr` that is gone), there
//! is no relocation any more. GNU ld does so for loads from the GOT; this module does it for thread-local accesses as
//! well, which others leave as they were in the object.

use super::plan::Plan;
use super::relax::{self, GotRewrite};
use super::rows::{Calculation, Field, Row};
use object::elf::{
    R_X86_64_32S, R_X86_64_GOTPC32_TLSDESC, R_X86_64_GOTTPOFF, R_X86_64_PC32, R_X86_64_PLT32,
    R_X86_64_PLTOFF64, R_X86_64_TPOFF32, R_X86_64_TPOFF64,
};

/// A relocation after it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its type.
    pub r_type: u32,
    /// Where its field is, in the section's bytes.
    pub offset: usize,
    /// Its addend.
    pub addend: i64,
}

/// Describes the outcome of a plan. `code` is the section's bytes as they were and the field's offset. `None` if
/// there is nothing to describe.
pub fn kept(row: &Row, plan: Plan, code: (&[u8], usize), addend: i64) -> Option<Kept> {
    let (bytes, offset) = code;
    let same = Kept { r_type: row.number, offset, addend };
    // The distance from a PC-relative field to the end of its instruction means nothing to an immediate.
    let immediate = |r_type| Kept { r_type, addend: addend.wrapping_add(4), ..same };
    Some(match plan {
        Plan::PltPc if row.calculation == Calculation::PcRelative && row.field == Field::I32 => {
            Kept { r_type: R_X86_64_PLT32, ..same }
        }
        Plan::PltRelativeToGot => Kept { r_type: R_X86_64_PLTOFF64, ..same },
        Plan::ThreadOffset if row.calculation == Calculation::TlsModuleOffset => {
            Kept { r_type: if row.field == Field::W64 { R_X86_64_TPOFF64 } else { R_X86_64_TPOFF32 }, ..same }
        }
        Plan::Rewrite(GotRewrite::MovToLea | GotRewrite::CallDirect) => {
            Kept { r_type: R_X86_64_PC32, ..same }
        }
        Plan::Rewrite(GotRewrite::JmpDirect) => Kept { r_type: R_X86_64_PC32, offset: offset - 1, ..same },
        Plan::Rewrite(GotRewrite::TestImmediate | GotRewrite::BinaryImmediate) => immediate(R_X86_64_32S),
        Plan::InitialToLocal | Plan::DescriptorToLocal => immediate(R_X86_64_TPOFF32),
        Plan::GeneralToLocal => {
            Kept { offset: relax::general_dynamic_field(bytes, offset)?, ..immediate(R_X86_64_TPOFF32) }
        }
        Plan::GeneralToInitial => {
            let offset = relax::general_dynamic_field(bytes, offset)?;
            Kept { r_type: R_X86_64_GOTTPOFF, offset, addend: -4 }
        }
        Plan::DescriptorToInitial => Kept { r_type: initial_exec_type(row.number), ..same },
        Plan::LocalDynamicToLocal | Plan::DescriptorCallToNop => return None,
        _ => same,
    })
}

/// The initial-exec type with the prefix of a descriptor's type: each [`R_X86_64_GOTPC32_TLSDESC`] of an APX
/// instruction follows its `GOTTPOFF` in the table.
fn initial_exec_type(descriptor: u32) -> u32 {
    if descriptor == R_X86_64_GOTPC32_TLSDESC { R_X86_64_GOTTPOFF } else { descriptor - 1 }
}

/// Whether the addend goes with the symbol's address, so that naming the output section instead of an input
/// section means adding the distance between them. Slots of tables belong to a symbol whatever the addend.
pub fn moves_with_address(plan: Plan) -> bool {
    !matches!(
        plan,
        Plan::Nothing
            | Plan::GotPc
            | Plan::GotOffset
            | Plan::GotBasePc
            | Plan::Size
            | Plan::GeneralDynamic
            | Plan::GeneralToInitial
            | Plan::LocalDynamic
            | Plan::InitialExec
            | Plan::Descriptor
            | Plan::DescriptorToInitial
    )
}

#[cfg(test)]
mod tests {
    use super::super::rows::row;
    use super::*;

    fn kept_of(number: u32, plan: Plan, code: (&[u8], usize), addend: i64) -> Option<(u32, usize, i64)> {
        kept(row(number).unwrap(), plan, code, addend).map(|k| (k.r_type, k.offset, k.addend))
    }

    #[test]
    fn rewritten_code_gets_the_type_of_what_it_became() {
        let zeros = (&[0u8; 32][..], 3);
        assert_eq!(kept_of(2, Plan::Pc, zeros, -4), Some((R_X86_64_PC32, 3, -4)));
        assert_eq!(kept_of(2, Plan::PltPc, zeros, -4), Some((R_X86_64_PLT32, 3, -4)));
        for (rewrite, expected) in [
            (GotRewrite::MovToLea, (R_X86_64_PC32, 3, -4)),
            (GotRewrite::CallDirect, (R_X86_64_PC32, 3, -4)),
            (GotRewrite::JmpDirect, (R_X86_64_PC32, 2, -4)),
            (GotRewrite::BinaryImmediate, (R_X86_64_32S, 3, 0)),
        ] {
            assert_eq!(kept_of(41, Plan::Rewrite(rewrite), zeros, -4), Some(expected));
        }
        assert_eq!(kept_of(22, Plan::InitialToLocal, zeros, -4), Some((R_X86_64_TPOFF32, 3, 0)));
        assert_eq!(kept_of(34, Plan::DescriptorToInitial, zeros, -4), Some((R_X86_64_GOTTPOFF, 3, -4)));
        assert_eq!(kept_of(48, Plan::DescriptorToInitial, zeros, -4), Some((47, 3, -4)));
        assert_eq!(kept_of(21, Plan::ThreadOffset, zeros, 0), Some((R_X86_64_TPOFF32, 3, 0)));
        assert_eq!(kept_of(20, Plan::LocalDynamicToLocal, zeros, -4), None);
    }

    #[test]
    fn a_general_dynamic_access_is_described_where_its_field_went() {
        let code = [0x66, 0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0];
        let at = (&code[..], 4);
        assert_eq!(kept_of(19, Plan::GeneralToLocal, at, -4), Some((R_X86_64_TPOFF32, 12, 0)));
        assert_eq!(kept_of(19, Plan::GeneralToInitial, at, -4), Some((R_X86_64_GOTTPOFF, 12, -4)));
        assert_eq!(kept_of(19, Plan::GeneralToLocal, (&[0; 32], 4), -4), None);
    }
}
