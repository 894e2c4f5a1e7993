#!/usr/bin/env bash
# Formatting, the laws of the module graph, and the scripts themselves.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

paths=(Package.swift Sources Tests Examples)
if [[ -d Snippets ]]; then paths+=(Snippets); fi
swift format lint --strict --recursive --parallel "${paths[@]}"
Scripts/check-laws.sh
if command -v shellcheck >/dev/null; then shellcheck -x Scripts/*.sh Benchmarks/*.sh .ci/run; fi
# The check of the kernels runs under emulation (Scripts/test-arm64.sh); here it must compile.
clang -std=c17 -Wall -Werror -fsyntax-only -ISources/CDVAEKernels/include Utilities/kernels_agree{,_images}.c
