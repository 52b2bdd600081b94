"""Holds a request to botocore's own model of the service: what AWS's API reference says of it."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator


@cache
def service(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"))


def faults(name: str, operation: str, request: Any) -> list[str]:
    """Everything that the model forbids: ParamValidator's faults, and enumerations, patterns and lengths,
    which only the service itself would refuse."""
    shape = service(name).operation_model(operation).input_shape
    assert shape
    report = ParamValidator().validate(request, shape).generate_report()
    return [*(line for line in report.splitlines() if line), *_values(shape, request, operation)]


def enumeration(name: str, shape: str) -> list[str]:
    found = service(name).shape_for(shape)
    assert isinstance(found, StringShape)
    return list(found.enum)


# Java's classes of characters, which Python does not know: as far as ASCII goes, and letters of any language.
_CLASSES = {
    "L": r"\w",
    "M": "",
    "N": r"\d",
    "Z": r"\s",
    "S": r"$+<=>^`|~",
    "P": r"!-#%-*,-/:;?@\[-\]_{}",
}


def _values(shape: Shape, value: Any, at: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if name in value:
                yield from _values(member, value[name], f"{at}.{name}")
    elif isinstance(shape, ListShape):
        for each in value:
            yield from _values(shape.member, each, f"{at}[]")
    elif isinstance(shape, MapShape):
        for key, each in value.items():
            yield from _values(shape.key, key, f"{at} key")
            yield from _values(shape.value, each, f"{at}.{key}")
    if isinstance(shape, (ListShape, MapShape, StringShape)):
        most = shape.metadata.get("max")
        if most is not None and len(value) > most:
            yield f"{at} is longer than {most}"
    if isinstance(shape, StringShape):
        pattern = re.sub(
            r"\\p\{(\w)\}", lambda found: _CLASSES[found[1]], shape.metadata.get("pattern", ".*")
        )
        if not re.fullmatch(pattern, value, re.DOTALL):
            yield f"{at} is {value!r}, not like {pattern}"
        if shape.enum and value not in shape.enum:
            yield f"{at} is {value!r}, not in its enumeration"
