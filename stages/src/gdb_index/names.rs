//! The names that the entries of a unit define, qualified as gdb looks them up.
//!
//! Two passes. The first walks namespaces, classes and enumerations and notes each entry in them ([`Item`]), without
//! looking into functions. The second finds names: an entry that completes a declaration or is an instance of an
//! abstract function has that one's name and scope (DWARF 5, 2.13 and 3.3.8), which may come later in the unit.
//!
//! What is named, and which names are static, is what gdb's own indexer does: definitions of functions and
//! variables, types that are no mere declarations, enumerators, namespaces. In C, scopes do not qualify names and
//! types are private to their unit.

use super::entries::{Abbrev, Cursor, Kind, Role, Table, Value};
use super::units::{Root, TOO_MANY};
use super::{Name, ObjectIndex};
use crate::dwarf::{Debug, Reader, Relocations};
use crate::liveness::LiveSet;
use gimli::{Encoding, Reader as _, UnitHeader};
use std::ops::Range;

/// The unit whose names are read.
pub(super) struct UnitNames {
    /// Its number in the object, among those of its kind.
    pub number: u32,
    pub is_type_unit: bool,
    /// Section index.
    pub section: u32,
    pub root: Root,
}

/// Kinds of symbols in the index, in bits 4 to 6 of their attributes.
const TYPE: u8 = 1 << 4;
const VARIABLE: u8 = 2 << 4;
const FUNCTION: u8 = 3 << 4;
/// The symbol is private to its unit.
const STATIC: u8 = 1 << 7;

const NONE: u32 = u32::MAX;

/// An entry that is named or qualifies names.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// In the unit.
    offset: u64,
    /// The scope it is in: an index, or [`NONE`].
    parent: u32,
    kind: Kind,
    flags: u8,
    /// Text is looked up for those names only that are wanted: most belong to declarations.
    name: Value,
    /// Offset of the entry it completes, 0 for none.
    origin: u64,
}

const DECLARATION: u8 = 1;
const EXTERNAL: u8 = 2;
/// A function with code or a variable with a place, that is in the output.
const PRESENT: u8 = 4;
/// A function or variable whose code or place is not in the output.
const GONE: u8 = 8;
/// An enumeration that qualifies its enumerators.
const ENUM_CLASS: u8 = 16;

impl Item {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Reads the names of a unit; the error tells why there are not all of them.
pub(super) fn read(
    debug: &Debug,
    live: &LiveSet,
    header: &UnitHeader<Reader>,
    unit: UnitNames,
    table: &mut Table,
    index: &mut ObjectIndex,
) -> Result<(), &'static str> {
    let start = header.offset().0;
    let end = start + header.length_including_self();
    let bytes = debug.contents(unit.section);
    let cursor = Cursor::new(table, bytes.get(..end).unwrap_or(bytes), start, header.root_offset().0);
    let texts = Texts {
        debug,
        live,
        relocations: debug.relocations(unit.section),
        str_offsets: debug.relocations(debug.str_offsets),
        addresses: debug.relocations(debug.addr),
        encoding: header.encoding(),
        root: unit.root,
        bytes,
    };
    let mut walk = Walk { texts, cursor, items: Vec::new() };
    let result = walk.run();
    walk.resolve_foreign();
    let Walk { texts, items, .. } = walk;
    let naming = Naming { texts, items: &items, language: Language::of(unit.root.language) };
    let is_whole = naming.add_all(&unit, index);
    result.ok_or("an entry is damaged")?;
    is_whole.then_some(()).ok_or(TOO_MANY)
}

/// What values of attributes refer to.
struct Texts<'a> {
    debug: &'a Debug<'a>,
    live: &'a LiveSet,
    relocations: Relocations,
    str_offsets: Relocations,
    addresses: Relocations,
    encoding: Encoding,
    root: Root,
    bytes: &'static [u8],
}

