#!/usr/bin/env bash
# Builds the library's documentation into .build/docs with the toolchain's own tools; a broken link is
# an error. It has pages for all that `import DVAEKit` gives, from whichever module it comes.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
build --product DVAEKit ${TRAITS:+--traits "$TRAITS"}
built="$(build --show-bin-path)"
triple="$(swift -print-target-info | sed -n 's/.*"triple": "\(.*\)".*/\1/p' | head -n 1)"
exported="$(sed -n 's/^@_exported public import //p' Sources/DVAEKit/Exports.swift | paste -sd, -)"
options=()
while read -r map; do options+=(-Xcc "-fmodule-map-file=$map"); done \
  < <(find "$PWD/Sources" "$built"/CDVAE*.build -name module.modulemap)
docc=(docc)
if [[ $(uname) == Darwin ]]; then
  docc=(xcrun docc)
  options+=(-sdk "$(xcrun --show-sdk-path)")
fi

rm -rf .build/docs .build/symbols
mkdir -p .build/symbols
swift symbolgraph-extract -module-name DVAEKit -target "$triple" -I "$built/Modules" "${options[@]}" \
  -experimental-allowed-reexported-modules="$exported" -minimum-access-level public \
  -skip-inherited-docs -skip-synthesized-members -output-dir .build/symbols
"${docc[@]}" convert Sources/DVAEKit/DVAEKit.docc --additional-symbol-graph-dir .build/symbols \
  --fallback-display-name DVAEKit --fallback-bundle-identifier DVAEKit --warnings-as-errors \
  --transform-for-static-hosting --output-path .build/docs
say "open .build/docs/documentation/dvaekit/index.html (through a web server)"
