"""`toolkit scan` against the stand-in of Amazon ECR."""

import json
from typing import Any

from tests.integration.conftest import EcrProject
from toolkit.errors import ExitCode


def finding(name: str, severity: str) -> dict[str, Any]:
    attributes = [{"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "1.1"}]
    return {"name": name, "severity": severity, "attributes": attributes}


def test_a_release_is_scanned_image_by_image_and_summed_up_by_list(prepared_project: EcrProject) -> None:
    assert prepared_project.run("ecr", "ensure").code == 0
    released = prepared_project.run("release", "one-*")
    assert released.code == 0, released.err
    record = json.loads((prepared_project.small.directory / "dist" / "release.json").read_text())
    amd64, arm64 = (row["digest"] for row in record["images"])
    behaviour = prepared_project.ecr.behaviour
    behaviour.findings = {
        amd64: {"findings": [finding("CVE-2026-1", "CRITICAL"), finding("CVE-2026-2", "LOW")]},
        arm64: {"findings": [finding("CVE-2026-1", "CRITICAL")]},
    }
    # The first was never looked at, the second is under way.
    behaviour.scan_states = {amd64: ["NONE", "IN_PROGRESS", "COMPLETE"], arm64: ["PENDING", "COMPLETE"]}
    name = f"{prepared_project.prefix}/one:1.0-cpu-py39-debian11-sagemaker"

    ran = prepared_project.run("scan")
    words = ran.failed_with(ExitCode.VERIFICATION_FAILED)
    assert ran.out == f"{name}: 1 critical, 1 low\n"
    assert "sagemaker-amd64: CVE-2026-1 (critical) in openssl 1.1" in words
    assert "CVE-2026-2" not in words
    assert len(prepared_project.ecr.called("StartImageScan")) == 1

    allow = prepared_project.small.directory / "allow.toml"
    allow.write_text(
        '[[allow]]\ncve = "CVE-2026-1"\npackage = "openssl"\nreason = "not reachable"\nexpires = 2999-01-01\n'
    )
    allowed = prepared_project.run("scan", "--allow", str(allow))
    assert allowed.code == 0, allowed.err
    assert allowed.out == f"{name}: 1 low; 2 allowed\n"
    assert prepared_project.run("scan", "--allow", str(allow), "--fail-on", "low").code == 4

    allow.write_text(allow.read_text().replace("2999", "2020"))
    words = prepared_project.run("scan", "--allow", str(allow)).failed_with(ExitCode.VERIFICATION_FAILED)
    assert "allowance 1 (CVE-2026-1 in openssl) ran out on 2020-01-01" in words

    behaviour.scan_states = {amd64: ["UNSUPPORTED_IMAGE"]}
    ran = prepared_project.run("scan", "--json")
    assert "sagemaker-amd64 was not scanned: UNSUPPORTED_IMAGE" in ran.failed_with(4)
    rows = {row["digest"]: row["state"] for row in json.loads(ran.out)["images"]}
    assert rows == {amd64: "UNSUPPORTED_IMAGE", arm64: "COMPLETE"}
