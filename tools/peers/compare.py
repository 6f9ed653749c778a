"""Times engines on models in turn, each measurement in a process of its own: what slows the machine slows all of them.

What tools/compare_peers.sh runs; its --help says what is measured and printed."""

import argparse
import importlib.metadata
import json
import os
import pathlib
import re
import sys

import new_shapes
import report
from engines import ENGINES, Failure, run_program
from race import PLI, Case, Progress


def environment(binary):
    """Processor, instruction set and versions."""
    said = run_program([binary / "pli", "--version"])
    versions = {PLI: re.search(r"Pli (\S+)", said)[1], "onednn": re.search(r"oneDNN (\S+)", said)[1]}
    for engine in ENGINES.values():
        versions |= {package: importlib.metadata.version(package) for package in engine.packages}
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = re.search(r"^model name\s*: (.*)", file.read(), re.MULTILINE)
    return {
        "cpu": cpu[1] if cpu else "unknown",
        "instruction_set": re.search(r"instruction set (\S+)", said)[1],
        "processors": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "versions": versions,
    }


def models_in(paths):
    found = []
    for path in paths:
        if path.is_dir():
            inside = sorted([*path.glob("*.onnx"), *path.glob("*/model.onnx")])
            if not inside:
                sys.exit(f"compare_peers.sh: {path} holds no *.onnx and no */model.onnx")
            found += inside
        else:
            found.append(path)
    return found


def compare_models(options, account):
    paths = models_in(options.models)
    progress = Progress(len(paths) * options.rounds * len(options.engines))
    cases = []
    try:
        for path in paths:
            print(f"preparing {path}", file=sys.stderr, flush=True)
            case = Case(path, options)
            cases.append(case)
            case.prepare()
            for number in range(1, options.rounds + 1):
                case.race(number, progress)
    except KeyboardInterrupt:
        account["interrupted"] = True
    account |= report.summary(cases, options.engines)
    report.print_models(account, options.engines)


def parse():
    parser = argparse.ArgumentParser(prog="compare_peers.sh", usage=argparse.SUPPRESS, allow_abbrev=False)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--engines")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--new-shapes", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    known = [PLI, "onnxruntime"] if options.new_shapes else [PLI, *ENGINES]
    options.engines = list(dict.fromkeys(options.engines.split(","))) if options.engines else known
    for engine in options.engines:
        if engine not in known:
            parser.error(f"no engine {engine} here; there are {', '.join(known)}")
    if options.threads is None:
        options.threads = 1 if options.new_shapes else len(os.sched_getaffinity(0))
    if options.threads < 1 or options.rounds < 1 or not 0 < options.seconds <= 3600:
        parser.error("--threads and --rounds are at least 1, --seconds more than 0 and no more than 3600")
    return options


def main():
    options = parse()
    settings = {name: getattr(options, name) for name in ("threads", "rounds", "seconds", "busy", "engines")}
    account = {"schema": 1, **environment(options.bin), **settings, "interrupted": False}
    report.print_environment(account)
    if options.new_shapes:
        new_shapes.compare(options, account)
    else:
        compare_models(options, account)
    if options.json:
        options.json.write_text(json.dumps(account, indent=2) + "\n")
    if account["interrupted"]:
        sys.exit(130)


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as error:
        sys.exit(f"compare_peers.sh: {error}")
