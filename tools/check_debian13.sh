#!/usr/bin/env bash
# Builds and tests Pli on Debian 13, whose compiler, oneDNN, ONNX and libraries are newer than Debian 12's.
set -euo pipefail

if [[ ${1-} == -* ]]; then
  cat <<'HELP'
usage: tools/check_debian13.sh [FOLDER]

Makes a Debian 13 in FOLDER (default: build/debian13; 3 GB) with debootstrap, where there is none yet, copies the last commit
of this repository to it, and runs tools/test.sh there. Needs root.

example: sudo tools/check_debian13.sh /var/tmp/debian13
HELP
  [[ $1 == --help ]] && exit 0 || exit 2
fi
if [[ $(id -u) -ne 0 ]]; then
  echo "check_debian13.sh: making another system in a folder, and running in it, needs root: sudo tools/check_debian13.sh" >&2
  exit 1
fi

root=$(realpath -m -- "${1:-$(dirname "${BASH_SOURCE[0]}")/../build/debian13}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ! -e $root/made ]]; then
  command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap
  if [[ -e $root && -n $(ls -A -- "$root") ]]; then
    echo "check_debian13.sh: $root is no Debian 13 that this script has finished; name another folder, or remove it" >&2
    exit 1
  fi
  mkdir -p -- "$root"
  debootstrap --variant=minbase trixie "$root" http://deb.debian.org/debian
  touch -- "$root/made"
fi

release() {
  umount "$root/proc" "$root/dev/pts" "$root/dev" 2>/dev/null || true
}
trap release EXIT
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
cp -- /etc/resolv.conf "$root/etc/"

mkdir -p -- "$root/src"
# What was built there stays.
find "$root/src" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf -- {} +
git archive HEAD | tar -x -C "$root/src"
chroot "$root" /src/tools/test.sh
