//! The relocation types of the psABI (x86-64 supplement, table 4.9), one row each.

/// The bytes a relocation changes, and what fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Nothing.
    None,
    /// One byte, signed.
    I8,
    /// One byte, signed or unsigned.
    Any8,
    /// Two bytes, signed.
    I16,
    /// Two bytes, signed or unsigned.
    Any16,
    /// Four bytes, sign-extended.
    I32,
    /// Four bytes, zero-extended.
    U32,
    /// Eight bytes.
    W64,
}

impl Field {
    /// Width in bytes.
    pub fn width(self) -> usize {
        match self {
            Field::None => 0,
            Field::I8 | Field::Any8 => 1,
            Field::I16 | Field::Any16 => 2,
            Field::I32 | Field::U32 => 4,
            Field::W64 => 8,
        }
    }
}

/// What is computed. S: symbol, A: addend, P: place, G: GOT slot, L: PLT entry, GOT: GOT base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calculation {
    /// Nothing.
    None,
    /// S + A
    Absolute,
    /// S + A - P
    PcRelative,
    /// L + A - P, or S + A - P where no PLT is needed
    Plt,
    /// G + A - P, never rewritten
    GotPc,
    /// G + A - P; the instruction may be rewritten
    GotPcRelaxable,
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
    /// General dynamic TLS: address of a (module, offset) pair, PC-relative
    TlsGeneralDynamic,
    /// Local dynamic TLS: address of this module's (module, 0) pair, PC-relative
    TlsLocalDynamic,
    /// Offset in the module's TLS block
    TlsModuleOffset,
    /// Initial exec TLS: address of a slot with the thread pointer offset, PC-relative
    TlsInitialExec,
    /// Local exec TLS: offset from the thread pointer
    TlsLocalExec,
    /// TLS descriptor, PC-relative
    TlsDescriptor,
    /// Marks the call through a TLS descriptor
    TlsDescriptorCall,
    /// Only the dynamic loader applies it; an error in an object
    DynamicOnly,
}

/// One relocation type.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// The bytes it changes.
    pub field: Field,
    /// What it computes.
    pub calculation: Calculation,
    /// Bytes of the instruction before the field that a rewrite may look at (prefixes and opcode).
    pub instruction_prefix: u8,
}

impl Row {
    /// Whether the value is how far a symbol is from the place.
    pub fn is_distance(&self) -> bool {
        matches!(self.calculation, Calculation::PcRelative | Calculation::Plt | Calculation::GotPcRelaxable)
    }
    /// Whether the value follows from the address of a symbol.
    pub fn is_address(&self) -> bool {
        self.calculation == Calculation::Absolute || self.is_distance()
    }
}

/// The rows that nearly every relocation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Common {
    /// S + A - P into four bytes: branches, and data at a distance.
    Pc32,
    /// S + A into eight bytes.
    Word,
    /// S + A into four bytes that are sign-extended.
    Signed32,
    /// S + A into four bytes that are zero-extended.
    Unsigned32,
    /// G + A - P into four bytes, of an instruction that stays as it is.
    GotPc32,
}

/// The common row of a relocation type against an ordinary symbol, which has no need of a PLT entry. What has a slot of
/// the GOT may be any symbol.
#[inline]
pub fn common(r_type: u32) -> Option<Common> {
    match r_type {
        object::elf::R_X86_64_PC32 | object::elf::R_X86_64_PLT32 => Some(Common::Pc32),
        object::elf::R_X86_64_64 => Some(Common::Word),
        object::elf::R_X86_64_32S => Some(Common::Signed32),
        object::elf::R_X86_64_32 => Some(Common::Unsigned32),
        object::elf::R_X86_64_GOTPCREL => Some(Common::GotPc32),
        _ => None,
    }
}

