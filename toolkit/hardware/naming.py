"""What a family's name says where no data knows the family.

https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
"""

import re
from dataclasses import dataclass

from toolkit.hardware.model import NO_ACCELERATOR, Accelerator, AcceleratorKind, Family, Source
from toolkit.oci import Architecture


@dataclass(frozen=True, kw_only=True)
class NamingRule:
    """What the name of a family says where no data knows it."""

    pattern: str
    architecture: Architecture | None = None
    os: str = "linux"
    accelerator: Accelerator | None = None
    reason: str


# For each question the first rule that matches the whole name and answers it decides; the last two match all.
NAMING_RULES = (
    NamingRule(
        pattern=r"[a-z]+\d+g[a-z]*(-flex)?",
        architecture=Architecture.ARM64,
        reason="g after the generation is AWS Graviton",
    ),
    NamingRule(
        pattern=r".+-gb\d+",
        architecture=Architecture.ARM64,
        reason="gb after the hyphen is NVIDIA Grace Blackwell, whose CPU is Arm",
    ),
    NamingRule(
        pattern=r"mac(\d|-).*",
        architecture=Architecture.ARM64,
        os="darwin",
        accelerator=NO_ACCELERATOR,
        reason="mac is an Apple machine, Arm after the first",
    ),
    NamingRule(
        pattern=r"(inf|trn)\d+.*",
        accelerator=Accelerator(kind=AcceleratorKind.NEURONX, vendor="AWS"),
        reason="inf and trn are Neuron devices, NeuronX after the first Inferentia",
    ),
    NamingRule(
        pattern=r"(gr?|p)\d+.*",
        accelerator=Accelerator(kind=AcceleratorKind.GPU),
        reason="g and p are GPU machines",
    ),
    NamingRule(
        pattern=r"eia\d+",
        architecture=Architecture.AMD64,
        accelerator=Accelerator(kind=AcceleratorKind.EIA, vendor="AWS"),
        reason="eia is Elastic Inference, whose images are amd64",
    ),
    NamingRule(
        pattern=r"(dl|f|vt)\d+.*",
        accelerator=Accelerator(kind=AcceleratorKind.OTHER),
        reason="dl, f and vt have accelerators of their own",
    ),
    NamingRule(pattern=r".*", architecture=Architecture.AMD64, reason="other names are Intel's and AMD's"),
    NamingRule(pattern=r".*", accelerator=NO_ACCELERATOR, reason="no letter of it stands for an accelerator"),
)


def classify(family: str) -> Family:
    """The family as NAMING_RULES has it, without looking into the data."""
    rules = [rule for rule in NAMING_RULES if re.fullmatch(rule.pattern, family)]
    machine = next(rule for rule in rules if rule.architecture)
    accelerated = next(rule for rule in rules if rule.accelerator)
    assert machine.architecture
    assert accelerated.accelerator
    reasons = dict.fromkeys((machine.reason, accelerated.reason))
    return Family(
        name=family,
        architecture=machine.architecture,
        os=machine.os,
        accelerator=accelerated.accelerator,
        assumed=True,
        source=Source(title=f"the rules of naming: {'; '.join(reasons)}"),
    )
