#!/usr/bin/env bash
# Checks Pli on torchvision's classifiers: as exported and optimized, against PyTorch's own outputs.
set -euo pipefail

if [[ ${1-} == -* ]]; then
  cat <<'HELP'
usage: tools/check_torchvision.sh [OUT_DIR] [NAME...]

Installs the packages that are missing, builds Pli, exports the networks (default: fourteen, 1.1 GB) to OUT_DIR (default:
build/torchvision) where they are not there yet, and compares with PyTorch's outputs what Pli computes for each, as
exported and as optimized. Optimized models and reports are kept in OUT_DIR/optimized. Exit code 1 when anything failed.

examples: tools/check_torchvision.sh
          tools/check_torchvision.sh /tmp/networks resnet50 mobilenet_v2
HELP
  [[ $1 == --help ]] && exit 0 || exit 2
fi

out=$(realpath -m "${1:-$(dirname "${BASH_SOURCE[0]}")/../build/torchvision}")
names=("${@:2}")

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/install_packages.sh tools/packages.txt models/packages.txt
cmake --preset release -DPLI_TESTS=OFF
cmake --build --preset release --target tools/all

# Debian's own Python, which has Debian's PyTorch; another may come first in the PATH.
python=/usr/bin/python3
known=$($python models/export_torchvision.py --list)
if grep -qxF -- "${1-}" <<<"$known"; then
  echo "check_torchvision.sh: the folder to export to comes before the names: build/torchvision $*" >&2
  exit 2
fi
if [[ ${#names[@]} -eq 0 ]]; then
  mapfile -t names <<<"$known"
fi
$python models/export_torchvision.py "$out" "${names[@]}"

bin=build/release/bin
optimized=$out/optimized
mkdir -p "$optimized"
results=()
for name in "${names[@]}"; do
  printf '\n%s\n' "$name"
  rm -f "$optimized/$name.onnx" "$optimized/$name.json"
  test=("$bin/onnx-test" --rtol 1e-3 --atol-rms 1e-3)
  before=pass
  after=pass
  "${test[@]}" "$out/$name" || before=FAIL
  "$bin/onnx-optimize" --quiet "$out/$name/model.onnx" -o "$optimized/$name.onnx" --report "$optimized/$name.json" &&
    "${test[@]}" --model "$optimized/$name.onnx" "$out/$name" || after=FAIL
  # oneDNN's reference kernels give the right results too, a hundred times slower.
  plans=$("$bin/onnx-inspect" --plan "$out/$name/model.onnx" "$optimized/$name.onnx") || after=FAIL
  ! grep -F '[ref' <<<"$plans" || after=FAIL
  results+=("$name $before $after")
done

$python - "$optimized" "${results[@]}" <<'PYTHON'
import collections, json, pathlib, sys

columns = "{:20} {:>9} {:>6} {:>4}  {:>10}  {:11} {:9}  {}".format
print("\n" + columns("", "BatchNorms", "", "", "difference", "as exported", "optimized", "").rstrip())
print(columns("model", "found", "folded", "kept", "(of RMS)", "", "", "why kept"))
failed = []
for result in sys.argv[2:]:
    name, before, after = result.split()
    try:
        report = json.loads((pathlib.Path(sys.argv[1]) / f"{name}.json").read_text())
        norms = report["batch_norms"]
        codes = collections.Counter(item["code"] for item in norms["items"] if item["status"] == "kept")
        verification = report["verification"]
        if verification["status"] != "passed":
            after = "FAIL"
        difference = f"{verification['max_rel_rms']:.1e}" if verification["status"] == "passed" else verification["status"]
        numbers = norms["found"], norms["folded"], norms["kept"], difference
        why = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    except FileNotFoundError:
        after = "FAIL"
        numbers, why = ("-", "-", "-", "-"), "no report"
    except (OSError, ValueError, KeyError, TypeError) as error:
        after = "FAIL"
        numbers, why = ("-", "-", "-", "-"), f"not a report: {error!r}"
    print(columns(name, *numbers, before, after, why).rstrip())
    if "FAIL" in (before, after):
        failed.append(name)
if failed:
    sys.exit(f"\nfailed: {', '.join(failed)}")
print(f"\nall {len(sys.argv) - 2} passed")
PYTHON
