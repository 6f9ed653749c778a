#!/usr/bin/env bash
# Installs the Debian packages that lists name and the system lacks; does nothing, and asks for no network, when all are there.
set -euo pipefail

if [[ $# -eq 0 || $1 == --help ]]; then
  cat <<'HELP'
usage: tools/install_packages.sh FILE...

Installs the Debian packages named in the files, one a line, that are not installed yet. # starts a comment.
Uses sudo when not run as root.

example: tools/install_packages.sh tools/packages.txt models/packages.txt
HELP
  [[ $# -gt 0 ]] && exit 0 || exit 2
fi

fail() {
  printf 'install_packages.sh: %s\n' "$1" >&2
  [[ $# -eq 1 ]] || printf '  %s\n' "${@:2}" >&2
  exit 1
}

names=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' -- "$@" | sort -u)
mapfile -t wanted <<<"$names"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "this is not a Debian system; install what corresponds to these Debian packages, then build with cmake:" \
    "${wanted[*]}"
fi

# dpkg-query fails when it knows nothing of a package; what it prints about the others still counts.
# shellcheck disable=SC2016  # the format is dpkg's to expand
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/ installed$//p' | sort -u) || true
missing=$(comm -23 <(printf '%s\n' "${wanted[@]}") <(printf '%s\n' "$installed"))
if [[ -z $missing ]]; then
  exit 0
fi

mapfile -t packages <<<"$missing"
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600)
if [[ $EUID -ne 0 ]]; then
  command -v sudo >/dev/null || fail "packages are missing and there is no sudo; run this as root, then try again:" \
    "apt-get update && apt-get install --no-install-recommends ${packages[*]}"
  apt=(sudo "${apt[@]}")
fi

echo "installing ${packages[*]}"
"${apt[@]}" update || fail "apt-get update failed; see its message above"
"${apt[@]}" install -y --no-install-recommends "${packages[@]}" ||
  fail "apt-get could not install ${packages[*]}; see its message above"