impl Texts<'_> {
    /// The text of a name.
    fn text(&self, value: Value) -> &'static [u8] {
        let word = u64::from(self.encoding.format.word_size());
        let offset = |relocations: &Relocations, bytes: &'static [u8], at: u64| {
            relocations.value(at).unwrap_or_else(|| number(bytes, at, word)) as usize
        };
        match value {
            Value::Text(text) => text,
            Value::TextAt(at, is_line) => {
                let table = self.debug.contents(if is_line { self.debug.line_str } else { self.debug.str });
                crate::elf::c_string(table, offset(&self.relocations, self.bytes, at as u64))
            }
            Value::TextIndex(index) => {
                let at = index.saturating_mul(word).saturating_add(self.root.str_offsets_base as u64);
                let bytes = self.debug.contents(self.debug.str_offsets);
                let table = self.debug.contents(self.debug.str);
                crate::elf::c_string(table, offset(&self.str_offsets, bytes, at))
            }
            _ => b"",
        }
    }

    /// Whether the code or variable at a place is in the output.
    fn presence(&self, place: Value) -> u8 {
        let flag = |address: Option<u64>| match address {
            Some(address) => match self.debug.locate(address) {
                Some((section, _)) if self.live.contains(section) => PRESENT,
                _ => GONE,
            },
            None => PRESENT,
        };
        let of_index = |index: u64| {
            let size = u64::from(self.encoding.address_size);
            let at = index.saturating_mul(size).saturating_add(self.root.addr_base as u64);
            flag(self.addresses.value(at))
        };
        match place {
            Value::AddressAt(at) => flag(self.relocations.value(at as u64)),
            Value::AddressIndex(index) => of_index(index),
            Value::Block(at, length) => {
                let expression = &self.bytes[at..at + length];
                match expression.first().map(|op| gimli::DwOp(*op)) {
                    Some(gimli::DW_OP_addr) => flag(self.relocations.value(at as u64 + 1)),
                    Some(gimli::DW_OP_addrx | gimli::DW_OP_GNU_addr_index) => {
                        let mut operand = gimli::EndianSlice::new(&expression[1..], gimli::LittleEndian);
                        operand.read_uleb128().map_or(0, of_index)
                    }
                    // No place at all: the variable has been optimised away.
                    None => 0,
                    Some(_) => PRESENT,
                }
            }
            // A list of places.
            Value::Number(_) => PRESENT,
            _ => 0,
        }
    }
}

/// A little-endian number in a section, 0 if it does not lie within.
fn number(bytes: &[u8], at: u64, size: u64) -> u64 {
    let Ok(start) = usize::try_from(at) else { return 0 };
    let bytes = start.checked_add(size as usize).and_then(|end| bytes.get(start..end)).unwrap_or(&[]);
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The first pass.
struct Walk<'a> {
    texts: Texts<'a>,
    cursor: Cursor<'a>,
    items: Vec<Item>,
}

