//! Walks the entries of a unit (DWARF 5, 7.5), looking only at attributes that tell a name.
//!
//! Most entries describe what is in functions and is not looked at, but has to be skipped, one by one where the
//! compiler does not say where the next sibling is. So each abbreviation is compiled, when it is first used, into a few
//! [`Step`]s: runs of attributes of fixed size become one addition.
//!
//! Every read is checked against the end of the unit; `None` anywhere means that the unit is damaged.

use gimli::{Abbreviation, DebugAbbrev, DebugAbbrevOffset, DwForm, Encoding, LittleEndian};
use std::collections::HashMap;

/// What an entry is to the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Nothing.
    Other,
    /// A namespace or module.
    Namespace,
    /// A class, structure or union.
    Class,
    /// An enumeration.
    Enumeration,
    Enumerator,
    /// A type of the language, which is the same in all units.
    Base,
    /// Another type that is no scope.
    Type,
    Function,
    Variable,
    /// A member of a class; before DWARF 5, one that is static is declared so.
    Member,
    /// Another name of a namespace or declaration.
    Import,
}

impl Kind {
    fn of(tag: gimli::DwTag, version: u16) -> Kind {
        match tag {
            gimli::DW_TAG_namespace | gimli::DW_TAG_module => Kind::Namespace,
            gimli::DW_TAG_class_type
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_interface_type => Kind::Class,
            gimli::DW_TAG_enumeration_type => Kind::Enumeration,
            gimli::DW_TAG_enumerator => Kind::Enumerator,
            gimli::DW_TAG_base_type => Kind::Base,
            gimli::DW_TAG_typedef
            | gimli::DW_TAG_subrange_type
            | gimli::DW_TAG_unspecified_type
            | gimli::DW_TAG_set_type
            | gimli::DW_TAG_string_type => Kind::Type,
            gimli::DW_TAG_subprogram => Kind::Function,
            gimli::DW_TAG_variable | gimli::DW_TAG_constant => Kind::Variable,
            gimli::DW_TAG_member if version < 5 => Kind::Member,
            gimli::DW_TAG_imported_declaration => Kind::Import,
            _ => Kind::Other,
        }
    }

    /// Whether names of entries below it are indexed.
    pub fn is_scope(self) -> bool {
        matches!(self, Kind::Namespace | Kind::Class | Kind::Enumeration)
    }
}

/// What an attribute is to the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Name,
    Declaration,
    External,
    /// The entry this one completes or is an instance of.
    Origin,
    LowPc,
    Location,
    ConstValue,
    EnumClass,
    Sibling,
}

impl Role {
    fn of(kind: Kind, name: gimli::DwAt) -> Option<Role> {
        if kind == Kind::Other {
            return (name == gimli::DW_AT_sibling).then_some(Role::Sibling);
        }
        Some(match name {
            gimli::DW_AT_name => Role::Name,
            gimli::DW_AT_declaration => Role::Declaration,
            gimli::DW_AT_external => Role::External,
            gimli::DW_AT_specification | gimli::DW_AT_abstract_origin => Role::Origin,
            gimli::DW_AT_low_pc => Role::LowPc,
            gimli::DW_AT_location => Role::Location,
            gimli::DW_AT_const_value => Role::ConstValue,
            gimli::DW_AT_enum_class => Role::EnumClass,
            gimli::DW_AT_sibling => Role::Sibling,
            _ => return None,
        })
    }
}

/// One move over the bytes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Bytes(u32),
    Leb128,
    Text,
    /// A length of so many bytes, and what follows it.
    Block(u8),
    /// A length in LEB128, and what follows it.
    LongBlock,
    /// A form in LEB128, and its value.
    Indirect,
    Read(Role, DwForm),
}

/// A compiled abbreviation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abbrev {
    pub kind: Kind,
    pub has_children: bool,
    first: u32,
    count: u32,
}

/// The value of an attribute, as far as anybody here asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// A number or a flag.
    Number(u64),
    /// Text in place.
    Text(&'static [u8]),
    /// An offset in `.debug_str`, or `.debug_line_str`, at this place of the section.
    TextAt(usize, bool),
    /// Number of a string offset.
    TextIndex(u64),
    /// An address at this place of the section.
    AddressAt(usize),
    /// Number of an address.
    AddressIndex(u64),
    /// An expression at this place, and its length.
    Block(usize, usize),
    /// An entry, by its offset in the unit.
    Entry(u64),
    /// An entry, by the offset in `.debug_info` that is at this place.
    EntryAt(usize),
    /// Something else.
    Other,
}

/// The abbreviation tables of an object.
pub(super) struct Abbreviations {
    section: &'static [u8],
    tables: HashMap<(usize, Encoding), Table>,
}

