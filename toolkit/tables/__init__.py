"""A release for those who use it: people, Terraform, SSM, Kustomize, the SageMaker SDK.

Pure: record → text. A format that cannot say every image says which ones it leaves out, and why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from toolkit.record import ReleaseRecord
from toolkit.tables import deployment, page, sagemaker, text
from toolkit.tables.rows import COLUMNS, row

__all__ = ["COLUMNS", "FORMATS", "RELEASED", "Format", "row"]


def _nothing(_record: ReleaseRecord) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Format:
    """`left_out` has a sentence for each image that `write` does not write."""

    write: Callable[[ReleaseRecord], str]
    left_out: Callable[[ReleaseRecord], tuple[str, ...]] = _nothing


FORMATS: Mapping[str, Format] = {
    "json": Format(write=text.to_json),
    "csv": Format(write=text.to_csv),
    "md": Format(write=text.to_md),
    "html": Format(write=page.to_html),
    "tfvars": Format(write=deployment.to_tfvars),
    "ssm": Format(write=deployment.to_ssm, left_out=deployment.left_out_of_ssm),
    "kustomize": Format(write=deployment.to_kustomize, left_out=deployment.left_out_of_kustomize),
    "sagemaker-config": Format(write=sagemaker.to_config, left_out=sagemaker.left_out),
}

RELEASED = ("md", "csv", "json", "html")
"""The formats that a release writes to dist/uris.*, named as their files end."""
