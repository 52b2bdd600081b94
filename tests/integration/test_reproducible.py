"""Two builds without cache give one digest: the release's own images, built again from the first step."""

import json
import subprocess
import sys
from pathlib import Path

from toolkit.adapters.layout import OciLayout
from toolkit.record import ReleaseRecord

PROJECT = Path(__file__).parents[2]


def toolkit(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def released() -> dict[str, str]:
    """Identifier → digest of everything in the default group, released first where it is not."""
    toolkit("release")
    record = ReleaseRecord.loads((PROJECT / "dist" / "release.json").read_bytes())
    planned = json.loads(toolkit("plan", "--json"))
    wanted = {unit["identifier"] for unit in planned["units"]}
    return {image.identifier: image.digest for image in record.images if image.identifier in wanted}


def test_a_second_build_without_cache_gives_the_digest_that_was_released() -> None:
    digests = released()
    assert len(digests) == 4
    toolkit("build", "--no-cache")
    rebuilt = {
        name: OciLayout.open(PROJECT / ".cache/layouts" / name).get_manifest("").digest for name in digests
    }
    assert rebuilt == digests
