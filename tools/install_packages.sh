#!/usr/bin/env bash
# Installs the Debian packages that lists name and the system lacks; does nothing, and asks for no network, when all are there.
set -euo pipefail

if [[ $# -eq 0 || $1 == --help ]]; then
  cat <<'HELP'
usage: tools/install_packages.sh FILE...

Installs the Debian packages named in the files, one a line, that are not installed yet. # starts a comment.
Uses sudo when not run as root.

example: tools/install_packages.sh tools/packages.txt tests/packages.txt
HELP
  [[ $# -gt 0 ]] && exit 0 || exit 2
fi

fail() {
  printf 'install_packages.sh: %s\n' "$1" >&2
  exit 1
}

for list in "$@"; do
  [[ -r $list && ! -d $list ]] || fail "$list: the list of packages can't be read"
done
mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' -- "$@" | sort -u)

[[ ${#wanted[@]} -gt 0 ]] || exit 0

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "this is no Debian system; install what corresponds to these packages, then build with cmake: ${wanted[*]}"
fi

# A package is there when dpkg has finished with it. dpkg-query fails when it knows nothing of one; what it prints about
# the others still counts.
# shellcheck disable=SC2016  # the format is dpkg's to expand
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/ installed$//p' | sort -u) || true
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}") <(printf '%s\n' "$installed"))
[[ ${#missing[@]} -gt 0 ]] || exit 0

by_hand="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600)
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || fail "packages are missing, and there is no sudo; run this as root, then try again: $by_hand"
  if [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; then
    fail "packages are missing, and sudo wants a password; run this as root, then try again: $by_hand"
  fi
  apt=(sudo "${apt[@]}")
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The reason is what apt calls an error, or else the last that it, or sudo, said.
run_apt() {
  "${apt[@]}" "$@" >"$log" 2>&1 && return
  local reason
  reason=$(sed -n '/^E: */{s///p;q}' "$log")
  [[ -n $reason ]] || reason=$(tail -n 1 "$log")
  fail "apt-get $1 failed${reason:+ ($reason)}; without these packages nothing can be built: $by_hand"
}

echo "installing ${missing[*]}"
run_apt update -o APT::Update::Error-Mode=any
run_apt install -y --no-install-recommends "${missing[@]}"
