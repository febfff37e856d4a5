//! Libraries that inputs name themselves: objects in `.deplibs` (SHT_LLVM_DEPENDENT_LIBRARIES; LLVM, "Extensions"), and
//! with `--copy-dt-needed-entries` shared libraries by DT_NEEDED.
//!
//! `#pragma comment(lib, "m")` leaves the text `m` in the object. It is looked for as lld does: as `-lm`, as a file along
//! the library path, as a file. What is named is known only when objects have been parsed, so flow 1 runs once more for
//! the files this adds, until none is left.
//!
//! Members of archives name libraries, too, whether they come in or not. Theirs are there when wanted and do no harm when
//! not: archives are lazy, and a shared library is recorded only if something uses it. If one cannot be found, that is
//! an error once the member is known to come in ([`absent`]).
//!
//! What shared libraries need is looked for as the loader would; it is recorded in the output only if something uses it.

use super::{Opened, Opener, Request, search};
use crate::config::Modifiers;
use crate::context::Cx;
use crate::model::{File, FileId, Object, SharedObject};
use crate::report::Problem;
use crate::seal::Parsed;
use crate::select::Selection;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Opener<'_> {
    /// Adds the libraries that inputs name and that are not among the files yet. True if there is more to open.
    pub fn add_dependencies(&mut self, parsed: &[Parsed]) -> bool {
        let asks = |object: &Object| object.dependent_libraries != 0;
        let has_wishes = self.config.dependent_libraries
            && parsed.iter().any(|parsed| matches!(&parsed.file, File::Object(object) if asks(object)));
        if !has_wishes && self.copying.is_empty() {
            return false;
        }
        let (mut objects, mut libraries): (Vec<&Object>, Vec<&SharedObject>) = (Vec::new(), Vec::new());
        for parsed in parsed {
            match &parsed.file {
                File::Object(object) if has_wishes && asks(object) => objects.push(object),
                File::Object(_) => {}
                File::Shared(shared) => libraries.push(shared),
            }
        }
        // In command-line order: files are parsed in any.
        objects.sort_by_key(|object| object.id);
        libraries.sort_by_key(|library| library.id);
        for object in objects {
            for name in object.texts(object.dependent_libraries as usize) {
                if self.dependencies.insert(name) {
                    self.add_dependency(object.id, name, object.is_lazy);
                }
            }
        }
        self.add_needed(&libraries);
        !self.queue.is_empty()
    }

    /// Adds what shared libraries need, if the options say so.
    fn add_needed(&mut self, libraries: &[&SharedObject]) {
        for library in libraries.iter().filter(|library| self.copying.contains(&library.id)) {
            for name in &library.needed {
                if !self.dependencies.insert(name) {
                    continue;
                }
                let modifiers = Modifiers { as_needed: true, copy_needed: true, ..Modifiers::default() };
                match search::loader_path(self.config, name, library.runpath, library.origin.path) {
                    Some(path) => self.queue.push_back(Request::Path { path, modifiers }),
                    None => {
                        let name = String::from_utf8_lossy(name);
                        let message = format!("{}: cannot find {name}, which it needs", library.origin);
                        let note = "--copy-dt-needed-entries links with it; try -rpath-link";
                        self.problems.push(Problem::warning(message).note(note).at(library.id.0, 0));
                    }
                }
            }
        }
    }

    fn add_dependency(&mut self, asking: FileId, name: &'static [u8], is_lazy: bool) {
        let modifiers = Modifiers { as_needed: is_lazy, ..Modifiers::default() };
        let file = Path::new(OsStr::from_bytes(name));
        let is_library = search::library(&self.library_paths, name, false).is_some();
        let along_path = || self.library_paths.iter().map(|dir| dir.join(file)).find(|path| path.is_file());
        let request = if is_library {
            Request::Library { name: name.to_vec(), modifiers }
        } else if let Some(path) = along_path() {
            Request::Path { path, modifiers }
        } else if file.is_file() {
            Request::Path { path: PathBuf::from(file), modifiers }
        } else {
            return self.opened.absent_dependencies.push((asking, name));
        };
        self.queue.push_back(request);
    }
}

/// Reports the libraries that linked objects name and that are nowhere.
pub fn absent(cx: &Cx, selection: &Selection, inputs: &crate::model::Inputs, opened: &Opened) {
    for (asking, name) in &opened.absent_dependencies {
        if selection.live.get(asking.index()) == Some(&true) {
            let origin = inputs.files[asking.index()].origin();
            let name = String::from_utf8_lossy(name);
            let message =
                format!("{origin}: unable to find library from dependent library specifier: {name}");
            let note = "--no-dependent-libraries leaves such wishes aside";
            cx.problems.push(Problem::error(message).note(note).at(asking.0, 0));
        }
    }
}
