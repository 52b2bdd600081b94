"""The environment variables of the contract, parsed once at the door."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.errors import StartupError

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """What the container was asked to do. A variable set to the empty string counts as not set:
    the SageMaker SDK sends `SAGEMAKER_PROGRAM=""` for a model without a script."""

    framework: str
    model_dir: Path
    program: str | None
    submit_directory: str | None
    region: str | None
    log_level: int
    port: int
    max_body: int
    """Bytes."""

    @classmethod
    def parse(cls, environ: Mapping[str, str]) -> Settings:
        """Read the variables.

        Raises:
            StartupError: one of them has a value outside its range.
        """
        given = {name: value for name, value in environ.items() if value}
        # The base directory can be moved as in AWS's own containers:
        # https://github.com/aws/sagemaker-inference-toolkit/blob/master/src/sagemaker_inference/environment.py
        base_dir = Path(given.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
        # Batch transform announces its largest payload in this variable; the default of MaxPayloadInMB and
        # the limit of a real-time endpoint are 6 MB:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
        max_payload = _integer(given, "SAGEMAKER_MAX_PAYLOAD_IN_MB", default=6, lowest=1, highest=100)
        return cls(
            framework=given.get("SERVING_FRAMEWORK", "numpy"),
            model_dir=base_dir / "model",
            program=given.get("SAGEMAKER_PROGRAM"),
            submit_directory=given.get("SAGEMAKER_SUBMIT_DIRECTORY"),
            region=given.get("SAGEMAKER_REGION"),
            log_level=_log_level(given.get("SAGEMAKER_CONTAINER_LOG_LEVEL", "INFO")),
            port=_integer(given, "SAGEMAKER_BIND_TO_PORT", default=8080, lowest=1, highest=65535),
            max_body=max_payload * MEGABYTE,
        )


def _integer(given: Mapping[str, str], name: str, *, default: int, lowest: int, highest: int) -> int:
    text = given.get(name, str(default))
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise StartupError(f"{name}={text!r} is not a whole number from {lowest} to {highest}.")
    return int(text)


def _log_level(text: str) -> int:
    """SageMaker's SDK sends the number (`20`), people write the name."""
    if text.isdecimal():
        return int(text)
    level = logging.getLevelName(text.upper())
    if not isinstance(level, int):
        raise StartupError(
            f"SAGEMAKER_CONTAINER_LOG_LEVEL={text!r} is neither a number such as 20 "
            "nor one of DEBUG, INFO, WARNING, ERROR, CRITICAL."
        )
    return level
