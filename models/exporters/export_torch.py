"""Exports networks of timm and transformers through PyTorch's two exporters, with what each does by default to simplify the
graph and without it, and with local functions. Batches, the lengths of texts and signals and some images are dynamic.

Nothing is downloaded: weights are random. Needs the packages that exporters/torch.txt lists."""

import dataclasses
import logging
import os
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import timm
import torch
import transformers
from cases import random_images, run, seed_of
from torch import nn

OPSET = 17  # of the TorchScript exporter; the other has its own default, 20 as of PyTorch 2.15


@dataclasses.dataclass
class Case:
    model: nn.Module
    example: tuple  # of the inputs, with the sizes that the exporter sees
    sample: tuple  # of the inputs to compare on, where each dynamic dimension is another than in `example`
    axes: list  # {dimension: its name} for each input
    names: list  # of the inputs
    calibration: tuple = None  # inputs for the statistics of BatchNorm, where `example` has too few for them
    program: object = None


class Sequence(nn.Module):
    """Normalizations of one dimension, behind what the networks of images do not have: Linear and Conv1d of any length."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.BatchNorm1d(6), nn.Conv1d(6, 20, 3), nn.BatchNorm1d(20), nn.GELU(),
            nn.ConvTranspose1d(20, 12, 4, stride=2), nn.BatchNorm1d(12), nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.Hardswish(), nn.Linear(24, 5), nn.BatchNorm1d(5))

    def forward(self, signal):
        return self.head(self.encoder(signal).mean(-1))


class First(nn.Module):
    """A model of transformers that returns the first of its outputs, and so a plain tensor."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        return self.model(*inputs, return_dict=False)[0]


def images(model, size, height_too=False):
    random = np.random.default_rng(0)
    axes = {0: "batch"} | ({2: "height", 3: "width"} if height_too else {})
    wide = (size + 32, size + 64) if height_too else (size, size)
    example = torch.from_numpy(random_images(random, 3, 3, size, size))
    sample = torch.from_numpy(random_images(random, 2, 3, *wide))
    calibration = torch.from_numpy(random_images(random, 16, 3, size, size))
    return Case(model, (example,), (sample,), [axes], ["input"], (calibration,))


def network(name, size=96, height_too=False):
    return lambda: images(timm.create_model(name, pretrained=False), size, height_too)


def signals(model, channels, length, layout):
    """Signals of random length; `layout` is their dimensions by name, of which "channels" is the fixed one."""
    def signal(count, steps):
        sizes = {"batch": count, "length": steps, "channels": channels}
        return torch.randn(*[sizes[name] for name in layout])
    axes = {dimension: name for dimension, name in enumerate(layout) if name != "channels"}
    return Case(model, (signal(3, length),), (signal(2, length + 37),), [axes], ["signal"], (signal(16, length),))


def texts(model, vocabulary):
    def tokens(count, length):
        mask = torch.ones(count, length, dtype=torch.int64)
        mask[-1, length - 3 :] = 0
        return torch.randint(1, vocabulary, (count, length)), mask
    return Case(First(model), tokens(3, 11), tokens(2, 17), [{0: "batch", 1: "length"}] * 2, ["input_ids", "attention_mask"])


SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}


def bert():
    return texts(transformers.BertModel(transformers.BertConfig(vocab_size=200, **SMALL), add_pooling_layer=False), 200)


def distilbert():
    config = transformers.DistilBertConfig(vocab_size=200, dim=48, n_layers=2, n_heads=4, hidden_dim=96)
    return texts(transformers.DistilBertModel(config), 200)


def llama():
    config = transformers.LlamaConfig(vocab_size=200, num_key_value_heads=2, use_cache=False, **SMALL)
    return texts(transformers.LlamaModel(config), 200)


def vit():
    config = transformers.ViTConfig(image_size=48, patch_size=8, **SMALL)
    return images(First(transformers.ViTModel(config, add_pooling_layer=False)), 48)


def mobilevit():
    config = transformers.MobileViTConfig(image_size=64, hidden_sizes=[24, 32, 40], neck_hidden_sizes=[8, 12, 20, 24, 28, 32, 48])
    return images(First(transformers.MobileViTModel(config)), 64)


