import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from toolkit.adapters.uv import ensure_uv
from toolkit.machine.readings import ARCHITECTURES


def test_units_that_ask_for_uv_at_the_same_time_all_get_one_that_runs(tmp_path: Path) -> None:
    callers = 8
    together = Barrier(callers)
    architecture = ARCHITECTURES[os.uname().machine]

    def ask(_: int) -> Path:
        together.wait()
        return ensure_uv(tmp_path / "tools", architecture, os.environ)

    with ThreadPoolExecutor(callers) as pool:
        homes = set(pool.map(ask, range(callers)))
    (home,) = homes
    done = subprocess.run([home / "uv", "--version"], capture_output=True, text=True, check=True)
    assert home.name == f"uv-{done.stdout.split()[1]}-{architecture}"
    assert [each.name for each in (tmp_path / "tools").iterdir()] == [home.name]
