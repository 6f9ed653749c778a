#!/usr/bin/env bash
# From a bare Debian machine to tested: installs packages, configures, builds, runs the tests.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: tools/test.sh [--preset release|asan|tsan|dev] [CTEST ARGUMENT...]

Installs the packages that are missing, configures and builds the preset (default: release) in build/PRESET, and
runs its tests. Further arguments go to ctest.

examples: tools/test.sh
          tools/test.sh --preset asan -R onnx
HELP
}

preset=release
case ${1-} in
  --help)
    usage
    exit 0
    ;;
  --preset)
    preset=${2-}
    shift $(($# < 2 ? $# : 2))
    ;;
  --preset=*)
    preset=${1#*=}
    shift
    ;;
esac
case $preset in
  release | asan | tsan | dev) ;;
  *)
    echo "test.sh: no preset \"$preset\"" >&2
    usage >&2
    exit 2
    ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/install_packages.sh tools/packages.txt tests/packages.txt
cmake --preset "$preset" -DPLI_TESTS=ON
cmake --build --preset "$preset"
ctest --preset "$preset" "$@"
