#!/usr/bin/env bash
# Runs the kernels' C check for 64-bit Arm under emulation, on Debian or Ubuntu; installs a cross
# compiler and the emulator if they are missing. The Swift part is not built.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

if ! command -v qemu-aarch64 >/dev/null || ! command -v aarch64-linux-gnu-gcc >/dev/null; then
  apt_install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
fi
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for source in Sources/CDVAEKernels/{,images/}*.c Utilities/kernels_agree{,_images}.c; do
  clang --target=aarch64-linux-gnu --sysroot=/usr/aarch64-linux-gnu -I/usr/aarch64-linux-gnu/include \
    -std=c17 -O2 -Wall -Werror -ISources/CDVAEKernels/include -c "$source" \
    -o "$build/${source//\//_}.o"
done
aarch64-linux-gnu-gcc -static "$build"/*.o -lm -o "$build/kernels_agree"
qemu-aarch64 "$build/kernels_agree"
