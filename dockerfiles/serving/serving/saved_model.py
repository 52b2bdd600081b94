"""Where a SavedModel lies in a model directory."""

from __future__ import annotations

from pathlib import Path

from serving.errors import StartupError


def find_model(model_dir: Path) -> Path:
    """The directory of `saved_model.pb`: the model directory itself, else the highest of the numbered
    version directories below it, which must all belong to one model."""
    if (model_dir / "saved_model.pb").is_file():
        return model_dir
    versions = [path.parent for path in model_dir.rglob("saved_model.pb") if path.parent.name.isdecimal()]
    models = sorted({path.parent for path in versions})
    if len(models) != 1:
        found = ", ".join(str(path.relative_to(model_dir)) for path in models) or "none"
        raise StartupError(
            f"{model_dir} must hold saved_model.pb, or NAME/VERSION/saved_model.pb for one NAME; "
            f"found: {found}. Put the SavedModel there, or give a model_fn."
        )
    return max(versions, key=lambda path: int(path.name))
