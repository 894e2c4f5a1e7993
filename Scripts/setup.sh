#!/usr/bin/env bash
# Prepares this machine for building: checks the Swift toolchain, and installs missing libraries for
# images, fetching and tables. If everything is installed it does nothing and needs no network.
# Arguments name further libraries: libmicrohttpd for the trait Server.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

command -v swift >/dev/null ||
  fail "no Swift toolchain on PATH; install Swift 6.2 or newer from https://www.swift.org/install"
version=$(swift --version 2>&1 | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p' | head -n 1)
major=${version%%.*} minor=${version##*.}
((${major:-0} > 6 || (${major:-0} == 6 && ${minor:-0} >= 2))) ||
  fail "found Swift ${version:-of unknown version}, need 6.2 or newer: https://www.swift.org/install"

modules=(libjpeg libpng libwebp libcurl sqlite3 zlib)
# Apple's systems have CryptoKit instead.
if [[ $(uname) != Darwin ]]; then modules+=(libcrypto); fi
libraries_found() { # libraries_found FURTHER...
  command -v pkg-config >/dev/null && pkg-config --exists "${modules[@]}" "$@" && bzip2_found
}
# Some systems have no pkg-config file for it, so ask the toolchain's own compiler.
bzip2_found() {
  local run=env
  if command -v xcrun >/dev/null; then run=xcrun; fi
  "$run" clang -E -x c - <<<'#include <bzlib.h>' >/dev/null 2>&1
}
if libraries_found "$@"; then exit 0; fi

if command -v brew >/dev/null; then
  say "installing libjpeg-turbo, libpng, libwebp and pkg-config with brew"
  brew install pkgconf jpeg-turbo libpng webp "$@"
elif command -v apt-get >/dev/null; then
  packages=(pkg-config libjpeg-dev libpng-dev libwebp-dev libcurl4-openssl-dev libssl-dev libsqlite3-dev libbz2-dev
    zlib1g-dev "${@/%/-dev}")
  apt_install "${packages[@]}"
else
  fail "install the development files of libjpeg-turbo, libpng, libwebp, libcurl, libcrypto, sqlite3, bzip2, zlib, $* and pkg-config"
fi
libraries_found "$@" || fail "pkg-config still does not find ${modules[*]}, bzip2 or $*"
