"""The toolkit's own process stays small, however large an image is."""

import subprocess
import sys
from pathlib import Path

from tests.large_image import STEPS, export

LIMIT = 150  # MiB


def test_packing_proving_and_publishing_gigabytes_takes_little_memory(
    tmp_path: Path, registry_host: str
) -> None:
    export(tmp_path / "exported")
    peaks = {step: _peak(step, tmp_path, registry_host) for step in STEPS}
    assert all(10 < peak < LIMIT for peak in peaks.values()), peaks
    # Four at once take what one does and little more: without one heap for all it is half as much again.
    assert peaks["side-by-side"] < 1.4 * peaks["pack"], peaks


def _peak(step: str, directory: Path, host: str) -> int:
    command = [sys.executable, "-m", "tests.large_image", step, str(directory), host]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
