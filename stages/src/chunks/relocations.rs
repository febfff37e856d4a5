//! `.rela.dyn`, `.rela.plt` and `.relr.dyn`: what is left for the loader to do.
//!
//! `.rela.dyn` holds relative relocations first (DT_RELACOUNT counts them, and the loader applies them without
//! looking at symbols), then those against symbols, each group in the order GOT, copies, objects. `.rela.plt` holds
//! the jump slots in the order of `.plt`, then IRELATIVE ones: their resolvers may call through the PLT, so they
//! must come last.
//!
//! With `-z rel` entries have no addends and stand in `.rel.dyn` and `.rel.plt` ([`Form`]): what is to be added is in the
//! place that is relocated. Relative values always are; `emit` and [`got`] write the others.
//!
//! Every object's part is reserved by the counts of `scan` and written from its relocations alone, so parts can
//! be written in any order.

use super::got::{self, Fixup, Kind};
use super::{Chunk, Sizes, Sizing};
use crate::arch::target::{self, Environment, Plan, dynamic as rel, plan::Facts, rows::Common};
use crate::config::Config;
use crate::elf::Rela;
use crate::emit::Target;
use crate::image::Image;
use crate::model::{Inputs, Section, SectionId};
use crate::outputs::{Content, Outputs};
use crate::scan::{Scan, environment, fits_relr, symbol_text};
use crate::select::Selection;
use crate::tables::SymbolRef;
use object::LittleEndian as LE;
use object::elf::{SHT_REL, SHT_RELA};

/// How entries look: with an addend (Elf64_Rela), or without (Elf64_Rel).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Name of the table of all but jump slots.
    pub dynamic: &'static [u8],
    /// Name of the table of jump slots.
    pub plt: &'static [u8],
    /// `sh_type` of both.
    pub sh_type: u32,
    /// Bytes of an entry.
    pub entry: u64,
}

impl Form {
    const RELA: Form =
        Form { dynamic: b".rela.dyn", plt: b".rela.plt", sh_type: SHT_RELA, entry: size_of::<Rela>() as u64 };
    const REL: Form = Form { dynamic: b".rel.dyn", plt: b".rel.plt", sh_type: SHT_REL, entry: 16 };

    /// The form of an output's tables.
    pub fn of(config: &Config) -> Form {
        if config.z.rel { Form::REL } else { Form::RELA }
    }
}

/// What each part of `.rela.dyn` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    GotRelative,
    ObjectRelative(u32),
    GotSymbolic,
    Copies,
    ObjectSymbolic(u32),
}

/// The parts of `.rela.dyn`, and which slots of `.got` go to `.relr.dyn`.
#[derive(Debug, Default)]
pub struct RelocationPlan {
    parts: Vec<(Part, u64, u64)>,
    /// DT_RELACOUNT.
    pub relative_count: u64,
    size: u64,
    relr_got: Vec<u32>,
    has_relr: bool,
}

impl RelocationPlan {
    /// Bytes of `.rela.dyn`.
    pub fn rela_dyn_size(&self) -> u64 {
        self.size
    }
    /// Whether `.relr.dyn` exists.
    pub fn has_relr(&self) -> bool {
        self.has_relr
    }
    /// Into how many parts `.rela.dyn` is cut.
    pub fn part_count(&self) -> usize {
        self.parts.len()
    }
    /// Offset and size of a part.
    pub fn part_range(&self, part: usize) -> (u64, u64) {
        (self.parts[part].1, self.parts[part].2)
    }
    fn push(&mut self, form: Form, part: Part, count: u64) {
        if count > 0 {
            self.parts.push((part, self.size, count * form.entry));
            self.size += count * form.entry;
        }
    }
}

fn kind_of(config: &Config) -> Kind {
    Kind { is_pic: config.is_pic(), is_shared: config.is_shared() }
}

/// Counts and cuts.
pub(super) fn plan(s: &Sizing) -> RelocationPlan {
    let local = |object: u32, symbol: u32| s.scan.objects[object as usize].local_facts[symbol as usize];
    let facts = got::early_facts(&s.scan.facts, local);
    let kind = kind_of(s.cx.config);
    let form = Form::of(s.cx.config);
    let mut plan = RelocationPlan::default();
    let (mut relative, mut symbolic) = (0u64, 0u64);
    for (n, slot) in s.tables.got.iter().enumerate() {
        match got::fixup(*slot, kind, &facts) {
            Fixup::None => {}
            Fixup::Relative if s.cx.config.relr => plan.relr_got.push(n as u32),
            Fixup::Relative => relative += 1,
            Fixup::Symbolic(..) | Fixup::Module(_) => symbolic += 1,
        }
    }
    plan.push(form, Part::GotRelative, relative);
    for (n, object) in s.scan.objects.iter().enumerate() {
        plan.push(form, Part::ObjectRelative(n as u32), object.relative.into());
    }
    plan.relative_count = plan.size / form.entry;
    plan.push(form, Part::GotSymbolic, symbolic);
    plan.push(form, Part::Copies, s.tables.copies.len() as u64);
    for (n, object) in s.scan.objects.iter().enumerate() {
        plan.push(form, Part::ObjectSymbolic(n as u32), object.symbolic.into());
    }
    plan.has_relr = !plan.relr_got.is_empty() || s.scan.objects.iter().any(|o| !o.relr.is_empty());
    plan
}

