//! What a relocation comes to.
//!
//! [`plan`] is a pure function of the relocation's row, the kind of symbol, the kind of output and (for
//! rewrites) the instruction. `scan` calls it to reserve GOT slots and dynamic relocations, `emit` calls it again to
//! write; so the two cannot disagree, and nothing has to be remembered a relocation.

use super::relax::{self, GotRewrite};
use super::rows::{Calculation, Field, Row};
use std::ops::BitOr;

/// What is known of a symbol, from a relocation's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts(pub u8);

impl Facts {
    /// The dynamic loader decides where it is.
    pub const PREEMPTIBLE: Facts = Facts(1);
    /// STT_GNU_IFUNC, defined here: its address is that of a PLT entry.
    pub const IFUNC: Facts = Facts(2);
    /// STT_TLS.
    pub const TLS: Facts = Facts(4);
    /// A function (or of no type), where a PLT entry can stand for it.
    pub const FUNCTION: Facts = Facts(8);
    /// Its value does not move with the load address: SHN_ABS, or an undefined weak one that became 0. With
    /// PREEMPTIBLE: an undefined weak one of a program, 0 wherever the dynamic loader cannot be asked.
    pub const ABSOLUTE: Facts = Facts(16);
    /// Nothing defines it: an error where it is used.
    pub const UNDEFINED: Facts = Facts(32);
    /// Its section is not in the output.
    pub const DEAD: Facts = Facts(64);
    /// It may lie farther than 2 GiB from code (SHF_X86_64_LARGE).
    pub const FAR: Facts = Facts(128);

    /// Whether all these bits are set.
    pub fn has(self, bits: Facts) -> bool {
        self.0 & bits.0 == bits.0
    }
}

impl BitOr for Facts {
    type Output = Facts;
    fn bitor(self, other: Facts) -> Facts {
        Facts(self.0 | other.0)
    }
}

/// What a relocation may do, given the output and the section it is in.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    /// The output moves as a whole (PIE, shared object).
    pub is_pic: bool,
    /// The output is a shared object.
    pub is_shared: bool,
    /// The dynamic loader may write here: a writable section, or `-z notext`.
    pub may_write: bool,
    /// Instructions may be rewritten (`--relax`, the default).
    pub may_relax: bool,
    /// Copy relocations are allowed (not `-z nocopyreloc`).
    pub may_copy: bool,
    /// Uses of indirect functions are left to the dynamic loader (`-z ifunc-noplt`).
    pub keeps_ifuncs: bool,
}

/// Bits of what a symbol needs from the output's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need(pub u16);

impl Need {
    /// Nothing.
    pub const NOTHING: Need = Need(0);
    /// A GOT slot with its address.
    pub const GOT: Need = Need(1);
    /// A PLT entry.
    pub const PLT: Need = Need(2);
    /// A GOT slot with its thread pointer offset.
    pub const GOT_TP: Need = Need(4);
    /// A pair of GOT slots: module, offset.
    pub const TLS_GD: Need = Need(8);
    /// A pair of GOT slots: TLS descriptor.
    pub const TLS_DESC: Need = Need(16);
    /// A copy of the data in `.bss` (a function gets a canonical PLT entry instead).
    pub const COPY: Need = Need(32);
    /// A PLT entry that is the function's address for everybody.
    pub const CANONICAL_PLT: Need = Need(64);
    /// This module's (module, 0) pair of GOT slots.
    pub const TLS_LD: Need = Need(128);
    /// The GOT's base address.
    pub const GOT_BASE: Need = Need(256);
    /// DF_STATIC_TLS.
    pub const STATIC_TLS: Need = Need(512);
    /// An entry in `.dynsym` to name in a dynamic relocation.
    pub const DYNAMIC_SYMBOL: Need = Need(1024);

    /// Whether all these bits are set.
    pub fn has(self, bits: Need) -> bool {
        self.0 & bits.0 == bits.0
    }
}

impl BitOr for Need {
    type Output = Need;
    fn bitor(self, other: Need) -> Need {
        Need(self.0 | other.0)
    }
}

