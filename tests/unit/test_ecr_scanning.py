"""Findings of ECR's scans: both kinds read, summed up by list, allowed until a day, and what fails."""

import datetime
from typing import Any

import pytest

from tests.records import image
from toolkit.ecr.scanning import (
    Allowance,
    Finding,
    Scan,
    Severity,
    Verdict,
    judge,
    parse_allowances,
    parse_findings,
)
from toolkit.errors import UsageError

TODAY = datetime.date(2026, 11, 21)
ARM, AMD = image("pytorch-arm64"), image("pytorch-amd64")
BAD = Finding(name="CVE-2026-1", package="openssl", version="1.1", severity=Severity.CRITICAL)
MILD = Finding(name="CVE-2026-2", package="zlib", version="1.2", severity=Severity.MEDIUM)


def done(*findings: Finding) -> Scan:
    return Scan(state="COMPLETE", findings=findings)


def allow(**others: Any) -> Allowance:
    given: dict[str, Any] = {
        "name": BAD.name,
        "package": BAD.package,
        "reason": "not reachable",
        "expires": TODAY,
        "row": 1,
    }
    return Allowance(**(given | others))


def verdict(
    *scans: tuple[Any, Scan], allowances: tuple[Allowance, ...] = (), fail_on: Severity = Severity.CRITICAL
) -> Verdict:
    return judge(scans, fail_on=fail_on, allowances=allowances, on=TODAY)


def test_what_both_platforms_have_is_counted_once_for_their_list() -> None:
    found = verdict((ARM, done(BAD, MILD)), (AMD, done(BAD)))
    assert found.lines == ("pytorch-inference:1.12.1: 1 critical, 1 medium",)
    assert found.failures == (
        "pytorch-amd64: CVE-2026-1 (critical) in openssl 1.1",
        "pytorch-arm64: CVE-2026-1 (critical) in openssl 1.1",
    )


@pytest.mark.parametrize(
    ("least", "count"), [(Severity.CRITICAL, 1), (Severity.HIGH, 1), (Severity.MEDIUM, 2), (Severity.LOW, 2)]
)
def test_what_is_less_severe_is_told_and_does_not_fail(least: Severity, count: int) -> None:
    assert len(verdict((ARM, done(BAD, MILD)), fail_on=least).failures) == count


def test_an_allowance_counts_through_its_last_day_and_fails_after_it() -> None:
    assert verdict((ARM, done(BAD)), allowances=(allow(),)).failures == ()
    yesterday = allow(expires=TODAY - datetime.timedelta(days=1))
    assert verdict((ARM, done(BAD)), allowances=(yesterday,)).failures == (
        "allowance 1 (CVE-2026-1 in openssl) ran out on 2026-11-20",
        "pytorch-arm64: CVE-2026-1 (critical) in openssl 1.1",
    )
    assert verdict((ARM, done()), allowances=(yesterday,)).failures


def test_an_allowance_is_for_one_package() -> None:
    found = verdict((ARM, done(BAD)), allowances=(allow(package="zlib"),))
    assert found.failures == ("pytorch-arm64: CVE-2026-1 (critical) in openssl 1.1",)
    assert found.notes == ("allowance 1 (CVE-2026-1 in zlib) matches nothing any more: remove it",)


@pytest.mark.parametrize("state", ["FAILED", "UNSUPPORTED_IMAGE", "IN_PROGRESS", "SCAN_ELIGIBILITY_EXPIRED"])
def test_an_image_that_was_not_scanned_fails(state: str) -> None:
    found = verdict((ARM, Scan(state=state, description="no such distribution")))
    assert found.failures == (f"pytorch-arm64 was not scanned: {state}: no such distribution",)


def test_basic_and_enhanced_findings_are_read() -> None:
    answer = {
        "imageScanFindings": {
            "findings": [
                {
                    "name": "CVE-2026-1",
                    "severity": "CRITICAL",
                    "attributes": [
                        {"key": "package_name", "value": "openssl"},
                        {"key": "package_version", "value": "1.1"},
                    ],
                }
            ],
            "enhancedFindings": [
                {
                    "severity": "MEDIUM",
                    "packageVulnerabilityDetails": {
                        "vulnerabilityId": "CVE-2026-2",
                        "vulnerablePackages": [{"name": "zlib", "version": "1.2"}],
                    },
                },
                {"severity": "HIGH", "status": "CLOSED"},
                {"severity": "UNTRIAGED", "title": "odd"},
            ],
        }
    }
    odd = Finding(name="odd", package="", version="", severity=Severity.UNDEFINED)
    assert parse_findings(answer) == (BAD, MILD, odd)
    assert parse_findings({}) == ()


def test_rows_of_allowances_are_read() -> None:
    text = (
        '[[allow]]\ncve = "CVE-2026-1"\npackage = "openssl"\nreason = "not reachable"\nexpires = 2026-11-21\n'
    )
    assert parse_allowances(text, filename="allow.toml") == (allow(),)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[allow", "allow.toml is not TOML"),
        ("allow = 3", "allow.toml: allow must be an array of tables"),
        ("[[alow]]", "allow.toml: unknown key 'alow'"),
        (
            "[[allow]]\ncve = 'x'\npackage = 'y'\nreason = ''\nexpires = 2026-01-01",
            "row 1: reason must be a text",
        ),
        ("[[allow]]\ncve = 'x'\npackage = 'y'\nreason = 'z'", "row 1: expires is missing"),
        ("[[allow]]\nexpires = '2026-01-01'", "row 1: expires must be a date, found '2026-01-01'"),
        ("[[allow]]\nuntil = 2026-01-01", "row 1: unknown key 'until'"),
        ("[[allow]]\nexpires = 2026-01-01T00:00:00", "row 1: expires must be a date"),
    ],
)
def test_faults_of_the_file_are_told_with_how_a_row_is_written(text: str, fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_allowances(text, filename="allow.toml")
    assert fault in caught.value.message
    assert "[[allow]]" in caught.value.remedy
