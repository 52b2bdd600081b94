"""What a build is given in secret, and what templates mount."""

import re
from pathlib import Path

from tests.projects import ROOT, TEMPLATES, unit
from toolkit.cli.settings import Settings
from toolkit.cli.supplies import build_secrets, places

# The builder gives it to every build, where a bundle is named: adapters/buildx.py.
BUNDLE = "ca-bundle"


def test_each_secret_of_a_build_is_mounted_and_each_mount_is_given(tmp_path: Path) -> None:
    settings = Settings(
        catalog=ROOT / "images.toml",
        environment={"HOME": str(tmp_path), "UV_DEFAULT_INDEX": "https://index.test/simple"},
    )
    given = build_secrets(settings, places(settings), unit()).keys()
    mounted = set(re.findall(r"type=secret,id=([a-z-]+)", "".join(TEMPLATES.values())))
    assert mounted == given | {BUNDLE}
