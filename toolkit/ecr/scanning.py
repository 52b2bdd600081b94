"""What ECR's scans found, summed up by list, and what is allowed to be there. Pure.

A list has no findings of its own: ECR scans images, so each one behind it is asked for by digest.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import tomli

from toolkit.errors import UsageError
from toolkit.record import PublishedImage


class Severity(StrEnum):
    """From the worst to the least; UNTRIAGED is Amazon Inspector's word for UNDEFINED."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFORMATIONAL = "informational"
    UNDEFINED = "undefined"

    @classmethod
    def of(cls, word: str) -> "Severity":
        known = {each.value: each for each in cls}
        return known.get(word.lower(), cls.UNDEFINED)

    def is_at_least(self, other: "Severity") -> bool:
        order = tuple(Severity)
        return order.index(self) <= order.index(other)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One vulnerability of one package of an image."""

    name: str
    package: str
    version: str
    severity: Severity

    def __str__(self) -> str:
        return f"{self.name} ({self.severity.value}) in {self.package} {self.version}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Scan:
    """ECR's answer about one image. `state` is in its words; `findings` count only when it is done."""

    state: str
    description: str = ""
    findings: tuple[Finding, ...] = ()

    # ACTIVE: Amazon Inspector goes on looking, and its findings are those of now.
    @property
    def is_done(self) -> bool:
        return self.state in ("COMPLETE", "ACTIVE")

    @property
    def is_under_way(self) -> bool:
        return self.state in ("IN_PROGRESS", "PENDING")


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """A finding that may be there until `expires`, the last day on which it counts."""

    name: str
    package: str
    reason: str
    expires: datetime.date
    row: int

    def covers(self, finding: Finding) -> bool:
        return (self.name, self.package) == (finding.name, finding.package)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`lines` are the report, `failures` what is not to be, `notes` what one should know."""

    lines: tuple[str, ...]
    failures: tuple[str, ...]
    notes: tuple[str, ...]


_KEYS = {"cve": str, "package": str, "reason": str, "expires": datetime.date}


def parse_allowances(text: str, *, filename: str) -> tuple[Allowance, ...]:
    """Rows `[[allow]]` with cve, package, reason and expires. Raises UsageError with every fault."""
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise UsageError(f"{filename} is not TOML: {error}", remedy=_EXAMPLE) from error
    rows = data.pop("allow", [])
    faults = [f"unknown key {key!r}" for key in data]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        faults, rows = [*faults, "allow must be an array of tables"], []
    for at, row in enumerate(rows, start=1):
        faults += [f"row {at}: {fault}" for fault in _row_faults(row)]
    if faults:
        raise UsageError("\n".join(f"{filename}: {fault}" for fault in faults), remedy=_EXAMPLE)
    return tuple(
        Allowance(
            name=row["cve"], package=row["package"], reason=row["reason"], expires=row["expires"], row=at
        )
        for at, row in enumerate(rows, start=1)
    )


_EXAMPLE = (
    'Write rows like: [[allow]] cve = "CVE-2024-1234", package = "openssl", reason = "…", '
    "expires = 2026-12-31"
)


def _row_faults(row: Mapping[str, object]) -> Iterable[str]:
    yield from (f"unknown key {key!r}" for key in row if key not in _KEYS)
    for key, kind in _KEYS.items():
        value = row.get(key)
        if key not in row:
            yield f"{key} is missing"
        elif type(value) is not kind or not str(value).strip():
            yield f"{key} must be a {'date' if kind is datetime.date else 'text'}, found {value!r}"


def parse_findings(answer: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Of one page of DescribeImageScanFindings, as basic or as enhanced scanning writes them."""
    found = answer.get("imageScanFindings") or {}
    basic = (_basic(each) for each in found.get("findings") or ())
    enhanced = (one for each in found.get("enhancedFindings") or () for one in _enhanced(each))
    return (*basic, *enhanced)


def _basic(data: Mapping[str, Any]) -> Finding:
    attributes = {each["key"]: each.get("value", "") for each in data.get("attributes") or ()}
    return Finding(
        name=str(data.get("name", "")),
        package=attributes.get("package_name", ""),
        version=attributes.get("package_version", ""),
        severity=Severity.of(str(data.get("severity", ""))),
    )


def _enhanced(data: Mapping[str, Any]) -> Iterable[Finding]:
    """One for each package that has it; what Inspector calls closed is none."""
    if data.get("status") == "CLOSED":
        return
    details = data.get("packageVulnerabilityDetails") or {}
    packages: Sequence[Mapping[str, Any]] = details.get("vulnerablePackages") or ({},)
    for package in packages:
        yield Finding(
            name=str(details.get("vulnerabilityId") or data.get("title", "")),
            package=str(package.get("name", "")),
            version=str(package.get("version", "")),
            severity=Severity.of(str(data.get("severity", ""))),
        )


def judge(
    scans: Sequence[tuple[PublishedImage, Scan]],
    *,
    fail_on: Severity,
    allowances: Sequence[Allowance],
    on: datetime.date,
) -> Verdict:
    """`on` is today. An image that was not scanned fails, and so does an allowance that has run out."""
    in_force = [each for each in allowances if each.expires >= on]
    lines: list[str] = []
    failures = [
        f"allowance {each.row} ({each.name} in {each.package}) ran out on {each.expires}"
        for each in allowances
        if each.expires < on
    ]
    used: set[int] = set()
    by_list: dict[str, list[tuple[PublishedImage, Scan]]] = {}
    for image, scan in scans:
        by_list.setdefault(f"{image.repository}:{image.index_tag or image.tag}", []).append((image, scan))
    for name, members in sorted(by_list.items()):
        open_ones: dict[str, list[Finding]] = {}
        allowed = 0
        for image, scan in members:
            if not scan.is_done:
                why = f": {scan.description}" if scan.description else ""
                failures.append(f"{image.identifier} was not scanned: {scan.state}{why}")
            for finding in scan.findings:
                rows = [each for each in in_force if each.covers(finding)]
                used |= {each.row for each in rows}
                allowed += bool(rows)
                if not rows:
                    open_ones.setdefault(image.identifier, []).append(finding)
        lines.append(f"{name}: {_sums(open_ones, allowed)}")
        for identifier, findings in sorted(open_ones.items()):
            failures += [
                f"{identifier}: {each.name} ({each.severity.value}) in {each.package} {each.version}".rstrip()
                for each in sorted(
                    set(findings), key=lambda each: (each.severity.value, each.name, each.package)
                )
                if each.severity.is_at_least(fail_on)
            ]
    notes = tuple(
        f"allowance {each.row} ({each.name} in {each.package}) matches nothing any more: remove it"
        for each in in_force
        if each.row not in used
    )
    return Verdict(lines=tuple(lines), failures=tuple(failures), notes=notes)


def _sums(found: Mapping[str, Sequence[Finding]], allowed: int) -> str:
    """Over all platforms, what several have counted once."""
    distinct = {(each.name, each.package): each.severity for rows in found.values() for each in rows}
    counts = Counter(distinct.values())
    words = [f"{counts[each]} {each.value}" for each in Severity if counts[each]]
    rest = f"; {allowed} allowed" if allowed else ""
    return f"{', '.join(words) or 'no findings'}{rest}"
