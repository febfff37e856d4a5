//! Writes planned relocations into section bytes.
//!
//! Field writes check their range: a value that does not fit is reported with the value and the limits, never
//! truncated.

use super::plan::Plan;
use super::relax::{self, GotRewrite};
use super::rows::{Field, Row};

/// Answers where things are, for one relocation.
pub trait Resolver {
    /// S: the symbol's address (of its canonical PLT entry or copy, where it has one).
    fn symbol(&self) -> u64;
    /// G: address of its GOT slot.
    fn got(&self) -> u64;
    /// L: address of its PLT entry.
    fn plt(&self) -> u64;
    /// Address of the slot with its thread pointer offset.
    fn got_tp(&self) -> u64;
    /// Address of its (module, offset) pair.
    fn general_dynamic(&self) -> u64;
    /// Address of this module's pair.
    fn local_dynamic(&self) -> u64;
    /// Address of its descriptor.
    fn descriptor(&self) -> u64;
    /// The GOT's base.
    fn got_base(&self) -> u64;
    /// Z: `st_size`.
    fn size(&self) -> u64;
    /// Address that offset 0 of the module's TLS block would have in the image.
    fn tls_start(&self) -> u64;
    /// Address that the thread pointer would have in the image.
    fn thread_pointer(&self) -> u64;
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Written.
    Done,
    /// Written, and the next relocation belongs to the same sequence: it must be left out.
    SkipNext,
}

/// Why it could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The value does not fit: (value, minimum, maximum).
    Range(i64, i64, u64),
    /// The instructions are not a sequence the psABI defines for the relocation.
    UnknownCode,
    /// The field does not lie within the section.
    OutsideSection,
}

/// Writes one relocation. `bytes` is the whole section, `offset` the field's offset, `place` its address.
pub fn apply(
    row: &Row,
    plan: Plan,
    bytes: &mut [u8],
    offset: usize,
    place: u64,
    addend: i64,
    at: &impl Resolver,
) -> Result<Applied, Overflow> {
    if offset.checked_add(row.field.width()).is_none_or(|end| end > bytes.len()) {
        return Err(Overflow::OutsideSection);
    }
    let a = addend as u64;
    let pc = |target: u64| target.wrapping_add(a).wrapping_sub(place);
    let known = |ok: bool| if ok { Ok(()) } else { Err(Overflow::UnknownCode) };
    let tp_offset = |extra: u64| at.symbol().wrapping_add(extra).wrapping_sub(at.thread_pointer());
    let value = match plan {
        Plan::Nothing | Plan::Symbolic | Plan::LeftToLoader => return Ok(Applied::Done),
        Plan::Value | Plan::Relative => at.symbol().wrapping_add(a),
        Plan::Pc => pc(at.symbol()),
        Plan::PltPc => pc(at.plt()),
        Plan::GotPc => pc(at.got()),
        Plan::Rewrite(rewrite) => return apply_rewrite(row, rewrite, bytes, offset, place, addend, at),
        Plan::GotOffset => at.got().wrapping_add(a).wrapping_sub(at.got_base()),
        Plan::RelativeToGot => at.symbol().wrapping_add(a).wrapping_sub(at.got_base()),
        Plan::PltRelativeToGot => at.plt().wrapping_add(a).wrapping_sub(at.got_base()),
        Plan::GotBasePc => pc(at.got_base()),
        Plan::Size => at.size().wrapping_add(a),
        Plan::ModuleOffset => at.symbol().wrapping_add(a).wrapping_sub(at.tls_start()),
        Plan::ThreadOffset => tp_offset(a),
        Plan::GeneralDynamic => pc(at.general_dynamic()),
        Plan::LocalDynamic => pc(at.local_dynamic()),
        Plan::InitialExec => pc(at.got_tp()),
        Plan::Descriptor => pc(at.descriptor()),
        Plan::GeneralToLocal => {
            let field = relax::general_dynamic(bytes, offset, true).ok_or(Overflow::UnknownCode)?;
            write(Field::I32, bytes, field, tp_offset(a.wrapping_add(4)))?;
            return Ok(Applied::SkipNext);
        }
        Plan::GeneralToInitial => {
            let field = relax::general_dynamic(bytes, offset, false).ok_or(Overflow::UnknownCode)?;
            let moved = place.wrapping_add((field - offset) as u64);
            write(Field::I32, bytes, field, at.got_tp().wrapping_sub(moved).wrapping_sub(4))?;
            return Ok(Applied::SkipNext);
        }
        Plan::LocalDynamicToLocal => {
            known(relax::local_dynamic(bytes, offset))?;
            return Ok(Applied::SkipNext);
        }
        Plan::InitialToLocal => {
            relax::initial_to_local(bytes, offset, row.instruction_prefix);
            tp_offset(a.wrapping_add(4))
        }
        Plan::DescriptorToLocal => {
            known(relax::descriptor_to_local(bytes, offset, row.instruction_prefix))?;
            tp_offset(a.wrapping_add(4))
        }
        Plan::DescriptorToInitial => {
            known(relax::descriptor_to_initial(bytes, offset, row.instruction_prefix))?;
            pc(at.got_tp())
        }
        Plan::DescriptorCallToNop => {
            known(relax::descriptor_call_to_nop(bytes, offset))?;
            return Ok(Applied::Done);
        }
    };
    write(row.field, bytes, offset, value)?;
    Ok(Applied::Done)
}

