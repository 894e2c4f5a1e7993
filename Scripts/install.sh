#!/usr/bin/env bash
# Installs the program under PREFIX (default /usr/local) with the starter model, the service's page,
# manual pages and completions for bash, zsh and fish; install.sh --uninstall removes them. DESTDIR
# is prepended to PREFIX; DVAE names an existing program, TRAITS package traits to build it with.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

prefix=${PREFIX:-/usr/local}
[[ $prefix == /* ]] || fail "PREFIX must begin with /: $prefix"
root=${DESTDIR:-}$prefix
man=$root/share/man/man1
share=$root/share/dvae
completions=(
  bash "$root/share/bash-completion/completions/dvae"
  zsh "$root/share/zsh/site-functions/_dvae"
  fish "$root/share/fish/vendor_completions.d/dvae.fish"
)

remove() {
  rm -f "$root/bin/dvae" "${completions[1]}" "${completions[3]}" "${completions[5]}" \
    "$man"/dvae.1 "$man"/dvae-*.1
  # Device plugins may be in the same folder.
  local file
  for file in Sources/*/Resources/*; do rm -f "$share/${file##*/}"; done
  rmdir "$share" 2>/dev/null || true
}

if [[ ${1:-} == --uninstall ]]; then
  remove
  say "removed dvae from $root"
  exit
fi

if [[ -z ${DVAE:-} ]]; then
  Scripts/build.sh
  DVAE=$(build --show-bin-path ${TRAITS:+--traits "$TRAITS"})/dvae
fi
[[ -x $DVAE ]] || fail "there is no program $DVAE"
writable() { mkdir -p "$@" && for folder; do [[ -w $folder ]] || return; done; }
writable "$root/bin" "$man" "$share" || fail "cannot write to $root; choose another PREFIX, or use sudo"
# Remove the pages of commands that no longer exist.
remove
mkdir -p "$share"
install -m 755 "$DVAE" "$root/bin/dvae"
install -m 644 Sources/*/Resources/* "$share"
for ((i = 0; i < ${#completions[@]}; i += 2)); do
  mkdir -p "$(dirname "${completions[i + 1]}")"
  "$DVAE" --generate-completion-script "${completions[i]}" >"${completions[i + 1]}"
done
Scripts/man-pages.sh "$DVAE" "$man"
say "installed $root/bin/dvae"