macro_rules! rows {
    ($($number:literal $name:tt $field:ident $calculation:ident $prefix:literal)*) => {
        &[$(Row {
            number: $number,
            name: concat!("R_X86_64_", stringify!($name)),
            field: Field::$field,
            calculation: Calculation::$calculation,
            instruction_prefix: $prefix,
        }),*]
    };
}

/// All rows; the index is the number.
#[rustfmt::skip]
static ROWS: &[Row] = rows! {
    0  NONE                   None  None              0
    1  64                     W64   Absolute          0
    2  PC32                   I32   PcRelative        0
    3  GOT32                  I32   GotOffset         0
    4  PLT32                  I32   Plt               0
    5  COPY                   None  DynamicOnly       0
    6  GLOB_DAT               None  DynamicOnly       0
    7  JUMP_SLOT              None  DynamicOnly       0
    8  RELATIVE               None  DynamicOnly       0
    9  GOTPCREL               I32   GotPc             0
    10 32                     U32   Absolute          0
    11 32S                    I32   Absolute          0
    12 16                     Any16 Absolute          0
    13 PC16                   I16   PcRelative        0
    14 8                      Any8  Absolute          0
    15 PC8                    I8    PcRelative        0
    16 DTPMOD64               None  DynamicOnly       0
    17 DTPOFF64               W64   TlsModuleOffset   0
    18 TPOFF64                W64   TlsLocalExec      0
    19 TLSGD                  I32   TlsGeneralDynamic 4
    20 TLSLD                  I32   TlsLocalDynamic   3
    21 DTPOFF32               I32   TlsModuleOffset   0
    22 GOTTPOFF               I32   TlsInitialExec    3
    23 TPOFF32                I32   TlsLocalExec      0
    24 PC64                   W64   PcRelative        0
    25 GOTOFF64               W64   RelativeToGot     0
    26 GOTPC32                I32   GotBasePc         0
    27 GOT64                  W64   GotOffset         0
    28 GOTPCREL64             W64   GotPc             0
    29 GOTPC64                W64   GotBasePc         0
    30 GOTPLT64               W64   GotOffset         0
    31 PLTOFF64               W64   PltRelativeToGot  0
    32 SIZE32                 U32   Size              0
    33 SIZE64                 W64   Size              0
    34 GOTPC32_TLSDESC        I32   TlsDescriptor     3
    35 TLSDESC_CALL           None  TlsDescriptorCall 0
    36 TLSDESC                None  DynamicOnly       0
    37 IRELATIVE              None  DynamicOnly       0
    38 RELATIVE64             None  DynamicOnly       0
    39 39                     None  DynamicOnly       0
    40 40                     None  DynamicOnly       0
    41 GOTPCRELX              I32   GotPcRelaxable    2
    42 REX_GOTPCRELX          I32   GotPcRelaxable    3
    43 CODE_4_GOTPCRELX       I32   GotPcRelaxable    4
    44 CODE_4_GOTTPOFF        I32   TlsInitialExec    4
    45 CODE_4_GOTPC32_TLSDESC I32   TlsDescriptor     4
    46 CODE_5_GOTPCRELX       I32   GotPcRelaxable    5
    47 CODE_5_GOTTPOFF        I32   TlsInitialExec    5
    48 CODE_5_GOTPC32_TLSDESC I32   TlsDescriptor     5
    49 CODE_6_GOTPCRELX       I32   GotPcRelaxable    6
    50 CODE_6_GOTTPOFF        I32   TlsInitialExec    6
    51 CODE_6_GOTPC32_TLSDESC I32   TlsDescriptor     6
};

/// The row of a relocation type.
pub fn row(r_type: u32) -> Option<&'static Row> {
    ROWS.get(r_type as usize)
}

/// The name of a relocation type, for messages.
pub fn name(r_type: u32) -> String {
    row(r_type).map_or_else(|| format!("relocation type {r_type}"), |row| row.name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stands_at_its_number() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.number as usize, index);
        }
        assert_eq!(name(42), "R_X86_64_REX_GOTPCRELX");
    }
}
