"""What the exporting scripts share: PyTorch networks to ONNX with BatchNormalization kept, and ONNX's test-case files."""

import collections

import onnx
import torch
from onnx import numpy_helper
from torch import nn


def used_norms(model, example):
    """The BatchNorm modules that a forward pass runs, which leaves out those of auxiliary heads, say."""
    used = []
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    hooks = [m.register_forward_hook(lambda module, *_: used.append(module)) for m in norms]
    with torch.no_grad():
        model(example)
    for hook in hooks:
        hook.remove()
    return used


def export(model, example, path, opset, input_name, output_name):
    """Writes `model`, which is in eval mode, with the symbolic dimension "batch" first in its one input and output.

    PRESERVE keeps PyTorch's exporter from folding BatchNormalization itself, as its EVAL mode would. That every one
    arrived, in inference mode, and that no Dropout is active, is asserted. Returns the operators by count."""
    torch.onnx.export(
        model,
        example,
        str(path),
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        opset_version=opset,
        input_names=[input_name],
        output_names=[output_name],
        dynamic_axes={input_name: {0: "batch"}, output_name: {0: "batch"}},
    )
    onnx.checker.check_model(str(path))
    graph = onnx.load(str(path)).graph
    operators = collections.Counter(node.op_type for node in graph.node)
    assert operators["BatchNormalization"] == len(used_norms(model, example))
    assert operators["Dropout"] == 0
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            modes = [a.i for a in node.attribute if a.name == "training_mode"]
            assert len(node.output) == 1 and modes in ([], [0]), f"{node.name} is in training mode"
    return operators


def write_tensor(path, array, name):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(numpy_helper.from_array(array, name).SerializeToString())


def write_data_set(directory, input_name, input_array, output_name, output_array):
    write_tensor(directory / "input_0.pb", input_array, input_name)
    write_tensor(directory / "output_0.pb", output_array, output_name)