/// How to carry a relocation out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing to write.
    Nothing,
    /// S + A
    Value,
    /// S + A, and a relative dynamic relocation.
    Relative,
    /// A dynamic relocation against the symbol.
    Symbolic,
    /// This relocation as it stands becomes a dynamic one.
    LeftToLoader,
    /// S + A - P
    Pc,
    /// L + A - P
    PltPc,
    /// G + A - P
    GotPc,
    /// The load from the GOT becomes something cheaper.
    Rewrite(GotRewrite),
    /// G + A - GOT
    GotOffset,
    /// S + A - GOT
    RelativeToGot,
    /// L + A - GOT
    PltRelativeToGot,
    /// GOT + A - P
    GotBasePc,
    /// Z + A
    Size,
    /// Offset in the module's TLS block.
    ModuleOffset,
    /// Offset from the thread pointer.
    ThreadOffset,
    /// Address of the (module, offset) pair - P.
    GeneralDynamic,
    /// General dynamic to initial exec.
    GeneralToInitial,
    /// General dynamic to local exec.
    GeneralToLocal,
    /// Address of this module's pair - P.
    LocalDynamic,
    /// Local dynamic to local exec.
    LocalDynamicToLocal,
    /// Address of the thread offset slot - P.
    InitialExec,
    /// Initial exec to local exec.
    InitialToLocal,
    /// Address of the descriptor - P.
    Descriptor,
    /// Descriptor to initial exec.
    DescriptorToInitial,
    /// Descriptor to local exec.
    DescriptorToLocal,
    /// The call of a descriptor that is none any more.
    DescriptorCallToNop,
}

/// Why a relocation cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The field is too narrow for an address that is only known at load time, or the section is read-only.
    NotPositionIndependent,
    /// Data of a shared object is addressed directly, and copying it is not allowed or not possible.
    CannotCopy,
    /// Local-exec TLS in a shared object.
    LocalExecInShared,
    /// A TLS relocation against an ordinary symbol, or the other way round.
    TlsMismatch,
    /// A type that only the dynamic loader applies.
    DynamicOnly,
}

/// Plans a relocation. `code` is the section's bytes and the field's offset, for types that may be rewritten.
pub fn plan(
    row: &Row,
    facts: Facts,
    env: Environment,
    code: Option<(&[u8], usize)>,
) -> Result<(Plan, Need), Refusal> {
    use Calculation as C;
    let is_preemptible = facts.has(Facts::PREEMPTIBLE);
    let is_ifunc = facts.has(Facts::IFUNC);
    let needs_table = is_preemptible || is_ifunc;
    let is_tls_row = matches!(
        row.calculation,
        C::TlsGeneralDynamic | C::TlsModuleOffset | C::TlsInitialExec | C::TlsLocalExec | C::TlsDescriptor
    );
    let is_direct = matches!(row.calculation, C::Absolute | C::PcRelative | C::Plt);
    // A local one (not known as a function) has no name that the loader could ask for.
    if env.keeps_ifuncs && is_ifunc && is_direct && facts.has(Facts::FUNCTION) {
        return Ok((Plan::LeftToLoader, Need::DYNAMIC_SYMBOL));
    }
    let is_zero_weak = facts.has(Facts::ABSOLUTE);
    if is_tls_row != facts.has(Facts::TLS)
        && !is_zero_weak
        && !matches!(
            row.calculation,
            C::None | C::Size | C::TlsLocalDynamic | C::TlsDescriptorCall | C::GotBasePc
        )
        && !facts.has(Facts::FUNCTION | Facts::PREEMPTIBLE)
    {
        return Err(Refusal::TlsMismatch);
    }
    Ok(match row.calculation {
        C::None => (Plan::Nothing, Need::NOTHING),
        C::DynamicOnly => return Err(Refusal::DynamicOnly),
        C::Absolute => return absolute(row, facts, env),
        C::PcRelative if is_preemptible => return pc_to_preemptible(facts, env, code),
        C::PcRelative | C::Plt if is_ifunc => (Plan::PltPc, Need::PLT),
        C::PcRelative => (Plan::Pc, Need::NOTHING),
        C::Plt if is_preemptible => (Plan::PltPc, Need::PLT),
        C::Plt => (Plan::Pc, Need::NOTHING),
        C::GotPc => (Plan::GotPc, Need::GOT),
        C::GotPcRelaxable => {
            let may_rewrite = env.may_relax && !needs_table && !facts.has(Facts::FAR);
            let is_absolute = facts.has(Facts::ABSOLUTE);
            match code.filter(|_| may_rewrite).and_then(|(bytes, offset)| {
                relax::got_rewrite(bytes, offset, row.instruction_prefix, env.is_pic, is_absolute)
            }) {
                Some(rewrite) => (Plan::Rewrite(rewrite), Need::NOTHING),
                None => (Plan::GotPc, Need::GOT),
            }
        }
        C::GotOffset => (Plan::GotOffset, Need::GOT | Need::GOT_BASE),
        C::RelativeToGot if is_preemptible && env.is_shared => return Err(Refusal::NotPositionIndependent),
        C::RelativeToGot if is_preemptible => {
            (Plan::RelativeToGot, direct_need(facts, env)? | Need::GOT_BASE)
        }
        C::RelativeToGot if is_ifunc => (Plan::PltRelativeToGot, Need::PLT | Need::GOT_BASE),
        C::RelativeToGot => (Plan::RelativeToGot, Need::GOT_BASE),
        C::PltRelativeToGot if needs_table => (Plan::PltRelativeToGot, Need::PLT | Need::GOT_BASE),
        C::PltRelativeToGot => (Plan::RelativeToGot, Need::GOT_BASE),
        C::GotBasePc => (Plan::GotBasePc, Need::GOT_BASE),
        C::Size => (Plan::Size, Need::NOTHING),
        C::TlsModuleOffset if env.is_shared => (Plan::ModuleOffset, Need::NOTHING),
        C::TlsModuleOffset => (Plan::ThreadOffset, Need::NOTHING),
        C::TlsLocalExec if env.is_shared => return Err(Refusal::LocalExecInShared),
        C::TlsLocalExec => (Plan::ThreadOffset, Need::NOTHING),
        C::TlsGeneralDynamic if env.is_shared => (Plan::GeneralDynamic, Need::TLS_GD),
        C::TlsGeneralDynamic if is_preemptible => (Plan::GeneralToInitial, Need::GOT_TP),
        C::TlsGeneralDynamic => (Plan::GeneralToLocal, Need::NOTHING),
        C::TlsLocalDynamic if env.is_shared => (Plan::LocalDynamic, Need::TLS_LD),
        C::TlsLocalDynamic => (Plan::LocalDynamicToLocal, Need::NOTHING),
        C::TlsInitialExec if env.is_shared => (Plan::InitialExec, Need::GOT_TP | Need::STATIC_TLS),
        C::TlsInitialExec if is_preemptible => (Plan::InitialExec, Need::GOT_TP),
        C::TlsInitialExec => {
            match code.filter(|(bytes, at)| relax::can_make_local_exec(bytes, *at, row.instruction_prefix)) {
                Some(_) => (Plan::InitialToLocal, Need::NOTHING),
                None => (Plan::InitialExec, Need::GOT_TP),
            }
        }
        C::TlsDescriptor if env.is_shared => (Plan::Descriptor, Need::TLS_DESC),
        C::TlsDescriptor if is_preemptible => (Plan::DescriptorToInitial, Need::GOT_TP),
        C::TlsDescriptor => (Plan::DescriptorToLocal, Need::NOTHING),
        C::TlsDescriptorCall if env.is_shared => (Plan::Nothing, Need::NOTHING),
        C::TlsDescriptorCall => (Plan::DescriptorCallToNop, Need::NOTHING),
    })
}

