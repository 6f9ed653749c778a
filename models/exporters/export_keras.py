"""Exports Keras 3 models through TensorFlow and tf2onnx, with tf2onnx's own optimizers and without them.

Images come in as [batch, height, width, channels], so that each convolution stands between Transposes unless those are
optimized away. Needs the packages that exporters/keras.txt lists."""

import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from cases import random_images, run, seed_of
from keras import layers

OPSET = 17
IMAGE = 96


def conv1d():
    signal = layers.Input((50, 6))
    x = layers.Conv1D(12, 5, padding="same", use_bias=False)(signal)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv1D(20, 3, strides=2, padding="valid")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv1D(24, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(signal, layers.Dense(10)(x))


def dense():
    features = layers.Input((30,))
    x = layers.BatchNormalization()(features)
    x = layers.Dense(48, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dense(24)(x)
    x = layers.Dropout(0.1)(layers.BatchNormalization(scale=False)(x))
    return keras.Model(features, layers.Dense(7, activation="softmax")(x))


def autoencoder():
    """Convolutions down and transposed ones up, activations before normalization, an input that is normalized."""
    image = layers.Input((64, 96, 3))
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.6, 0.7])(image)
    for channels in (12, 20):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
    for channels in (12, 8):
        x = layers.Conv2DTranspose(channels, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(image, layers.Conv2D(3, 1, activation="sigmoid")(x))


def application(name, **options):
    return lambda: getattr(keras.applications, name)(weights=None, input_shape=(IMAGE, IMAGE, 3), **options)


MODELS = {
    "conv1d": conv1d,
    "dense": dense,
    "autoencoder": autoencoder,
    "mobilenet_v2": application("MobileNetV2", alpha=0.5),
    "mobilenet_v3_small": application("MobileNetV3Small"),
    "efficientnet_b0": application("EfficientNetB0"),
    "resnet50_v2": application("ResNet50V2"),
    "densenet121": application("DenseNet121"),
    "xception": application("Xception"),
    "nasnet_mobile": application("NASNetMobile"),
}


def sample(model, count, seed):
    random = np.random.default_rng(seed)
    shape = [IMAGE if size is None else size for size in model.input_shape[1:]]
    return np.moveaxis(random_images(random, count, shape[-1], *shape[:-1]), 1, -1) if len(shape) > 1 else random.normal(
        size=(count, *shape)
    ).astype(np.float32)


def all_layers(model):
    return [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]


def randomize(model, name):
    """Scales and shifts that no fold gets right by luck, and the statistics of what flows through."""
    random = np.random.default_rng(seed_of(name))
    for layer in all_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            if layer.gamma is not None:
                layer.gamma.assign(random.uniform(0.8, 1.2, layer.gamma.shape))
            if layer.beta is not None:
                layer.beta.assign(random.uniform(-0.1, 0.1, layer.beta.shape))
            layer.momentum = 0.0
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(random.uniform(-0.1, 0.1, layer.bias.shape))
    model(sample(model, 8, seed_of(name) + 1), training=True)


def create(name):
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed_of(name))
    model = MODELS[name]()
    randomize(model, name)
    return model


def tf2onnx_with(optimizers):
    """`optimizers` as tf2onnx takes them: None for its own."""

    def write(model, path):
        shape = (None, *model.input_shape[1:])
        # Not from_function, which Keras's own export uses: it makes inputs of the constants of layers.Normalization.
        tf2onnx.convert.from_keras(
            model, [tf.TensorSpec(shape, tf.float32, name="input")], opset=OPSET, output_path=str(path), optimizers=optimizers
        )
        data = sample(model, 2, 0)
        return {"input": data}, [np.asarray(model(data, training=False))]

    return write


if __name__ == "__main__":
    tf2onnx.logging.set_level(logging.ERROR)
    makers = {name: lambda name=name: create(name) for name in MODELS}
    run(makers, {"tf2onnx-raw": tf2onnx_with({}), "tf2onnx": tf2onnx_with(None)})
