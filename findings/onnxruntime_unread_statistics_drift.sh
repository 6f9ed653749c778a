#!/usr/bin/env bash
# In ONNX Runtime, a BatchNormalization whose statistics nobody reads gives another result each time that it is run.
#
# Below opset 14 the standard knows two forms of the node: one output is inference, five are training. Old exporters
# listed five for inference, too, and nothing reads the last four. ONNX Runtime 1.32 without graph optimizations takes
# that as training: it normalizes by the statistics of the input. With all optimizations, which is the default, equal
# inputs give other results from run to run of one session, neither those of training nor those of inference. So a
# comparison of such a model with ONNX Runtime, folded or not, says nothing.
#
# Needs python3 with venv and the network. Fails when the results change.
set -euo pipefail
shopt -s inherit_errexit

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install onnxruntime==1.32.0 onnx==1.19.1 numpy==2.3.5
venv/bin/python - <<'PYTHON'
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto, helper

ort.set_default_logger_severity(3)
x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
parameters = {"scale": [1, 1], "bias": [0, 0], "mean": [0, 0], "var": [1, 1]}  # inference: y is x, nearly


def first_elements_of_three_runs(outputs, level):
    node = helper.make_node("BatchNormalization", ["x", *parameters], outputs)
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor(name, TensorProto.FLOAT, [2], values) for name, values in parameters.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=7)
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(model.SerializeToString(), options)
    return [round(float(session.run(["y"], {"x": x})[0][0, 0, 0, 0]), 2) for _ in range(3)]


none, all_of_them = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL
five = ["y", "m", "v", "sm", "sv"]
print(f"ONNX Runtime {ort.__version__}, the first element of y in three runs")
results = [first_elements_of_three_runs(*how) for how in ((["y"], none), (["y"], all_of_them), (five, none), (five, all_of_them))]
for name, result in zip(("one output", "one output, optimized", "five outputs", "five outputs, optimized"), results):
    print(f"{name}:", *result)
assert results[0] == results[1] == [0.0, 0.0, 0.0]
assert results[2] == [-1.46, -1.46, -1.46]
assert len(set(results[3])) == 3
PYTHON

# Seen:
#   ONNX Runtime 1.32.0, the first element of y in three runs
#   one output: 0.0 0.0 0.0
#   one output, optimized: 0.0 0.0 0.0
#   five outputs: -1.46 -1.46 -1.46
#   five outputs, optimized: -1.49 -1.52 -1.55
