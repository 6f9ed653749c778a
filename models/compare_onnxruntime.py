#!/usr/bin/env python3
"""Times models in Pli and in ONNX Runtime, in turn, each run in a process of its own: what slows the machine slows both.

    compare_onnxruntime.py build/torchvision/resnet50/model.onnx build/torchvision/mobilenet_v2/model.onnx

Needs a built onnx-bench, and the packages onnxruntime and numpy (PyPI) in the Python that runs it. Inputs are random,
symbolic dimensions 1. Printed: the medians of all rounds' medians in milliseconds, and Pli's over ONNX Runtime's.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve()
TYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32"}


def time_onnxruntime(model, threads, seconds):
    """Prints the median milliseconds of a run; what a child process of this script does."""
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    random = numpy.random.default_rng(0)
    inputs = {}
    for value in session.get_inputs():
        shape = [dim if isinstance(dim, int) else 1 for dim in value.shape]
        inputs[value.name] = random.random(shape).astype(TYPES[value.type])
    for _ in range(3):
        session.run(None, inputs)
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        session.run(None, inputs)
        times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"median_ms": statistics.median(times), "version": onnxruntime.__version__}))


def in_pli(bench, model, options):
    command = [bench, "--json", "--quiet", "--threads", str(options.threads), "--min-time", str(options.seconds), model]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["models"][0]["median_ms"]


def in_onnxruntime(model, options):
    command = [sys.executable, HERE, "--child", "--threads", str(options.threads), "--seconds", str(options.seconds), model]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--bench", default=HERE.parent.parent / "build/release/bin/onnx-bench", metavar="FILE",
                        help="default %(default)s")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=3, metavar="S", help="of each round; default %(default)s")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default %(default)s")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        time_onnxruntime(options.models[0], options.threads, options.seconds)
        return
    print(f"{'Pli':>9} {'ONNX Runtime':>13} {'ratio':>6}  model")
    for model in options.models:
        pli, peer = [], []
        for _ in range(options.rounds):
            pli.append(in_pli(options.bench, model, options))
            measured = in_onnxruntime(model, options)
            peer.append(measured["median_ms"])
        ours, theirs = statistics.median(pli), statistics.median(peer)
        print(f"{ours:9.2f} {theirs:13.2f} {ours / theirs:6.2f}  {model}", flush=True)
    print(f"ONNX Runtime {measured['version']}, {options.threads} threads, milliseconds")


if __name__ == "__main__":
    main()
