#!/usr/bin/env bash
# Builds Pli and shows on a small trained network what it does: optimize, check, compare the speed.
set -euo pipefail

if [[ $# -gt 0 ]]; then
  cat <<'HELP'
usage: tools/quickstart.sh

Installs the packages that are missing, builds Pli in build/release, optimizes models/digits.onnx, shows that the result
gives PyTorch's outputs and the same accuracy, and times both. Takes minutes the first time, seconds from then on.
HELP
  [[ $1 == --help ]] && exit 0 || exit 2
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
model=models/digits.onnx
data=models/digits
optimized=build/quickstart/digits.opt.onnx
bin=build/release/bin

heading() { printf '\n== %s\n' "$1"; }

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

heading "Build"
run tools/install_packages.sh tools/packages.txt
run cmake --preset release -DPLI_TESTS=OFF
run cmake --build --preset release --target tools/all

heading "1. Fold BatchNormalization into the weights"
mkdir -p build/quickstart
run "$bin/onnx-optimize" "$model" -o "$optimized"

heading "2. The same outputs as PyTorch, and the same accuracy (from a C++ program that embeds Pli), before and after"
run "$bin/onnx-test" --atol-rms 1e-3 "$data"
run "$bin/onnx-test" --atol-rms 1e-3 --model "$optimized" "$data"

accuracies=()
for file in $model $optimized; do
  printf '\n$ %s\n' "$bin/digits_accuracy $file $data"
  output=$("$bin/digits_accuracy" "$file" "$data")
  printf '%s\n' "$output"
  accuracies+=("$(grep -oE '[0-9]+(\.[0-9]+)? ?%' <<<"$output" | head -n 1)") || true
done
if [[ -z ${accuracies[0]} || ${accuracies[0]} != "${accuracies[1]}" ]]; then
  echo "quickstart.sh: the accuracies differ: ${accuracies[0]:-none} before, ${accuracies[1]:-none} after" >&2
  exit 1
fi

heading "3. Speed of the two files as they are; without --no-optimize, Pli folds a model when it loads it, and both are equal"
run "$bin/onnx-bench" --no-optimize --min-time 2 "$model" "$optimized"

cat <<SUMMARY

== Done: $optimized gives the same answers as $model (${accuracies[0]} right).

Next, with a model of yours:
  $bin/onnx-inspect model.onnx                         what is in it, and what Pli will make of it
  $bin/onnx-optimize model.onnx -o model.opt.onnx      fold, simplify, verify
  $bin/onnx-bench model.onnx model.opt.onnx            how fast both are here
  tools/test.sh                                                     run Pli's tests
  tools/check_torchvision.sh                                        check fourteen well-known networks
SUMMARY
