#!/usr/bin/env bash
# Checks the code's format (.clang-format) and a short list of defects (.clang-tidy). Needs a configured build/release.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: tools/lint.sh [--fix]

Fails when a C++ file is not formatted as .clang-format says or clang-tidy finds one of the defects of .clang-tidy.
--fix formats the files instead of complaining about their format.

example: cmake --preset release && tools/lint.sh
HELP
}

format=(--dry-run -Werror)
case ${1-} in
  "") ;;
  --fix) format=(-i) ;;
  --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -f build/release/compile_commands.json ] || cmake --preset release

git ls-files '*.cpp' '*.h' | xargs clang-format-14 "${format[@]}"
# GCC's own warning options are unknown to clang.
git ls-files 'runtime/*.cpp' 'passes/*.cpp' 'tools/*.cpp' |
  xargs -P "$(nproc)" -n 4 clang-tidy-14 -p build/release --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null
