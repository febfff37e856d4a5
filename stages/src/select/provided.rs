//! Symbols the linker itself defines: `--defsym`, script assignments, and those that GNU ld's default script
//! provides because the C runtime relies on them.

use crate::config::{Config, Visibility};
use crate::intern::Symbols;
use crate::model::{File, Inputs, SymbolId};
use crate::parse::is_c_identifier;
use crate::script::Expr;

/// What a provided symbol's address is; `layout` makes it a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Anchor {
    /// `--defsym NAME=EXPR` or `NAME = EXPR;`.
    Expr(Expr),
    /// The first byte of an output section.
    SectionStart(&'static [u8]),
    /// One past the last byte of an output section.
    SectionEnd(&'static [u8]),
    /// The file header in memory.
    ImageBase,
    /// One past the code.
    TextEnd,
    /// One past initialised data.
    DataEnd,
    /// The first byte of zero-initialised data.
    BssStart,
    /// One past everything loaded.
    ImageEnd,
    /// `.dynamic`.
    Dynamic,
    /// `.got.plt`, or `.got` where there is none.
    GotBase,
    /// `.eh_frame_hdr`.
    EhFrameHdr,
    /// First IRELATIVE relocation of a static executable.
    IrelativeStart,
    /// One past the last.
    IrelativeEnd,
    /// The thread-local block of this module (TLS descriptors).
    TlsModuleBase,
}

/// One provided symbol.
#[derive(Debug, Clone)]
pub struct Provision {
    /// Its name.
    pub id: SymbolId,
    /// Where it is.
    pub anchor: Anchor,
    /// Wins over definitions in inputs (`--defsym`, plain assignment).
    pub is_forced: bool,
    /// Not visible outside the output.
    pub is_hidden: bool,
    /// STV_PROTECTED outside the output.
    pub is_protected: bool,
    /// Defined even if nobody asks.
    pub is_wanted: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Provided {
    /// Indexed by [`super::Def::index`] of definitions by the linker.
    pub list: Vec<Provision>,
    /// Names that expressions mention: they bring in archive members.
    pub wanted: Vec<SymbolId>,
}

/// A symbol assignment of a script or the command line.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The symbol.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Expr,
    /// `PROVIDE`: only if referenced and not defined.
    pub is_provide: bool,
    /// `HIDDEN`.
    pub is_hidden: bool,
}

/// Names with a fixed meaning: (name, anchor, hidden in every output).
fn fixed(config: &Config) -> Vec<(&'static [u8], Anchor, bool)> {
    let irelative: [&[u8]; 2] = match config.z.rel {
        true => [b"__rel_iplt_start", b"__rel_iplt_end"],
        false => [b"__rela_iplt_start", b"__rela_iplt_end"],
    };
    let section = |name: &'static [u8]| (Anchor::SectionStart(name), Anchor::SectionEnd(name));
    let mut list: Vec<(&'static [u8], Anchor, bool)> = vec![
        (b"__executable_start", Anchor::ImageBase, false),
        (b"__ehdr_start", Anchor::ImageBase, true),
        (b"etext", Anchor::TextEnd, false),
        (b"_etext", Anchor::TextEnd, false),
        (b"__etext", Anchor::TextEnd, false),
        (b"edata", Anchor::DataEnd, false),
        (b"_edata", Anchor::DataEnd, false),
        (b"__bss_start", Anchor::BssStart, false),
        (b"end", Anchor::ImageEnd, false),
        (b"_end", Anchor::ImageEnd, false),
        (b"_DYNAMIC", Anchor::Dynamic, true),
        (b"_GLOBAL_OFFSET_TABLE_", Anchor::GotBase, true),
        (b"__GNU_EH_FRAME_HDR", Anchor::EhFrameHdr, true),
        (irelative[0], Anchor::IrelativeStart, true),
        (irelative[1], Anchor::IrelativeEnd, true),
        (b"_TLS_MODULE_BASE_", Anchor::TlsModuleBase, true),
    ];
    for (start, end, name) in [
        (&b"__preinit_array_start"[..], &b"__preinit_array_end"[..], &b".preinit_array"[..]),
        (b"__init_array_start", b"__init_array_end", b".init_array"),
        (b"__fini_array_start", b"__fini_array_end", b".fini_array"),
    ] {
        let (first, last) = section(name);
        list.push((start, first, true));
        list.push((end, last, true));
    }
    list
}

/// Collects what the linker may have to define. Must run before resolution, because it adds names.
pub fn provide(config: &Config, symbols: &mut Symbols, assignments: &[Assignment]) -> Provided {
    let mut provided = Provided::default();
    for assignment in assignments {
        let id = if assignment.is_provide {
            let Some(id) = symbols.find(&assignment.name) else { continue };
            id
        } else {
            symbols.add(&assignment.name)
        };
        assignment.value.for_each_symbol(&mut |name| provided.wanted.push(symbols.add(name)));
        provided.list.push(Provision {
            id,
            anchor: Anchor::Expr(assignment.value.clone()),
            is_forced: !assignment.is_provide,
            is_hidden: assignment.is_hidden,
            is_protected: false,
            is_wanted: false,
        });
    }
    for (name, anchor, is_hidden) in fixed(config) {
        if let Some(id) = symbols.find(name) {
            let is_hidden = is_hidden || config.is_shared();
            provided.list.push(Provision {
                id,
                anchor,
                is_forced: false,
                is_hidden,
                is_protected: false,
                is_wanted: false,
            });
        }
    }
    provided
}

/// `__start_NAME` and `__stop_NAME` of every section of a live object whose name is an identifier of C. That nothing needs
/// to come in for them is why they can wait until the sections are known.
pub(super) fn provide_start_stop(
    config: &Config,
    inputs: &Inputs,
    symbols: &Symbols,
    provided: &mut Provided,
) {
    let mut names: Vec<&'static [u8]> = Vec::new();
    for file in &inputs.files {
        let File::Object(object) = file else { continue };
        for output in &object.outputs {
            if output.is_alloc && is_c_identifier(output.name) && !names.contains(&output.name) {
                names.push(output.name);
            }
        }
    }
    let is_hidden = matches!(config.start_stop_visibility, Visibility::Hidden | Visibility::Internal);
    let is_protected = config.start_stop_visibility == Visibility::Protected;
    for name in names {
        for (prefix, anchor) in
            [(&b"__start_"[..], Anchor::SectionStart(name)), (b"__stop_", Anchor::SectionEnd(name))]
        {
            if let Some(id) = symbols.find(&[prefix, name].concat()) {
                provided.list.push(Provision {
                    id,
                    anchor,
                    is_forced: false,
                    is_hidden,
                    is_protected,
                    is_wanted: false,
                });
            }
        }
    }
}
