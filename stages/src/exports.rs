//! `--version-exports-section`: names in sections `.exports` of the inputs are exported with one version, and no others are.
//!
//! In: the objects, those of archives among them whether they will come in or not: a name nobody defines is exported by
//! nobody. Out: a version script of one node. The sections themselves are left out of the output, as GNU ld does it.

use crate::context::Cx;
use crate::model::{File, Inputs};
use crate::report::{Failed, Problem};
use crate::script::{VersionScript, parse_version_script};
use object::LittleEndian as LE;
use object::elf::SHT_NOBITS;

/// The section: names, each with a NUL behind it.
pub const SECTION: &[u8] = b".exports";

/// What the sections of all objects list, as a version script; `None` without the option.
///
/// # Errors
/// The proof that names could not be read.
pub fn listed(cx: &Cx, inputs: &Inputs) -> Result<Option<VersionScript>, Failed> {
    let Some(version) = &cx.config.version_exports_section else { return Ok(None) };
    let mut text = [version.as_slice(), b" { global: "].concat();
    for file in &inputs.files {
        let File::Object(object) = file else { continue };
        for (index, header) in object.headers.iter().enumerate().skip(1) {
            if object.section_name(index) != SECTION || header.sh_type.get(LE) == SHT_NOBITS {
                continue;
            }
            // A section that cannot be read is reported when its object is known to take part.
            for name in object.texts(index) {
                if name.iter().any(|byte| !byte.is_ascii_graphic() || b"\"{};".contains(byte)) {
                    let shown = String::from_utf8_lossy(name);
                    let message = format!("{}:(.exports): {shown:?} is no name of a symbol", object.origin);
                    return Err(cx.problems.fail(Problem::error(message).at(object.id.0, index as u64)));
                }
                text.push(b'"');
                text.extend_from_slice(name);
                text.extend_from_slice(b"\"; ");
            }
        }
    }
    text.extend_from_slice(b"local: *; };");
    let script = parse_version_script(text.leak(), "--version-exports-section");
    script.map(Some).map_err(|error| cx.problems.fail(Problem::error(error.to_string())))
}
