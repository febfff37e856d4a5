//! Notes the linker makes: merged program properties, the build ID, package metadata.

use super::Sizing;
use crate::arch::target::plt::Form;
use crate::build_id;
use crate::config::{BuildId, CetReport, Config};
use crate::context::Cx;
use crate::elf::properties::{self, Forced, Properties};
use crate::image::Image;
use crate::model::{Inputs, Role};
use crate::report::Problem;
use crate::select::Selection;

/// GNU_PROPERTY_X86_FEATURE_1_AND bits.
const IBT: u32 = 1;
const SHSTK: u32 = 2;
const LAM_U48: u32 = 4;
const LAM_U57: u32 = 8;

/// GNU_PROPERTY_1_NEEDED bit.
const INDIRECT_EXTERN_ACCESS: u64 = 1;

/// Bytes of a note header with the name "GNU".
const GNU_HEADER: u64 = 16;
/// FDO_PACKAGING_METADATA.
const NT_FDO_PACKAGING_METADATA: u32 = 0xcafe_1a7e;

/// Merges `.note.gnu.property` of all live objects.
pub fn properties(cx: &Cx, inputs: &Inputs, selection: &Selection) -> Properties {
    let config = cx.config;
    let forced = Forced {
        feature_1: [
            (config.z.ibt, IBT),
            (config.z.shstk, SHSTK),
            (config.z.lam_u48, LAM_U48),
            (config.z.lam_u57, LAM_U57),
        ]
        .iter()
        .fold(0, |bits, (is_forced, bit)| if *is_forced { bits | bit } else { bits }),
        isa_1_needed: config.z.isa_needed,
        memory_seal: config.z.memory_seal,
    };
    let mut parsed = Vec::with_capacity(selection.objects.len());
    for id in &selection.objects {
        let object = inputs.object(*id);
        if object.role != Role::Itself {
            // No code, no claims about it.
            continue;
        }
        let own = match object.properties.map(Properties::parse) {
            Some(Ok(properties)) => Some(properties),
            Some(Err(error)) => {
                let message = format!("{}:(.note.gnu.property): {error}", object.origin);
                cx.problems.push(Problem::error(message).at(id.0, 0));
                None
            }
            None => None,
        };
        if config.z.cet_report != CetReport::None
            && let Some(missing) = properties::missing_cet(own.as_ref(), forced)
        {
            let message = format!("{}: {missing}", object.origin);
            let is_error = config.z.cet_report == CetReport::Error;
            let problem = if is_error { Problem::error(message) } else { Problem::warning(message) };
            cx.problems.push(problem.at(id.0, 0));
        }
        parsed.push(own);
    }
    let mut merged = properties::merge(parsed.iter().map(Option::as_ref), forced);
    match config.z.indirect_extern_access {
        Some(true) => merged.set(properties::GNU_PROPERTY_1_NEEDED, INDIRECT_EXTERN_ACCESS),
        Some(false) => merged.clear(properties::GNU_PROPERTY_1_NEEDED, INDIRECT_EXTERN_ACCESS),
        None => {}
    }
    if config.z.retpolineplt {
        // A shadow stack does not let such entries return, and they start with no ENDBR64.
        merged.clear(properties::GNU_PROPERTY_X86_FEATURE_1_AND, (IBT | SHSTK).into());
    }
    merged
}

/// What PLT entries consist of: they start with ENDBR64 if all code does.
pub(super) fn plt_form(s: &Sizing, properties: &Properties) -> Form {
    let z = &s.cx.config.z;
    let merged = properties.get(properties::GNU_PROPERTY_X86_FEATURE_1_AND).unwrap_or(0);
    match z.retpolineplt {
        true if z.now || s.tables.lazy.is_empty() => Form::RetpolineNow,
        true => Form::Retpoline,
        false if z.ibtplt || z.ibt || merged & u64::from(IBT) != 0 => Form::Tracked,
        false => Form::Plain,
    }
}

/// The bytes of `.note.gnu.property`, empty for no note.
pub(super) fn note(properties: &Properties) -> Vec<u8> {
    properties.note()
}

/// Bytes of `.note.gnu.build-id`.
pub(super) fn build_id_size(config: &Config) -> Option<u64> {
    (config.build_id != BuildId::None)
        .then(|| GNU_HEADER + (build_id::size_bytes(&config.build_id) as u64).next_multiple_of(4))
}

/// The note with room for the ID, which is filled in when everything else is written.
pub(super) fn write_build_id(image: &Image, out: &mut [u8]) {
    let size = build_id::size_bytes(&image.cx.config.build_id) as u32;
    out[0..4].copy_from_slice(&4u32.to_le_bytes());
    out[4..8].copy_from_slice(&size.to_le_bytes());
    out[8..12].copy_from_slice(&object::elf::NT_GNU_BUILD_ID.to_le_bytes());
    out[12..16].copy_from_slice(b"GNU\0");
}

/// The bytes of `.note.package`: the JSON text with its NUL, padded. `None` if there is no such text.
pub fn package_note(config: &Config) -> Option<Vec<u8>> {
    let metadata = config.package_metadata.as_ref()?;
    let padded = (metadata.len() + 1).next_multiple_of(4);
    let mut note = Vec::with_capacity(GNU_HEADER as usize + padded);
    for word in [4, padded as u32, NT_FDO_PACKAGING_METADATA] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"FDO\0");
    note.extend(metadata);
    note.resize(GNU_HEADER as usize + padded, 0);
    Some(note)
}
