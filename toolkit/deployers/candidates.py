"""Which instance types a model may be tried on."""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from toolkit.hardware import AcceleratorKind, InstanceType, Use, get_instance_type, instance_type_names
from toolkit.oci import Architecture

# General purpose, compute and memory; plain families alone (c7g, c7i, c5), without disks and networks of
# their own. https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
_PLAIN = re.compile(r"(?P<series>[cmr])(?P<generation>\d+)[gi]?")
_SIZE = "xlarge"


def default_candidates() -> tuple[str, ...]:
    """For each architecture the newest plain family of each series that has endpoints, in one size."""
    newest: dict[tuple[Architecture, str], tuple[int, str]] = {}
    for machine in _endpoint_types():
        plain = _PLAIN.fullmatch(machine.family.name)
        if plain and machine.size == _SIZE and machine.accelerator.kind is AcceleratorKind.NONE:
            key = (machine.architecture, plain["series"])
            newest[key] = max(newest.get(key, (0, "")), (int(plain["generation"]), machine.name))
    return tuple(name for _, (_, name) in sorted(newest.items()))


def candidates(patterns: Sequence[str], runs: Callable[[str], bool]) -> tuple[str, ...]:
    """Names as they are given, whether they run or not; of globs, and of the default for no patterns at all,
    the endpoint types that run. Each once."""
    names: dict[str, None] = {}
    for pattern in patterns:
        if any(character in pattern for character in "*?["):
            names |= dict.fromkeys(
                each.name for each in _endpoint_types() if fnmatchcase(each.name, pattern) and runs(each.name)
            )
        else:
            names[pattern] = None
    return tuple(names) if patterns else tuple(filter(runs, default_candidates()))


def _endpoint_types() -> list[InstanceType]:
    found = map(get_instance_type, instance_type_names())
    return [machine for machine in found if Use.ENDPOINT in machine.uses]