impl Walk<'_> {
    /// Notes the entries of the unit; `None` if it is damaged.
    fn run(&mut self) -> Option<()> {
        let Some(root) = self.cursor.next()? else { return Some(()) };
        self.cursor.attributes(root, |_, _| ())?;
        if !root.has_children {
            return Some(());
        }
        let mut scopes = vec![NONE];
        while let Some(scope) = scopes.last().copied() {
            if self.cursor.is_done() {
                return Some(());
            }
            let offset = self.cursor.offset();
            let Some(abbrev) = self.cursor.next()? else {
                scopes.pop();
                continue;
            };
            if abbrev.kind == Kind::Other {
                self.cursor.skip(abbrev)?;
                continue;
            }
            let (item, sibling) = self.item(offset, scope, abbrev)?;
            if item.kind != Kind::Member || item.flags & (DECLARATION | EXTERNAL) != 0 {
                self.items.push(item);
            }
            if !abbrev.has_children {
                continue;
            }
            if abbrev.kind.is_scope() {
                scopes.push(self.items.len() as u32 - 1);
            } else if sibling > self.cursor.offset() {
                self.cursor.seek(sibling)?;
            } else {
                self.cursor.skip_children()?;
            }
        }
        Some(())
    }

    /// Reads the attributes of an entry; also the offset of its next sibling, 0 if it does not tell.
    fn item(&mut self, offset: u64, parent: u32, abbrev: Abbrev) -> Option<(Item, u64)> {
        let mut item = Item { offset, parent, kind: abbrev.kind, flags: 0, name: Value::Other, origin: 0 };
        let mut sibling = 0;
        let mut place = Value::Other;
        let unit_start = self.cursor.unit_start() as u64;
        let relocations = &self.texts.relocations;
        self.cursor.attributes(abbrev, |role, value| match (role, value) {
            (Role::Name, value) => item.name = value,
            (Role::Declaration, Value::Number(1..)) => item.flags |= DECLARATION,
            (Role::External, Value::Number(1..)) => item.flags |= EXTERNAL,
            (Role::EnumClass, Value::Number(1..)) => item.flags |= ENUM_CLASS,
            (Role::Origin, Value::Entry(origin)) => item.origin = origin,
            (Role::Origin, Value::EntryAt(at)) => {
                let origin = relocations.value(at as u64).and_then(|origin| origin.checked_sub(unit_start));
                item.origin = origin.unwrap_or(0);
            }
            (Role::LowPc | Role::Location, value) => place = value,
            (Role::ConstValue, _) => item.flags |= PRESENT,
            (Role::Sibling, Value::Entry(offset)) => sibling = offset,
            _ => {}
        })?;
        item.flags |= self.texts.presence(place);
        Some((item, sibling))
    }

    /// Reads the names of entries in functions, which the first pass has not noted, where others complete them.
    fn resolve_foreign(&mut self) {
        for n in 0..self.items.len() {
            let Item { origin, name, .. } = self.items[n];
            if origin == 0 || name != Value::Other || find(&self.items, origin).is_some() {
                continue;
            }
            if let Some(found) = self.entry_at(origin) {
                self.items[n].name = found.name;
                self.items[n].flags |= found.flags & EXTERNAL;
            }
        }
    }

    fn entry_at(&mut self, offset: u64) -> Option<Item> {
        self.cursor.seek(offset)?;
        let abbrev = self.cursor.next()??;
        self.item(offset, NONE, abbrev).map(|(item, _)| item)
    }
}

fn find(items: &[Item], offset: u64) -> Option<usize> {
    items.binary_search_by_key(&offset, |item| item.offset).ok()
}

/// How a language uses names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Language {
    /// Between a scope and a name; empty: scopes do not qualify.
    separator: &'static [u8],
    /// Types are the same in every unit (the one definition rule).
    has_global_types: bool,
}

impl Language {
    fn of(language: u16) -> Language {
        match gimli::DwLang(language) {
            gimli::DW_LANG_C
            | gimli::DW_LANG_C89
            | gimli::DW_LANG_C99
            | gimli::DW_LANG_C11
            | gimli::DW_LANG_C17
            | gimli::DW_LANG_ObjC
            | gimli::DW_LANG_Mips_Assembler => Language { separator: b"", has_global_types: false },
            gimli::DW_LANG_C_plus_plus
            | gimli::DW_LANG_C_plus_plus_03
            | gimli::DW_LANG_C_plus_plus_11
            | gimli::DW_LANG_C_plus_plus_14
            | gimli::DW_LANG_C_plus_plus_17
            | gimli::DW_LANG_C_plus_plus_20
            | gimli::DW_LANG_ObjC_plus_plus => Language { separator: b"::", has_global_types: true },
            gimli::DW_LANG_D | gimli::DW_LANG_Go => Language { separator: b".", has_global_types: false },
            _ => Language { separator: b"::", has_global_types: false },
        }
    }
}

/// The second pass.
struct Naming<'a> {
    texts: Texts<'a>,
    items: &'a [Item],
    language: Language,
}

