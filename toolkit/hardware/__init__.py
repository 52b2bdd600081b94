"""What an EC2 or SageMaker instance type is: architecture, accelerator, vCPU, memory, and who says so.

The answers are rows of toolkit/data, which `make data` writes. A family without a row is classified by
the rules of AWS's naming and says `assumed`.
"""

from toolkit.hardware.model import (
    SAGEMAKER_PREFIX,
    Accelerator,
    AcceleratorKind,
    Family,
    InstanceType,
    InstanceTypeInvalid,
    Source,
    Use,
)
from toolkit.hardware.naming import NAMING_RULES, NamingRule, classify
from toolkit.hardware.tables import get_family, get_instance_type, instance_type_names

__all__ = [
    "NAMING_RULES",
    "SAGEMAKER_PREFIX",
    "Accelerator",
    "AcceleratorKind",
    "Family",
    "InstanceType",
    "InstanceTypeInvalid",
    "NamingRule",
    "Source",
    "Use",
    "classify",
    "get_family",
    "get_instance_type",
    "instance_type_names",
]
