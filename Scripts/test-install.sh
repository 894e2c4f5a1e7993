#!/usr/bin/env bash
# Tests an installation in a temporary folder: the program finds its model, completions offer files
# and presets, manual pages are valid; a copied program reports where it searched for the model;
# uninstalling leaves nothing behind. DVAE names an existing program.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PREFIX=$work/prefix
Scripts/install.sh
dvae=$PREFIX/bin/dvae
"$dvae" weights info starter | grep -q "$PREFIX/share/dvae/starter.safetensors" ||
  fail "the installed program does not find its model"

mkdir "$work/alone" "$work/photos"
cp "$dvae" "$work/alone"
message=$("$work/alone/dvae" weights info starter 2>&1) && fail "a copied program has a model"
[[ $message == *"$work/share/dvae"* ]] || fail "a copied program does not say where it looked: $message"

complete_in_bash() { # complete_in_bash WORD...: the completions of the last word
  (cd "$work" && bash -c '
    shopt -s extglob
    source "$1"; shift
    COMP_WORDS=(dvae "$@") COMP_CWORD=$# COMP_LINE="dvae $*" COMP_POINT=${#COMP_LINE}
    _dvae dvae "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" >/dev/null 2>&1; printf "%s\n" "${COMPREPLY[@]}"
  ' - "$PREFIX/share/bash-completion/completions/dvae" "$@")
}
expect() { # expect COMPLETION WORD...
  local wanted=$1
  shift
  complete_in_bash "$@" | grep -qx "$wanted *" || fail "bash: dvae $* does not offer $wanted"
}
expect photos tokenize pho
expect photos train --data pho
expect paper train --preset p
expect flava tokenize photos --preprocessing f
expect dall_e weights convert --format d
bash -n "$PREFIX/share/bash-completion/completions/dvae"
grep -q '^complete -F _dvae dvae$' "$PREFIX/share/bash-completion/completions/dvae" ||
  fail "bash takes commands for file names"
grep -q 'compopt -o filenames' "$PREFIX/share/bash-completion/completions/dvae" ||
  fail "bash does not take files for file names"
for shell in zsh:site-functions/_dvae fish:vendor_completions.d/dvae.fish; do
  if command -v "${shell%%:*}" >/dev/null; then
    "${shell%%:*}" -n "$PREFIX/share/${shell%%:*}/${shell#*:}"
  fi
done

for page in "$PREFIX"/share/man/man1/*.1; do
  grep -q '^\.SH OPTIONS' "$page" || fail "$page has no options"
  if command -v groff >/dev/null; then
    warnings=$(groff -k -man -ww -z -T utf8 "$page" 2>&1)
    [[ -z $warnings ]] || fail "$page: $warnings"
  fi
done
[[ -e $PREFIX/share/man/man1/dvae-tokens-info.1 ]] || fail "a command of a command has no page"

Scripts/install.sh --uninstall
left=$(find "$PREFIX" ! -type d)
[[ -z $left ]] || fail "left behind: $left"
say "passed"
