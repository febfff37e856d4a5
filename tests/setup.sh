#!/bin/sh
# Installs what the tests use, on Debian, as root: compilers, the linkers they are compared with, debuggers, readers.

set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends \
    binutils chromium clang-19 cmake elfutils g++ gcc gdb libc6-dev libclang-rt-19-dev libstdc++-12-dev lld-19 llvm-19 make \
    musl-tools ninja-build >/dev/null
