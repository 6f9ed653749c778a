"""A recogniser of text in images of any width: what OCR is made of today, with random weights.

A MobileNet that keeps the width, with squeeze-and-excitation at its end; two blocks of attention along the width; a
classifier of characters at each place. Image [N, 3, 48, W] -> scores [N, W / 8, 6625]."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Channels before and behind, strides, kernel, squeeze-and-excitation.
STAGES = [
    (16, 32, (1, 1), 3, False),
    (32, 64, (1, 1), 3, False),
    (64, 64, (1, 1), 3, False),
    (64, 128, (2, 1), 3, False),
    (128, 128, (1, 1), 3, False),
    (128, 256, (2, 1), 3, False),
    *[(256, 256, (1, 1), 5, False)] * 5,
    (256, 512, (2, 1), 5, True),
    (512, 512, (1, 2), 5, True),
]
FEATURES = STAGES[-1][1]
NARROW = 64
HIDDEN = 120
HEADS = 8
CHARACTERS = 6625


class Builder:
    """Appends nodes; each method returns the name of what it computes."""

    def __init__(self):
        self.random = np.random.default_rng(0)
        self.nodes = []
        self.constants = []

    def constant(self, value):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def floats(self, value):
        return self.constant(np.asarray(value, np.float32))

    def op(self, op_type, *inputs, **attributes):
        name = f"{op_type}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name, **attributes))
        return name

    def swish(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def conv(self, x, channels, filters, kernel, strides=(1, 1), group=1, bias=False):
        size = channels // group * kernel * kernel
        weight = self.random.standard_normal((filters, channels // group, kernel, kernel)) * np.sqrt(2 / size)
        constants = [weight, 0.1 * self.random.standard_normal(filters)] if bias else [weight]
        pads = [kernel // 2] * 4
        return self.op("Conv", x, *map(self.floats, constants), strides=strides, pads=pads, group=group)

    def normalized(self, x, channels):
        uniform, normal = self.random.uniform, self.random.standard_normal
        values = (uniform(0.5, 1.5, channels), 0.1 * normal(channels), 0.1 * normal(channels), uniform(0.5, 1.5, channels))
        return self.op("BatchNormalization", x, *map(self.floats, values))

    def block(self, x, channels, filters, kernel, strides=(1, 1), group=1):
        return self.op("HardSwish", self.normalized(self.conv(x, channels, filters, kernel, strides, group), filters))

    def swish_block(self, x, channels, filters, kernel):
        return self.swish(self.normalized(self.conv(x, channels, filters, kernel), filters))

    def squeeze_and_excite(self, x, channels):
        y = self.op("GlobalAveragePool", x)
        y = self.op("Relu", self.conv(y, channels, channels // 4, 1, bias=True))
        y = self.conv(y, channels // 4, channels, 1, bias=True)
        return self.op("Mul", x, self.op("HardSigmoid", y, alpha=1 / 6, beta=0.5))

    def stage(self, x, channels, filters, strides, kernel, squeezes):
        x = self.block(x, channels, channels, kernel, strides, group=channels)
        if squeezes:
            x = self.squeeze_and_excite(x, channels)
        return self.block(x, channels, filters, 1)

    def linear(self, x, rows, columns):
        weight = self.random.standard_normal((rows, columns)) / np.sqrt(rows)
        product = self.op("MatMul", x, self.floats(weight))
        return self.op("Add", product, self.floats(0.1 * self.random.standard_normal(columns)))

    def layer_norm(self, x):
        scale, bias = self.random.uniform(0.5, 1.5, HIDDEN), 0.1 * self.random.standard_normal(HIDDEN)
        return self.op("LayerNormalization", x, self.floats(scale), self.floats(bias), axis=-1)

    def attention(self, x):
        size = HIDDEN // HEADS
        x = self.op("Reshape", self.linear(x, HIDDEN, 3 * HIDDEN), self.constant([0, -1, 3, HEADS, size]))
        x = self.op("Transpose", x, perm=[2, 0, 3, 1, 4])
        query, key, value = (self.op("Gather", x, self.constant(i), axis=0) for i in range(3))
        query = self.op("Mul", query, self.floats(size**-0.5))
        weights = self.op("Softmax", self.op("MatMul", query, self.op("Transpose", key, perm=[0, 1, 3, 2])), axis=-1)
        x = self.op("Transpose", self.op("MatMul", weights, value), perm=[0, 2, 1, 3])
        return self.linear(self.op("Reshape", x, self.constant([0, -1, HIDDEN])), HIDDEN, HIDDEN)

    def along_the_width(self, x):
        """[N, C, 1, W] -> [N, W, C]"""
        return self.op("Transpose", self.op("Squeeze", x, self.constant([2])), perm=[0, 2, 1])

    def mixed(self, x):
        """Attention along the width, beside what it starts from."""
        y = self.swish_block(x, FEATURES, NARROW, 3)
        y = self.along_the_width(self.swish_block(y, NARROW, HIDDEN, 1))
        for _ in range(2):
            y = self.op("Add", y, self.attention(self.layer_norm(y)))
            wide = self.swish(self.linear(self.layer_norm(y), HIDDEN, 2 * HIDDEN))
            y = self.op("Add", y, self.linear(wide, 2 * HIDDEN, HIDDEN))
        y = self.op("Transpose", self.layer_norm(y), perm=[0, 2, 1])
        y = self.swish_block(self.op("Unsqueeze", y, self.constant([2])), HIDDEN, FEATURES, 1)
        y = self.swish_block(self.op("Concat", x, y, axis=1), 2 * FEATURES, NARROW, 3)
        return self.along_the_width(self.swish_block(y, NARROW, NARROW, 1))


def write(path):
    builder = Builder()
    x = builder.block("image", 3, STAGES[0][0], 3, (2, 2))
    for stage in STAGES:
        x = builder.stage(x, *stage)
    x = builder.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    logits = builder.linear(builder.mixed(x), NARROW, CHARACTERS)
    builder.nodes.append(helper.make_node("Softmax", [logits], ["scores"], "scores", axis=-1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 48, "width"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)
    graph = helper.make_graph(builder.nodes, "recogniser", [image], [scores], builder.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
