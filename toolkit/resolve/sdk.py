"""What the SageMaker SDK answers, rule by rule, whether or not the image runs on the instance type.

A port of `retrieve` in https://github.com/aws/sagemaker-python-sdk (2.x: src/sagemaker/image_uris.py, 3.x:
sagemaker-core/src/sagemaker/core/image_uris.py); tests/differential holds it against the installed SDK.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.regions import ecr_host, image_families
from toolkit.resolve.request import (
    EIA,
    INFERENCE_GRAVITON,
    TRAINING,
    FrameworkUnknown,
    Request,
    Unresolvable,
    validated,
    version_key,
)
from toolkit.resolve.tables import Config, Generation

_HUGGINGFACE = "huggingface"
# The tag of these takes a container version from the caller though their tables have none.
_TAKE_CONTAINER_VERSION = frozenset({_HUGGINGFACE, "pytorch-smp", "spark"})
_WITH_SDK_VERSION = frozenset(
    {"pytorch-training-neuron", "pytorch-training-neuronx", "huggingface-vllm-inference-neuronx"}
)
_HUGGINGFACE_WITH_SDK_VERSION = frozenset(
    {"huggingface-pytorch-inference-neuron", "huggingface-pytorch-inference-neuronx"}
)
_TRAINING_COMPILER = frozenset(
    {"huggingface-pytorch-trcomp-training", "huggingface-tensorflow-trcomp-training"}
)
# Their x86 and arm64 images share a repository and a configuration without scopes of its own.
_TAGGED_BY_ARCHITECTURE = frozenset({"xgboost", "sklearn"})
# "ml.<family>.<size>" or "ml_<family>", case-sensitive, utils.get_instance_type_family
_FAMILY = re.compile(r"ml[._](?P<family>[a-z\d-]+)\.?\w*")


@dataclass(frozen=True, kw_only=True)
class Answer:
    uri: str
    repository: str
    tag: str
    version: str
    scope: str | None


def family_of(instance_type: str | None) -> str:
    """The family as the SDK reads it, "" when it reads none."""
    found = _FAMILY.fullmatch(instance_type or "")
    return found["family"] if found else ""


def answer(request: Request, sdk: Generation) -> Answer:
    """The SDK's URI. Raises Unresolvable wherever the SDK raises, also where that is no ValueError."""
    framework, family = request.framework, family_of(request.instance_type)
    name, tool = request.framework, request.inference_tool
    scope = request.image_scope
    if request.training_compiler and framework in (_HUGGINGFACE, "pytorch"):
        name = f"{framework}-training-compiler"
    else:
        if framework in (_HUGGINGFACE, "pytorch"):
            tool = tool or ("neuron" if family.startswith(("inf", "trn")) else tool)
            if tool in ("neuron", "neuronx"):
                name = f"{framework}-{tool}"
        scope = _final_scope(request, family, sdk)
        _check_hardware(request, family, sdk)
    config = _scoped(name, scope, request.accelerator_type, sdk)
    version = _version(request, config, sdk)
    resolved = config.get("version_aliases", {}).get(version, version)
    image: Config = config["versions"][resolved]
    if framework == _HUGGINGFACE:
        image = _based(request, image)
    py_version = _py_version(request, image)
    image = (image.get(py_version) if py_version else None) or image
    if "repository" not in image:
        raise Unresolvable(
            f"{framework} {version} needs a Python version",
            remedy=f"Give one of: {', '.join(image)}.",
        )
    accounts = image_families()[image["registries"]]
    account = accounts[validated(request.region, accounts, "region")]
    repository: str = image["repository"]
    processor = _processor(
        request.instance_type, family, config.get("processors") or image.get("processors"), request.serverless
    )
    container_version = _container_version(request, image, processor, repository)
    if is_retired(framework, family, version, sdk):
        raise Unresolvable(
            f"SageMaker no longer runs {framework} {version} on {family}",
            remedy="Take a newer instance type: https://aws.amazon.com/sagemaker/pricing/",
        )
    if repository in {f"{framework}-inference-{suffix}" for suffix in sdk.sagemaker_suffix}:
        container_version = f"{container_version}-sagemaker"
    elif (
        request.container_version is not None
        and not image.get("container_version")
        and framework not in _TAKE_CONTAINER_VERSION
        and "neuron" not in repository
    ):
        raise Unresolvable(
            f"container_version {request.container_version!r} is not supported for {framework} {version}: "
            "no published tag has it",
            remedy="Leave it out and give the full version of the framework.",
        )
    tag = _tag(
        request,
        sdk,
        family=family,
        scope=scope,
        version=version,
        processor=processor if image.get("processor_in_tag", True) else None,
        parts=(
            _huggingface_prefix(request, config, version, repository, sdk)
            if framework == _HUGGINGFACE
            else image.get("tag_prefix", version),
            tool or (processor if image.get("processor_in_tag", True) else None),
            py_version,
            container_version,
        ),
    )
    host = ecr_host(account, request.region)
    return Answer(
        uri=f"{host}/{repository}:{tag}" if tag else f"{host}/{repository}",
        repository=repository,
        tag=tag,
        version=resolved,
        scope=scope,
    )


