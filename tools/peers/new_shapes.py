"""What a new input shape costs in Pli and in ONNX Runtime, on a recogniser of text. As a program, ONNX Runtime's part,
which takes and prints what tools/examples/new_shapes.cpp does:

    new_shapes.py MODEL THREADS WIDTH..."""

import statistics
import sys
import time

import numpy as np
import recogniser
import report
from engines import Failure, run_program
from race import HERE, PLI, Case, Progress, neighbour

SEEN = 200  # the width that a session starts with
WIDTHS = [64 + 16 * (i * 37 % 60) for i in range(60)]  # 60 different ones, in no order
FIGURES = ("compile_ms", "first_ms", "again_ms")


def run_onnxruntime(model, threads, widths):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    for width in widths:
        image = random.uniform(-0.5, 0.5, (1, 3, 48, width)).astype(np.float32)
        times = []
        for _ in range(2):
            start = time.perf_counter()
            session.run(None, {"image": image})
            times.append((time.perf_counter() - start) * 1e3)
        print(width, 0, *times)  # it compiles nothing


def measure(command):
    """Means over the widths; what is compiled is counted with the first run, too."""
    lines = [list(map(float, line.split())) for line in run_program(command).splitlines()]
    if [line[0] for line in lines] != [SEEN, *WIDTHS]:
        raise Failure(f"{command[0]} prints other widths than it was given")
    compiled, first, again = (statistics.fmean(line[i] for line in lines[1:]) for i in (1, 2, 3))
    return {"compile_ms": compiled, "first_ms": compiled + first, "again_ms": again}


def compare(options, account):
    path = options.out / "recogniser.onnx"
    recogniser.write(path)
    case = Case(path, options)
    case.prepare([f"image:1,3,48,{SEEN}"])
    commands = {PLI: [options.bin / "new_shapes"], "onnxruntime": [sys.executable, HERE / "new_shapes.py"]}
    progress = Progress(options.rounds * len(options.engines))
    try:
        for number in range(1, options.rounds + 1):
            for engine in options.engines:
                if engine in case.failures:
                    continue
                with case.failing(engine), neighbour(options.busy):
                    case.rounds[engine].append(measure([*commands[engine], path, options.threads, SEEN, *WIDTHS]))
                found = case.failures.get(engine) or f"{case.rounds[engine][-1]['first_ms']:.3f} ms for a new width"
                progress.say(f"round {number} of {options.rounds}, {engine}", found)
    except KeyboardInterrupt:
        account["interrupted"] = True
    account |= summary(case)
    print_summary(case, account)


def summary(case):
    rounds = {engine: found for engine, found in case.rounds.items() if found}
    median = {e: {f: statistics.median(one[f] for one in found) for f in FIGURES} for e, found in rounds.items()}
    least = {e: {f: min(one[f] for one in found) for f in FIGURES} for e, found in rounds.items()}
    ratios = {}
    if {PLI, "onnxruntime"} <= rounds.keys():
        for name, figures in (("median", median), ("min", least)):
            ratios[name] = {f: figures["onnxruntime"][f] / figures[PLI][f] for f in ("first_ms", "again_ms")}
    return {
        "widths": WIDTHS,
        "rounds_ms": rounds,
        "median": median,
        "min": least,
        "to_onnxruntime": ratios,
        "error": case.errors.get(PLI),
        "failures": case.failures,
    }


def print_summary(case, account):
    print(f"\nmilliseconds a run, means over {len(WIDTHS)} widths that the session has not seen")
    rows = [["", "compiling", "first run with it", "run again"]]
    for name in ("median", "min"):
        for engine, figures in account[name].items():
            rows.append([f"{engine}, {name}", *(f"{figures[f]:.3f}" for f in FIGURES)])
        if ratio := account["to_onnxruntime"].get(name):
            rows.append([f"onnxruntime/pli, {name}", "", report.times(ratio["first_ms"]), report.times(ratio["again_ms"])])
    report.print_table(rows)
    if account["error"] is not None:
        print(f"\nPli's largest error over the output's RMS, against float64, at a width of {SEEN}: {account['error']:.1e}")
    if case.failures:
        print("\nwhat went wrong:")
    for what, why in case.failures.items():
        print(f"  {what}: {why}")


if __name__ == "__main__":
    run_onnxruntime(sys.argv[1], int(sys.argv[2]), [int(word) for word in sys.argv[3:]])
