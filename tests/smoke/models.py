"""A small real model for each framework, and what it must answer, computed without either framework.

The model is two dense layers: relu(x @ a + b) @ c + d. Its weights come from here; the image of the
framework itself writes them as TorchScript or SavedModel, and numpy says what comes out.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_PYTORCH = """
import numpy, torch
w = {name: torch.from_numpy(value) for name, value in numpy.load("/scratch/weights.npz").items()}
class Dense(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, value in w.items():
            self.register_buffer(name, value)
    def forward(self, x):
        return torch.relu(x @ self.a + self.b) @ self.c + self.d
torch.jit.trace(Dense().eval(), torch.zeros(1, 4)).save("/scratch/model/model.pt")
"""

_TENSORFLOW = """
import numpy, tensorflow as tf
w = {name: tf.constant(value) for name, value in numpy.load("/scratch/weights.npz").items()}
class Dense(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x):
        return tf.nn.relu(x @ w["a"] + w["b"]) @ w["c"] + w["d"]
dense = Dense()
tf.saved_model.save(dense, "/scratch/model/1", signatures=dense.__call__.get_concrete_function())
"""

_MXNET = """
import mxnet as mx, numpy
w = {name: mx.nd.array(value) for name, value in numpy.load("/scratch/weights.npz").items()}
v = {name: mx.sym.var(name) for name in w}
hidden = mx.sym.relu(mx.sym.broadcast_add(mx.sym.dot(mx.sym.var("data"), v["a"]), v["b"]))
dense = mx.sym.broadcast_add(mx.sym.dot(hidden, v["c"]), v["d"])
mx.model.save_checkpoint("/scratch/model/model", 0, dense, w, {})
"""

# What the framework's own image runs to write /scratch/model from /scratch/weights.npz.
WRITERS: Mapping[str, str] = {"mxnet": _MXNET, "pytorch": _PYTORCH, "tensorflow": _TENSORFLOW}


def weights() -> dict[str, Array]:
    draw = np.random.default_rng(1121)
    shapes = {"a": (4, 8), "b": (8,), "c": (8, 3), "d": (3,)}
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def reference(inputs: Array) -> Array:
    """What every image must answer for `inputs` of shape (n, 4): an array of shape (n, 3)."""
    w = weights()
    hidden = np.maximum(inputs @ w["a"] + w["b"], 0)
    answer: Array = (hidden @ w["c"] + w["d"]).astype(np.float32)
    return answer


def write_weights(directory: Path) -> None:
    w = weights()
    np.savez(directory / "weights.npz", a=w["a"], b=w["b"], c=w["c"], d=w["d"])
