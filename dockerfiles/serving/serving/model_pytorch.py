"""PyTorch: a TorchScript file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from serving.codec import Array
from serving.errors import StartupError

PREFERRED = ("model.pth", "model.pt")


def load(model_dir: Path) -> Any:
    path = find_model(model_dir)
    try:
        model = torch.jit.load(str(path), map_location="cpu")
    except RuntimeError as error:
        raise StartupError(
            f"{path} is not TorchScript: {error}. Save the model with torch.jit.save, "
            "or give a model_fn that loads it."
        ) from error
    return model.eval()


def find_model(model_dir: Path) -> Path:
    """`model.pth`, else `model.pt`, else the only `*.pt` or `*.pth` there is."""
    files = sorted(path for path in model_dir.glob("*") if path.suffix in (".pt", ".pth"))
    preferred = [model_dir / name for name in PREFERRED if model_dir / name in files]
    candidates = preferred[:1] or files
    if len(candidates) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise StartupError(
            f"{model_dir} must hold model.pth, model.pt or one other TorchScript file (*.pt, *.pth); "
            f"found: {found}. Put the file there, or give a model_fn."
        )
    return candidates[0]


def tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(array)


def predict(data: Any, model: Any) -> Any:
    with torch.no_grad():
        return model(data)


def array(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
