"""The exception tree and its exit codes.

Every error a person may meet is a `ToolkitError`: its text says what happened and the likely cause,
`remedy` is the line that mends it. The command line prints both and exits with `exit_code`.
"""

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a process of this toolkit ends with; the README has the same table."""

    DONE = 0
    NEED_NOT_MET = 1
    USAGE = 2
    NOTHING_SELECTED = 3
    VERIFICATION_FAILED = 4
    BUILD_FAILED = 5
    REGISTRY_TROUBLE = 6
    CONFLICT = 7
    DEPLOYMENT_REFUSED = 8
    INTERRUPTED = 130


# Of several failures in one run the first of these decides the exit code.
PRECEDENCE = (
    ExitCode.CONFLICT,
    ExitCode.VERIFICATION_FAILED,
    ExitCode.BUILD_FAILED,
    ExitCode.REGISTRY_TROUBLE,
)


class ToolkitError(Exception):
    """Base of every error that is told to a person without a traceback."""

    exit_code: ExitCode = ExitCode.NEED_NOT_MET

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class NeedNotMet(ToolkitError):
    """The machine lacks something: an engine, disk, a platform, a program."""


class SourceUnreachable(NeedNotMet):
    """A place that gives nothing now. `reason` says so without naming anything of this machine: it is
    written into images.lock."""

    def __init__(self, message: str, *, remedy: str, reason: str) -> None:
        super().__init__(message, remedy=remedy)
        self.reason = reason


class UsageError(ToolkitError):
    """The command line or a file named on it makes no sense."""

    exit_code = ExitCode.USAGE


class CatalogInvalid(UsageError):
    """images.toml has faults; `faults` has one line each, `images.toml:LINE: …`."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class LockInvalid(UsageError):
    """images.lock does not fit the catalog or cannot be read."""


class NothingSelected(ToolkitError):
    """No build unit matches what was asked for."""

    exit_code = ExitCode.NOTHING_SELECTED


class VerificationFailed(ToolkitError):
    """An image is not what its label or its consumer's contract says."""

    exit_code = ExitCode.VERIFICATION_FAILED


class BuildFailed(ToolkitError):
    """A build unit could not be built."""

    exit_code = ExitCode.BUILD_FAILED


class RegistryTrouble(ToolkitError):
    """The registry refused, or answered nonsense; retrying does not help."""

    exit_code = ExitCode.REGISTRY_TROUBLE


class RegistryUnavailable(RegistryTrouble):
    """The registry could not be reached or was overloaded; only this is retried.

    `retry_after` is the wait in seconds that the registry asked for, if it did.
    """

    def __init__(self, message: str, *, remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class RegistryAbsent(RegistryUnavailable):
    """Nothing answers at the registry's address: it may be starting, or the address is wrong."""


class Conflict(ToolkitError):
    """A tag or digest is not what it must be: immutable tag, digest mismatch, someone else's push."""

    exit_code = ExitCode.CONFLICT


class DigestMismatch(Conflict):
    """What came back is not what was sent."""

    def __init__(self, reference: str, *, expected: str, actual: str) -> None:
        super().__init__(
            f"{reference}: expected {expected}, the registry answers {actual}",
            remedy="Someone else may have pushed the same tag: run the command again to see what is there.",
        )
        self.reference = reference
        self.expected = expected
        self.actual = actual


class DeploymentRefused(ToolkitError):
    """What was to be deployed does not fit where it was to run; nothing was sent."""

    exit_code = ExitCode.DEPLOYMENT_REFUSED


class DeploymentFailed(ToolkitError):
    """The service refused a request, or what it made did not come up."""

    exit_code = ExitCode.DEPLOYMENT_REFUSED


class PredictionFailed(ToolkitError):
    """A model could not be asked, or answered with an error."""

    exit_code = ExitCode.DEPLOYMENT_REFUSED


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The exit code of a run in which all of `codes` occurred; DONE for none."""
    met = set(codes) - {ExitCode.DONE}
    for code in PRECEDENCE:
        if code in met:
            return code
    return min(met, default=ExitCode.DONE)
