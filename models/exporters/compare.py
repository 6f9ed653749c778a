"""Optimizes what the exporting scripts of this folder wrote, with Pli and with other optimizers, and compares the results.

    compare.py BIN_DIR OUT_DIR [NAME...] [--json FILE]

What the others wrote is kept in OUT_DIR/optimized and not made again. Exit code 1 when Pli's own verification failed, or
its model doesn't give in ONNX Runtime what the original gives there without optimizations. Needs exporters/peers.txt."""

import argparse
import collections
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnx.inliner
import onnxruntime

TOLERANCE = 1e-3  # of the value plus as much of the output's RMS, as onnx-optimize allows in float32
TIMEOUT = 600  # seconds, for one optimizer on one model
ONNXSCRIPT = (
    "import sys, onnx; from onnxscript import optimizer, rewriter; a, b = sys.argv[1:]; "
    "onnx.save(rewriter.rewrite(optimizer.optimize(onnx.load(a))), b)"
)


def peers():
    venv = pathlib.Path(sys.executable).parent
    return {
        "onnxsim": lambda a, b: [venv / "onnxsim", a, b],
        "onnxslim": lambda a, b: [venv / "onnxslim", a, b],
        "onnxscript": lambda a, b: [sys.executable, "-c", ONNXSCRIPT, a, b],
    }


