#!/usr/bin/env bash
# Converts photos to tokens and back with the bundled model: each photo of Examples/photos beside
# its reconstruction and the error, a mosaic of its tokens' patches, and an evaluation page.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

Scripts/setup.sh
build --product dvae
dvae="$(build --show-bin-path)/dvae"
out=demo-output
rm -rf $out
mkdir $out

say "photos to tokens, 1024 each"
"$dvae" tokenize Examples/photos --weights starter --output $out/tokens.npy --quiet
"$dvae" tokens stats $out/tokens.npy
say "and back: input, reconstruction, error; PSNR and SSIM"
"$dvae" reconstruct Examples/photos --weights starter --compare --output $out --quiet
"$dvae" tokens mosaic $out/tokens.npy --weights starter --key kodim23 --output $out/kodim23-tokens.png --quiet
"$dvae" evaluate Examples/photos --weights starter --html $out/report.html --quiet
say "look at these:"
printf '  %s\n' "$PWD/$out"/*.png "$PWD/$out/report.html"
