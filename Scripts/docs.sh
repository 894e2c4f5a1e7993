#!/usr/bin/env bash
# Builds the library's documentation into .build/docs; a broken link is an error. The package
# depends on the documentation plugin only if DVAE_DOCS is set.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
rm -rf .build/docs
DVAE_DOCS=1 swift package --scratch-path .build/docs-build \
  --allow-writing-to-directory .build/docs generate-documentation \
  --target DVAEKit --warnings-as-errors --transform-for-static-hosting --output-path .build/docs
say "open .build/docs/documentation/dvaekit/index.html (through a web server)"
