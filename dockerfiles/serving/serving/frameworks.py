"""Which module knows which framework. They are imported by name, because an image has only its own."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from serving.codec import Array
from serving.errors import StartupError

MODULES = {
    "numpy": "serving.model_numpy",
    "pytorch": "serving.model_pytorch",
    "tensorflow": "serving.model_tensorflow",
}


class Framework(Protocol):
    """What a framework's module gives; each is the default for one of the user's functions."""

    def load(self, model_dir: Path) -> Any:
        """The model in a directory; StartupError says what was looked for and what is there."""

    def tensor(self, array: Array) -> Any:
        """An array as what `predict` takes; TypeError when the framework has no such number type."""

    def predict(self, data: Any, model: Any) -> Any:
        """The model's answer: a tensor, or tuples, lists and dicts of tensors."""

    def array(self, value: Any) -> Any:
        """A tensor as an array; any other value as it is."""


def get_framework(name: str) -> Framework:
    """The framework's module.

    Raises:
        StartupError: there is none of that name.
    """
    if name not in MODULES:
        raise StartupError(f"SERVING_FRAMEWORK={name!r} is not one of {', '.join(MODULES)}.")
    return cast(Framework, import_module(MODULES[name]))
