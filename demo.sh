#!/bin/sh
# Builds manifold, links a real Rust program with it (manifold's own debug build), runs that program and prints
# where the time of that link went.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/target}
demo=$target/demo

cd "$here"
cargo build --release
mkdir -p "$demo/bin"

# A linker driver for rustc: cc, told to find manifold under every name it may look for.
for name in ld ld.lld; do
    ln -sf "$target/release/manifold" "$demo/bin/$name"
done
cat >"$demo/cc" <<EOF
#!/bin/sh
exec cc -B "$demo/bin" "\$@" -Wl,--trace >"$demo/inputs" 2>"$demo/profile"
EOF
chmod +x "$demo/cc"

echo "    Building the program to link: manifold's debug build. This takes a while the first time."
touch cli/src/main.rs
cargo rustc --quiet --target-dir "$demo/build" --package manifold --bin manifold -- -C linker="$demo/cc"

echo
echo "The program, linked by $(readelf -p .comment "$demo/build/debug/manifold" | grep -o 'manifold .*'):"
"$demo/build/debug/manifold" --version
echo
echo "Its link read $(wc -l <"$demo/inputs") files:"
cat "$demo/profile"
