"""What a build is given beside its Dockerfile."""

from pathlib import Path

from toolkit.adapters.buildx import with_wheels


def test_the_directory_that_build_settings_name_is_there_though_no_wheel_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "uv").write_bytes(b"uv")
    (tmp_path / "a-1.0-py3-none-any.whl").write_bytes(b"wheel")
    for name, wheels in (("none", []), ("one", [tmp_path / "a-1.0-py3-none-any.whl"])):
        context = with_wheels(tmp_path / "tools", wheels, tmp_path / name)
        assert (context / "uv").read_bytes() == b"uv"
        assert [each.name for each in (context / "find-links").iterdir()] == [each.name for each in wheels]
