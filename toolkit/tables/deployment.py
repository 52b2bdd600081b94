"""The release as Terraform variables, parameters of AWS Systems Manager and a Kustomization."""

import json
import re
from collections.abc import Mapping

from toolkit.record import PublishedImage, ReleaseRecord
from toolkit.tables.rows import row

# What a module asks of an image; lists and numbers are not needed to deploy one.
_TERRAFORM = (
    "framework",
    "version",
    "python",
    "os",
    "architecture",
    "accelerator",
    "consumer",
    "region",
    "repository",
    "tag",
    "digest",
    "uri",
    "index_uri",
)


def to_tfvars(record: ReleaseRecord) -> str:
    """A map of objects in HCL, `images["IDENTIFIER"].uri`, for `terraform apply -var-file`.

    What a further region holds is `images["IDENTIFIER@REGION"]`.
    """
    names = "\n".join(f"#     {name.ljust(12)} = string" for name in _TERRAFORM)
    lines = [
        f"# Release {_one_line(record.release)} in {_one_line(record.registry)}.",
        '# variable "images" {',
        "#   type = map(object({",
        names,
        "#   }))",
        "# }",
        "images = {",
    ]
    for image in record.images:
        cells = row(image)
        name = image.identifier if record.is_home(image) else f"{image.identifier}@{image.region}"
        lines.append(f"  {_hcl(name)} = {{")
        lines += [f"    {name.ljust(12)} = {_hcl(str(cells[name]))}" for name in _TERRAFORM]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


# The spec's `$${` is no way to write `$` before `${`; an escaped dollar is, and begins no interpolation.
# https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md#template-expressions
_HCL_UNSAFE = re.compile(r'["\\\0-\x1f\x7f-\x9f\u2028\u2029]|[$%](?=\{)')


def _hcl(text: str) -> str:
    return '"' + _HCL_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + '"'


def _one_line(text: str) -> str:
    return " ".join(text.split())


SSM_PREFIX = "/multiarch-images"
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
_SSM_NAME = re.compile(r"(/[a-zA-Z0-9_.-]+){1,15}")
_SSM_NAME_LIMIT = 1011


def to_ssm(record: ReleaseRecord) -> str:
    """A JSON list, each entry the input of one PutParameter: `aws ssm put-parameter --cli-input-json`.

    The value is the URI that the image's consumer deploys, the name does not change from release to release.
    Of a further region it begins with `/multiarch-images/REGION/`.
    """
    parameters = [
        {
            "Name": _ssm_name(image, record),
            "Description": f"{image.identifier} of release {record.release}"[:1024],
            "Value": image.uri,
            "Type": "String",
            "Overwrite": True,
        }
        for image in record.images
        if not _ssm_fault(image, record)
    ]
    return json.dumps(parameters, indent=2, ensure_ascii=False) + "\n"


def left_out_of_ssm(record: ReleaseRecord) -> tuple[str, ...]:
    return tuple(fault for image in record.images if (fault := _ssm_fault(image, record)))


def _ssm_name(image: PublishedImage, record: ReleaseRecord) -> str:
    place = SSM_PREFIX if record.is_home(image) else f"{SSM_PREFIX}/{image.region}"
    return f"{place}/{image.framework}/{image.image_id}/{image.architecture}"


def _ssm_fault(image: PublishedImage, record: ReleaseRecord) -> str:
    name = _ssm_name(image, record)
    if _SSM_NAME.fullmatch(name) and len(name) <= _SSM_NAME_LIMIT:
        return ""
    return f"{image.identifier}: {name} cannot be the name of a parameter"


def to_kustomize(record: ReleaseRecord) -> str:
    """A Component whose images transformer gives manifests that say `image: IMAGE-ID` the released digest.

    That of the manifest list, which fits nodes of each architecture, or of the only image that there is; in
    the home region, as a name stands for one place.
    """
    import yaml

    entries = [
        {"name": name, "newName": new_name, "digest": digest}
        for name, (new_name, digest) in sorted(kustomize_images(record).items())
    ]
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": entries,
    }
    head = f"# Release {_one_line(record.release)}. Name this file's directory under `components:`.\n"
    return head + str(yaml.safe_dump(document, sort_keys=False))


def kustomize_images(record: ReleaseRecord) -> Mapping[str, tuple[str, str]]:
    """Image id → the repository with its registry, and the digest to deploy."""
    return {
        image.image_id: (f"{image.registry}/{image.repository}", image.index_digest or image.digest)
        for image in record.home
    }


def left_out_of_kustomize(record: ReleaseRecord) -> tuple[str, ...]:
    return tuple(
        f"{image.identifier}: the name {image.image_id} stands for the home region, not for {image.region}"
        for image in record.images
        if not record.is_home(image)
    )
