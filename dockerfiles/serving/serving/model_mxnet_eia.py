"""MXNet on Elastic Inference: the checkpoint as for the CPU, its graph given to the accelerator.

https://docs.aws.amazon.com/elastic-inference/latest/developerguide/ei-mxnet.html
"""

from __future__ import annotations

from pathlib import Path

import eimx  # noqa: F401  registers the accelerator with MXNet

from serving import model_mxnet
from serving.model_mxnet import array, predict, tensor

__all__ = ["array", "load", "predict", "tensor"]


def load(model_dir: Path) -> model_mxnet.Model:
    return model_mxnet.load(model_dir).optimized_for("EIA")
