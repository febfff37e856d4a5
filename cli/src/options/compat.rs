//! Words that drivers and build files pass and that need no answer: other architectures, other systems.

use super::{Area, Opt, Takes, harmless, rejected};

pub const AREA: Area = Area { title: "Accepted for compatibility", options: OPTIONS };

const OTHER_MACHINE: &str = "it is about another architecture than x86-64";
const OTHER_SYSTEM: &str = "it means nothing to ELF on Linux";

const OPTIONS: &[Opt] = &[
    harmless(&["fuse-ld"], Takes::Value("NAME"), "the linker has been chosen"),
    harmless(&["android-memtag-mode"], Takes::Value("MODE"), OTHER_MACHINE),
    harmless(&["android-memtag-heap"], Takes::Switch, OTHER_MACHINE),
    harmless(&["android-memtag-stack"], Takes::Switch, OTHER_MACHINE),
    harmless(&["be8"], Takes::Nothing, OTHER_MACHINE),
    harmless(&["fix-cortex-a53-843419"], Takes::Switch, OTHER_MACHINE),
    harmless(&["fix-cortex-a53-835769"], Takes::Switch, OTHER_MACHINE),
    harmless(&["fix-cortex-a8"], Takes::Switch, OTHER_MACHINE),
    harmless(&["merge-exidx-entries"], Takes::Switch, OTHER_MACHINE),
    harmless(&["long-plt"], Takes::Nothing, OTHER_MACHINE),
    harmless(&["pcrel-optimize"], Takes::Switch, OTHER_MACHINE),
    harmless(&["pic-veneer"], Takes::Nothing, OTHER_MACHINE),
    harmless(&["power10-stubs"], Takes::Maybe("yes|no|auto"), OTHER_MACHINE),
    harmless(&["no-power10-stubs"], Takes::Nothing, OTHER_MACHINE),
    harmless(&["relax-gp"], Takes::Switch, OTHER_MACHINE),
    harmless(&["stub-group-size"], Takes::Value("N"), OTHER_MACHINE),
    harmless(&["target1-abs"], Takes::Nothing, OTHER_MACHINE),
    harmless(&["target1-rel"], Takes::Nothing, OTHER_MACHINE),
    harmless(&["target2"], Takes::Value("rel|abs|got-rel"), OTHER_MACHINE),
    harmless(&["toc-optimize"], Takes::Switch, OTHER_MACHINE),
    harmless(&["enum-size-warning"], Takes::Switch, OTHER_MACHINE),
    harmless(&["wchar-size-warning"], Takes::Switch, OTHER_MACHINE),
    harmless(&["G", "gpsize"], Takes::Value("SIZE"), OTHER_MACHINE),
    rejected(&["split-stack-adjust-size"], Takes::Value("SIZE"), "calls out of code with split stacks"),
    harmless(&["assert"], Takes::Value("KEYWORD"), OTHER_SYSTEM),
    harmless(&["Qy"], Takes::Nothing, OTHER_SYSTEM),
    harmless(&["qmagic"], Takes::Nothing, OTHER_SYSTEM),
    harmless(&["traditional-format"], Takes::Nothing, OTHER_SYSTEM),
];