def run(command, result):
    """Returns what went wrong, or None."""
    result.unlink(missing_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"takes more than {TIMEOUT} s"
    if done.returncode == 0 and result.exists():
        return None
    last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
    return f"exit code {done.returncode}: {last[:300]}"


def optimize_with_peer(command, model, result):
    """As `run`, but what is there from an earlier run is taken."""
    failure = result.with_suffix(".failed")
    newest = max((path.stat().st_mtime for path in (result, failure) if path.exists()), default=0)
    if newest < model.stat().st_mtime:
        failure.unlink(missing_ok=True)
        if (error := run(command, result)) is not None:
            result.unlink(missing_ok=True)
            failure.write_text(error)
    return failure.read_text() if failure.exists() else None


def count_nodes(graph, operators):
    for node in graph.node:
        operators[f"{node.domain}::{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type] += 1
        for attribute in node.attribute:
            for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                count_nodes(body, operators)
    return operators


def operators_of(path):
    """Nodes by operator, without Constant nodes, with those of bodies, and those of local functions as often as called."""
    model = onnx.load(path)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    operators = count_nodes(model.graph, collections.Counter())
    del operators["Constant"]
    return operators


def outputs_of(path, inputs, optimized):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    return session.run(None, {name: value for name, value in inputs.items() if name in wanted})


def difference(outputs, expected):
    """The largest fraction of what is allowed: above 1 they differ."""
    if len(outputs) != len(expected):
        return float("inf")
    worst = 0.0
    for output, wanted in zip(outputs, expected, strict=True):
        if output.shape != wanted.shape:
            return float("inf")
        output, wanted = output.astype(np.float64), wanted.astype(np.float64)
        allowed = TOLERANCE * (np.abs(wanted) + np.sqrt(np.mean(wanted**2)))
        off = np.abs(output - wanted)
        if not np.isfinite(off).all():
            return float("inf")
        worst = max(worst, float(np.max(off / np.maximum(allowed, np.finfo(np.float64).tiny), initial=0)))
    return worst


def compared(path, inputs, expected):
    """What comes of the model in ONNX Runtime: {"difference"} or {"error"}."""
    try:
        return {"difference": difference(outputs_of(path, inputs, True), expected)}
    except Exception as error:  # ONNX Runtime's have no base class of their own
        return {"error": str(error).splitlines()[0][:300]}


def describe(path):
    operators = operators_of(path)
    return {"nodes": operators.total(), "bytes": path.stat().st_size, "operators": dict(operators)}


def account_of(part):
    kept = [item for item in part["items"] if item["status"] == "kept"]
    codes = collections.Counter(item["code"] for item in kept)
    return {name: part[name] for name in ("found", "folded", "kept")} | {"codes": dict(codes.most_common()), "items": kept}


def examine_pli(binary, model, result, inputs, expected):
    report_path = result.with_suffix(".json")
    report_path.unlink(missing_ok=True)
    command = [binary, "--quiet", model, "-o", result, "--report", report_path]
    error = run(command, result)
    if not report_path.exists():
        return {"error": error or "no report"}
    report = json.loads(report_path.read_text())
    if "give real ones with --input" in report["verification"]["reason"]:  # random weights make noise of random inputs
        for name, value in inputs.items():
            file = result.with_suffix(f".{name}.npy")
            np.save(file, value)
            command += ["--input", f"{name}={file}"]
        error = run(command, result)
        report = json.loads(report_path.read_text())
    verification = {name: report["verification"][name] for name in ("status", "reason", "note", "max_of_allowed")}
    account = {"verification": verification, "notes": report["notes"]}
    account |= {name: account_of(report[name]) for name in ("batch_norms", "affines")}
    if error is not None:
        return account | {"error": error}
    return account | describe(result) | compared(result, inputs, expected)


def examine(binary, model, folder):
    folder.mkdir(parents=True, exist_ok=True)
    with np.load(model.with_suffix(".npz")) as arrays:
        values = dict(arrays)
    inputs = {name: value for name, value in values.items() if not name.startswith("output ")}
    framework = [value for name, value in values.items() if name.startswith("output ")]
    results = {"original": describe(model)}
    try:
        expected = outputs_of(model, inputs, False)
        results["original"]["difference"] = difference(expected, framework)
    except Exception as error:
        expected = framework
        results["original"]["error"] = str(error).splitlines()[0][:300]
    results["pli"] = examine_pli(binary, model, folder / f"{model.stem}.pli.onnx", inputs, expected)
    for tool, command in peers().items():
        result = folder / f"{model.stem}.{tool}.onnx"
        error = optimize_with_peer(command(model, result), model, result)
        results[tool] = {"error": error} if error else describe(result) | compared(result, inputs, expected)
    return results


def surplus(results):
    """Operators that Pli leaves more of than the peer that leaves fewest nodes, of those whose results are right."""
    right = [tool for tool in peers() if "difference" in results[tool] and not wrong(results, tool)]
    best = min(right, key=lambda tool: results[tool]["nodes"], default=None)
    if best is None or results["pli"].get("nodes", 0) <= results[best]["nodes"]:
        return None
    counts = {tool: results[tool]["operators"] for tool in ("pli", best)}
    delta = {name: counts["pli"].get(name, 0) - counts[best].get(name, 0) for name in counts["pli"] | counts[best]}
    return best, {name: number for name, number in sorted(delta.items(), key=lambda item: -item[1]) if number}


def wrong(results, tool):
    """Whether it differs by more than is allowed, and than twice what the original differs from its framework: some
    networks amplify how each sum is rounded."""
    return results[tool]["difference"] > max(1, 2 * results["original"].get("difference", 0))


def failed(results):
    pli = results["pli"]
    return "error" in pli or pli["verification"]["status"] == "failed" or wrong(results, "pli")


COLUMNS = "{:38} {:>4} {:>4} {:>4}  {:>4} {:>4} {:>4} {:>6} {:>5} {:>5} {:>5} {:>5} {:>7} {:>6} {:>6} {:>6} {:>6}  {:9} {:>7}  {}"


def print_head():
    tools = ["before", "Pli", "sim", "slim", "script"]
    print(COLUMNS.format("", "BatchNorms", "", "", "affines", "", "", "nodes", *[""] * 4, "MB", *[""] * 4, "", "", ""))
    counts = ["found", "fold", "kept"]
    print(COLUMNS.format("exporter/model", *counts, *counts, *tools, *tools, "verified", "of tol.", "why kept"))


def print_row(name, results):
    pli = results["pli"]
    counts = [pli.get(part, {}).get(key, "-") for part in ("batch_norms", "affines") for key in ("found", "folded", "kept")]
    cells = {"nodes": [], "bytes": []}
    for tool in ("original", "pli", *peers()):
        found = results[tool]
        mark = "!" if tool != "original" and "difference" in found and wrong(results, tool) else ""
        cells["nodes"].append(f"{found['nodes']}{mark}" if "nodes" in found else "fails")
        cells["bytes"].append(f"{found['bytes'] / 1e6:.2f}" if "bytes" in found else "-")
    why = [f"{code} {count}" for part in ("batch_norms", "affines") for code, count in pli.get(part, {}).get("codes", {}).items()]
    status = pli.get("verification", {}).get("status", "no report")
    off = f"{pli['difference']:.3f}" if "difference" in pli else "-"
    print(COLUMNS.format(name, *counts, *cells["nodes"], *cells["bytes"], status, off, ", ".join(why)).rstrip(), flush=True)


def print_details(everything):
    print("\nnodes that Pli leaves and the best of the others does not:")
    for name, results in everything.items():
        if (found := surplus(results)) is not None:
            best, delta = found
            print(f"  {name}, {best}: " + ", ".join(f"{operator} {number:+}" for operator, number in delta.items()))
    print("\nwhat went wrong:")
    for name, results in everything.items():
        for tool, result in results.items():
            if "error" in result:
                print(f"  {name}, {tool}: {result['error']}")
            elif result["difference"] > 1:
                print(f"  {name}, {tool}: differs by {result['difference']:.3g} times what is allowed")
        verification = results["pli"].get("verification", {"status": "passed"})
        if verification["status"] not in ("passed", "unchanged"):
            print(f"  {name}, verification {verification['status']}: {verification['reason']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bin", type=pathlib.Path, metavar="BIN_DIR")
    parser.add_argument("out", type=pathlib.Path, metavar="OUT_DIR")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a network or EXPORTER/NETWORK; default: all in OUT_DIR")
    options = parser.parse_intermixed_args()
    found = sorted(path for path in options.out.glob("*/*.onnx") if path.parent.name != "optimized" and path.name[0] != ".")
    names = {f"{path.parent.name}/{path.stem}": path for path in found}
    if options.names:
        names = {name: path for name, path in names.items() if {name, path.stem} & {*options.names}}
    everything = {}
    print_head()
    for name, model in names.items():
        everything[name] = examine(options.bin / "onnx-optimize", model, options.out / "optimized" / model.parent.name)
        print_row(name, everything[name])
    print_details(everything)
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))
    if names_failed := [name for name, results in everything.items() if failed(results)]:
        sys.exit(f"\nfailed: {', '.join(names_failed)}")
    print(f"\nall {len(everything)} passed")


if __name__ == "__main__":
    main()
