"""Exports PaddlePaddle networks through paddle2onnx, with its own optimizer and without it.

Needs the packages that exporters/paddle.txt lists."""

import pathlib
import tempfile

import numpy as np
import paddle
import paddle2onnx
from cases import random_images, run, seed_of
from paddle import nn
from paddle.vision import models

OPSET = 17
IMAGE = 96


def conv1d():
    return nn.Sequential(
        nn.Conv1D(6, 12, 5, padding=2, bias_attr=False), nn.BatchNorm1D(12), nn.ReLU(),
        nn.Conv1D(12, 20, 3, stride=2), nn.BatchNorm1D(20), nn.Hardswish(),
        nn.Conv1DTranspose(20, 8, 4, stride=2), nn.BatchNorm1D(8), nn.LeakyReLU(),
        nn.AdaptiveAvgPool1D(1), nn.Flatten(), nn.Linear(8, 24), nn.BatchNorm1D(24), nn.ReLU(), nn.Linear(24, 5),
    )  # fmt: skip


MODELS = {
    "conv1d": (conv1d, [6, 50]),
    "resnet18": (lambda: models.resnet18(num_classes=100), [3, IMAGE, IMAGE]),
    "mobilenet_v3_small": (models.mobilenet_v3_small, [3, IMAGE, IMAGE]),
    "mobilenet_v2": (models.mobilenet_v2, [3, IMAGE, IMAGE]),
    "shufflenet_v2": (models.shufflenet_v2_x0_25, [3, IMAGE, IMAGE]),
}


def randomize(model, shape, random):
    """Scales and shifts that no fold gets right by luck, and the statistics of what flows through."""
    norms = [layer for layer in model.sublayers() if isinstance(layer, nn.layer.norm._BatchNormBase)]
    for norm in norms:
        norm.weight.set_value(random.uniform(0.8, 1.2, norm.weight.shape).astype(np.float32))
        norm.bias.set_value(random.uniform(-0.1, 0.1, norm.bias.shape).astype(np.float32))
        norm._momentum = 0.0
    model.train()
    with paddle.no_grad():
        model(paddle.to_tensor(random_images(random, 8, *shape)))
    model.eval()


def create(name):
    paddle.seed(seed_of(name))
    make, shape = MODELS[name]
    model = make()
    randomize(model, shape, np.random.default_rng(seed_of(name)))
    return model, shape


def paddle_onnx(optimizer):
    def write(made, path):
        model, shape = made
        with tempfile.TemporaryDirectory() as folder:
            stem = str(pathlib.Path(folder) / "inference")
            paddle.jit.save(model, stem, input_spec=[paddle.static.InputSpec([None, *shape], "float32", "input")])
            program = f"{stem}.json" if pathlib.Path(f"{stem}.json").exists() else f"{stem}.pdmodel"
            paddle2onnx.export(
                program, f"{stem}.pdiparams", str(path), opset_version=OPSET, enable_onnx_checker=True,
                optimize_tool="polygraphy" if optimizer else None, verbose=False,
            )  # fmt: skip
        data = random_images(np.random.default_rng(0), 2, *shape)
        with paddle.no_grad():
            return {"input": data}, [model(paddle.to_tensor(data)).numpy()]

    return write


if __name__ == "__main__":
    makers = {name: lambda name=name: create(name) for name in MODELS}
    run(makers, {"paddle2onnx-raw": paddle_onnx(False), "paddle2onnx": paddle_onnx(True)})
