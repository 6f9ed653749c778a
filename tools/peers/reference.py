"""What an engine's outputs are held against: inputs for a model, and the outputs of the same model in float64."""

import json
import pathlib
import tempfile

import numpy as np
import onnx
from engines import Failure, run_program
from onnx import AttributeProto, TensorProto, numpy_helper

FLOAT_OPERANDS = {"Resize": (1, 2), "Upsample": (1,)}  # regions and scales, which stay float32 whatever is resized


def inputs_and_outputs(model, binary, shapes=()):
    """The model's inputs, by name, as random arrays of the shapes that Pli runs it with, and the names of its outputs."""
    flags = [word for shape in shapes for word in ("--shape", shape)]
    report = json.loads(run_program([binary / "onnx-run", "--json", "--quiet", *flags, model]))
    random = np.random.default_rng(0)
    inputs = {}
    for value in report["inputs"]:
        dtype = np.dtype(value["dtype"])
        if dtype.kind == "f":
            inputs[value["name"]] = random.standard_normal(value["shape"]).astype(dtype)
        else:
            inputs[value["name"]] = random.integers(0, 2, value["shape"]).astype(dtype)
    return inputs, [value["name"] for value in report["outputs"]]


def in_float64(tensor):
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)


def widen_node(node):
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(in_float64(attribute.t))
        elif attribute.type == AttributeProto.GRAPH:
            widen_graph(attribute.g)
        elif attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.DOUBLE
        elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            value = np.float64(attribute.f) if attribute.name == "value_float" else np.array(attribute.floats, np.float64)
            attribute.CopyFrom(onnx.helper.make_attribute("value", numpy_helper.from_array(value)))


def widen_graph(graph):
    kept = {node.input[i] for node in graph.node for i in FLOAT_OPERANDS.get(node.op_type, ()) if i < len(node.input)}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            tensor.CopyFrom(in_float64(tensor))
    for node in graph.node:
        if node.op_type != "Constant" or node.output[0] not in kept:
            widen_node(node)
    for value in [*graph.input, *graph.output]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]


def run_pli(model, inputs, binary, flags=()):
    """The outputs of onnx-run for these inputs."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for i, (name, value) in enumerate(inputs.items()):
            np.save(folder / f"{i}.npy", value)
            flags = [*flags, "--input", f"{name}={folder}/{i}.npy"]
        report = run_program([binary / "onnx-run", "--json", "--quiet", "--output-dir", folder / "out", *flags, model])
        return [np.load(file) for file in json.loads(report)["files"]]


def outputs_in_float64(model, inputs, binary):
    """Computed by Pli, none of whose optimizations and float32 kernels are used. If it were wrong there, every other
    engine would seem to be."""
    wide = onnx.load(model)
    widen_graph(wide.graph)
    with tempfile.TemporaryDirectory() as temporary:
        path = pathlib.Path(temporary) / "model.onnx"
        try:
            onnx.save(wide, path)
        except ValueError as error:  # protobuf's limit of 2 GB
            raise Failure(f"no model in float64: {error}") from None
        inputs = {name: value.astype(np.float64) if value.dtype == np.float32 else value for name, value in inputs.items()}
        return run_pli(path, inputs, binary, ["--no-optimize"])


def largest_error(outputs, expected):
    """Of all outputs, over the root mean square of each."""
    if len(outputs) != len(expected):
        raise Failure(f"{len(outputs)} outputs in place of {len(expected)}")
    worst = 0.0
    for output, wanted in zip(outputs, expected, strict=True):
        if output.size != wanted.size:
            raise Failure(f"an output of {list(output.shape)} in place of {list(wanted.shape)}")
        wanted = wanted.astype(np.float64)
        off = np.abs(output.reshape(wanted.shape).astype(np.float64) - wanted).max(initial=0)
        rms = np.sqrt(np.mean(wanted**2)) if wanted.size else 0.0
        error = off / rms if rms > 0 else off
        if not np.isfinite(error):
            raise Failure("an output has NaN or infinity")
        worst = max(worst, float(error))
    return worst