/// One table, compiled as far as it was needed.
pub(super) struct Table {
    /// As the file has it.
    pub source: gimli::Abbreviations,
    encoding: Encoding,
    /// By code, for small codes.
    dense: Vec<Option<Abbrev>>,
    sparse: HashMap<u64, Abbrev>,
    steps: Vec<Step>,
}

/// Codes below this are looked up in an array.
const DENSE_CODES: u64 = 1 << 12;

impl Abbreviations {
    pub fn new(section: &'static [u8]) -> Abbreviations {
        Abbreviations { section, tables: HashMap::new() }
    }

    /// The table at an offset.
    pub fn table(&mut self, offset: usize, encoding: Encoding) -> gimli::Result<&mut Table> {
        use std::collections::hash_map::Entry;
        match self.tables.entry((offset, encoding)) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let section = DebugAbbrev::new(self.section, LittleEndian);
                let source = section.abbreviations(DebugAbbrevOffset(offset))?;
                let (dense, sparse) = (Vec::new(), HashMap::new());
                Ok(entry.insert(Table { source, encoding, dense, sparse, steps: Vec::new() }))
            }
        }
    }
}

impl Table {
    /// The abbreviation with this code.
    #[inline]
    fn get(&mut self, code: u64) -> Option<Abbrev> {
        match self.dense.get(code as usize) {
            Some(Some(abbrev)) if code < DENSE_CODES => Some(*abbrev),
            _ => self.compile(code),
        }
    }

    #[cold]
    fn compile(&mut self, code: u64) -> Option<Abbrev> {
        if let Some(abbrev) = self.sparse.get(&code) {
            return Some(*abbrev);
        }
        let first = self.steps.len() as u32;
        let abbreviation = self.source.get(code)?;
        let abbrev = compile(abbreviation, self.encoding, &mut self.steps);
        let abbrev = Abbrev { first, count: self.steps.len() as u32 - first, ..abbrev };
        if code < DENSE_CODES {
            if self.dense.len() <= code as usize {
                self.dense.resize(code as usize + 1, None);
            }
            self.dense[code as usize] = Some(abbrev);
        } else {
            self.sparse.insert(code, abbrev);
        }
        Some(abbrev)
    }
}

fn compile(abbreviation: &Abbreviation, encoding: Encoding, steps: &mut Vec<Step>) -> Abbrev {
    let kind = Kind::of(abbreviation.tag(), encoding.version);
    let start = steps.len();
    for specification in abbreviation.attributes() {
        let form = specification.form();
        let step = match Role::of(kind, specification.name()) {
            Some(role) if role != Role::Sibling || abbreviation.has_children() => Step::Read(role, form),
            _ => step_over(form, encoding),
        };
        match (steps[start..].last().copied(), step) {
            (_, Step::Bytes(0)) => {}
            (Some(Step::Bytes(before)), Step::Bytes(more)) => {
                steps.pop();
                steps.push(Step::Bytes(before.saturating_add(more)));
            }
            (_, step) => steps.push(step),
        }
    }
    Abbrev { kind, has_children: abbreviation.has_children(), first: 0, count: 0 }
}

/// How to pass over a value.
fn step_over(form: DwForm, encoding: Encoding) -> Step {
    let word = u32::from(encoding.format.word_size());
    match form {
        gimli::DW_FORM_implicit_const | gimli::DW_FORM_flag_present => Step::Bytes(0),
        gimli::DW_FORM_data1
        | gimli::DW_FORM_flag
        | gimli::DW_FORM_strx1
        | gimli::DW_FORM_ref1
        | gimli::DW_FORM_addrx1 => Step::Bytes(1),
        gimli::DW_FORM_data2 | gimli::DW_FORM_ref2 | gimli::DW_FORM_addrx2 | gimli::DW_FORM_strx2 => {
            Step::Bytes(2)
        }
        gimli::DW_FORM_addrx3 | gimli::DW_FORM_strx3 => Step::Bytes(3),
        gimli::DW_FORM_data4
        | gimli::DW_FORM_ref_sup4
        | gimli::DW_FORM_ref4
        | gimli::DW_FORM_strx4
        | gimli::DW_FORM_addrx4 => Step::Bytes(4),
        gimli::DW_FORM_data8 | gimli::DW_FORM_ref8 | gimli::DW_FORM_ref_sig8 | gimli::DW_FORM_ref_sup8 => {
            Step::Bytes(8)
        }
        gimli::DW_FORM_data16 => Step::Bytes(16),
        gimli::DW_FORM_sec_offset
        | gimli::DW_FORM_GNU_ref_alt
        | gimli::DW_FORM_strp
        | gimli::DW_FORM_strp_sup
        | gimli::DW_FORM_GNU_strp_alt
        | gimli::DW_FORM_line_strp => Step::Bytes(word),
        // DWARF 2 had it as large as an address.
        gimli::DW_FORM_ref_addr if encoding.version > 2 => Step::Bytes(word),
        gimli::DW_FORM_addr | gimli::DW_FORM_ref_addr => Step::Bytes(encoding.address_size.into()),
        gimli::DW_FORM_string => Step::Text,
        gimli::DW_FORM_block1 => Step::Block(1),
        gimli::DW_FORM_block2 => Step::Block(2),
        gimli::DW_FORM_block4 => Step::Block(4),
        gimli::DW_FORM_block | gimli::DW_FORM_exprloc => Step::LongBlock,
        gimli::DW_FORM_indirect => Step::Indirect,
        // All others are numbers, as are those that gimli does not know and has refused.
        _ => Step::Leb128,
    }
}

