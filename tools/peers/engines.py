"""The engines that Pli is compared with: how each converts a model, and runs it. As a program, what a process of its own does:

    engines.py ENGINE MODEL INPUTS.npz THREADS SECONDS OUTPUTS.npz

runs MODEL, which the engine has converted if it has to, for so many seconds, writes the outputs of the last run, and
prints the least and the median milliseconds of a run as JSON. All engines compute in float32, as Pli does."""

import importlib.util
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np

TIMEOUT = 900  # seconds, for one conversion or measurement
WARM_UP = 3  # runs that are not counted
PNNX_TYPES = {"float32": "f32", "int32": "i32", "int64": "i64"}  # of inputs that are tried where a model is converted


class Failure(Exception):
    """Why an engine has no result for a model, in one line."""


def run_program(command, seconds=TIMEOUT, **options):
    """Returns what the program printed; raises Failure where it fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, errors="replace", timeout=seconds, **options
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{pathlib.Path(command[0]).name} takes more than {seconds:g} s") from None
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Failure(f"{pathlib.Path(command[0]).name} ends with {done.returncode}: {last[:300]}")
    return done.stdout


class OnnxRuntime:
    packages = ("onnxruntime",)
    convert = None

    def __init__(self, model, inputs, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = inputs

    def run(self):
        self.results = self.session.run(None, self.inputs)

    def outputs(self):
        return self.results


class OpenVino:
    packages = ("openvino",)
    convert = None

    def __init__(self, model, inputs, threads):
        import openvino

        network = openvino.Core().read_model(model)
        network.reshape({name: value.shape for name, value in inputs.items()})
        compiled = openvino.compile_model(network, "CPU", {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        })
        self.request = compiled.create_infer_request()
        self.count = len(compiled.outputs)
        for name, value in inputs.items():
            self.request.set_tensor(name, openvino.Tensor(value))

    def run(self):
        self.request.infer()

    def outputs(self):
        return [self.request.get_output_tensor(i).data for i in range(self.count)]


class Ncnn:
    packages = ("ncnn", "pnnx")

    @staticmethod
    def convert(model, inputs, outputs, folder):
        """By pnnx, which writes beside what it reads, and whose success is known by what it wrote."""
        shapes = [f"[{','.join(map(str, value.shape))}]{PNNX_TYPES[value.dtype.name]}" for value in inputs.values()]
        link = folder / "model.onnx"
        link.symlink_to(model)
        # The package's own command imports PyTorch.
        binary = pathlib.Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"
        printed = run_program([binary, link.name, f"inputshape={','.join(shapes)}", "fp16=0"], cwd=folder)
        if not (folder / "model.ncnn.bin").exists():
            raise Failure(f"pnnx: {printed.strip().splitlines()[-1][:300]}")
        return "model.ncnn"

    def __init__(self, model, inputs, threads):
        import ncnn

        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(self.net.opt, f"use_{half}", False)
        if self.net.load_param(f"{model}.param") != 0 or self.net.load_model(f"{model}.bin") != 0:
            raise Failure("ncnn can't load what pnnx has made of it")
        # pnnx numbers what it names, in the model's order. What of a shape is the batch, ncnn has to be told.
        count = len(self.net.output_names())
        self.inputs = [(f"in{i}", ncnn.Mat(value, batch_index=0).clone()) for i, value in enumerate(inputs.values())]
        self.names = [f"out{i}" for i in range(count)]

    def run(self):
        extractor = self.net.create_extractor()
        for name, value in self.inputs:
            extractor.input(name, value)
        results = [extractor.extract(name) for name in self.names]
        if any(status != 0 for status, _ in results):
            raise Failure("ncnn can't run what pnnx has made of it")
        self.results = [value for _, value in results]

    def outputs(self):
        return [value.numpy(batch_index=0) for value in self.results]


class Mnn:
    packages = ("mnn",)

    @staticmethod
    def convert(model, inputs, outputs, folder):
        # The program of this name would install another package, and ask a server for credentials.
        mnnconvert = [sys.executable, "-c", "import sys, _tools; _tools.mnnconvert(sys.argv)"]
        command = [*mnnconvert, "-f", "ONNX", "--modelFile", model, "--MNNModel", "model.mnn", "--bizCode", "pli"]
        printed = run_program(command, cwd=folder)
        if not (folder / "model.mnn").exists():
            raise Failure(f"mnnconvert: {printed.strip().splitlines()[-1][:300]}")
        (folder / "names.json").write_text(json.dumps([list(inputs), outputs]))
        return "model.mnn"

    def __init__(self, model, inputs, threads):
        import MNN.expr
        import MNN.nn

        names, outputs = json.loads(pathlib.Path(model).with_name("names.json").read_text())
        self.module = MNN.nn.load_module_from_file(
            model,
            names,
            outputs,
            backend=MNN.expr.Backend.CPU,
            precision_mode=MNN.expr.PrecisionMode.High,
            thread_num=threads,
        )
        types = {"float32": MNN.expr.dtype.float, "int32": MNN.expr.dtype.int, "int64": MNN.expr.dtype.int64}
        self.inputs = [
            MNN.expr.const(value, list(value.shape), MNN.expr.data_format.NCHW, types[value.dtype.name])
            for value in inputs.values()
        ]

    def run(self):
        self.results = [value.read() for value in self.module.forward(self.inputs)]  # computed when it is read, if not before

    def outputs(self):
        return self.results


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "ncnn": Ncnn, "mnn": Mnn}


def converted(engine, model, inputs, outputs, folder):
    """The path that the engine loads: the model's own, or that of what its converter made of it, which is kept in the
    folder. So is a failure."""
    convert = ENGINES[engine].convert
    if convert is None:
        return model
    kept = folder / "result.json"
    if not kept.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        others = {value.dtype.name for value in inputs.values()} - PNNX_TYPES.keys()
        try:
            if others:
                raise Failure(f"inputs of {', '.join(sorted(others))} are not tried")
            result = {"file": convert(model, inputs, outputs, folder)}
        except Failure as failure:
            result = {"failure": str(failure)}
        kept.write_text(json.dumps(result))
    result = json.loads(kept.read_text())
    if "failure" in result:
        raise Failure(result["failure"])
    return folder / result["file"]


def measure(run, seconds):
    """The least and the median milliseconds of a run."""
    for _ in range(WARM_UP):
        run()
    times = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return {"min_ms": min(times), "median_ms": statistics.median(times), "runs": len(times)}


def main():
    engine, model, inputs, threads, seconds, outputs = sys.argv[1:]
    with np.load(inputs) as arrays:
        instance = ENGINES[engine](model, dict(arrays), int(threads))
    result = measure(instance.run, float(seconds))
    np.savez(outputs, *instance.outputs())
    print(json.dumps(result))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
