#!/usr/bin/env bash
# Times Pli beside other inference engines, each alone in a process of its own.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: tools/compare_peers.sh [MODEL|FOLDER...] [--engines LIST] [--threads N] [--rounds N] [--seconds S] [--busy]
                              [--bin DIR] [--json FILE]
       tools/compare_peers.sh --new-shapes [--engines LIST] [--threads N] [--rounds N] [--busy] [--bin DIR] [--json FILE]

Builds Pli, installs ONNX Runtime, OpenVINO, ncnn with its converter pnnx, and MNN from PyPI in build/peers/venv (560 MB),
and times each on each model in rounds: one engine after the other, each time in a new process. A FOLDER holds *.onnx or
*/model.onnx; without any, they are the fourteen networks of tools/check_torchvision.sh, exported to build/torchvision where
they are not there yet. Pli runs the file as it is, and folds it when it loads it.

Prints for each engine the median of the rounds' medians and the least of all runs, how many times Pli's time ONNX Runtime
and the best of all peers take (above 1: Pli is faster), and the largest error of an output over its root mean square,
against a run of the same model in float64. An engine that is wrong by a tenth of that is nobody's best peer. What can't be
converted or run is "-", with the reason at the end. What converters made, or why they failed, is kept in build/peers/models;
remove that to have them try again.

  --engines LIST  some of pli,onnxruntime,openvino,ncnn,mnn (default: all)
  --threads N     default: as many as there are processors; 1 with --new-shapes
  --rounds N      default: 5
  --seconds S     of each measurement; default: 2
  --busy          measure beside a process that keeps one of the processors busy
  --new-shapes    time the first run of each of 60 widths that a session has not seen, what is compiled for it included, on
                  a recogniser of text with random weights, in Pli and ONNX Runtime
  --bin DIR       take the programs from DIR; nothing is built then
  --json FILE     write all of it, every round included, to FILE

Nothing else should run meanwhile; the load average is printed first. All fourteen take about half an hour.

examples: tools/compare_peers.sh
          tools/compare_peers.sh --busy --engines pli,onnxruntime --json busy.json
          tools/compare_peers.sh build/torchvision/resnet50/model.onnx --threads 1 --rounds 3
          tools/compare_peers.sh --new-shapes
HELP
}

bin=
export=yes
words=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help) usage; exit 0 ;;
    --busy) words+=("$1"); shift ;;
    --new-shapes) export=; words+=("$1"); shift ;;
    --bin | --json | --engines | --threads | --rounds | --seconds)
      [[ $# -ge 2 ]] || { usage >&2; exit 2; }
      case $1 in
        --bin) bin=$(realpath -m -- "$2") ;;
        --json) words+=("$1" "$(realpath -m -- "$2")") ;;
        *) words+=("$1" "$2") ;;
      esac
      shift 2
      ;;
    -*) usage >&2; exit 2 ;;
    *)
      [[ -e $1 ]] || { echo "compare_peers.sh: $1 is not there" >&2; exit 1; }
      export=
      words+=("$(realpath -- "$1")")
      shift
      ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ -z $bin ]]; then
  tools/install_packages.sh tools/packages.txt
  cmake --preset release -DPLI_TESTS=OFF
  cmake --build --preset release --target tools/all
  bin=$PWD/build/release/bin
fi

out=$PWD/build/peers
tools/make_venv.sh "$out/venv" tools/peers/engines.txt --no-deps

if [[ -n $export ]]; then
  tools/install_packages.sh models/packages.txt
  # Debian's own Python, which has Debian's PyTorch.
  /usr/bin/python3 models/export_torchvision.py build/torchvision
  words+=("$PWD/build/torchvision")
fi

export PYTHONPYCACHEPREFIX=$out/pycache  # no folder beside the sources
"$out/venv/bin/python" tools/peers/compare.py --bin "$bin" --out "$out" "${words[@]}"
