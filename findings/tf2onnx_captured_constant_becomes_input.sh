#!/usr/bin/env bash
# tf2onnx makes an input of a constant that a function of TensorFlow captures.
#
# A tf.constant that was made outside of a tf.function, as a table of means or an embedding often is, is captured by its
# value: the function takes one argument, and no caller gives it another. What tf2onnx 1.17 converts with
# from_function takes two: the constant has become an input without a default, named after the operator that reads it, so
# that the model can't be run without the numbers that it was exported with, and nothing in the file tells them. A
# tf.Variable in the same place is stored in the file. Nobody warns. The same constant made inside of the function is
# stored, too.
#
# Needs python3 with venv and the network. Fails when the inputs are others.
set -euo pipefail
shopt -s inherit_errexit

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install tensorflow-cpu==2.21.0 tf2onnx==1.17.0 onnx==1.23.2
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'PYTHON'
import tensorflow as tf, tf2onnx

outside, variable = tf.constant([2.0, 3.0]), tf.Variable([5.0, 7.0])


def inputs_of(body):
    signature = [tf.TensorSpec([2], tf.float32, name="x")]
    model, _ = tf2onnx.convert.from_function(tf.function(body, autograph=False), input_signature=signature, opset=13)
    stored = [initializer.name for initializer in model.graph.initializer]
    return [value.name for value in model.graph.input if value.name not in stored], len(stored)


cases = {
    "a constant from outside": inputs_of(lambda x: x * outside),
    "a variable from outside": inputs_of(lambda x: x * variable),
    "a constant made inside": inputs_of(lambda x: x * tf.constant([2.0, 3.0])),
}
print(f"TensorFlow {tf.__version__}, tf2onnx {tf2onnx.__version__}")
for name, (inputs, stored) in cases.items():
    print(f"{name}: inputs {inputs}, stored {stored}")
expected = {
    "a constant from outside": (["x", "mul/y:0"], 0),
    "a variable from outside": (["x"], 1),
    "a constant made inside": (["x"], 1),
}
assert cases == expected, "the inputs are others now"
PYTHON
