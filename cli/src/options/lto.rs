//! Link-time optimisation: plugins, what they are told, and the words that linkers with a compiler inside have for it.
//!
//! Compilers pass plugin options whether or not an input holds intermediate code, and so do build files with lld's
//! words. All are kept until an input asks for a plugin. What LLVM's plugin has another word for is told so; what it
//! cannot do is an error by name, once it would have to be done.

use super::values::path;
use super::{Answer, Area, Opt, Takes, flag, harmless, maybe, value};
use crate::typed::Typed;
use stages::config::{LtoWord, Plugin};

pub const AREA: Area = Area { title: "Link-time optimisation", options: OPTIONS };

const CHOSEN: &str = "what the objects hold decides";

/// An option of lld's without a value that LLVM's plugin knows by another name, or by none.
macro_rules! word {
    ($name:literal, $option:expr, $help:literal) => {
        flag(&[$name], $help, |t| word(t, concat!("--", $name), $option, None))
    };
}

/// The same with a value; the plugin's name ends with `=`.
macro_rules! word_with {
    ($name:literal, $metavar:literal, $option:expr, $help:literal) => {
        value(&[$name], $metavar, $help, |t, v| {
            word(t, concat!("--", $name), $option, Some(v));
            Ok(())
        })
    };
}

const NOTHING: Option<&str> = None;

const OPTIONS: &[Opt] = &[
    value(&["plugin"], "FILE", "Have FILE compile intermediate code: liblto_plugin.so, LLVMgold.so", plugin),
    value(&["plugin-opt"], "ARG", "Tell the plugin ARG", |t, v| {
        plugin_option(t, v);
        Ok(())
    }),
    word!("lto-O0", Some("O0"), "Optimise a little"),
    word!("lto-O1", Some("O1"), "Optimise some"),
    word!("lto-O2", Some("O2"), "Optimise as usual"),
    word!("lto-O3", Some("O3"), "Optimise much"),
    word!("lto-CGO0", NOTHING, "Level of code generation, which follows --lto-O"),
    word!("lto-CGO1", NOTHING, "Level of code generation, which follows --lto-O"),
    word!("lto-CGO2", NOTHING, "Level of code generation, which follows --lto-O"),
    word!("lto-CGO3", NOTHING, "Level of code generation, which follows --lto-O"),
    word_with!("lto-partitions", "N", Some("lto-partitions="), "Generate code in N parts"),
    word_with!("lto-obj-path", "FILE", Some("obj-path="), "Keep the object made in FILE"),
    word!("lto-emit-asm", Some("emit-asm"), "Write assembly instead of an output"),
    word!("lto-emit-llvm", Some("emit-llvm"), "Write bitcode instead of an output"),
    word!("lto-debug-pass-manager", Some("debug-pass-manager"), "Tell about passes"),
    word!(
        "lto-whole-program-visibility",
        Some("whole-program-visibility"),
        "Assume that nobody else derives from classes here"
    ),
    word!(
        "lto-cs-profile-generate",
        Some("cs-profile-generate"),
        "Instrument for a context-sensitive profile"
    ),
    word_with!("lto-cs-profile-file", "FILE", Some("cs-profile-path="), "Use a context-sensitive profile"),
    word_with!("lto-sample-profile", "FILE", Some("sample-profile="), "Use a sampled profile"),
    word_with!("lto-aa-pipeline", "PASSES", NOTHING, "Alias analyses to run"),
    word_with!("lto-newpm-passes", "PASSES", NOTHING, "Passes to run"),
    word_with!("lto-basic-block-sections", "WHICH", NOTHING, "Sections for basic blocks"),
    word!("lto-basic-block-address-map", NOTHING, "A map of the addresses of basic blocks"),
    word!("lto-unique-basic-block-section-names", NOTHING, "Names for the sections of basic blocks"),
    word_with!("lto-known-safe-vtables", "GLOB", NOTHING, "Virtual tables not to check"),
    word!("lto-validate-all-vtables-have-type-infos", NOTHING, "Check virtual tables"),
    harmless(&["no-lto-basic-block-address-map"], Takes::Nothing, "there is none by default"),
    harmless(&["no-lto-unique-basic-block-section-names"], Takes::Nothing, "they have none by default"),
    harmless(&["no-lto-validate-all-vtables-have-type-infos"], Takes::Nothing, "that is the default"),
    harmless(&["no-lto-whole-program-visibility"], Takes::Nothing, "that is the default"),
    harmless(&["lto-pgo-warn-mismatch"], Takes::Switch, "it is about warnings"),
    word_with!("thinlto-jobs", "N|all", Some("jobs="), "Compile N modules at once"),
    word_with!("thinlto-cache-dir", "DIR", Some("cache-dir="), "Keep compiled modules in DIR"),
    word_with!("thinlto-cache-policy", "POLICY", Some("cache-policy="), "How much of them to keep"),
    maybe(
        &["thinlto-index-only"],
        "FILE",
        "Write indexes for compiling elsewhere, list objects in FILE",
        |t, v| {
            let option = if v.is_some() { "thinlto-index-only=" } else { "thinlto-index-only" };
            word(t, "--thinlto-index-only", Some(option), v);
            Ok(())
        },
    ),
    word!(
        "thinlto-emit-imports-files",
        Some("thinlto-emit-imports-files"),
        "Write lists of what is imported"
    ),
    word!("thinlto-emit-index-files", NOTHING, "Write indexes and link as well"),
    word_with!(
        "thinlto-prefix-replace",
        "OLD;NEW",
        Some("thinlto-prefix-replace="),
        "Write indexes below NEW"
    ),
    word_with!(
        "thinlto-object-suffix-replace",
        "OLD;NEW",
        Some("thinlto-object-suffix-replace="),
        "Objects end with NEW where these end with OLD"
    ),
    word_with!("thinlto-single-module", "NAME", NOTHING, "Compile one module only"),
    maybe(&["save-temps"], "KIND", "Keep intermediate results of link-time optimisation", |t, v| {
        word(t, "--save-temps", if v.is_none() { Some("save-temps") } else { None }, v);
        Ok(())
    }),
    word!("disable-verify", Some("disable-verify"), "Do not check intermediate code"),
    value(&["mllvm"], "ARG", "Give ARG to LLVM", |t, v| {
        t.config.lto.words.push(LtoWord { shown: shown("-mllvm", Some(v)), option: Some(v.to_vec()) });
        Ok(())
    }),
    word_with!("load-pass-plugin", "FILE", NOTHING, "Load passes from FILE"),
    word_with!("opt-remarks-filename", "FILE", Some("opt-remarks-filename="), "Write remarks to FILE"),
    word_with!("opt-remarks-format", "FORMAT", Some("opt-remarks-format="), "Format of remarks"),
    word_with!("opt-remarks-passes", "REGEX", Some("opt-remarks-passes="), "Passes to remark on"),
    word_with!(
        "opt-remarks-hotness-threshold",
        "N",
        Some("opt-remarks-hotness-threshold="),
        "How hot what is remarked on must be"
    ),
    word!("opt-remarks-with-hotness", Some("opt-remarks-with-hotness"), "Remark how hot it is"),
    harmless(&["flto"], Takes::Maybe("auto|N|jobserver|thin|full"), CHOSEN),
    harmless(&["fno-lto"], Takes::Nothing, CHOSEN),
    harmless(&["flto-partition"], Takes::Value("METHOD"), "the plugin is told by its own options"),
    harmless(&["fat-lto-objects"], Takes::Switch, CHOSEN),
    harmless(&["lto"], Takes::Maybe("full|thin"), CHOSEN),
];

