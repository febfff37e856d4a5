//! What a linker does, one module a stage, in the order data flows.

pub mod link;

pub mod config;
pub mod report;
pub mod elf;
pub mod script;
pub mod commit;
pub mod demangle;
pub mod suggest;
pub mod build_id;
pub mod depfile;