/// A place in a unit.
pub(super) struct Cursor<'t> {
    table: &'t mut Table,
    /// The section up to the end of the unit.
    bytes: &'static [u8],
    /// Offset of the unit in the section.
    start: usize,
    /// Offset of the cursor in the section.
    at: usize,
}

impl<'t> Cursor<'t> {
    /// At an offset of a unit that is at `start` in the section.
    pub fn new(table: &'t mut Table, bytes: &'static [u8], start: usize, offset: usize) -> Cursor<'t> {
        Cursor { table, bytes, start, at: start.saturating_add(offset) }
    }

    /// Offset in the unit.
    pub fn offset(&self) -> u64 {
        (self.at - self.start) as u64
    }

    /// Offset of the unit in its section.
    pub fn unit_start(&self) -> usize {
        self.start
    }

    /// Goes to an offset in the unit.
    pub fn seek(&mut self, offset: u64) -> Option<()> {
        self.at =
            self.start.checked_add(usize::try_from(offset).ok()?).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    /// The next entry's abbreviation; `Some(None)` at the end of a list of siblings.
    #[inline]
    pub fn next(&mut self) -> Option<Option<Abbrev>> {
        match self.leb128()? {
            0 => Some(None),
            code => Some(Some(self.table.get(code)?)),
        }
    }

    /// Whether the unit is at its end.
    pub fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    fn leb128(&mut self) -> Option<u64> {
        let first = *self.bytes.get(self.at)?;
        self.at += 1;
        if first < 0x80 {
            return Some(first.into());
        }
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte < 0x80 {
                return Some(value);
            }
            shift += 7;
        }
    }

    #[inline]
    fn advance(&mut self, size: u64) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(size).ok()?)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    fn word(&mut self, size: usize) -> Option<u64> {
        let at = self.at;
        self.advance(size as u64)?;
        Some(self.bytes[at..self.at].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    #[inline]
    fn step(&mut self, step: Step) -> Option<()> {
        match step {
            Step::Bytes(size) => self.advance(size.into()),
            Step::Leb128 => self.leb128().map(|_| ()),
            Step::Text => {
                let length = memchr::memchr(0, self.bytes.get(self.at..)?)?;
                self.advance(length as u64 + 1)
            }
            Step::Block(size) => {
                let length = self.word(size.into())?;
                self.advance(length)
            }
            Step::LongBlock => {
                let length = self.leb128()?;
                self.advance(length)
            }
            Step::Indirect => {
                let form = self.form()?;
                self.step(step_over(form, self.table.encoding))
            }
            Step::Read(_, form) => self.step(step_over(form, self.table.encoding)),
        }
    }

    /// The form of an indirect value. It is not another indirect one: nobody needs to nest deeper than once.
    fn form(&mut self) -> Option<DwForm> {
        let form = DwForm(u16::try_from(self.leb128()?).ok()?);
        (form != gimli::DW_FORM_indirect && form != gimli::DW_FORM_implicit_const).then_some(form)
    }

    /// Passes over an entry with everything below it.
    #[inline]
    pub fn skip(&mut self, abbrev: Abbrev) -> Option<()> {
        let has_jumped = self.skip_attributes(abbrev)?;
        if abbrev.has_children && !has_jumped { self.skip_children() } else { Some(()) }
    }

    /// Passes over entries up to the end of the list of siblings, and over what is below them.
    pub fn skip_children(&mut self) -> Option<()> {
        let mut depth = 1usize;
        while depth > 0 {
            match self.next()? {
                Some(abbrev) => {
                    let has_jumped = self.skip_attributes(abbrev)?;
                    depth += usize::from(abbrev.has_children && !has_jumped);
                }
                None => depth -= 1,
            }
        }
        Some(())
    }

    /// Passes over the attributes of an entry; over its children, too, and true, if it has some and tells where
    /// they end.
    #[inline]
    fn skip_attributes(&mut self, abbrev: Abbrev) -> Option<bool> {
        for n in abbrev.first..abbrev.first + abbrev.count {
            match self.table.steps[n as usize] {
                Step::Read(Role::Sibling, form) if abbrev.has_children => {
                    let at = self.at as u64;
                    if let Value::Entry(offset) = self.value(form)?
                        && self.start as u64 + offset > at
                    {
                        self.seek(offset)?;
                        return Some(true);
                    }
                }
                step => self.step(step)?,
            }
        }
        Some(false)
    }

    /// Reads the attributes of an entry that play a role.
    pub fn attributes(&mut self, abbrev: Abbrev, mut take: impl FnMut(Role, Value)) -> Option<()> {
        for n in abbrev.first..abbrev.first + abbrev.count {
            match self.table.steps[n as usize] {
                Step::Read(role, form) => {
                    let value = self.value(form)?;
                    take(role, value);
                }
                step => self.step(step)?,
            }
        }
        Some(())
    }

    fn value(&mut self, form: DwForm) -> Option<Value> {
        let at = self.at;
        let word = usize::from(self.table.encoding.format.word_size());
        Some(match form {
            gimli::DW_FORM_indirect => {
                let form = self.form()?;
                self.value(form)?
            }
            // In the abbreviation; that it is there is all that is asked for.
            gimli::DW_FORM_flag_present | gimli::DW_FORM_implicit_const => Value::Number(1),
            gimli::DW_FORM_flag | gimli::DW_FORM_data1 => Value::Number(self.word(1)?),
            gimli::DW_FORM_data2 => Value::Number(self.word(2)?),
            gimli::DW_FORM_data4 => Value::Number(self.word(4)?),
            gimli::DW_FORM_data8 => Value::Number(self.word(8)?),
            gimli::DW_FORM_udata | gimli::DW_FORM_loclistx => Value::Number(self.leb128()?),
            gimli::DW_FORM_sec_offset => Value::Number(self.word(word)?),
            gimli::DW_FORM_string => {
                self.step(Step::Text)?;
                Value::Text(&self.bytes[at..self.at - 1])
            }
            gimli::DW_FORM_strp | gimli::DW_FORM_line_strp => {
                self.advance(word as u64)?;
                Value::TextAt(at, form == gimli::DW_FORM_line_strp)
            }
            gimli::DW_FORM_strx | gimli::DW_FORM_GNU_str_index => Value::TextIndex(self.leb128()?),
            gimli::DW_FORM_strx1 => Value::TextIndex(self.word(1)?),
            gimli::DW_FORM_strx2 => Value::TextIndex(self.word(2)?),
            gimli::DW_FORM_strx3 => Value::TextIndex(self.word(3)?),
            gimli::DW_FORM_strx4 => Value::TextIndex(self.word(4)?),
            gimli::DW_FORM_addr => {
                self.step(step_over(form, self.table.encoding))?;
                Value::AddressAt(at)
            }
            gimli::DW_FORM_addrx | gimli::DW_FORM_GNU_addr_index => Value::AddressIndex(self.leb128()?),
            gimli::DW_FORM_addrx1 => Value::AddressIndex(self.word(1)?),
            gimli::DW_FORM_addrx2 => Value::AddressIndex(self.word(2)?),
            gimli::DW_FORM_addrx3 => Value::AddressIndex(self.word(3)?),
            gimli::DW_FORM_addrx4 => Value::AddressIndex(self.word(4)?),
            gimli::DW_FORM_ref1 => Value::Entry(self.word(1)?),
            gimli::DW_FORM_ref2 => Value::Entry(self.word(2)?),
            gimli::DW_FORM_ref4 => Value::Entry(self.word(4)?),
            gimli::DW_FORM_ref8 => Value::Entry(self.word(8)?),
            gimli::DW_FORM_ref_udata => Value::Entry(self.leb128()?),
            gimli::DW_FORM_ref_addr => {
                self.step(step_over(form, self.table.encoding))?;
                Value::EntryAt(at)
            }
            gimli::DW_FORM_block1 | gimli::DW_FORM_block | gimli::DW_FORM_exprloc => {
                let length = if form == gimli::DW_FORM_block1 { self.word(1)? } else { self.leb128()? };
                let start = self.at;
                self.advance(length)?;
                Value::Block(start, self.at - start)
            }
            _ => {
                self.step(step_over(form, self.table.encoding))?;
                Value::Other
            }
        })
    }
}
