"""PyTorch on Elastic Inference: TorchScript, attached to the first accelerator.

https://docs.aws.amazon.com/elastic-inference/latest/developerguide/ei-pytorch-using.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torcheia

from serving import model_pytorch
from serving.model_pytorch import array, tensor

__all__ = ["array", "load", "predict", "tensor"]

ACCELERATOR = 0


def load(model_dir: Path) -> Any:
    model = model_pytorch.load(model_dir)
    # The accelerator's executor is the other one.
    torch._C._jit_set_profiling_executor(False)
    return torcheia.jit.attach_eia(model, ACCELERATOR)


def predict(data: Any, model: Any) -> Any:
    with torch.no_grad(), torch.jit.optimized_execution(True):
        return model(data)
