"""No framework: the user's `model_fn` returns something that can be called with an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving.codec import Array
from serving.errors import StartupError


def load(model_dir: Path) -> Any:
    raise StartupError(
        f"Nothing says how to load {model_dir}: SERVING_FRAMEWORK names no framework and the script has no "
        "model_fn. Write a model_fn(model_dir), or set SERVING_FRAMEWORK to pytorch or tensorflow."
    )


def tensor(array: Array) -> Array:
    return array


def predict(data: Any, model: Any) -> Any:
    return model(data)


def array(value: Any) -> Any:
    return value
