"""MXNet: a checkpoint, PREFIX-symbol.json beside PREFIX-NNNN.params.

https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/mxnet/model/index.html#mxnet.model.load_checkpoint
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import mxnet as mx

from serving.codec import Array
from serving.errors import StartupError

SYMBOL = "-symbol.json"
PREFERRED = "model"
# What SageMaker's MXNet container calls it: the inputs' names and shapes.
SHAPES = "model-shapes.json"


class Model:
    """A symbol with its parameters, bound once for every shape of its one input.

    MXNet's executors hold their arguments, so one request at a time goes through.
    """

    def __init__(self, symbol: Any, arguments: dict[str, Any], auxiliary: dict[str, Any], name: str) -> None:
        self._symbol = symbol
        self._arguments = arguments
        self._auxiliary = auxiliary
        self._input = name
        self._executors: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()

    def optimized_for(self, backend: str) -> Model:
        """The same model with its graph given to a backend that is registered with MXNet."""
        return Model(self._symbol.optimize_for(backend), self._arguments, self._auxiliary, self._input)

    def __call__(self, data: Any) -> Any:
        """The one output, or a tuple of them."""
        with self._lock:
            executor = self._executors.get(data.shape) or self._bound(data.shape)
            outputs = executor.forward(is_train=False, **{self._input: data})
            # Copied out: the next request writes into the same arrays.
            arrays = tuple(output.asnumpy() for output in outputs)
        return arrays[0] if len(arrays) == 1 else arrays

    def _bound(self, shape: tuple[int, ...]) -> Any:
        shapes = {name: value.shape for name, value in self._arguments.items()}
        executor = self._symbol.simple_bind(mx.cpu(), grad_req="null", **{**shapes, self._input: shape})
        executor.copy_params_from(self._arguments, self._auxiliary, allow_extra_params=True)
        self._executors[shape] = executor
        return executor


def load(model_dir: Path) -> Model:
    prefix, epoch = find_checkpoint(model_dir)
    symbol, arguments, auxiliary = mx.model.load_checkpoint(str(prefix), epoch)
    name = _input_name(model_dir, symbol, arguments, auxiliary)
    return Model(symbol, arguments, auxiliary, name)


def find_checkpoint(model_dir: Path) -> tuple[Path, int]:
    """The checkpoint called `model`, else the only one; of its epochs the last."""
    prefixes = sorted(path.name[: -len(SYMBOL)] for path in model_dir.glob(f"*{SYMBOL}"))
    chosen = [name for name in prefixes if name == PREFERRED] or prefixes
    if len(chosen) != 1:
        raise StartupError(
            f"{model_dir} must hold model{SYMBOL} or one other *{SYMBOL}; "
            f"found: {', '.join(prefixes) or 'none'}. "
            "Save the model with mx.model.save_checkpoint, or give a model_fn."
        )
    suffixes = (path.stem[len(chosen[0]) + 1 :] for path in model_dir.glob(f"{chosen[0]}-*.params"))
    epochs = [int(suffix) for suffix in suffixes if suffix.isdecimal()]
    if not epochs:
        raise StartupError(
            f"{model_dir} holds {chosen[0]}{SYMBOL} and no {chosen[0]}-0000.params. "
            "Save the model with mx.model.save_checkpoint, which writes both."
        )
    return model_dir / chosen[0], max(epochs)


def _input_name(model_dir: Path, symbol: Any, arguments: Any, auxiliary: Any) -> str:
    """The one input that a request fills: what the shapes file says, else what has no parameters."""
    shapes = model_dir / SHAPES
    if shapes.is_file():
        names = [row["name"] for row in json.loads(shapes.read_text())]
    else:
        inputs = [name for name in symbol.list_inputs() if name not in arguments and name not in auxiliary]
        # Training's labels are inputs too; at inference their shape follows from the data's.
        names = [name for name in inputs if not name.endswith("label")]
    if len(names) != 1:
        raise StartupError(
            f"The model in {model_dir} takes {len(names)} inputs ({', '.join(names)}) and a request carries "
            "one array; give a model_fn, an input_fn and a predict_fn."
        )
    return str(names[0])


def tensor(array: Array) -> Any:
    return mx.nd.array(array, dtype=array.dtype)


def predict(data: Any, model: Any) -> Any:
    return model(data)


def array(value: Any) -> Any:
    return value.asnumpy() if isinstance(value, mx.nd.NDArray) else value