/// Writes entries one behind the other.
struct Writer<'o> {
    out: std::slice::ChunksExactMut<'o, u8>,
}

impl<'o> Writer<'o> {
    fn new(config: &Config, out: &'o mut [u8]) -> Writer<'o> {
        Writer { out: out.chunks_exact_mut(Form::of(config).entry as usize) }
    }

    /// The addend is left out where the form has none.
    fn push(&mut self, offset: u64, r_type: u32, symbol: u32, addend: u64) {
        let Some(entry) = self.out.next() else {
            debug_assert!(false, "more dynamic relocations than were counted");
            return;
        };
        entry[..8].copy_from_slice(&offset.to_le_bytes());
        entry[8..16].copy_from_slice(&(u64::from(symbol) << 32 | u64::from(r_type)).to_le_bytes());
        if let Some(field) = entry.get_mut(16..24) {
            field.copy_from_slice(&addend.to_le_bytes());
        }
    }
}

pub(super) fn write_rela_dyn(image: &Image, part: usize, out: &mut [u8]) {
    let mut writer = Writer::new(image.cx.config, out);
    match image.sizes.relocations.parts[part].0 {
        Part::GotRelative => write_got(image, &mut writer, true),
        Part::GotSymbolic => write_got(image, &mut writer, false),
        Part::Copies => {
            for copy in &image.tables.copies {
                let address = image.addresses.symbols[copy.symbol.index()];
                writer.push(address, rel::COPY, image.dynamic.index_of(copy.symbol), 0);
            }
        }
        Part::ObjectRelative(n) => write_object(image, n as usize, &mut writer, true),
        Part::ObjectSymbolic(n) => write_object(image, n as usize, &mut writer, false),
    }
    debug_assert!(writer.out.next().is_none(), "fewer dynamic relocations than were counted");
}

fn write_got(image: &Image, writer: &mut Writer, is_relative: bool) {
    let kind = kind_of(image.cx.config);
    for (n, slot) in image.tables.got.iter().enumerate() {
        let place = image.addresses.bases.got_slot(n as u32);
        match got::fixup(*slot, kind, |reference| image.facts(reference)) {
            Fixup::Relative if is_relative && !image.cx.config.relr => {
                if let crate::tables::GotSlot::Address(reference) = slot {
                    writer.push(place, rel::RELATIVE, 0, image.address(*reference));
                }
            }
            Fixup::Symbolic(r_type, id) if !is_relative => {
                writer.push(place, r_type, image.dynamic.index_of(id), 0);
            }
            Fixup::Module(r_type) if !is_relative => {
                let addend = match slot {
                    crate::tables::GotSlot::ThreadOffset(reference)
                    | crate::tables::GotSlot::Descriptor(reference) => got::module_offset(image, *reference),
                    _ => 0,
                };
                writer.push(place, r_type, 0, addend);
            }
            _ => {}
        }
    }
}

/// A dynamic relocation that a section of an object asks for.
struct Asked<'a> {
    relocation: &'a Rela,
    /// Index of the section.
    section: u32,
    /// Address of the field.
    place: u64,
    /// Type of the dynamic relocation.
    r_type: u32,
    /// Without a symbol.
    is_relative: bool,
    /// In `.relr.dyn`.
    is_packed: bool,
}

