#!/usr/bin/env bash
# Photos to tokens and back: each photo of Examples/photos beside its reconstruction and the error.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
swift build --configuration release --product dvae
dvae="$(swift build --configuration release --show-bin-path)/dvae"

weights=starter
if ! "$dvae" weights info starter >/dev/null 2>&1; then
  weights=random
  say "no trained model is in the package yet, so this run uses RANDOM weights:"
  say "it shows that everything works; the reconstructions mean nothing."
fi
rm -rf demo-output
"$dvae" reconstruct Examples/photos --weights "$weights" --compare --output demo-output
say "input, reconstruction and error side by side:"
printf '  %s\n' "$PWD"/demo-output/*.png
