"""One request of a service, as it is printed and as it is sent."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Call:
    """`operation` as the service's API reference names it: CreateModel of sagemaker, PutObject of s3.

    `file` is the body of an upload; `request` then says where it goes.
    """

    service: str
    operation: str
    request: Mapping[str, Any]
    file: Path | None = field(default=None)

    def to_json(self) -> dict[str, Any]:
        body = {"Body": f"the file {self.file}"} if self.file else {}
        return {"service": self.service, "operation": self.operation, "request": {**self.request, **body}}


def fingerprint(*parts: Any) -> str:
    """Eight hex digits of what `parts` say, so that the same content gets the same name again."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
