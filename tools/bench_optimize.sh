#!/usr/bin/env bash
# Times onnx-optimize beside other optimizers, whole processes in turn.
set -euo pipefail

if [[ $# -eq 0 || ${1-} == -* ]]; then
  cat <<'HELP'
usage: tools/bench_optimize.sh MODEL... [--rounds N]

Builds Pli, installs onnxsim, onnxslim, onnxoptimizer, onnxscript and ONNX Runtime from PyPI in
build/optimizers/venv, and optimizes each model with each of them, one process after the other, N rounds (default: 5).
Prints the medians of time and peak memory, nodes (without Constant nodes) and bytes of what they write, and Pli's time
against each.

example: tools/bench_optimize.sh build/torchvision/resnet50/model.onnx build/torchvision/shufflenet_v2_x1_0/model.onnx
HELP
  [[ ${1-} == --help ]] && exit 0 || exit 2
fi

rounds=5
models=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --rounds) rounds=$2; shift 2 ;;
    *) models+=("$(realpath "$1")"); shift ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cmake --preset release -DPLI_TESTS=OFF
cmake --build --preset release --target tools/all

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
venv=$PWD/build/optimizers/venv
tools/make_venv.sh "$venv" tools/peers/optimizers.txt

"$venv/bin/python" - "$PWD/build/release/bin" "$venv/bin" "$folder" "$rounds" "${models[@]}" <<'PYTHON'
import os, statistics, subprocess, sys, time

pli, venv, folder, rounds, models = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:]
python = f"{venv}/python"
script = {
    "onnxscript": "from onnxscript import optimizer, rewriter; "
    "onnx.save(rewriter.rewrite(optimizer.optimize(onnx.load(a))), b)",
    "onnxruntime": "import onnxruntime as o; s = o.SessionOptions(); s.optimized_model_filepath = b; "
    "s.graph_optimization_level = o.GraphOptimizationLevel.ORT_ENABLE_BASIC; o.InferenceSession(a, s)",
}


def command(tool, a, b):
    if tool == "pli":
        return [f"{pli}/onnx-optimize", a, "-o", b, "--quiet", "--no-verify"]
    if tool == "pli, verified":
        return [f"{pli}/onnx-optimize", a, "-o", b, "--quiet"]
    if tool in ("onnxsim", "onnxslim"):
        return [f"{venv}/{tool}", a, b]
    if tool == "onnxoptimizer":
        return [python, "-m", "onnxoptimizer", a, b]
    return [python, "-c", f"import sys, onnx; a, b = sys.argv[1:]; {script[tool]}", a, b]


def timed(tool, a, b):
    if os.path.exists(b):
        os.remove(b)
    start = time.perf_counter()
    process = subprocess.Popen(command(tool, a, b), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    return (seconds, usage.ru_maxrss * 1024) if status == 0 and os.path.exists(b) else None


def nodes_in(path):  # by another process: a child's peak memory starts with that of its parent
    count = "import onnx, sys; print(sum(n.op_type != 'Constant' for n in onnx.load(sys.argv[1]).graph.node))"
    return int(subprocess.check_output([python, "-c", count, path]))


tools = ["pli", "pli, verified", "onnxsim", "onnxslim", "onnxoptimizer", *script]
row = "{:16} {:>9} {:>9} {:>7} {:>10} {:>8}".format
for model in models:
    print(f"\n{model}: {os.path.getsize(model) / 1e6:.2f} MB")
    print(row("", "seconds", "peak MB", "nodes", "MB", "by pli"))
    runs = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            if (run := timed(tool, model, f"{folder}/{tools.index(tool)}.onnx")) is not None:
                runs[tool].append(run)
    own = statistics.median(seconds for seconds, _ in runs["pli"])
    for tool in tools:
        if not runs[tool]:
            print(row(tool, "fails", "", "", "", ""))
            continue
        seconds = statistics.median(run[0] for run in runs[tool])
        peak = statistics.median(run[1] for run in runs[tool])
        path = f"{folder}/{tools.index(tool)}.onnx"
        nodes = nodes_in(path)
        size = os.path.getsize(path) / 1e6
        print(row(tool, f"{seconds:.2f}", f"{peak / 1e6:.0f}", nodes, f"{size:.2f}", f"{seconds / own:.1f}x"))
PYTHON
