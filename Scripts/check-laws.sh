#!/usr/bin/env bash
# The rules of this repository that neither the compiler nor the formatter checks. See
# ARCHITECTURE.md.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

broken=0
law() { # law TEXT HITS: every line of HITS breaks the law TEXT
  [[ -z $2 ]] && return
  broken=1
  say "broken: $1" >&2
  printf '%s\n' "$2" | sed 's/^/  /' >&2
}

# Searches code lines with file and number, without comments: search_code PATTERN GREP-ARGUMENT...
search_code() {
  grep -rnE --include='*.swift' --include='*.[ch]' --include='*.inc' "$@" |
    grep -vE '^[^:]+:[0-9]+:[[:space:]]*(//|\*|/\*)' || (($? == 1))
}

# Arrows point down: a module imports only modules of a lower level. The levels are in
# Package.swift, in the comments above the targets; this prints a line "module level folder" for each.
levels=$(awk '
  /^ *\/\/ Level [0-9]+/ { level = $3 + 0; next }
  /^ *\/\/ Tests/ { exit }
  level == "" { next }
  match($0, /(c|module|system)\("[A-Za-z0-9]+"|name: "[A-Za-z0-9]+"|^ *"[A-Za-z0-9]+", *$/) {
    name = substr($0, RSTART, RLENGTH); gsub(/.*\("|name: "|[", ]/, "", name)
    if (!(name in levels)) { levels[name] = level; folders[name] = "Sources/" name; last = name }
  }
  match($0, /path: "[^"]+"/) { folders[last] = substr($0, RSTART + 7, RLENGTH - 8) }
  END { for (name in levels) print name, levels[name], folders[name] }' Package.swift)
level() { awk -v module="$1" '$1 == module { print $2 }' <<<"$levels"; }
upward=""
while read -r module own folder; do
  [[ -d $folder ]] || fail "$module has no folder $folder"
  while read -r imported; do
    other=$(level "$imported")
    if [[ -n $other ]] && ((other > own || (other == own && own > 0))); then
      upward+="$module imports $imported"$'\n'
    fi
  done < <(grep -rhE --include='*.swift' \
    '^[[:space:]]*(@[A-Za-z_]+ +)?((public|package|internal|private) +)?import ' "$folder" |
    awk '{ print $NF }' | sort -u)
done <<<"$levels"
law "a module imports only modules of a lower level" "${upward%$'\n'}"
law "every folder of Sources is a target with a level in Package.swift" \
  "$(comm -13 <(awk '{ print $3 }' <<<"$levels" | sort) <(printf '%s\n' Sources/* | sort))"

# The trainer accepts any batch source; the one that reads images is separate.
law "of training, only its Data folder imports DVAEImages" \
  "$(search_code 'import +DVAEImages' Sources/DVAETraining | grep -v '^Sources/DVAETraining/Data/' || (($? == 1)))"

# Escaping and the style of pages live in one place.
law "only DVAEReports writes HTML" \
  "$(search_code '<(!doctype|/?(html|head|body|h[1-6]|p|div|span|table|t[rhd]|ul|ol|li|a|b|i|svg|img|figure|details|style|script|pre))[ >]' \
    Sources | grep -v '^Sources/DVAEReports/' || (($? == 1)))"

law "only CDVAEKernels includes intrinsics headers" \
  "$(search_code '(include|import).*(intrin|arm_neon|arm_sve)' Sources | grep -v '^Sources/CDVAEKernels/' || (($? == 1)))"

law "only DVAECommands prints or exits" \
  "$(search_code '(^|[^[:alnum:]_.])(print|debugPrint|dump|puts|fputs|printf|fprintf|exit|_exit|abort)\(|FileHandle\.standard(Output|Error)' \
    Sources | grep -vE '^Sources/(DVAECommands|dvae)/' || (($? == 1)))"

law "only the floor knows the file system: other modules use its files" \
  "$(search_code 'FileManager|contentsOfFile|Data\(contentsOf' --exclude-dir=DVAEFiles Sources || (($? == 1)))"

law "a target's name has the package's prefix: SwiftPM refuses two of one name in a build" \
  "$(
    cd Sources || exit
    printf '%s\n' * | grep -vE '^(C?DVAE[A-Za-z]|dvae$)' || (($? == 1))
  )"

law "there is one public error type, DVAEError" \
  "$(search_code 'public +(enum|struct|final class) +[A-Za-z]+ *:[^{]*[ ,]Error\b' Sources |
    grep -v 'DVAEFiles/Errors/DVAEError.swift' || (($? == 1)))"

# Only Apple's compiler sees the second branch.
law "both branches of '#if canImport' import Foundation with one access level" \
  "$(find Sources -name '*.swift' -exec awk '
    /^#if canImport\(FoundationEssentials\)/ { getline; first = $1; getline; getline
      if ($1 != first) print FILENAME ":" FNR ": " $0 }' {} +)"

law "library text does not speak of command-line options" \
  "$(search_code '"[^"]*--[a-z]+[a-z-]*' --exclude-dir=DVAECommands --exclude-dir=dvae Sources |
    grep -vE 'xla_|curl --|^Sources/DVAEReports/' || (($? == 1)))"

law "no source file has more than 400 lines" \
  "$(git ls-files --cached --others --exclude-standard \
    '*.swift' '*.[ch]' '*.cpp' '*.inc' '*.py' '*.sh' '*.html' '*.css' '*.js' '*.mk' Makefile .ci/run |
    tr '\n' '\0' |
    xargs -0 wc -l | awk '$1 > 400 && $2 != "total" { print $2 ": " $1 " lines" }')"

# A property is a noun phrase and a function a verb: "What" hides the subject of a comment.
law "no comment begins with What" \
  "$(grep -rnE --include='*.swift' --include='*.[ch]' --include='*.inc' --include='*.sh' --include='*.py' \
    '((^[[:space:]]*|[[:space:]])(///?|#|/?\*+)[[:space:]]*|^[[:space:]]*""")What\b' \
    Sources Tests Snippets Examples Scripts Utilities Benchmarks || (($? == 1)))"

