#!/usr/bin/env bash
# Builds a product for release, by default the program. TRAITS in the environment names package traits.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
build --product "${1:-dvae}" ${TRAITS:+--traits "$TRAITS"}
