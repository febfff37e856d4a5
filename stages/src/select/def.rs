//! A definition as one number that orders by priority.

use crate::model::FileId;

/// How strong a definition is; lower wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// `--defsym` and script assignments: whatever the inputs say.
    Forced = 0,
    /// A global definition in an object.
    Strong = 1,
    /// A tentative definition (SHN_COMMON). GNU ld prefers it to a weak one.
    Common = 2,
    /// A weak definition in an object.
    Weak = 3,
    /// A symbol the linker itself provides if someone asks (`_end`, `__start_NAME`, …).
    Provided = 4,
    /// A definition in a shared object; in the first pass also one in an archive member.
    Shared = 5,
    /// First pass: a tentative definition. An archive's definition replaces it, as in GNU ld.
    CommonCandidate = 6,
    /// First pass: a tentative definition in an archive member.
    LazyCommon = 7,
    /// No definition; the first file that needs it.
    Undefined = 8,
    /// No definition; the first file that needs it, weakly.
    UndefinedWeak = 9,
    /// Nobody mentions it.
    None = 15,
}

/// Who defines a symbol: class, file and index in the file's symbol table in one `u64` that orders by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Def(pub u64);

impl Def {
    /// No definition and no reference.
    pub const NONE: Def = Def(u64::MAX);
    /// Stands for the linker in the place of a file.
    pub const LINKER: FileId = FileId(0x0fff_ffff);

    /// A definition.
    pub fn new(class: Class, file: FileId, index: u32) -> Def {
        Def((class as u64) << 60 | u64::from(file.0) << 32 | u64::from(index))
    }

    /// Its class.
    pub fn class(self) -> Class {
        match self.0 >> 60 {
            0 => Class::Forced,
            1 => Class::Strong,
            2 => Class::Common,
            3 => Class::Weak,
            4 => Class::Provided,
            5 => Class::Shared,
            6 => Class::CommonCandidate,
            7 => Class::LazyCommon,
            8 => Class::Undefined,
            9 => Class::UndefinedWeak,
            _ => Class::None,
        }
    }

    /// The file that defines it (or, of an undefined one, first needs it).
    pub fn file(self) -> FileId {
        FileId((self.0 >> 32) as u32 & 0x0fff_ffff)
    }

    /// Its index in the symbol table of that file, or in [`super::Provided::list`].
    pub fn index(self) -> u32 {
        self.0 as u32
    }

    /// Whether an object of this link or the linker defines it.
    pub fn is_local(self) -> bool {
        self.class() <= Class::Provided
    }

    /// Whether nothing defines it.
    pub fn is_undefined(self) -> bool {
        self.class() >= Class::Undefined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_class_then_file_then_index() {
        let strong = Def::new(Class::Strong, FileId(9), 1);
        let weak = Def::new(Class::Weak, FileId(1), 0);
        assert!(strong < weak);
        assert!(Def::new(Class::Strong, FileId(2), 0) < strong);
        assert!(Def::new(Class::Strong, FileId(9), 0) < strong);
        assert_eq!((strong.class(), strong.file(), strong.index()), (Class::Strong, FileId(9), 1));
        assert_eq!(Def::NONE.class(), Class::None);
    }
}
