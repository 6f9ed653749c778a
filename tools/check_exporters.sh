#!/usr/bin/env bash
# Checks Pli on what today's exporters write, beside other optimizers.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: tools/check_exporters.sh [OUT_DIR] [NAME...] [--json FILE]

Builds Pli and exports networks with random weights to OUT_DIR (default: build/exporters) where they are not there yet:
Keras through tf2onnx, PaddlePaddle through paddle2onnx, and timm's and transformers' through both exporters of PyTorch,
each with what the exporter simplifies by default and ("-raw") without it. Then optimizes each of them with onnx-optimize,
onnxsim, onnxslim and onnxscript. Prints what became of each BatchNormalization and each scale or shift by a constant,
nodes (without Constant nodes) and bytes, and compares Pli's model with the original in ONNX Runtime; what differs from
the original or fails is listed below the table. NAME is a network, such as mobilenet_v2; --json keeps all of it.

Each framework gets an environment of Python in OUT_DIR/venv, with the packages of models/exporters/*.txt from PyPI:
9 GB, of which PyTorch with the libraries of CUDA is 6. What can't be installed is left out.

Some networks can't be exported with local functions, which PyTorch's exporter refuses with a TypeError; why each was not
exported is in OUT_DIR/EXPORTER/NAME.failed. PLI_BIN=DIR in the environment names finished commands to use; nothing is built
then.

Exit code 1 when a verification or comparison failed.

examples: tools/check_exporters.sh
          tools/check_exporters.sh /tmp/exporters repvgg_a0 densenet121 --json report.json
HELP
}

json=()
words=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help) usage; exit 0 ;;
    --json) [[ $# -ge 2 ]] || { usage; exit 2; }; json=(--json "$(realpath -m "$2")"); shift 2 ;;
    -*) usage; exit 2 ;;
    *) words+=("$1"); shift ;;
  esac
done
out=$(realpath -m "${words[0]:-$(dirname "${BASH_SOURCE[0]}")/../build/exporters}")
names=("${words[@]:1}")

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${PLI_BIN:-}
if [[ -z $bin ]]; then
  cmake --preset release -DPLI_TESTS=OFF
  cmake --build --preset release --target tools/all
  bin=build/release/bin
fi

tools/make_venv.sh "$out/venv/peers" models/exporters/peers.txt
for framework in keras paddle torch; do
  if ! tools/make_venv.sh "$out/venv/$framework" "models/exporters/$framework.txt"; then
    echo "check_exporters.sh: $framework can't be installed and is left out" >&2
    continue
  fi
  "$out/venv/$framework/bin/python" "models/exporters/export_$framework.py" "$out" "${names[@]}" ||
    echo "check_exporters.sh: export_$framework.py failed" >&2
done

"$out/venv/peers/bin/python" models/exporters/compare.py "$bin" "$out" "${names[@]}" "${json[@]}"
