"""What the exporting scripts of this folder share: which models to make, where they go, and what their outputs should be.

OUT_DIR/EXPORTER/NAME.onnx comes with NAME.npz beside it: seeded inputs by their names in the model, and what the framework
itself made of them, as "output 0", "output 1" and so on. Such a script is run as

    SCRIPT OUT_DIR [NAME...]    exports what is not in OUT_DIR yet
"""

import argparse
import os
import pathlib
import sys
import time
import traceback
import zlib

import numpy as np


def seed_of(name):
    return zlib.crc32(name.encode())


def random_images(random, count, channels, *sizes):
    """Images [count, channels, *sizes] of mean 0 and deviation 1 that are smooth in part, as photographs are."""
    coarse = random.normal(size=(count, channels, *[(size + 7) // 8 for size in sizes]))
    for axis, size in enumerate(sizes, 2):
        coarse = np.take(coarse, np.arange(size) // 8, axis=axis)
    images = coarse + 0.5 * random.normal(size=(count, channels, *sizes)) + random.normal(size=(count, channels) + (1,) * len(sizes))
    rest = tuple(range(1, images.ndim))
    return ((images - images.mean(rest, keepdims=True)) / images.std(rest, keepdims=True)).astype(np.float32)


def write_case(path, inputs, outputs):
    arrays = {f"output {number}": np.asarray(output) for number, output in enumerate(outputs)}
    np.savez(path.with_suffix(".npz"), **inputs, **arrays)


def run(models, exporters):
    """Exports each of `models`, {name: function that makes it}, with each of `exporters`, {folder: function}. An exporter
    takes what was made and the path to write the model to, and returns inputs by name and a list of outputs. What can't be
    exported is left out: OUT_DIR/EXPORTER/NAME.failed says why, and it is not tried again while that is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path, metavar="OUT_DIR")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    for name, make in models.items():
        if options.names and name not in options.names:
            continue
        made = None
        for exporter, export in exporters.items():
            path = options.out / exporter / f"{name}.onnx"
            if path.exists() or path.with_suffix(".failed").exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}")
            start = time.monotonic()
            try:
                made = made or make()
                inputs, outputs = export(made, unfinished)
            # Each framework raises exceptions of its own.
            except Exception as error:
                path.with_suffix(".failed").write_text(traceback.format_exc())
                print(f"{exporter} {name}: not exported: {(str(error).strip() or repr(error)).splitlines()[0]}", flush=True)
                continue
            write_case(path, inputs, outputs)
            os.replace(unfinished, path)
            print(f"{exporter} {name}: {path.stat().st_size / 1e6:.1f} MB, {time.monotonic() - start:.0f} s", flush=True)
    sys.stdout.flush()
