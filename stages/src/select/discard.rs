//! `--discard-section`: input sections that the command line leaves out by name.
//!
//! They are never live. What they define stays defined, so that a reference to it can be told from one to nothing: it is
//! an error that names the section. Nothing of them is exported, and unwind tables of their code go with it.

use super::Selection;
use crate::context::Cx;
use crate::model::Inputs;
use crate::script::glob::Glob;

/// Adds the sections whose names match to [`Selection::discarded`].
pub(super) fn by_name(cx: &Cx, inputs: &Inputs, selection: &mut Selection) {
    let globs: Vec<Glob> = cx.config.discard_sections.iter().map(|glob| Glob::new(glob)).collect();
    for id in &selection.objects {
        let object = inputs.object(*id);
        for index in 1..object.sections.len() {
            let name = object.section_name(index);
            if globs.iter().any(|glob| glob.matches(name)) {
                selection.discarded[object.section_id(index).index()] = true;
            }
        }
    }
}
