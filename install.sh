#!/bin/sh
# Installs manifold where compilers look for linkers. Build it first: cargo build --release
#
#   ./install.sh [PREFIX=/usr/local] [DESTDIR=]
#
#   PREFIX/bin/manifold                        the linker
#   PREFIX/bin/ld.manifold                     found by   clang -fuse-ld=manifold
#   PREFIX/libexec/manifold/ld                 found by   gcc -BPREFIX/libexec/manifold
#   PREFIX/lib/manifold/libmanifold_run.so     used by    manifold -run COMMAND
#
# gcc takes no linker names it was not built with, hence the directory with an `ld` in it for its -B.
# DESTDIR is put before every path that is written, for packages; both may also be environment variables.

set -eu

for argument; do
    case $argument in
    PREFIX=*) PREFIX=${argument#PREFIX=} ;;
    DESTDIR=*) DESTDIR=${argument#DESTDIR=} ;;
    *)
        echo "usage: $0 [PREFIX=/usr/local] [DESTDIR=]" >&2
        exit 2
        ;;
    esac
done

prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix
here=$(cd "$(dirname "$0")" && pwd)
built=${CARGO_TARGET_DIR:-$here/target}/release

for file in manifold libmanifold_run.so; do
    if [ ! -f "$built/$file" ]; then
        echo "$0: $built/$file is missing; build it with: cargo build --release" >&2
        exit 1
    fi
done

mkdir -p "$root/bin" "$root/libexec/manifold" "$root/lib/manifold"
# A new name and a rename, so that a running linker keeps its file.
place() {
    cp "$1" "$2.new"
    chmod 755 "$2.new"
    mv -f "$2.new" "$2"
}
place "$built/manifold" "$root/bin/manifold"
place "$built/libmanifold_run.so" "$root/lib/manifold/libmanifold_run.so"
ln -sf manifold "$root/bin/ld.manifold"
ln -sf ../../bin/manifold "$root/libexec/manifold/ld"

echo "installed $prefix/bin/manifold"
