"""PyTorch on Inferentia2 and Trainium: TorchScript that torch_neuronx.trace has written.

https://awsdocs-neuron.readthedocs-hosted.com/en/latest/frameworks/torch/inference-torch-neuronx.html
"""

from __future__ import annotations

import torch_neuronx  # noqa: F401  knows the operators of compiled models

from serving.model_pytorch import array, load, predict, tensor

__all__ = ["array", "load", "predict", "tensor"]
