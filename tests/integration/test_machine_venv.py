"""scripts/venv.sh with a lock of one small package."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/venv.sh"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """One line of the toolkit's own lock, with its hashes."""
    text = (ROOT / "locks/toolkit.txt").read_text()
    match = re.search(r"^idna==.*?[^\\]\n", text, re.MULTILINE | re.DOTALL)
    assert match
    path = tmp_path / "lock.txt"
    path.write_text(match[0])
    return path


def venv(target: Path, lock: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, target, lock], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def version(target: Path) -> str:
    code = "import importlib.metadata as m; print(m.version('idna'))"
    return subprocess.check_output([target / "bin/python", "-c", code], text=True).strip()


def test_it_is_made_once_and_then_no_python_is_needed(tmp_path: Path, lock: Path) -> None:
    target = tmp_path / "venv"
    assert venv(target, lock).returncode == 0
    assert f"idna=={version(target)} " in lock.read_text()
    # A second call could start no Python if it wanted to.
    again = venv(target, lock, PATH="/usr/bin:/bin", PYTHON="/bin/false", SETUP="no")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_one_that_was_cut_off_is_made_again(tmp_path: Path, lock: Path) -> None:
    target = tmp_path / "venv"
    (target / "bin").mkdir(parents=True)
    (target / "bin/python").write_text("half")
    assert venv(target, lock).returncode == 0
    assert version(target)


def test_a_wrong_hash_is_refused_and_leaves_no_finished_venv(tmp_path: Path, lock: Path) -> None:
    lock.write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", lock.read_text()))
    refused = venv(tmp_path / "venv", lock)
    assert refused.returncode == 1
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not (tmp_path / "venv/.made-from").exists()


def test_no_set_up_changes_nothing_and_prints_the_line(tmp_path: Path, lock: Path) -> None:
    refused = venv(tmp_path / "venv", lock, SETUP="no")
    assert refused.returncode == 1
    assert f"SETUP= {SCRIPT} {tmp_path}/venv {lock}" in refused.stderr
    assert not (tmp_path / "venv").exists()


def test_a_lock_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = venv(tmp_path / "venv", tmp_path / "none.txt")
    assert refused.returncode == 1
    assert "none.txt cannot be read" in refused.stderr
