#!/usr/bin/env bash
# Runtimes disagree on a local function of a model that is named like one of their operators.
#
# ONNX lets each runtime decide which of the two counts. ONNX Runtime 1.32 takes its own operator, silently, for Relu of
# ONNX and for QuickGelu of com.microsoft, at every level of optimization. onnx 1.23's reference evaluator takes its own
# Relu, but the model's QuickGelu, since it has none. onnx's inliner puts the model's body in the place of both. So
# inlining, which optimizers take for harmless, changes what ONNX Runtime computes, and comparing the two models in one
# runtime that takes the function shows nothing. Here the bodies differ from the operators on purpose: both negate.
#
# Needs python3 with venv and the network. Fails when the results change.
set -euo pipefail
shopt -s inherit_errexit

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.3.5
venv/bin/python - <<'PYTHON'
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto, helper, inliner
from onnx.reference import ReferenceEvaluator

x = np.array([-2, 1], dtype=np.float32)


def model_of(domain, name):
    body = helper.make_node("Neg", ["a"], ["b"])
    function = helper.make_function(domain, name, ["a"], ["b"], [body], [helper.make_opsetid("", 17)])
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)
    graph = helper.make_graph([helper.make_node(name, ["x"], ["y"], domain=domain)], "g", [value("x")], [value("y")])
    imports = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(graph, functions=[function], opset_imports=imports, ir_version=9)
    onnx.checker.check_model(model)
    return model


def numbers(array):
    return [round(float(number), 3) + 0.0 for number in array]


def in_onnxruntime(model, optimized):
    options = ort.SessionOptions()
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    return numbers(ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0])


print(f"ONNX Runtime {ort.__version__}, onnx {onnx.__version__}; both functions negate [-2, 1]")
seen = []
for domain, name in ("", "Relu"), ("com.microsoft", "QuickGelu"):
    model = model_of(domain, name)
    inlined = inliner.inline_local_functions(model)
    results = {
        "ONNX Runtime": in_onnxruntime(model, False),
        "optimized": in_onnxruntime(model, True),
        "reference": numbers(ReferenceEvaluator(model).run(None, {"x": x})[0]),
        "inlined, ONNX Runtime": in_onnxruntime(inlined, True),
    }
    print(f"{name}:", "; ".join(f"{who} {result}" for who, result in results.items()))
    seen.append(list(results.values()))
assert seen[0] == [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [2.0, -1.0]], seen
assert seen[1][0] == seen[1][1] != [2.0, -1.0] and seen[1][2] == seen[1][3] == [2.0, -1.0], seen
PYTHON

# Seen:
#   ONNX Runtime 1.32.0, onnx 1.23.2; both functions negate [-2, 1]
#   Relu: ONNX Runtime [0.0, 1.0]; optimized [0.0, 1.0]; reference [0.0, 1.0]; inlined, ONNX Runtime [2.0, -1.0]
#   QuickGelu: ONNX Runtime [-0.064, 0.846]; optimized [-0.064, 0.846]; reference [2.0, -1.0]; inlined, ONNX Runtime [2.0, -1.0]
