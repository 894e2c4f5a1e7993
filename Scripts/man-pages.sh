#!/usr/bin/env bash
# Writes manual pages of a dvae program into a folder, one per command, from their help:
# man-pages.sh PROGRAM FOLDER.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

[[ $# == 2 ]] || fail "expected a program and a folder"
program=$1 folder=$2
# Manual pages are indented by seven columns.
export COLUMNS=72
version=$("$program" --version)

# Escapes text for roff: hyphens stay hyphens, and no line becomes a request.
plain() { sed "s/\\\\/\\\\e/g; s/-/\\\\-/g; s/^[.']/\\\\\&&/"; }

# Converts the help of one command on standard input to a page; the headings are the page's.
page() { # page NAME
  plain | awk -v name="$1" -v version="$version" '
    BEGIN {
      printf ".TH %s 1 \"\" \"swift-dvae %s\" \"swift-dvae\"\n", toupper(name), version
      gsub(/-/, "\\-", name)
    }
    /^OVERVIEW: / {
      summary = substr($0, 11)
      # The summary ends at the first empty line.
      while ((getline line) > 0 && line != "") summary = summary " " line
      sub(/\.$/, "", summary)
      printf ".SH NAME\n%s \\- %s\n.SH DESCRIPTION\n.nf\n", name, summary
      next
    }
    /^USAGE: / { printf ".SH SYNOPSIS\n.ad l\n%s\n", substr($0, 8); next }
    /^[A-Z][A-Z ]*:$/ { sub(/:$/, ""); print ".SH " $0; print ".nf"; next }
    /^ *See .dvae help/ { next }
    { print }
  ' >"$folder/$1.1"
}

# Each command and its subcommands.
pages() { # pages NAME WORD...
  local name=$1 help below
  shift
  help=$("$program" "$@" --help)
  page "$name" <<<"$help"
  while read -r below; do
    pages "$name-$below" "$@" "$below"
  done < <(awk '/^SUBCOMMANDS:$/ { on = 1; next } on && /^  [a-z]/ { print $1 } on && /^$/ { exit }' \
    <<<"$help")
}

mkdir -p "$folder"
pages dvae