fn apply_rewrite(
    row: &Row,
    rewrite: GotRewrite,
    bytes: &mut [u8],
    offset: usize,
    place: u64,
    addend: i64,
    at: &impl Resolver,
) -> Result<Applied, Overflow> {
    relax::rewrite_got(bytes, offset, row.instruction_prefix, rewrite);
    let direct = at.symbol().wrapping_add(addend as u64).wrapping_sub(place);
    match rewrite {
        GotRewrite::MovToLea | GotRewrite::CallDirect => write(Field::I32, bytes, offset, direct)?,
        // The opcode is one byte shorter, so the field moved.
        GotRewrite::JmpDirect => write(Field::I32, bytes, offset - 1, direct.wrapping_add(1))?,
        GotRewrite::TestImmediate | GotRewrite::BinaryImmediate => {
            // The addend was for the PC-relative form: -4 plus what the program asked for.
            let value = at.symbol().wrapping_add(addend as u64).wrapping_add(4);
            write(Field::I32, bytes, offset, value)?;
        }
    }
    Ok(Applied::Done)
}

/// Writes a value into a field, if it fits.
#[inline]
pub fn write(field: Field, bytes: &mut [u8], offset: usize, value: u64) -> Result<(), Overflow> {
    let signed = value as i64;
    let (min, max) = match field {
        Field::None => return Ok(()),
        Field::W64 => {
            bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
            return Ok(());
        }
        Field::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Field::U32 => (0, i64::from(u32::MAX)),
        Field::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Field::Any16 => (i64::from(i16::MIN), i64::from(u16::MAX)),
        Field::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        Field::Any8 => (i64::from(i8::MIN), i64::from(u8::MAX)),
    };
    if signed < min || signed > max {
        return Err(Overflow::Range(signed, min, max as u64));
    }
    let width = field.width();
    bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let mut bytes = [0u8; 8];
        assert!(write(Field::I32, &mut bytes, 0, i32::MIN as u64).is_ok());
        assert!(write(Field::I32, &mut bytes, 0, 0x8000_0000).is_err());
        assert!(write(Field::U32, &mut bytes, 0, 0x8000_0000).is_ok());
        assert!(write(Field::U32, &mut bytes, 0, u64::MAX).is_err());
        assert!(write(Field::Any8, &mut bytes, 0, 255).is_ok());
        assert!(write(Field::I8, &mut bytes, 0, 255).is_err());
    }
}
