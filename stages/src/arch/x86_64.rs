//! x86-64 (System V psABI, AMD64 supplement).
//!
//! - [`rows`]: the relocation types as a table: number, name, field, meaning.
//! - [`plan`]: what a relocation against a symbol of some kind comes to: a value, a slot of the GOT, a PLT
//!   entry, a dynamic relocation, a cheaper instruction. Both `scan` (to reserve) and `emit` (to write) ask
//!   here, so they always agree.
//! - [`apply`]: writes a planned relocation into the bytes of its section, with range checks.
//! - [`relax`]: the instruction sequences that are rewritten.
//! - [`kept`]: what a relocation that stays in the output says of the bytes written for it.
//! - [`marker`]: the instruction that indirect branches land on.
//! - [`significance`]: which references show a function's address.
//! - [`plt`]: the code of PLT entries.

pub mod apply;
pub mod kept;
pub mod plan;
pub mod plt;
pub mod relax;
pub mod rows;
pub mod marker;
pub mod significance;

pub use apply::{Applied, Overflow, Resolver, apply};
pub use plan::{Environment, Facts, Need, Plan, Refusal, plan};
pub use rows::{Row, row};

/// PT_INTERP of dynamic executables that do not say otherwise.
pub const DYNAMIC_LINKER: &[u8] = b"/lib64/ld-linux-x86-64.so.2";
/// `e_machine`.
pub const MACHINE: u16 = object::elf::EM_X86_64;
/// Where position-dependent executables start (GNU ld's default).
pub const IMAGE_BASE: u64 = 0x40_0000;
/// Default of `-z max-page-size`.
pub const MAX_PAGE_SIZE: u64 = 0x1000;
/// Size of a GOT slot.
pub const WORD: u64 = 8;
/// Number of reserved slots at the start of `.got.plt`: `.dynamic`, link map, resolver.
pub const GOT_PLT_RESERVED: u64 = 3;

/// Dynamic tags that say where the PLT is, its size and that of an entry (psABI, "Dynamic Section"): DT_X86_64_PLT,
/// DT_X86_64_PLTSZ, DT_X86_64_PLTENT.
pub const PLT_TAGS: [i64; 3] = [0x7000_0000, 0x7000_0001, 0x7000_0003];

/// Relocation types that the dynamic loader applies.
pub mod dynamic {
    pub use object::elf::{
        R_X86_64_64 as SYMBOLIC, R_X86_64_COPY as COPY, R_X86_64_DTPMOD64 as DTPMOD,
        R_X86_64_DTPOFF64 as DTPOFF, R_X86_64_GLOB_DAT as GLOB_DAT, R_X86_64_IRELATIVE as IRELATIVE,
        R_X86_64_JUMP_SLOT as JUMP_SLOT, R_X86_64_RELATIVE as RELATIVE, R_X86_64_TLSDESC as TLSDESC,
        R_X86_64_TPOFF64 as TPOFF,
    };
}
