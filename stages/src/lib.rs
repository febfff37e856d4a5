//! What a linker does, one module a stage, in the order data flows.
//!
//! Read [`link`](mod@link) first: the whole link on one page.

pub mod link;
pub mod config;
pub mod report;
pub mod context;
pub mod model;
pub mod elf;
mod dwarf;
pub mod open;
pub mod parse;
pub mod intern;
pub mod seal;
pub mod select;
pub mod inflate;
pub mod listing;
pub mod unwind;
pub mod liveness;
pub mod gdb_index;
pub mod line_tables;
pub mod merge;
pub mod scan;
pub mod tables;
pub mod dynamic;
pub mod outputs;
pub mod chunks;
pub mod shape;
pub mod layout;
pub mod values;
pub mod image;
pub mod emit;
pub mod relocatable;
pub mod compress;
pub mod separate;
pub mod build_id;
pub mod commit;
pub mod depfile;
pub mod reproduce;
pub mod map_file;
pub mod arch;
pub mod script;
pub mod demangle;
pub mod shlib;
pub mod source_line;
pub mod suggest;