def wav2vec2_conformer():
    config = transformers.Wav2Vec2ConformerConfig(
        conv_dim=(24, 24, 24), conv_stride=(5, 2, 2), conv_kernel=(10, 3, 2), num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4, conv_depthwise_kernel_size=7, position_embeddings_type=None, **SMALL,
    )
    return signals(First(transformers.Wav2Vec2ConformerModel(config)), None, 800, ["batch", "length"])


def patchtst():
    config = transformers.PatchTSTConfig(
        num_input_channels=3, context_length=64, patch_length=8, patch_stride=8, d_model=48, num_hidden_layers=2,
        num_attention_heads=4, ffn_dim=96, norm_type="batchnorm", use_cls_token=False,
    )
    model = transformers.PatchTSTModel(config)
    return Case(First(model), (torch.randn(3, 64, 3),), (torch.randn(2, 64, 3),), [{0: "batch"}], ["past_values"])


MODELS = {
    "sequence": lambda: signals(Sequence(), 6, 40, ["batch", "channels", "length"]),
    "levit_128s": network("levit_128s", 224),
    "repvgg_a0": network("repvgg_a0"),
    "mobileone_s0": network("mobileone_s0"),
    "fastvit_t8": network("fastvit_t8", 128),
    "resnetv2_18": network("resnetv2_18"),
    "efficientnet_b0": network("efficientnet_b0"),
    "mobilenetv4_conv_small": network("mobilenetv4_conv_small", 96, height_too=True),
    "ghostnetv2_100": network("ghostnetv2_100"),
    "bert": bert,
    "distilbert": distilbert,
    "llama": llama,
    "vit": vit,
    "mobilevit": mobilevit,
    "wav2vec2_conformer": wav2vec2_conformer,
    "patchtst": patchtst,
}


def randomize(case):
    """Scales and shifts that no fold gets right by luck, and the statistics of what flows through. The scales are below 1:
    with larger ones LeViT makes of an input that differs by 1e-7 an output that differs by a fifth."""
    norms = [module for module in case.model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for name, parameter in case.model.named_parameters():
            if parameter.ndim == 1 or (parameter == parameter.flatten()[0]).all():
                low, high = (0.7, 1.0) if name.endswith("weight") else (-0.1, 0.1)
                parameter.uniform_(low, high)
        for norm in norms:
            norm.momentum = 1.0
            norm.train()
        case.model(*(case.calibration or case.example))
    for norm in norms:
        norm.momentum = 0.1
    case.model.eval()


def create(name):
    torch.manual_seed(seed_of(name))
    case = MODELS[name]()
    case.model.eval()
    randomize(case)
    return case


def torchscript(**options):
    def write(case, path):
        axes = dict(zip(case.names, case.axes, strict=True))
        torch.onnx.export(
            case.model, case.example, str(path), dynamo=False, opset_version=OPSET, input_names=case.names,
            output_names=["output"], dynamic_axes=axes, **options,
        )
        return computed(case)
    return write


def program_of(case):
    """Of torch.export, not optimized yet; made once, since that takes a minute for some."""
    if case.program is None:
        shapes = tuple({axis: torch.export.Dim(name) for axis, name in axes.items()} for axes in case.axes)
        if isinstance(case.model, First):
            shapes = (shapes,)  # of its one parameter, *inputs
        case.program = torch.onnx.export(
            case.model, case.example, dynamo=True, input_names=case.names, output_names=["output"],
            dynamic_shapes=shapes, verbose=False, optimize=False,
        )
    return case.program


def dynamo_raw(case, path):
    program_of(case).save(str(path), external_data=False)
    return computed(case)


def dynamo(case, path):
    program_of(case).optimize()  # in place, so that this one comes last
    return dynamo_raw(case, path)


def computed(case):
    with torch.no_grad():
        output = case.model(*case.sample)
    return {name: value.numpy() for name, value in zip(case.names, case.sample, strict=True)}, [output.numpy()]


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    preserve = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    run(
        {name: lambda name=name: create(name) for name in MODELS},
        {
            "torchscript-raw": torchscript(**preserve),
            "torchscript": torchscript(),
            "torchscript-functions": torchscript(export_modules_as_functions=True, **preserve),
            "dynamo-raw": dynamo_raw,
            "dynamo": dynamo,
        },
    )
