#!/usr/bin/python3
"""Exports torchvision's classifiers as ONNX test cases, BatchNormalization kept, with PyTorch's own outputs to compare with.

    export_torchvision.py build/torchvision                  all of them
    export_torchvision.py build/torchvision resnet50 --opset 17

Needs Debian's python3-torch, python3-torchvision and python3-onnx (models/packages.txt). Nothing is downloaded: weights are
random and seeded by the model's name, and each BatchNorm gets the statistics of what flows through it, so that values
stay of order one through the whole network, as they do in a trained one.

    OUT_DIR/NAME/model.onnx                          input "input" [batch, 3, N, N], output "logits" [batch, 1000]
    OUT_DIR/NAME/test_data_set_0/{input,output}_0.pb one image and PyTorch's eval-mode output
"""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile
import time
import warnings
import zlib

import torch
import torchvision
from torch import nn
from torchvision.models.convnext import CNBlock

from onnx_case import export, used_norms, write_data_set

MODELS = [
    "resnet50",
    "mobilenet_v2",
    "resnet18",
    "mobilenet_v3_large",
    "vgg16_bn",
    "inception_v3",
    "googlenet",
    "densenet121",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "mnasnet1_0",
    "regnet_y_400mf",
    "squeezenet1_1",
    "convnext_tiny",
]
IMAGE_SIZE = {"inception_v3": 299}
CALIBRATION_BATCHES = 3
CALIBRATION_BATCH = 8


def random_images(count, size):
    """Images [count, 3, size, size] of mean 0 and deviation 1, each a mix of its own of colour and of structure at all
    scales, as photographs are."""
    images = torch.randn(count, 3, 1, 1).expand(-1, -1, size, size).clone()
    for cells in (2, 5, 12, 30, 75, size):
        noise = torch.randn(count, 3, cells, cells)
        layer = nn.functional.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)
        images += layer * torch.rand(count, 1, 1, 1)
    pixels = images.flatten(1)
    return ((pixels - pixels.mean(1, keepdim=True)) / pixels.std(1, keepdim=True)).view_as(images)


def randomize(model):
    """Values that a fold can't get right by luck: no scale of exactly 1, no shift and no bias of exactly 0."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
        elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.uniform_(module.bias, -0.1, 0.1)
        elif isinstance(module, CNBlock):
            # As created it is 1e-6, which would silence the branch.
            nn.init.uniform_(module.layer_scale, 0.2, 0.8)


def calibrate(model, size):
    """Gives each BatchNorm that runs the average statistics of a few batches."""
    norms = used_norms(model, random_images(1, size))
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for _ in range(CALIBRATION_BATCHES):
            model(random_images(CALIBRATION_BATCH, size))
    for norm in norms:
        norm.momentum = 0.1
        norm.eval()


def scale_head(model, size):
    """Scales the last layer, created with tiny weights in most networks, for logits with an RMS of 1, and asserts that
    they tell images apart: what goes wrong inside can't hide in outputs that are all alike."""
    head = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))][-1]
    assert len(head.weight) == 1000
    with torch.no_grad():
        logits = model(random_images(4, size))
        rms = logits.square().mean().sqrt()
        head.weight /= rms
        head.bias /= rms
    spread = (logits.std(0).mean() / rms).item()
    assert spread > 0.1, f"outputs hardly depend on the image: deviation {spread:.3g} of their RMS"


def create(name, size):
    torch.manual_seed(zlib.crc32(name.encode()))
    options = {"aux_logits": False, "init_weights": True} if name in ("inception_v3", "googlenet") else {}
    model = getattr(torchvision.models, name)(weights=None, **options).eval()
    randomize(model)
    calibrate(model, size)
    scale_head(model, size)
    return model


def export_case(name, size, opset, out):
    """Writes OUT/NAME, whole or not at all. Returns a line about it."""
    model = create(name, size)
    image = random_images(1, size)
    with torch.no_grad():
        logits = model(image)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=out) as temporary:
        case = pathlib.Path(temporary) / name
        case.mkdir()
        operators = export(model, image, case / "model.onnx", opset, "input", "logits")
        write_data_set(case / "test_data_set_0", "input", image.numpy(), "logits", logits.numpy())
        megabytes = (case / "model.onnx").stat().st_size / 1e6
        if (out / name).exists():
            shutil.rmtree(out / name)
        case.rename(out / name)
    nodes = sum(operators.values())
    return f"{operators['BatchNormalization']} BatchNormalization of {nodes} nodes, {megabytes:.1f} MB"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=pathlib.Path, metavar="OUT_DIR")
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all that --list shows")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--opset", type=int, default=13, metavar="N", help="default %(default)s")
    parser.add_argument("--image", type=int, metavar="N", help="height and width; default 224, inception_v3 299")
    parser.add_argument("--force", action="store_true", help="export again what OUT_DIR has, which is skipped otherwise")
    options = parser.parse_intermixed_args()
    if options.list:
        print("\n".join(MODELS))
        return
    if options.out is None:
        parser.error("OUT_DIR is missing")
    unknown = [name for name in options.names if name not in MODELS]
    if unknown:
        parser.error(f"unknown model {', '.join(unknown)}; known are {', '.join(MODELS)}")

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # The exporter warns of shapes that it traces as constants and of operators without a shape rule; the comparison
    # with PyTorch's outputs is what decides.
    warnings.filterwarnings("ignore")
    options.out.mkdir(parents=True, exist_ok=True)
    names = options.names or MODELS
    failed = []
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}: ", end="", flush=True)
        if (options.out / name).exists() and not options.force:
            print("exists, skipped")
            continue
        start = time.monotonic()
        size = options.image or IMAGE_SIZE.get(name, 224)
        try:
            line = export_case(name, size, options.opset, options.out)
        except (RuntimeError, ValueError) as error:  # what PyTorch raises for shapes and opsets that it can't do
            print(f"failed: {str(error).strip().splitlines()[0]}", flush=True)
            failed.append(name)
            continue
        print(f"{line}, {time.monotonic() - start:.0f} s", flush=True)
    if failed:
        sys.exit(f"not exported: {', '.join(failed)}")


if __name__ == "__main__":
    main()
