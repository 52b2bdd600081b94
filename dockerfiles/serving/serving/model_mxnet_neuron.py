"""MXNet on Inferentia: a checkpoint that neuron.compile has written, bound as on the CPU.

https://awsdocs-neuron.readthedocs-hosted.com/en/latest/archive/mxnet-neuron/index.html
"""

from __future__ import annotations

import mx_neuron  # noqa: F401  knows the operators of compiled models

from serving.model_mxnet import array, load, predict, tensor

__all__ = ["array", "load", "predict", "tensor"]