/// Whether the plan is [`Plan::Pc`] and nothing is needed, in every environment and whatever the instruction: so it is
/// for nearly all relocations of code.
#[inline]
pub fn is_plain_pc(row: &Row, facts: Facts) -> bool {
    facts.0 & !Facts::FUNCTION.0 == 0 && matches!(row.calculation, Calculation::PcRelative | Calculation::Plt)
}

/// S + A.
fn absolute(row: &Row, facts: Facts, env: Environment) -> Result<(Plan, Need), Refusal> {
    let is_word = row.field == Field::W64;
    if facts.has(Facts::PREEMPTIBLE) {
        let is_weak = facts.has(Facts::ABSOLUTE);
        if is_word && env.may_write && (env.is_pic || !is_weak) {
            return Ok((Plan::Symbolic, Need::DYNAMIC_SYMBOL));
        }
        if is_weak {
            return Ok((Plan::Value, Need::NOTHING));
        }
        if env.is_pic {
            return Err(Refusal::NotPositionIndependent);
        }
        return Ok((Plan::Value, direct_need(facts, env)?));
    }
    let need = if facts.has(Facts::IFUNC) { Need::PLT } else { Need::NOTHING };
    if !env.is_pic || facts.has(Facts::ABSOLUTE) {
        Ok((Plan::Value, need))
    } else if is_word && env.may_write {
        Ok((Plan::Relative, need))
    } else {
        Err(Refusal::NotPositionIndependent)
    }
}

/// S + A - P where the dynamic loader decides on S.
fn pc_to_preemptible(
    facts: Facts,
    env: Environment,
    code: Option<(&[u8], usize)>,
) -> Result<(Plan, Need), Refusal> {
    let is_weak = facts.has(Facts::ABSOLUTE);
    if env.is_shared || is_weak {
        // A call can go through the PLT. Loading or storing there would touch the entry's code, and its address is
        // not the function's, so anything but a branch needs the GOT.
        let is_branch = code.is_some_and(|(bytes, offset)| relax::is_branch(bytes, offset));
        return if is_branch && facts.has(Facts::FUNCTION) {
            Ok((Plan::PltPc, Need::PLT))
        } else if is_weak {
            Ok((Plan::Pc, Need::NOTHING))
        } else {
            Err(Refusal::NotPositionIndependent)
        };
    }
    Ok((Plan::Pc, direct_need(facts, env)?))
}