/// `-plugin`: what follows is for it. Naming one twice is naming it once.
fn plugin(t: &mut Typed, file: &[u8]) -> Answer {
    let path = path(file);
    let plugins = &mut t.config.lto.plugins;
    let named = match plugins.iter().position(|plugin| plugin.path == path) {
        Some(at) => plugins.remove(at),
        None => Plugin { path, options: Vec::new() },
    };
    plugins.push(named);
    let waiting = std::mem::take(&mut t.plugin_options);
    waiting.iter().for_each(|option| plugin_option(t, option));
    Ok(())
}

/// `-plugin-opt`: for the plugin named last, or for the one to come.
fn plugin_option(t: &mut Typed, option: &[u8]) {
    match t.config.lto.plugins.last_mut() {
        Some(plugin) => plugin.options.push(option.to_vec()),
        None => t.plugin_options.push(option.to_vec()),
    }
}

/// An option in lld's words, and what LLVM's plugin calls it.
fn word(t: &mut Typed, name: &str, option: Option<&str>, value: Option<&[u8]>) {
    let option = option.map(|option| [option.as_bytes(), value.unwrap_or_default()].concat());
    t.config.lto.words.push(LtoWord { shown: shown(name, value), option });
}

fn shown(name: &str, value: Option<&[u8]>) -> String {
    match value {
        Some(value) => format!("{name}={}", String::from_utf8_lossy(value)),
        None => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;
    use stages::config::Lto;

    fn lto(line: &str) -> Lto {
        let words: Vec<_> = line.split_whitespace().map(Into::into).collect();
        let typed = parse(&words);
        assert_eq!(typed.problems, [], "{line}");
        typed.config.lto
    }

    #[test]
    fn options_go_to_the_plugin_before_them() {
        let lto = lto(
            "-plugin-opt=early -plugin /a.so -plugin-opt=x --plugin=/b.so -plugin-opt y -plugin /a.so -plugin-opt=z",
        );
        let told: Vec<(String, Vec<&str>)> = lto
            .plugins
            .iter()
            .map(|plugin| {
                let options = plugin.options.iter().map(|o| std::str::from_utf8(o).unwrap()).collect();
                (plugin.path.display().to_string(), options)
            })
            .collect();
        let expected = [("/b.so".to_string(), vec!["y"]), ("/a.so".to_string(), vec!["early", "x", "z"])];
        assert_eq!(told, expected);
    }

    #[test]
    fn words_of_lld_have_names_for_the_plugin() {
        let lto =
            lto("--lto-O3 --thinlto-jobs=4 --thinlto-index-only --thinlto-index-only=f -mllvm -x --lto-CGO2");
        let names: Vec<Option<&str>> = lto
            .words
            .iter()
            .map(|word| word.option.as_deref().map(|option| std::str::from_utf8(option).unwrap()))
            .collect();
        let expected = ["O3", "jobs=4", "thinlto-index-only", "thinlto-index-only=f", "-x"];
        assert_eq!(names[..5], expected.map(Some));
        assert_eq!((names[5], lto.words[5].shown.as_str()), (None, "--lto-CGO2"));
    }
}
