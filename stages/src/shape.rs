//! What shapes the image: options and the wishes of inputs, as `layout` takes them.

use crate::arch::target;
use crate::config::{Arranged, Format, Magic, OutputKind, SeparateCode};
use crate::context::Cx;
use crate::layout::{Layout, Shape, flatten, layout, unplaced};
use crate::model::Inputs;
use crate::outputs::Outputs;
use crate::report::Problem;
use crate::select::Selection;
use object::elf::{PF_R, PF_W, PF_X, PT_LOAD};

/// The program makes memory both writable and executable (OpenBSD, `elf(5)`).
const PT_OPENBSD_WXNEEDED: u32 = 0x65a3_dbe7;
/// The program has no landing pads for indirect branches.
const PT_OPENBSD_NOBTCFI: u32 = 0x65a3_dbe8;

/// The shape of this link's output.
pub fn shape(cx: &Cx, inputs: &Inputs, selection: &Selection, outputs: &Outputs) -> Shape {
    let config = cx.config;
    let page_size = config.z.max_page_size.unwrap_or(target::MAX_PAGE_SIZE);
    let image_base = match config.image_base {
        Some(base) => base,
        None if config.kind == OutputKind::Executable => target::IMAGE_BASE,
        None => 0,
    };
    if !image_base.is_multiple_of(page_size) {
        cx.problems.push(Problem::warning(format!(
            "--image-base {image_base:#x} is not a multiple of the page size"
        )));
    }
    let has_interpreter = outputs.sections.iter().any(|s| s.name == b".interp");
    let phdr = has_interpreter || config.is_executable() && config.is_pic();
    let is_paged = config.magic == Magic::Zmagic;
    let has_headers = config.format == Format::Elf;
    let arrangement = config.ordering.section_order.clone();
    for section in unplaced(&outputs.sections, &arrangement).iter().filter(|_| !arrangement.is_empty()) {
        let name = String::from_utf8_lossy(section.name);
        cx.problems.push(Problem::error(format!("--section-order: no place for section {name}")));
    }
    let has_loaded_headers = arrangement.is_empty() || arrangement.contains(&Arranged::Headers);
    Shape {
        image_base,
        page_size,
        separate_code: is_paged && config.z.separate != SeparateCode::No,
        separate_all: is_paged && config.z.separate == SeparateCode::Loadable,
        relro: is_paged && config.z.relro,
        now: config.z.now,
        stack: stack_flags(cx, inputs, selection),
        stack_size: config.z.stack_size,
        marks: marks(cx),
        phdr: phdr && has_headers && has_loaded_headers,
        rodynamic: config.z.rodynamic,
        starts: config.section_starts.clone(),
        rodata_start: config.rodata_segment,
        ldata_start: config.ldata_segment,
        merge_rodata_with_code: !config.rosegment || !is_paged,
        execute_only: config.execute_only,
        magic: config.magic,
        has_headers,
        // Without pages only programs that look for their own headers have them in memory.
        loads_headers: has_headers && (is_paged || phdr) && has_loaded_headers,
        arrangement,
    }
}

/// Segments without contents: their being there says something to the loader of OpenBSD.
fn marks(cx: &Cx) -> Vec<(u32, u32)> {
    let z = &cx.config.z;
    let marks = [(z.wxneeded, PT_OPENBSD_WXNEEDED), (z.nobtcfi, PT_OPENBSD_NOBTCFI)];
    marks.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, p_type)| (p_type, PF_X)).collect()
}

/// Lays everything out; in a file without a format nothing but what is loaded.
pub fn place(cx: &Cx, outputs: &Outputs, shape: &Shape) -> Layout {
    let mut layout = layout(&outputs.sections, shape);
    if cx.config.format == Format::Binary
        && let Err((first, second)) = flatten(&mut layout, &outputs.sections)
    {
        let name = |position: u32| String::from_utf8_lossy(outputs.sections[position as usize].name);
        let message = format!("section {} overlaps section {}", name(second), name(first));
        cx.problems.push(Problem::error(message).note("--oformat=binary writes each byte of memory once"));
    }
    layout
}

/// What the options want to hear about the segments: memory that is both writable and executable.
pub fn check_segments(cx: &Cx, layout: &Layout) {
    let is_both = |s: &crate::layout::Segment| s.p_type == PT_LOAD && s.flags & (PF_W | PF_X) == PF_W | PF_X;
    if !layout.segments.iter().any(is_both) || cx.config.format == Format::Binary {
        return;
    }
    let message = format!("{}: a segment is both writable and executable", cx.config.output.display());
    if cx.config.rwx_is_error {
        cx.problems.push(Problem::error(message).note("disallowed by --error-rwx-segments"));
    } else if cx.config.warn_rwx_segments && cx.config.magic != Magic::Omagic {
        cx.problems.push(Problem::warning(message).note("--no-warn-rwx-segments accepts this"));
    }
}

/// Flags of PT_GNU_STACK. An object that asks for an executable stack does not get one unless the command line
/// agrees: such requests come from assembly without a `.note.GNU-stack` far more often than from need.
fn stack_flags(cx: &Cx, inputs: &Inputs, selection: &Selection) -> Option<u32> {
    let z = &cx.config.z;
    if z.no_gnu_stack {
        return None;
    }
    if z.execstack {
        return Some(PF_R | PF_W | PF_X);
    }
    let asking = selection.objects.iter().map(|id| inputs.object(*id)).find(|o| o.wants_executable_stack);
    if asking.is_some() && z.execstack_if_needed {
        return Some(PF_R | PF_W | PF_X);
    }
    if let Some(object) = asking {
        let message =
            format!("{}: requires an executable stack, which this output does not have", object.origin);
        let note = "use -z execstack if it is really needed";
        if !cx.config.warn_execstack && !cx.config.execstack_is_error {
            return Some(PF_R | PF_W);
        }
        if cx.config.execstack_is_error {
            cx.problems.push(Problem::error(message).note(note).at(object.id.0, 0));
        } else {
            cx.problems.push(Problem::warning(message).note(note).at(object.id.0, 0));
        }
    }
    Some(PF_R | PF_W)
}
