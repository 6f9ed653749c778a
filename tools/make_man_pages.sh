#!/usr/bin/env bash
# Makes a man page of each command from its --help.
set -euo pipefail

if [[ $# -ne 2 ]]; then
  cat <<'HELP'
usage: tools/make_man_pages.sh BIN_DIR OUT_DIR

Writes OUT_DIR/COMMAND.1 for every command in BIN_DIR, from what its --help prints. Needs help2man.

example: tools/make_man_pages.sh build/release/bin build/release/man
HELP
  [[ ${1-} == --help ]] && exit 0 || exit 2
fi

out=$(realpath -m -- "$2")
cd -- "$1"  # help2man asks a shell, which would take a path with spaces apart
mkdir -p -- "$out"
version=$(./pli --version | sed -n '1s/.*Pli //p')
for command in onnx-*; do
  summary=$(./pli --help | sed -n "s/^  $command  *//p" | head -n 1)
  help2man --no-info --version-string "$version" --name "$summary" --output "$out/$command.1" "./$command"
done
