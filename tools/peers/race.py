"""One engine on one model, measured: in a process of its own, alone or beside a busy neighbour."""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from engines import TIMEOUT, Failure, converted, run_program
from reference import inputs_and_outputs, largest_error, outputs_in_float64, run_pli

HERE = pathlib.Path(__file__).resolve().parent
PLI = "pli"
FLOAT64 = "the run in float64"
NEIGHBOUR = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
while os.getppid() == int(sys.argv[2]):
    for _ in range(10**6): pass
"""


@contextlib.contextmanager
def neighbour(wanted):
    """A process that keeps the last processor busy that this one may use."""
    if not wanted:
        yield
        return
    processor = max(os.sched_getaffinity(0))
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(processor), str(os.getpid())])
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Progress:
    """A line on standard error for each measurement."""

    def __init__(self, total):
        self.total = total
        self.done = 0

    def say(self, what, result):
        self.done += 1
        print(f"[{self.done}/{self.total}] {what}: {result}", file=sys.stderr, flush=True)


class Case:
    """One model, and what the engines have made of it."""

    def __init__(self, path, options):
        self.path = path
        self.name = path.parent.name if path.stem == "model" else path.stem
        self.options = options
        # What was converted is known by the file that it was made of, and by the versions of the converters.
        status = path.stat()
        key = hash_of(str(path), status.st_mtime_ns, status.st_size, (HERE / "engines.txt").read_text())
        self.folder = options.out / "models" / f"{self.name}-{key}"
        self.failures = {}
        self.rounds = {engine: [] for engine in options.engines}
        self.errors = {}
        self.files = {PLI: path}

    def prepare(self, shapes=()):
        """Inputs and expected outputs, and what each engine loads; an engine that can't is out of the race."""
        options = self.options
        self.expected = None
        try:
            self.inputs, outputs = inputs_and_outputs(self.path, options.bin, shapes)
        except Failure as failure:
            self.failures = dict.fromkeys(options.engines, str(failure))
            return
        with self.failing(FLOAT64):
            self.expected = outputs_in_float64(self.path, self.inputs, options.bin)
        for engine in options.engines:
            with self.failing(engine):
                if engine != PLI:
                    self.files[engine] = converted(engine, self.path, self.inputs, outputs, self.folder / engine)
                elif self.expected is not None:
                    self.errors[PLI] = largest_error(run_pli(self.path, self.inputs, options.bin), self.expected)

    @contextlib.contextmanager
    def failing(self, engine):
        try:
            yield
        except Failure as failure:
            self.failures[engine] = str(failure)
            self.rounds.pop(engine, None)

    def measure(self, engine):
        options = self.options
        if engine == PLI:
            flags = ["--json", "--quiet", "--threads", str(options.threads), "--min-time", str(options.seconds)]
            with neighbour(options.busy):
                printed = run_program([options.bin / "onnx-bench", *flags, self.path], TIMEOUT + options.seconds)
            found = json.loads(printed)["models"][0]
            return {name: found[name] for name in ("min_ms", "median_ms", "runs")}
        with tempfile.TemporaryDirectory() as folder:
            inputs, outputs = f"{folder}/inputs.npz", f"{folder}/outputs.npz"
            np.savez(inputs, **self.inputs)
            arguments = [self.files[engine], inputs, options.threads, options.seconds, outputs]
            with neighbour(options.busy):
                printed = run_program(
                    [sys.executable, HERE / "engines.py", engine, *arguments], TIMEOUT + options.seconds
                )
            if self.expected is not None:
                with np.load(outputs) as arrays:
                    self.errors[engine] = largest_error(list(arrays.values()), self.expected)
        return json.loads(printed.strip().splitlines()[-1])  # engines print of their own, too

    def race(self, number, progress):
        """One round."""
        for engine in self.options.engines:
            what = f"{self.name}, round {number} of {self.options.rounds}, {engine}"
            with self.failing(engine):
                if engine not in self.failures:
                    found = self.measure(engine)
                    self.rounds[engine].append(found)
                    progress.say(what, f"median {found['median_ms']:.3f} ms, least {found['min_ms']:.3f}")
                    continue
            progress.say(what, f"- ({self.failures[engine]})")


def hash_of(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
