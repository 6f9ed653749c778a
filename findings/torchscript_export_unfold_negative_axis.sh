#!/usr/bin/env bash
# PyTorch's TorchScript exporter swaps axes of an unfold whose axis is counted from the end.
#
# x.unfold(axis, size, step) gives windows along an axis and appends what is in a window as the last one. Exported by
# torch 2.15 with dynamo=False, the same axis counted from the front is right, and counted from the end it is not: the
# windows come where another axis should be, the export says nothing, the file passes onnx's checker, and ONNX Runtime
# runs it. Where those two sizes happen to be equal nothing shows but wrong numbers; in PatchTST of transformers, which
# unfolds along -2, they differ further on and the exported model can't be loaded. The exporter behind dynamo=True is
# right.
#
# Needs python3 with venv and the network. Fails when the results change.
set -euo pipefail
shopt -s inherit_errexit

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install torch==2.15.0 onnxruntime==1.32.0 onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
venv/bin/python -W ignore - <<'PYTHON'
import io, logging
import numpy as np, onnx, onnxruntime as ort, torch

logging.disable(logging.WARNING)


class Unfold(torch.nn.Module):
    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, x):
        return x.unfold(self.axis, 4, 3)


def exported(axis, x, dynamo):
    file = io.BytesIO()
    torch.onnx.export(Unfold(axis).eval(), (x,), file, dynamo=dynamo, opset_version=18, input_names=["x"])
    onnx.checker.check_model(file.getvalue(), full_check=True)
    return ort.InferenceSession(file.getvalue()).run(None, {"x": x.numpy()})[0]


def judged(axis, shape, dynamo):
    torch.manual_seed(0)
    x = torch.randn(shape)
    wanted, got = Unfold(axis)(x).numpy(), exported(axis, x, dynamo)
    if got.shape != wanted.shape:
        return f"{got.shape} for {wanted.shape}"
    return "right" if np.allclose(got, wanted) else "other numbers"


print(f"torch {torch.__version__}, ONNX Runtime {ort.__version__}")
results = {
    "axis 1 of [2, 13, 5]": judged(1, (2, 13, 5), False),
    "axis -2 of [2, 13, 5]": judged(-2, (2, 13, 5), False),
    "axis -2 of [2, 13, 4]": judged(-2, (2, 13, 4), False),
    "axis -2 of [2, 13, 5], dynamo": judged(-2, (2, 13, 5), True),
}
for case, result in results.items():
    print(f"{case}: {result}")
assert list(results.values()) == ["right", "(2, 5, 4, 4) for (2, 4, 5, 4)", "other numbers", "right"], "it has changed"
PYTHON
