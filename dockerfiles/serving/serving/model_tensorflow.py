"""TensorFlow: a SavedModel and its `serving_default` signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from serving.codec import Array
from serving.errors import StartupError
from serving.saved_model import find_model

SIGNATURE = "serving_default"


def load(model_dir: Path) -> Any:
    path = find_model(model_dir)
    model = tf.saved_model.load(str(path))
    if SIGNATURE not in model.signatures:
        raise StartupError(
            f"The SavedModel in {path} has no signature {SIGNATURE!r} "
            f"(it has: {', '.join(model.signatures) or 'none'}). Save it with one, or give a model_fn and a "
            "predict_fn."
        )
    return model


def tensor(array: Array) -> Array:
    return array


def predict(data: Any, model: Any) -> Any:
    """The outputs by name, or the tensor itself when there is one."""
    signature = model.signatures[SIGNATURE]
    _, inputs = signature.structured_input_signature
    if len(inputs) != 1:
        raise TypeError(
            f"{SIGNATURE} takes {len(inputs)} inputs ({', '.join(inputs)}) and a request carries one array; "
            "give an input_fn and a predict_fn"
        )
    ((name, spec),) = inputs.items()
    outputs = signature(**{name: tf.cast(tf.convert_to_tensor(data), spec.dtype)})
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def array(value: Any) -> Any:
    return value.numpy() if isinstance(value, tf.Tensor) else value
