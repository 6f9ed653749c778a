#!/usr/bin/python3
"""Trains the small CNN of models/digits.onnx on the UCI digits and writes its ONNX test case.

Needs Debian's python3-torch, python3-sklearn and python3-onnx (models/packages.txt); takes half a minute.
Seeded and single-threaded: the same packages (BLAS included) on the same kind of CPU write the same bytes again.

    digits.onnx                                  the network, BatchNormalization kept, batch dimension symbolic
    digits/model.onnx                            a link to it
    digits/test_data_set_0/{input,output}_0.pb   one image and PyTorch's own output
    digits/test_data_set_1/{input,output}_0.pb   all held-out images and PyTorch's own outputs
    digits/labels.pb                             the true classes of test_data_set_1, int64
"""

import argparse
import pathlib

import numpy
import torch
from sklearn.datasets import load_digits
from torch import nn

from onnx_case import export, write_data_set, write_tensor

SEED = 1
HELD_OUT = 450
EPOCHS = 40
REQUIRED_ACCURACY = 0.98


def conv_bn(inputs, outputs, kernel, stride=1, groups=1, bias=False):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.first = conv_bn(inputs, outputs, 3, stride)
        self.second = conv_bn(outputs, outputs, 3)
        plain = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if plain else conv_bn(inputs, outputs, 1, stride)

    def forward(self, x):
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


class Digits(nn.Module):
    """Small, yet with every neighbour a BatchNormalization meets in a CNN: convolutions that are plain, biased,
    strided, pointwise, depthwise and grouped, and residual sums with and without a convolution in the shortcut.
    No two neighbouring widths are equal where they need not be, so that a mix-up of channels can't go unnoticed."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(1, 16, 3)
        self.widen = conv_bn(16, 24, 3, bias=True)
        self.block1 = Residual(24, 24)
        self.depthwise = conv_bn(24, 24, 3, groups=24, bias=True)
        self.pointwise = conv_bn(24, 36, 1)
        self.block2 = Residual(36, 48, stride=2)
        self.grouped = conv_bn(48, 40, 3, groups=4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(40, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = self.block1(torch.relu(self.widen(x)))
        x = torch.relu(self.pointwise(torch.relu(self.depthwise(x))))
        x = torch.relu(self.grouped(self.block2(x)))
        return self.classify(torch.flatten(self.pool(x), 1))


def split_data():
    """Images [N, 1, 8, 8] in 0..1 and classes [N]: the first for training, the last HELD_OUT for testing. The order is
    the data set's own, in which a writer's digits seem to stand together, so most test writers are new to the model."""
    digits = load_digits()
    images = torch.from_numpy(digits.images.astype(numpy.float32) / 16).unsqueeze(1)
    labels = torch.from_numpy(digits.target.astype(numpy.int64))
    return images[:-HELD_OUT], labels[:-HELD_OUT], images[-HELD_OUT:], labels[-HELD_OUT:]


def shifted(images):
    """Each image moved by up to one pixel in each direction."""
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    offsets = torch.randint(0, 3, (len(images), 2)).tolist()
    return torch.stack([p[:, y : y + 8, x : x + 8] for p, (y, x) in zip(padded, offsets)])


def train(model, images, labels, batch=64):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    steps = EPOCHS * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    model.train()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(images))
        for chosen in order[: len(order) // batch * batch].split(batch):
            loss = nn.functional.cross_entropy(model(shifted(images[chosen])), labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1} of {EPOCHS}: loss {loss.item():.3f}", flush=True)
    model.eval()


def main():
    parser = argparse.ArgumentParser(description="Trains models/digits.onnx and writes its test case.")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent, metavar="DIR")
    out = parser.parse_args().out

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images, labels, test_images, test_labels = split_data()
    model = Digits()
    train(model, images, labels)

    with torch.no_grad():
        logits = model(test_images)
    correct = int((logits.argmax(1) == test_labels).sum())
    accuracy = correct / HELD_OUT
    assert accuracy >= REQUIRED_ACCURACY, f"only {accuracy:.2%} of the held-out images are right: nothing written"

    case = out / "digits"
    case.mkdir(parents=True, exist_ok=True)
    operators = export(model, test_images[:1], out / "digits.onnx", 17, "image", "logits")
    link = case / "model.onnx"
    link.unlink(missing_ok=True)
    link.symlink_to("../digits.onnx")
    for number, count in enumerate((1, HELD_OUT)):
        with torch.no_grad():
            output = model(test_images[:count])
        directory = case / f"test_data_set_{number}"
        write_data_set(directory, "image", test_images[:count].numpy(), "logits", output.numpy())
    write_tensor(case / "labels.pb", test_labels.numpy(), "labels")

    print(f"trained on {len(images)} images; {correct} of {HELD_OUT} held-out images right ({accuracy:.2%})")
    print(f"{sum(p.numel() for p in model.parameters())} parameters; "
          + ", ".join(f"{count} {name}" for name, count in sorted(operators.items())))
    for path in [out / "digits.onnx", *sorted(case.rglob("*.pb"))]:
        print(f"{path.stat().st_size:8d} bytes  {path.relative_to(out)}")


if __name__ == "__main__":
    main()
