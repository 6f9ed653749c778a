#!/usr/bin/env bash
# Checks the code's format (.clang-format) and a short list of defects (.clang-tidy). Needs nothing built before.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: tools/lint.sh [--fix]

Fails when a C++ file is not formatted as .clang-format says or clang-tidy finds one of the defects of .clang-tidy,
which needs every file to include what it uses.
--fix formats the files instead of complaining about their format.

example: tools/lint.sh
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
cmake --log-level=ERROR -S . -B build/lint -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
  -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DPLI_TESTS=OFF >/dev/null
cmake --build build/lint --target pli_schema >/dev/null  # headers that are generated

git ls-files '*.cpp' '*.h' | xargs clang-format-14 "${format[@]}"
git ls-files 'runtime/*.cpp' 'passes/*.cpp' 'tools/*.cpp' |
  xargs -P "$(nproc)" -n 4 clang-tidy-14 -p build/lint --quiet 2>/dev/null
