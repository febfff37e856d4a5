//! The code of PLT entries (psABI, "Procedure Linkage Table", and the CET additions for IBT).
//!
//! The byte patterns are those of GNU ld, because disassemblers and debuggers recognise `foo@plt` by them.

mod retpoline;

pub use retpoline::{
    write_direct as write_retpoline_direct, write_header as write_retpoline_header,
    write_lazy as write_retpoline_lazy,
};

/// Size of an entry of `.plt.sec`.
pub const SECOND_ENTRY_SIZE: u64 = 16;

/// Size of the instruction in front of the jump of an entry where indirect branches are tracked.
pub const MARKER_SIZE: u64 = 4;

/// What code entries consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Jumps through slots.
    #[default]
    Plain,
    /// The same behind ENDBR64; lazy entries have a second half in `.plt.sec`.
    Tracked,
    /// No indirect jumps that a processor could be led astray in ([`retpoline`]).
    Retpoline,
    /// The same where nothing is bound lazily.
    RetpolineNow,
}

impl Form {
    /// Whether there are no indirect jumps.
    pub fn is_retpoline(self) -> bool {
        matches!(self, Form::Retpoline | Form::RetpolineNow)
    }
    /// Size of what stands in front of the entries of `.plt`, if anything has to.
    pub fn header_size(self, has_lazy: bool) -> u64 {
        match self {
            Form::Plain | Form::Tracked => u64::from(has_lazy) * 16,
            Form::Retpoline => retpoline::HEADER_SIZE,
            Form::RetpolineNow => retpoline::THUNK_SIZE,
        }
    }
    /// Size of an entry of `.plt`.
    pub fn entry_size(self) -> u64 {
        if self == Form::Retpoline { 32 } else { 16 }
    }
    /// Size of an entry of `.plt.got`.
    pub fn got_entry_size(self) -> u64 {
        if self == Form::Plain { 8 } else { 16 }
    }
    /// Where in its entry a slot that is not bound yet leads: to what calls the resolver. `None` if that is never done.
    pub fn resolver_offset(self) -> Option<u64> {
        match self {
            Form::Plain => Some(6),
            Form::Tracked => Some(0),
            Form::Retpoline => Some(retpoline::RESOLVER_OFFSET),
            Form::RetpolineNow => None,
        }
    }
}

fn put_pc32(code: &mut [u8], at: usize, address_of_code: u64, target: u64) {
    let value = target.wrapping_sub(address_of_code).wrapping_sub(at as u64 + 4) as u32;
    code[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// `push GOT+8(%rip); jmp *GOT+16(%rip)`.
pub fn write_header(code: &mut [u8], address: u64, got_plt: u64) {
    code[..16].copy_from_slice(&[0xff, 0x35, 0, 0, 0, 0, 0xff, 0x25, 0, 0, 0, 0, 0x0f, 0x1f, 0x40, 0x00]);
    put_pc32(code, 2, address, got_plt + 8);
    put_pc32(code, 8, address, got_plt + 16);
}

/// A lazily bound entry: `jmp *slot(%rip); push $index; jmp header`.
pub fn write_lazy(code: &mut [u8], address: u64, slot: u64, index: u32, header: u64) {
    code[..16].copy_from_slice(&[0xff, 0x25, 0, 0, 0, 0, 0x68, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0]);
    put_pc32(code, 2, address, slot);
    code[7..11].copy_from_slice(&index.to_le_bytes());
    put_pc32(code, 12, address, header);
}

/// With IBT, the half of a lazily bound entry that calls the resolver: `endbr64; push $index; jmp header; nop`.
pub fn write_lazy_ibt(code: &mut [u8], address: u64, index: u32, header: u64) {
    code[..16].copy_from_slice(&[0xf3, 0x0f, 0x1e, 0xfa, 0x68, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0, 0x66, 0x90]);
    code[5..9].copy_from_slice(&index.to_le_bytes());
    put_pc32(code, 10, address, header);
}

/// An entry that jumps through a slot: `jmp *slot(%rip); nop`.
pub fn write_direct(code: &mut [u8], address: u64, slot: u64) {
    code[..8].copy_from_slice(&[0xff, 0x25, 0, 0, 0, 0, 0x66, 0x90]);
    put_pc32(code, 2, address, slot);
    // `int3` where a longer entry is filled up.
    code[8..].fill(0xcc);
}

/// With IBT: `endbr64; jmp *slot(%rip); nop`.
pub fn write_direct_ibt(code: &mut [u8], address: u64, slot: u64) {
    code[..16].copy_from_slice(&[
        0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0, 0, 0, 0, 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00,
    ]);
    put_pc32(code, 6, address, slot);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reaches_its_slot() {
        let mut code = [0; 16];
        write_lazy(&mut code, 0x1020, 0x4018, 0, 0x1010);
        // 0x1020 + 6 + displacement
        let displacement = u32::from_le_bytes(code[2..6].try_into().unwrap());
        assert_eq!(0x1026 + u64::from(displacement), 0x4018);
        let back = i32::from_le_bytes(code[12..16].try_into().unwrap());
        assert_eq!(0x1030 + i64::from(back), 0x1010);
    }
}