/// Repeats what `scan` counted, now with addresses.
#[inline]
fn for_each_asked<'a>(
    image: &Image<'a>,
    position: usize,
    sections: impl Iterator<Item = u32>,
    mut visit: impl FnMut(Asked<'a>),
) {
    let object = image.object(position);
    let targets = &image.targets[position];
    for index in sections {
        let section = &object.sections[index as usize];
        let env = environment(image.cx, section.has(object::elf::SHF_WRITE));
        let address = image.addresses.sections[object.section_id(index as usize).index()];
        let moves = env.is_pic && env.may_write;
        let mut skip = false;
        for relocation in object.relocations(section) {
            if std::mem::take(&mut skip) {
                continue;
            }
            let plan = if moves && is_word_of_plain(targets, relocation) {
                Some(Plan::Relative)
            } else {
                plan_of(image, position, section, env, relocation)
            };
            let (is_relative, r_type) = match plan {
                Some(Plan::Relative) => (true, rel::RELATIVE),
                Some(Plan::Symbolic) => (false, rel::SYMBOLIC),
                Some(Plan::LeftToLoader) => (false, relocation.r_type(LE, false)),
                Some(Plan::GeneralToLocal | Plan::GeneralToInitial | Plan::LocalDynamicToLocal) => {
                    skip = true;
                    continue;
                }
                _ => continue,
            };
            let offset = relocation.r_offset.get(LE);
            let place = address + offset;
            let is_packed = is_relative && fits_relr(image.cx, section.align_log2, offset);
            visit(Asked { relocation, section: index, place, r_type, is_relative, is_packed });
        }
    }
}

/// Whether a relocation puts the address of an ordinary symbol, or of a piece, in a word: nearly all that loaders are asked
/// for. Where the output moves, they are asked to move it too.
#[inline]
fn is_word_of_plain(targets: &[Target], relocation: &Rela) -> bool {
    let target = targets.get(relocation.r_sym(LE, false) as usize);
    target::rows::common(relocation.r_type(LE, false)) == Some(Common::Word)
        && target.is_some_and(|target| target.address().is_some() || target.is_pieces())
}

/// How a relocation is carried out; nothing if it was reported, or is about what is not there.
fn plan_of(
    image: &Image,
    position: usize,
    section: &Section,
    env: Environment,
    relocation: &Rela,
) -> Option<Plan> {
    let row = target::row(relocation.r_type(LE, false))?;
    let symbol = relocation.r_sym(LE, false) as usize;
    let facts = image.facts(image.reference(position, image.object(position), symbol));
    if facts.has(Facts::UNDEFINED) || facts.has(Facts::DEAD) {
        return None;
    }
    let offset = relocation.r_offset.get(LE) as usize;
    target::plan(row, facts, env, Some((section.contents(), offset))).ok().map(|(plan, _)| plan)
}

fn write_object(image: &Image, position: usize, writer: &mut Writer, is_relative: bool) {
    let object = image.object(position);
    let sections = image.scan.objects[position].dynamic_sections.iter().copied();
    for_each_asked(image, position, sections, |asked| {
        let Asked { relocation, place, .. } = asked;
        if asked.is_relative != is_relative || asked.is_packed {
            return;
        }
        if is_relative {
            writer.push(place, rel::RELATIVE, 0, image.pointee(position, object, relocation));
        } else if let SymbolRef::Global(id) =
            image.reference(position, object, relocation.r_sym(LE, false) as usize)
        {
            let addend = relocation.r_addend.get(LE) as u64;
            writer.push(place, asked.r_type, image.dynamic.index_of(id), addend);
        }
    });
}

/// `-z report-relative-reloc`: a line for each relative relocation, in the words of GNU ld: those of the GOT, then those
/// of objects in command-line order, packed or not.
pub(super) fn report_relative(image: &Image) {
    let cx = image.cx;
    let output = cx.config.output.display();
    let say = |place: u64, addend: u64, against: String, section: &str| {
        let info = u64::from(rel::RELATIVE);
        cx.problems.say(format!(
            "{output}: {} (offset: {place:#x}, info: {info:#x}, addend: {addend:#x}) against '{against}' for section {section}",
            target::rows::name(rel::RELATIVE)
        ));
    };
    let kind = kind_of(cx.config);
    for (n, slot) in image.tables.got.iter().enumerate() {
        if let crate::tables::GotSlot::Address(reference) = slot
            && matches!(got::fixup(*slot, kind, |reference| image.facts(reference)), Fixup::Relative)
        {
            let against = match *reference {
                SymbolRef::Global(id) => cx.symbol_text(image.symbols.name(id)),
                SymbolRef::Local(position, symbol) => {
                    symbol_text(cx, image.symbols, image.object(position as usize), symbol as usize)
                }
            };
            let place = image.addresses.bases.got_slot(n as u32);
            say(place, image.address(*reference), against, "'.got'");
        }
    }
    for (position, scan) in image.scan.objects.iter().enumerate() {
        let object = image.object(position);
        let packed = scan.relr.iter().map(|(section, _)| *section);
        let mut sections: Vec<u32> = scan.dynamic_sections.iter().copied().chain(packed).collect();
        sections.sort_unstable();
        sections.dedup();
        for_each_asked(image, position, sections.into_iter(), |asked| {
            if asked.is_relative {
                let symbol = asked.relocation.r_sym(LE, false) as usize;
                let against = symbol_text(cx, image.symbols, object, symbol);
                let name = String::from_utf8_lossy(object.section_name(asked.section as usize));
                let section = format!("'{name}' in {}", object.origin);
                say(asked.place, image.pointee(position, object, asked.relocation), against, &section);
            }
        });
    }
}