def scoped_config(framework: str, scope: str, sdk: Generation) -> Config | None:
    """The images of one scope of a framework; None when it has no such scope."""
    config = sdk.frameworks.get(framework)
    if config is None:
        return None
    if "scope" in config:
        return config if scope in config["scope"] else None
    found: Config | None = config.get(scope)
    return found


def _final_scope(request: Request, family: str, sdk: Generation) -> str | None:
    if request.framework in sdk.rules["graviton_frameworks"] and family in sdk.rules["graviton_families"]:
        return INFERENCE_GRAVITON
    if request.image_scope is None and request.framework in _TAGGED_BY_ARCHITECTURE:
        return TRAINING
    return request.image_scope


def _check_hardware(request: Request, family: str, sdk: Generation) -> None:
    if "trn" in (request.instance_type or "") and request.framework != "pytorch":
        validated(request.framework, ("pytorch",), "framework for Trainium")
    if family in sdk.rules["graviton_families"]:
        validated(request.framework, sdk.rules["graviton_frameworks"], "framework for Graviton")


def _scoped(name: str, scope: str | None, accelerator_type: str | None, sdk: Generation) -> Config:
    config = sdk.frameworks.get(name)
    if config is None:
        import difflib

        near = difflib.get_close_matches(name, sdk.frameworks, n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise FrameworkUnknown(
            f"AWS has no images of {name!r}", remedy=hint or f"It has: {', '.join(sdk.frameworks)}."
        )
    if accelerator_type:
        if not accelerator_type.startswith("ml.eia") and accelerator_type != "local_sagemaker_notebook":
            raise Unresolvable(
                f"{accelerator_type!r} is not an accelerator of Elastic Inference",
                remedy="Write it like ml.eia2.medium.",
            )
        scope = EIA
    scopes: Sequence[str] = config.get("scope", tuple(config))
    if len(scopes) == 1 or (not scope and "scope" in config and set(scopes) == {"training", "inference"}):
        scope = scopes[0]
    scope = validated(scope, scopes, "image scope")
    found: Config = config if "scope" in config else config[scope]
    if "versions" not in found:
        raise Unresolvable(f"{name} has no images for {scope}", remedy="Ask for another framework.")
    return found


def _version(request: Request, config: Config, sdk: Generation) -> str:
    versions, aliases = config["versions"], config.get("version_aliases", {})
    if len(versions) == 1 and request.version not in aliases:
        return str(next(iter(versions)))
    version = request.version or _latest(request, sdk)
    return validated(version, (*versions, *aliases), f"{request.framework} version")


def _latest(request: Request, sdk: Generation) -> str | None:
    """The higher of the first and the last version that the *caller's* scope lists, as the SDK has it."""
    config = sdk.frameworks.get(request.framework, {})
    scope = config.get(request.image_scope or "")
    if isinstance(scope, dict) and (latest := scope.get("version_aliases", {}).get("latest")):
        return str(latest)
    listed: Any = config.get("versions") or (
        scope.get("versions") if isinstance(scope, dict) else config.get("processing", {}).get("versions")
    )
    if not listed:
        return None
    ends = (next(iter(listed)), next(reversed(listed)))
    return None if len(listed) > 1 and "latest" in ends else max(ends, key=version_key)


def _based(request: Request, image: Config) -> Config:
    base = request.base_framework_version or ""
    full = image.get("version_aliases", {}).get(base, base)
    bases = [name for name in image if name != "version_aliases"]
    found: Config = image[validated(full, bases, "base framework")]
    return found


def _py_version(request: Request, image: Config) -> str | None:
    available = image.get("py_versions") if "repository" in image else list(image)
    if not available or (request.py_version is None and request.framework == "spark"):
        return None
    if request.py_version is None and len(available) == 1:
        return str(available[0])
    return validated(request.py_version, available, "Python version")


def _processor(
    instance_type: str | None, family: str, available: Sequence[str] | None, serverless: bool
) -> str | None:
    if not available:
        return None
    if len(available) == 1 and not instance_type:
        return available[0]
    if serverless:
        return "cpu"
    if not instance_type:
        raise Unresolvable(
            "The instance type is not given, and there are images for several kinds of machine",
            remedy=f"Give one, like ml.c5.xlarge. The kinds are: {', '.join(available)}.",
        )
    return validated(_kind(instance_type, family, available), available, "processor")


def _kind(instance_type: str, family: str, available: Sequence[str]) -> str:
    if instance_type.startswith("local"):
        return "cpu" if instance_type == "local" else "gpu"
    if instance_type.startswith("neuron"):
        return "neuron"
    if not family:
        raise Unresolvable(
            f"{instance_type!r} is not an instance type of SageMaker", remedy="Write it like ml.c7g.xlarge."
        )
    if family in available:
        return family
    for prefix in ("inf", "trn"):
        if family.startswith(prefix):
            return prefix
    return "gpu" if family[0] in "gp" else "cpu"


def _container_version(request: Request, image: Config, processor: str | None, repository: str) -> str | None:
    container_version = request.container_version
    if listed := image.get("container_version"):
        container_version = listed[validated(processor, listed, "processor")]
    if repository in _WITH_SDK_VERSION or (
        request.framework == _HUGGINGFACE and repository in _HUGGINGFACE_WITH_SDK_VERSION
    ):
        container_version = f"{request.sdk_version or max(image['sdk_versions'])}-{container_version}"
    return container_version


def _huggingface_prefix(
    request: Request, config: Config, version: str, repository: str, sdk: Generation
) -> str:
    """`2.8.0-transformers4.55.4`: in 2.x the version as given, resolved only where the SDK resolves it."""
    base, given = request.base_framework_version or "", request.version
    aliases = config.get("version_aliases", {})
    if sdk.resolves_alias_in_huggingface_tag:
        given = aliases.get(version, version)
    if repository in _TRAINING_COMPILER:
        given = version
    if repository in _HUGGINGFACE_WITH_SDK_VERSION:
        given = aliases.get(request.version) or given
        base = config["versions"].get(given, {}).get("version_aliases", {}).get(base) or base
    return f"{re.sub('^(pytorch|tensorflow)', '', base)}-transformers{given}"


def is_retired(framework: str, family: str, version: str, sdk: Generation) -> bool:
    """Whether SageMaker runs this version of the framework no longer on the family."""
    first = sdk.rules["retired"].get(family, {}).get(framework)
    return bool(first) and version_key(version) >= version_key(first)


def _tag(
    request: Request,
    sdk: Generation,
    *,
    family: str,
    scope: str | None,
    version: str,
    processor: str | None,
    parts: tuple[str | None, ...],
) -> str:
    framework = request.framework
    if framework in _TAGGED_BY_ARCHITECTURE and scope == INFERENCE_GRAVITON:
        if family:
            validated(family, sdk.rules["graviton_families"], "instance family")
        tags = sdk.rules["arm64_tags"][framework]
        return str(tags[validated(version, tags, f"{framework} version for arm64")])
    tag = "-".join(part for part in parts if part)
    if framework not in _TAGGED_BY_ARCHITECTURE and request.instance_type is not None:
        distributed = request.distribution is not None and "smdistributed" in request.distribution
        if distributed or family in sdk.rules["cuda_suffix_families"]:
            suffix = sdk.rules["cuda_suffixes"].get(f"{framework}-{tag}")
            tag = f"{tag}-{suffix}" if suffix else tag
    if framework == "sagemaker-tritonserver" and processor == "gpu":
        # A strip of letters, not of a suffix: as the SDK does it.
        return tag.rstrip("-gpu")
    return tag
