"""The user's script and its functions, with the signatures of SageMaker's PyTorch container:
https://sagemaker.readthedocs.io/en/stable/frameworks/pytorch/using_pytorch.html#serve-a-pytorch-model
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

from serving.errors import StartupError

DEFAULT_PROGRAM = "inference.py"

ModelFn = Callable[[str], Any]
"""(model directory) -> model"""
InputFn = Callable[[bytes, str], Any]
"""(body, content type) -> data; a ValueError means that the client sent a bad body."""
PredictFn = Callable[[Any, Any], Any]
"""(data, model) -> prediction"""
OutputFn = Callable[[Any, str], Any]
"""(prediction, accept) -> body as bytes or str, or (body, content type)"""


@dataclass(frozen=True)
class Script:
    """The functions a script may have; each one missing is done by the runtime."""

    model_fn: ModelFn | None = None
    input_fn: InputFn | None = None
    predict_fn: PredictFn | None = None
    output_fn: OutputFn | None = None

    @classmethod
    def of(cls, module: ModuleType) -> Script:
        return cls(**{field.name: getattr(module, field.name, None) for field in fields(cls)})


def load_script(code_dir: Path, program: str | None) -> Script:
    """Import SAGEMAKER_PROGRAM, or `inference.py` if there is one; its neighbours can be imported from it.

    Raises:
        StartupError: the program is not there, or is no Python file.
    """
    path = code_dir / (program or DEFAULT_PROGRAM)
    if not path.is_file():
        if program is None:
            return Script()
        files = ", ".join(sorted(file.name for file in code_dir.glob("*.py"))) or "no Python file"
        raise StartupError(
            f"SAGEMAKER_PROGRAM={program} is not in {code_dir}, which holds {files}. "
            "Set SAGEMAKER_PROGRAM to a file there, or SAGEMAKER_SUBMIT_DIRECTORY to where it is."
        )
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise StartupError(f"SAGEMAKER_PROGRAM={program} is not a Python file (*.py).")
    sys.path.insert(0, str(code_dir))
    module = module_from_spec(spec)
    # Before it runs: dataclasses and pickle look their module up by name.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return Script.of(module)
