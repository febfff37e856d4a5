//! What becomes of each symbol of claimed files, in the words of the plugin API.
//!
//! In: the selection made with stand-ins in the place of claimed files. Out: one [`Answer`] a claimed file. A definition
//! that holds is *visible* if something the plugin does not see relies on it: machine code mentions it (a definition
//! that lost to it counts, its object refers to the winner), an option or a script names it, a shared object needs it.
//! Of the others the plugin may do away with those that are not exported, and with exported ones that every user has a
//! copy of.
//!
//! A name given to `--wrap` is visible with its wrapper: compilers that see reference and definition would else bind one
//! to the other, and who means what is decided by the linker.

use super::abi::resolution;
use super::host::Answer;
use super::stand_in::Claimed;
use crate::config::OutputKind;
use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{FileId, Inputs, SymbolId};
use crate::open::Opened;
use crate::select::{Class, Provided, Selection, seen};
use std::collections::HashMap;

/// The link up to its selection, with stand-ins in the place of claimed files.
pub struct Resolved<'a> {
    /// All files.
    pub inputs: &'a Inputs,
    /// All names.
    pub symbols: &'a Symbols,
    /// What the linker defines.
    pub provided: &'a Provided,
    /// What takes part.
    pub selection: &'a Selection,
    /// What was learnt from scripts.
    pub opened: &'a Opened,
}

/// A claimed file: which plugin has claimed it, and its symbols.
#[derive(Clone, Copy)]
pub(super) struct ClaimedFile<'c> {
    pub file: FileId,
    pub plugin: usize,
    pub symbols: &'c [Claimed],
}

/// Answers for claimed files, in the order given. What one plugin has claimed is machine code to another.
pub(super) fn answers(cx: &Cx, resolved: &Resolved, claimed: &[ClaimedFile]) -> Vec<Answer> {
    let owners: HashMap<FileId, usize> = claimed.iter().map(|c| (c.file, c.plugin)).collect();
    let mut views: HashMap<usize, View> = HashMap::new();
    let answer = |claimed: &ClaimedFile| {
        let ClaimedFile { file, plugin, symbols } = *claimed;
        if !resolved.selection.live[file.index()] {
            return Answer::NotIncluded;
        }
        let is_own = |file: FileId| owners.get(&file) == Some(&plugin);
        let view = views.entry(plugin).or_insert_with(|| View { visible: visible(cx, resolved, is_own) });
        let object = resolved.inputs.object(file);
        let resolutions = symbols.iter().enumerate().map(|(n, symbol)| {
            let place = (file, object.first_global + n as u32);
            resolution_of(cx, resolved, view, is_own, place, object.ids[n], symbol)
        });
        Answer::Resolved(resolutions.collect())
    };
    claimed.iter().map(answer).collect()
}

/// What a plugin does not see of the link.
struct View {
    /// By symbol: something relies on it that the plugin does not see.
    visible: Vec<bool>,
}

fn resolution_of(
    cx: &Cx,
    resolved: &Resolved,
    view: &View,
    is_own: impl Fn(FileId) -> bool,
    place: (FileId, u32),
    id: SymbolId,
    symbol: &Claimed,
) -> i32 {
    let def = resolved.selection.def(id);
    let by_object = matches!(def.class(), Class::Strong | Class::Weak | Class::Common);
    let is_intermediate = by_object && is_own(def.file());
    if symbol.is_reference() {
        return match def.class() {
            Class::Shared => resolution::RESOLVED_DYN,
            _ if def.is_undefined() => resolution::UNDEF,
            _ if is_intermediate => resolution::RESOLVED_IR,
            _ => resolution::RESOLVED_EXEC,
        };
    }
    if by_object && (def.file(), def.index()) == place {
        return prevailing(cx, resolved, &view.visible, id, symbol);
    }
    if is_intermediate { resolution::PREEMPTED_IR } else { resolution::PREEMPTED_REG }
}

/// The resolution of a definition that holds.
fn prevailing(cx: &Cx, resolved: &Resolved, visible: &[bool], id: SymbolId, symbol: &Claimed) -> i32 {
    let config = cx.config;
    // What data is, `--dynamic-list-data` must be told by the code itself if the plugin does not say.
    let may_be_data = config.dynamic_list_data && symbol.symbol_type == 0;
    if visible[id.index()] || config.kind == OutputKind::Relocatable {
        resolution::PREVAILING_DEF
    } else if resolved.selection.state(id).is_exported() || may_be_data {
        resolution::PREVAILING_DEF_IRONLY_EXP
    } else {
        resolution::PREVAILING_DEF_IRONLY
    }
}

/// Marks what something relies on that is not intermediate code of the plugin's own.
fn visible(cx: &Cx, resolved: &Resolved, is_own: impl Fn(FileId) -> bool) -> Vec<bool> {
    let Resolved { inputs, symbols, provided, selection, opened } = resolved;
    let needed = |bits: &u8| bits & (seen::SHARED | seen::NEEDED_BY_SHARED) != 0;
    let mut visible: Vec<bool> = selection.references.iter().map(needed).collect();
    for object in selection.objects.iter().map(|id| inputs.object(*id)) {
        if !is_own(object.id) {
            object.ids.iter().for_each(|id| visible[id.index()] = true);
        }
    }
    for id in provided.wanted.iter().copied().chain(provided.list.iter().map(|provision| provision.id)) {
        visible[id.index()] = true;
    }
    let config = cx.config;
    let entry = config.entry.as_deref().unwrap_or(b"_start");
    let wrappers: Vec<Vec<u8>> = config.wraps.iter().map(|name| [b"__wrap_", &name[..]].concat()).collect();
    let named = [&config.undefined, &config.require_defined, &config.wraps, &wrappers, &opened.undefined];
    let named = named.into_iter().flatten().map(Vec::as_slice);
    for name in named.chain([entry, &config.init, &config.fini]) {
        if let Some(id) = symbols.find(name) {
            visible[id.index()] = true;
        }
    }
    visible
}
