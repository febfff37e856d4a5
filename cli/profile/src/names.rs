//! What people call the inputs of a link: a crate, a library, a target, rather than a path with hashes in it.
//!
//! | path | group |
//! |---|---|
//! | `target/debug/deps/libtokio-0ab1c2d3e4f5a6b7.rlib` | `tokio` |
//! | `target/debug/deps/app-0ab1c2d3e4f5a6b7.app.1f2e-cgu.3.rcgu.o` | `app` |
//! | `/tmp/rustcXa1b2/symbols.o` | `(rustc)` |
//! | `/usr/lib/x86_64-linux-gnu/libz.a` | `libz.a` |
//! | `/usr/lib/gcc/x86_64-linux-gnu/12/crtbeginS.o` | `(gcc)` |
//! | `/usr/lib/x86_64-linux-gnu/Scrt1.o` | `(libc)` |
//! | `bazel-out/k8-opt/bin/net/http/libclient.a` | `//net/http:client` |
//! | `bazel-out/k8-opt/bin/external/zlib/_objs/zlib/adler32.pic.o` | `@zlib//:zlib` |
//! | `out/src/CMakeFiles/core.dir/net/tls.cpp.o` | `core` |
//! | `build/net/tls.o` | `build/net` |

/// The group an input belongs to.
pub fn group_of(path: &str) -> String {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    if let Some(target) = bazel_target(path) {
        return target;
    }
    if let Some(name) = file.strip_suffix(".rlib") {
        return without_hash(name.strip_prefix("lib").unwrap_or(name)).to_string();
    }
    if file.ends_with(".rcgu.o") {
        // crate-hash.crate.unit.rcgu.o
        let name = file.split('.').next().unwrap_or(file);
        return without_hash(name).to_string();
    }
    let in_rustc_scratch =
        directory.rsplit('/').next().is_some_and(|d| d.starts_with("rustc") && d.len() > "rustc".len());
    if in_rustc_scratch {
        return "(rustc)".into();
    }
    if file.ends_with(".a") || file.contains(".so") {
        return file.to_string();
    }
    if let Some((_, rest)) = path.split_once("CMakeFiles/")
        && let Some((target, _)) = rest.split_once(".dir/")
    {
        return target.to_string();
    }
    if is_start_file(file) {
        return if directory.contains("/gcc") { "(gcc)".into() } else { "(libc)".into() };
    }
    match directory {
        "" => "(objects)".into(),
        directory => shortened(directory),
    }
}

/// A Bazel label for a path in its output tree.
fn bazel_target(path: &str) -> Option<String> {
    let (_, rest) = path.split_once("bazel-out/")?;
    let (_, rest) = rest.split_once("/bin/")?;
    let (repository, rest) = match rest.strip_prefix("external/") {
        Some(rest) => {
            let (name, rest) = rest.split_once('/')?;
            (format!("@{name}"), rest)
        }
        None => (String::new(), rest),
    };
    if let Some((package, rest)) = rest.split_once("_objs/") {
        let target = rest.split('/').next()?;
        return Some(format!("{repository}//{}:{target}", package.trim_end_matches('/')));
    }
    let (package, file) = rest.rsplit_once('/').unwrap_or(("", rest));
    let name = file.split('.').next()?;
    let name = name.strip_prefix("lib").unwrap_or(name);
    Some(format!("{repository}//{package}:{name}"))
}

/// `tokio-0ab1c2d3e4f5a6b7` without the hash that cargo adds.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((short, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => short,
        _ => name,
    }
}

/// What compilers put around every program.
fn is_start_file(file: &str) -> bool {
    matches!(file, "crti.o" | "crtn.o" | "crt1.o" | "Scrt1.o" | "rcrt1.o" | "gcrt1.o" | "Mcrt1.o")
        || file.starts_with("crtbegin")
        || file.starts_with("crtend")
}

/// The last two parts of a long path.
fn shortened(directory: &str) -> String {
    let parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match parts.len() {
        0 => directory.to_string(),
        1 | 2 => parts.join("/"),
        count => parts[count - 2..].join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_short_names() {
        for (path, group) in [
            ("/x/target/debug/deps/libtokio-0ab1c2d3e4f5a6b7.rlib", "tokio"),
            ("libserde_json-0ab1c2d3e4f5a6b7.rlib", "serde_json"),
            ("deps/app-0ab1c2d3e4f5a6b7.app.1f2e3d-cgu.03.rcgu.o", "app"),
            ("deps/my-app.my-app.1f2e3d-cgu.03.rcgu.o", "my-app"),
            ("/tmp/rustcXa1b2/symbols.o", "(rustc)"),
            ("/usr/lib/x86_64-linux-gnu/libz.a", "libz.a"),
            ("/lib/x86_64-linux-gnu/libc.so.6", "libc.so.6"),
            ("/usr/lib/gcc/x86_64-linux-gnu/12/crtbeginS.o", "(gcc)"),
            ("/usr/lib/x86_64-linux-gnu/Scrt1.o", "(libc)"),
            ("bazel-out/k8-opt/bin/net/http/libclient.a", "//net/http:client"),
            ("bazel-out/k8-opt/bin/external/zlib/_objs/zlib/adler32.pic.o", "@zlib//:zlib"),
            ("bazel-out/k8-fastbuild/bin/app/_objs/app/main.o", "//app:app"),
            ("out/src/CMakeFiles/core.dir/net/tls.cpp.o", "core"),
            ("/home/me/app/build/net/tls.o", "build/net"),
            ("./a.o", "."),
            ("a.o", "(objects)"),
        ] {
            assert_eq!(group_of(path), group, "{path}");
        }
    }
}
