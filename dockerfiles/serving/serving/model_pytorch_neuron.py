"""PyTorch on Inferentia: TorchScript that torch.neuron.trace has written.

https://awsdocs-neuron.readthedocs-hosted.com/en/latest/archive/torch-neuron/index.html
"""

from __future__ import annotations

import torch_neuron  # noqa: F401  knows the operators of compiled models

from serving.model_pytorch import array, load, predict, tensor

__all__ = ["array", "load", "predict", "tensor"]
