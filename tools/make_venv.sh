#!/usr/bin/env bash
# Makes a virtual environment of Python from a list of packages, again only when the list has changed.
set -euo pipefail

if [[ $# -lt 2 ]]; then
  cat <<'HELP'
usage: tools/make_venv.sh VENV LIST [PIP ARGUMENT...]

Makes the folder VENV a virtual environment of Python with the packages of PyPI that the file LIST names, as pip's
--requirement takes it. Does nothing, and asks for no network, when VENV was made from the same list before.

example: tools/make_venv.sh build/exporters/venv/torch models/exporters/torch.txt
HELP
  [[ ${1-} == --help ]] && exit 0 || exit 2
fi

venv=$1
list=$2
if cmp -s -- "$list" "$venv/installed.txt"; then
  exit 0
fi
echo "installing $list"
rm -rf -- "$venv"
mkdir -p -- "$(dirname -- "$venv")"
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --requirement "$list" "${@:3}"
cp -- "$list" "$venv/installed.txt"
