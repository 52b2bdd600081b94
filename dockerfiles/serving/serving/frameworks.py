"""Which module knows which framework. They are imported by name, because an image has only its own."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, cast

if sys.version_info >= (3, 8):
    from typing import Protocol
else:
    # One of starlette's requirements there.
    from typing_extensions import Protocol

from serving.codec import Array
from serving.errors import StartupError

MODULES = {
    "mxnet": "serving.model_mxnet",
    "mxnet-eia": "serving.model_mxnet_eia",
    "mxnet-neuron": "serving.model_mxnet_neuron",
    "numpy": "serving.model_numpy",
    "pytorch": "serving.model_pytorch",
    "pytorch-eia": "serving.model_pytorch_eia",
    "pytorch-neuron": "serving.model_pytorch_neuron",
    "pytorch-neuronx": "serving.model_pytorch_neuronx",
    "tensorflow": "serving.model_tensorflow",
    "tensorflow-eia": "serving.model_server",
    "tensorflow-neuron": "serving.model_server",
}
"""By the name of the framework, with that of the accelerator behind it where there is one."""


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