impl Naming<'_> {
    /// Adds all names; false if there were too many.
    fn add_all(&self, unit: &UnitNames, index: &mut ObjectIndex) -> bool {
        // What stands before the names in each scope that was asked for.
        let mut prefixes: Vec<Option<Range<usize>>> = vec![None; self.items.len()];
        self.items.iter().all(|item| {
            let origin = self.origin(item);
            let attributes = self.attributes(item, origin);
            // Type units repeat the namespaces around their type.
            let attributes = attributes.filter(|_| !(unit.is_type_unit && item.kind == Kind::Namespace));
            let Some(attributes) = attributes else { return true };
            let name = self.name(item, origin);
            if name.is_empty() {
                return true;
            }
            let Some(prefix) = self.prefix(origin.unwrap_or(item).parent, &mut prefixes, index) else {
                return false;
            };
            index.add_name(Name::new(prefix, name), attributes, unit.number, unit.is_type_unit)
        })
    }

    /// The last part of an item's name.
    fn name(&self, item: &Item, origin: Option<&Item>) -> &'static [u8] {
        let own = if item.name == Value::Other { origin.map_or(Value::Other, |o| o.name) } else { item.name };
        match (item.kind, self.texts.text(own)) {
            (Kind::Namespace, b"") => b"(anonymous namespace)",
            (_, name) => name,
        }
    }

    /// The entry that has the name and scope of this one.
    fn origin(&self, item: &Item) -> Option<&Item> {
        const HOPS_MAX: usize = 4;
        let mut found = None;
        let mut at = item.origin;
        for _ in 0..HOPS_MAX {
            if at == 0 {
                break;
            }
            let Some(n) = find(self.items, at) else { break };
            found = Some(&self.items[n]);
            at = self.items[n].origin;
        }
        found
    }

    /// What stands before the names in a scope: a range of the object's prefixes. `None` if they get too long.
    fn prefix(
        &self,
        scope: u32,
        prefixes: &mut [Option<Range<usize>>],
        index: &mut ObjectIndex,
    ) -> Option<Range<usize>> {
        // Scopes around it, from the inside out, up to one that is known. Damaged units can have circles.
        const DEPTH_MAX: usize = 1000;
        if let Some(Some(known)) = prefixes.get(scope as usize) {
            return Some(known.clone());
        }
        let mut open = Vec::new();
        let mut at = scope as usize;
        let mut prefix = 0..0;
        while at < self.items.len() && open.len() < DEPTH_MAX {
            if let Some(known) = &prefixes[at] {
                prefix = known.clone();
                break;
            }
            open.push(at);
            let item = &self.items[at];
            at = self.origin(item).unwrap_or(item).parent as usize;
        }
        for at in open.into_iter().rev() {
            prefix = self.extend(prefix, &self.items[at], index)?;
            prefixes[at] = Some(prefix.clone());
        }
        Some(prefix)
    }

    /// The prefix of names within an item.
    fn extend(&self, prefix: Range<usize>, item: &Item, index: &mut ObjectIndex) -> Option<Range<usize>> {
        let separator = self.language.separator;
        let is_plain_enumeration = item.kind == Kind::Enumeration && !item.has(ENUM_CLASS);
        if separator.is_empty() || is_plain_enumeration {
            return Some(prefix);
        }
        let name = self.name(item, self.origin(item));
        if name.is_empty() {
            return Some(prefix);
        }
        let size = prefix.len() + name.len() + separator.len();
        index.text_left = index.text_left.checked_sub(size)?;
        let text = &mut index.prefixes;
        let start = text.len();
        text.extend_from_within(prefix);
        text.extend_from_slice(name);
        text.extend_from_slice(separator);
        Some(start..text.len())
    }

    /// How the index has an item, if it has it at all.
    fn attributes(&self, item: &Item, origin: Option<&Item>) -> Option<u8> {
        let is_declaration = item.has(DECLARATION);
        let is_external = item.has(EXTERNAL) || origin.is_some_and(|origin| origin.has(EXTERNAL));
        let scope = if is_external { 0 } else { STATIC };
        let of_types = if self.language.has_global_types { 0 } else { STATIC };
        match item.kind {
            Kind::Namespace => Some(TYPE),
            Kind::Class | Kind::Enumeration if !is_declaration => Some(TYPE | of_types),
            Kind::Enumerator => Some(VARIABLE | of_types),
            Kind::Base => Some(TYPE | STATIC | super::ONCE),
            Kind::Type | Kind::Import if !is_declaration => Some(TYPE | STATIC),
            Kind::Function if !is_declaration && !item.has(GONE) => Some(FUNCTION | scope),
            Kind::Variable if !is_declaration && !item.has(GONE) && (item.has(PRESENT) || is_external) => {
                Some(VARIABLE | scope)
            }
            _ => None,
        }
    }
}