# The README shows the snippet that the package compiles, word for word.
if [[ -f README.md && -f Snippets/FiveLines.swift ]]; then
  shown=$(awk '/^```swift$/ { on = 1; next } /^```$/ { on = 0 } on' README.md)
  law "the README's Swift block is Snippets/FiveLines.swift" \
    "$(diff <(printf '%s\n' "$shown") Snippets/FiveLines.swift || (($? == 1)))"
fi

# ARCHITECTURE.md's table of modules has every module.
described=$(awk -F'|' '/^## / { on = /^## Modules/ }
  on && /^\| / { n = split($2, part, "`"); for (i = 2; i <= n; i += 2) print part[i] }' ARCHITECTURE.md | sort)
law "ARCHITECTURE.md's table has the modules of Package.swift (<: in Package.swift alone, >: in the table alone)" \
  "$(diff <(awk '{ print $1 }' <<<"$levels" | sort) <(echo "$described") | grep '^[<>]' || (($? == 1)))"

# Every idea in ARCHITECTURE.md's table is declared where the table says, and nowhere else.
homes=$(awk -F'`' '/^## / { on = /Where each idea lives/ } on && NF == 5 { print $2, $4 }' ARCHITECTURE.md)
strays=$(while read -r name file; do
  found=$(grep -rlE --include='*.swift' \
    "^((public|package|final|indirect) )*(struct|class|enum|protocol|actor|func) $name\\b" Sources || (($? == 1)))
  [[ $found == "Sources/$file" ]] || echo "$name: expected in Sources/$file, found in ${found:-no file}"
done <<<"$homes")
law "each idea of ARCHITECTURE.md's table is declared once, where the table says" "$strays"

# Documents name members that exist: each `Type.member` is declared where the type is declared or extended.
declares='(struct|class|enum|protocol|actor|extension|let|var|func|case|typealias)'
strays=$(grep -oE '`[A-Z]+[a-z][A-Za-z]*(\.[A-Za-z]+)+[`(]' ARCHITECTURE.md docs/{numerics,security,serve}.md | tr -d '`(' |
  grep -v '\.swift$' | sort -u | while IFS=: read -r page name; do
  type=${name%.*} member=${name##*.}
  grep -rlE --include='*.swift' "^ *([a-z@]+ )*(struct|class|enum|protocol|actor|extension) ([A-Za-z.]+\.)?${type##*.}\b" \
    Sources | xargs -r grep -qE "^ *([^=/]* )?$declares ([^=]*[ (,])?$member\b" || echo "$page: $name"
done)
law "each Type.member in ARCHITECTURE.md and docs/{numerics,security,serve}.md is declared" "$strays"

# Everything public is intended: docs/library.md lists every public type, nested ones by their path, and every
# public code of DVAEError, as `.code`. swift-format indents by two spaces.
public=$(find Sources -name '*.swift' -exec awk '
  match($0, /^ *(@[A-Za-z]+ )*([a-z]+ )*(struct|class|enum|protocol|actor|extension) [A-Z][A-Za-z.]*/) {
    n = split(substr($0, RSTART, RLENGTH), word, " "); depth = (match($0, /[^ ]/) - 1) / 2
    path[depth] = (depth > 0 ? path[depth - 1] "." : "") word[n]
    if (/^[^a-z]*(@[A-Za-z]+ )*public /) print path[depth]
  }
  match($0, /^ *public static let [A-Za-z]+ = (Self|Code)\(rawValue: /) { print "." $4 }' {} + | sort)
listed=$(awk -F'`' '/^\| `/ { print $2 }' docs/library.md | sort)
law "docs/library.md lists what is public (<: in the code alone, >: on the page alone)" \
  "$(diff <(echo "$public") <(echo "$listed") | grep '^[<>]' || (($? == 1)))"

# Links in Markdown: a relative target is a file of the repository, and an anchor one of its headings.
anchors() { # anchors FILE: the anchors of its headings, as GitHub makes them
  awk '/^```/ { code = !code } !code && /^#+ /' "$1" |
    sed -E 's/^#+ +//; s/\[([^]]*)\]\([^)]*\)/\1/g; s/[^[:alnum:] _-]//g; s/ /-/g' | tr '[:upper:]' '[:lower:]'
}
broken_links=$(git ls-files '*.md' | while read -r page; do
  awk '/^```/ { code = !code } !code' "$page" | { grep -oE '\]\([^) ]+\)' || (($? == 1)); } | sed 's/^](//; s/)$//' |
    while read -r link; do
      [[ $link =~ ^[a-z]+: ]] && continue
      path=${link%%#*} target=$page
      if [[ -n $path ]]; then target=$(dirname "$page")/$path; fi
      if [[ ! -e $target ]]; then
        echo "$page: $link"
      elif [[ $link == *#* ]] && ! anchors "$target" | grep -qxF -- "${link#*#}"; then
        echo "$page: $link"
      fi
    done
done)
law "a relative link in Markdown leads to a file and a heading" "$broken_links"

((broken == 0)) || exit 1
