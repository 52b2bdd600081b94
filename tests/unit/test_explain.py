"""Where each input of a build id comes from."""

from dataclasses import replace

from tests.projects import ARM64, ROOT, catalog, rendered, unit
from toolkit.cli.project import identities, read_project, renderer
from toolkit.cli.settings import Settings
from toolkit.explain import explain, origin_of

UNIT = rendered(unit())
LINE = UNIT.unit.image.line


def test_every_input_is_told_with_its_value_by_name() -> None:
    rows = explain(UNIT, None)
    assert {row.name: row.value for row in rows} == UNIT.inputs
    assert [row.name for row in rows] == sorted(UNIT.inputs)
    assert not any(row.has_changed for row in rows)


def test_every_input_has_a_place_to_look_at() -> None:
    assert {row.name: row.origin for row in explain(UNIT, None)} == {
        "base": "images.lock: base debian11, arm64 (debian:bullseye)",
        "compression": "the toolkit: how layers are compressed",
        "created": "images.lock: when these packages were first locked",
        "dockerfile": f"dockerfiles/inference.Dockerfile.j2 and images.toml:{LINE}",
        "file requirements.txt": f"images.lock: resolved from packages of images.toml:{LINE}",
        "file serve": "dockerfiles/serving/serve",
        "file serving/__init__.py": "dockerfiles/serving/serving/__init__.py",
        "labels": f"images.toml:{LINE}: title, version, remarks; base",
        "media-types": f"images.toml:{LINE}: consumers (sagemaker)",
        "platform": f"images.toml:{LINE}: architectures",
    }


def test_every_input_of_every_unit_of_the_projects_catalog_has_a_place() -> None:
    project = read_project(Settings(catalog=ROOT / "images.toml", environment={}))
    render = renderer(project, identities(project, {}))
    origins = {row.name: row.origin for each in project.units for row in explain(render(each), None)}
    assert [name for name, origin in origins.items() if "another version" in origin] == []
    assert origin_of("download wheels/a.whl", UNIT) == (
        f"images.lock: resolved from downloads and apt of images.toml:{LINE}"
    )


def test_the_lines_and_files_that_are_named_are_there() -> None:
    text = (ROOT / "images.toml").read_text()
    for image in catalog(text).images:
        assert text.splitlines()[image.line - 1].startswith("[images.")
    assert (ROOT / origin_of("dockerfile", UNIT).partition(" ")[0]).is_file()
    assert (ROOT / origin_of("file serving/__init__.py", UNIT)).is_file()


def test_what_differs_from_the_published_image_has_its_value_there() -> None:
    before = {**UNIT.inputs, "base": "sha256:old", "file serving/gone.py": "0123"}
    del before["file serve"]
    changed = {row.name: (row.before, row.value) for row in explain(UNIT, before) if row.has_changed}
    assert changed == {
        "base": ("sha256:old", UNIT.inputs["base"]),
        "file serve": ("", UNIT.inputs["file serve"]),
        "file serving/gone.py": ("0123", ""),
    }


def test_an_input_of_another_toolkit_is_told_as_such() -> None:
    before = {**UNIT.inputs, "moon phase": "full"}
    (row,) = (row for row in explain(UNIT, before) if row.name == "moon phase")
    assert row.origin == "another version of the toolkit"
    assert row.has_changed


def test_a_build_id_follows_from_the_inputs_that_are_told() -> None:
    other = rendered(unit(ARM64), base=replace(UNIT.base, digest="sha256:other"))
    differing = {
        mine.name
        for mine, theirs in zip(explain(UNIT, None), explain(other, None), strict=True)
        if mine != theirs
    }
    assert other.build_id != UNIT.build_id
    assert differing == {"base", "labels"}