/// What lets an executable address a shared object's symbol as if it were its own.
fn direct_need(facts: Facts, env: Environment) -> Result<Need, Refusal> {
    if facts.has(Facts::ABSOLUTE) {
        Ok(Need::NOTHING)
    } else if facts.has(Facts::FUNCTION) {
        Ok(Need::PLT | Need::CANONICAL_PLT | Need::DYNAMIC_SYMBOL)
    } else if env.may_copy {
        Ok(Need::COPY | Need::DYNAMIC_SYMBOL)
    } else {
        Err(Refusal::CannotCopy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::row;
    use super::*;

    #[test]
    fn plain_relocations_are_planned_as_such() {
        for row in (0..64).filter_map(row) {
            for facts in (0..=255).map(Facts).filter(|facts| is_plain_pc(row, *facts)) {
                for bits in 0..64u8 {
                    let has = |bit: u8| bits >> bit & 1 != 0;
                    let env = Environment {
                        is_pic: has(0),
                        is_shared: has(1),
                        may_write: has(2),
                        may_relax: has(3),
                        may_copy: has(4),
                        keeps_ifuncs: has(5),
                    };
                    assert_eq!(plan(row, facts, env, Some((&[0; 16], 8))), Ok((Plan::Pc, Need::NOTHING)));
                }
            }
        }
    }

    const EXE: Environment = Environment {
        is_pic: false,
        is_shared: false,
        may_write: true,
        may_relax: true,
        may_copy: true,
        keeps_ifuncs: false,
    };
    const PIE: Environment = Environment { is_pic: true, ..EXE };
    const SO: Environment = Environment { is_shared: true, ..PIE };

    fn plan_of(number: u32, facts: Facts, env: Environment) -> Result<Plan, Refusal> {
        plan(row(number).unwrap(), facts, env, None).map(|(plan, _)| plan)
    }

    #[test]
    fn addresses_by_output_kind() {
        let imported_data = Facts::PREEMPTIBLE;
        let imported_code = Facts::PREEMPTIBLE | Facts::FUNCTION;
        let local = Facts::default();
        for (number, facts, env, expected) in [
            (1, local, EXE, Ok(Plan::Value)),
            (1, local, PIE, Ok(Plan::Relative)),
            (1, Facts::ABSOLUTE, PIE, Ok(Plan::Value)),
            (1, imported_data, SO, Ok(Plan::Symbolic)),
            (10, local, PIE, Err(Refusal::NotPositionIndependent)),
            (11, local, EXE, Ok(Plan::Value)),
            (2, imported_data, SO, Err(Refusal::NotPositionIndependent)),
            (2, imported_code, SO, Err(Refusal::NotPositionIndependent)),
            (2, imported_data, PIE, Ok(Plan::Pc)),
            (4, imported_code, EXE, Ok(Plan::PltPc)),
            (4, Facts::IFUNC, EXE, Ok(Plan::PltPc)),
            (23, Facts::TLS, SO, Err(Refusal::LocalExecInShared)),
            (23, local, EXE, Err(Refusal::TlsMismatch)),
            (19, Facts::TLS, SO, Ok(Plan::GeneralDynamic)),
            (19, Facts::TLS, EXE, Ok(Plan::GeneralToLocal)),
            (19, Facts::TLS | Facts::PREEMPTIBLE, EXE, Ok(Plan::GeneralToInitial)),
        ] {
            assert_eq!(plan_of(number, facts, env), expected, "{number} {facts:?} {env:?}");
        }
    }

    #[test]
    fn only_branches_of_a_library_go_through_the_plt() {
        let imported = Facts::PREEMPTIBLE | Facts::FUNCTION;
        let refused = Err(Refusal::NotPositionIndependent);
        for (code, offset, expected) in [
            (&[0xe8, 0, 0, 0, 0][..], 1, Ok(Plan::PltPc)),
            (&[0x0f, 0x84, 0, 0, 0, 0], 2, Ok(Plan::PltPc)),
            (&[0x48, 0x8d, 0x05, 0, 0, 0, 0], 3, refused),
            (&[0, 0, 0, 0], 0, refused),
        ] {
            let made = plan(row(2).unwrap(), imported, SO, Some((code, offset))).map(|(plan, _)| plan);
            assert_eq!(made, expected, "{code:02x?}");
        }
    }

    #[test]
    fn text_relocations_are_refused() {
        let read_only = Environment { may_write: false, ..PIE };
        assert_eq!(plan_of(1, Facts::default(), read_only), Err(Refusal::NotPositionIndependent));
        // A position-dependent executable copies instead.
        let exe = Environment { may_write: false, ..EXE };
        let (plan, need) = plan(row(1).unwrap(), Facts::PREEMPTIBLE, exe, None).unwrap();
        assert_eq!(plan, Plan::Value);
        assert!(need.has(Need::COPY));
    }
}