pub(super) fn write_rela_plt(image: &Image, out: &mut [u8]) {
    let mut writer = Writer::new(image.cx.config, out);
    let bases = &image.addresses.bases;
    for (n, reference) in image.tables.lazy.iter().enumerate() {
        let slot = bases.got_plt_slot(crate::tables::PltPlace::Lazy(n as u32));
        let index = match reference {
            SymbolRef::Global(id) => image.dynamic.index_of(*id),
            SymbolRef::Local(..) => 0,
        };
        // With `-z mark-plt` loaders learn here which jump they may write the function's address into.
        let jump = if image.cx.config.z.mark_plt {
            let marker = if bases.form == target::plt::Form::Tracked { target::plt::MARKER_SIZE } else { 0 };
            bases.plt_entry(crate::tables::PltPlace::Lazy(n as u32)) + marker
        } else {
            0
        };
        writer.push(slot, rel::JUMP_SLOT, index, jump);
    }
    for (n, reference) in image.tables.ifuncs.iter().enumerate() {
        let slot = bases.got_plt_slot(crate::tables::PltPlace::Ifunc(n as u32));
        writer.push(slot, rel::IRELATIVE, 0, image.resolver_address(*reference));
    }
}

/// See [`super::update_relr`].
pub(super) fn update_relr(
    sizes: &mut Sizes,
    outputs: &mut Outputs,
    inputs: &Inputs,
    selection: &Selection,
    scan: &Scan,
    section_of: impl Fn(SectionId) -> u64,
    got: u64,
) -> bool {
    let mut places: Vec<u64> = sizes.relocations.relr_got.iter().map(|n| got + u64::from(*n) * 8).collect();
    for (id, object) in selection.objects.iter().zip(&scan.objects) {
        let file = inputs.object(*id);
        let address =
            |(section, offset): &(u32, u64)| section_of(file.section_id(*section as usize)) + offset;
        places.extend(object.relr.iter().map(address));
    }
    places.sort_unstable();
    let mut words = encode_relr(&places);
    let position = outputs.sections.iter().position(|s| s.name == b".relr.dyn");
    let Some(section) = position.map(|p| &mut outputs.sections[p]) else { return false };
    // Never shorter than before, so that repeating comes to an end; a bitmap without bits changes nothing.
    words.resize(words.len().max(sizes.relr.len()), 1);
    let has_grown = words.len() > sizes.relr.len();
    sizes.relr = words;
    section.size = sizes.relr.len() as u64 * 8;
    for member in &mut section.members {
        debug_assert_eq!(member.content, Content::Chunk(Chunk::RelrDyn));
        member.size = section.size;
    }
    has_grown
}

/// Encodes ascending even addresses: an address, then bitmaps of the 63 words that follow (gABI, SHT_RELR).
fn encode_relr(places: &[u64]) -> Vec<u64> {
    let mut words = Vec::new();
    let mut next = 0;
    while next < places.len() {
        words.push(places[next]);
        let mut base = places[next] + 8;
        next += 1;
        loop {
            let mut bitmap = 0u64;
            while next < places.len() {
                let distance = places[next].wrapping_sub(base);
                if distance >= 63 * 8 || !distance.is_multiple_of(8) {
                    break;
                }
                bitmap |= 1 << (distance / 8);
                next += 1;
            }
            if bitmap == 0 {
                break;
            }
            words.push(bitmap << 1 | 1);
            base += 63 * 8;
        }
    }
    words
}

/// What a loader reads.
#[cfg(test)]
fn decode_relr(words: &[u64]) -> Vec<u64> {
    let mut places = Vec::new();
    let mut base = 0;
    for word in words {
        if word & 1 == 0 {
            places.push(*word);
            base = word + 8;
        } else {
            places.extend((0..63).filter(|bit| word >> (bit + 1) & 1 != 0).map(|bit| base + bit * 8));
            base += 63 * 8;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relr_round_trip() {
        let places: Vec<u64> =
            (0..200).map(|n| 0x4000 + n * 8).chain([0x5002, 0x500a, 0x9000, 0x9000 + 64 * 8]).collect();
        let words = encode_relr(&places);
        assert_eq!(decode_relr(&words), places);
        assert!(words.len() < 12);
    }
}
