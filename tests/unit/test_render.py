"""Build unit → Dockerfile, context, labels and build_id."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.dockerfile import shape
from tests.golden import dockerfiles
from tests.projects import (
    AMD64,
    ARM64,
    CATALOG,
    PROGRAMS,
    REQUIREMENTS,
    SERVING,
    SOURCES,
    TEMPLATES,
    digest,
    identity,
    lock_of,
    locked_unit,
    rendered,
    template,
    unit,
    with_file,
)
from toolkit.catalog.model import Base, Consumer, Drop, Image, Sdk
from toolkit.errors import LockInvalid, UsageError
from toolkit.lock import Lock
from toolkit.oci import Architecture, Reference
from toolkit.render import (
    LABEL,
    BaseIdentity,
    RenderedUnit,
    Sources,
    base_name,
    changed_inputs,
    render,
    render_dockerfile,
    runs_on_target,
    wheel_platform,
)
from toolkit.units import BuildUnit

EKS_ARM64 = "tensorflow-2.9.1-cpu-py39-debian11-eks-arm64"


# --- golden files


def test_images_of_every_kind_render_to_the_golden_files_byte_for_byte() -> None:
    assert dockerfiles.rendered() == dockerfiles.kept(), (
        f"The rendered Dockerfiles are not those in tests/golden/dockerfiles. If that is meant, write them "
        f"anew with `{dockerfiles.WRITE}` and look at `git diff tests/golden`."
    )


# --- mistakes in templates


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("FROM x\nRUN {{ framwork }}", "inference.Dockerfile.j2:2", "'framwork' is undefined"),
        ("\n{{ framework.nope }}", "inference.Dockerfile.j2:2", "no attribute 'nope'"),
        ("FROM x\n{% if %}", "inference.Dockerfile.j2:2", "Expected an expression"),
        ("\n\n{% endfor %}", "inference.Dockerfile.j2:3", "unknown tag 'endfor'"),
        ("{{ framework | nope }}", "inference.Dockerfile.j2:1", "No filter named 'nope'"),
        (
            "\n\n{% include 'nope.j2' %}",
            "inference.Dockerfile.j2:3",
            "template 'nope.j2' is not in dockerfiles/",
        ),
        ("{% from 'macros.j2' import nope %}\n{{ nope() }}", "inference.Dockerfile.j2:2", "'nope'"),
        ("{% from 'other.j2' import mistaken %}\n{{ mistaken() }}", "other.j2:3", "'base' is undefined"),
        ("{% include 'broken.j2' %}", "broken.j2:2", "Encountered unknown tag 'fi'"),
        ("\n{{ 1 / 0 }}", "inference.Dockerfile.j2:2", "division by zero"),
        ("\n{{ framework + 1 }}", "inference.Dockerfile.j2:2", "concatenate"),
        ("\n{{ port() }}", "inference.Dockerfile.j2:2", "not callable"),
        ("{% include 'inference.Dockerfile.j2' %}", "inference.Dockerfile.j2:1", "recursion"),
        ("\n{% for each in port %}{% endfor %}", "inference.Dockerfile.j2:2", "not iterable"),
        ("\n\nRUN {{ framework | join(' ') }}", "inference.Dockerfile.j2:3", "not one plain word"),
        ("RUN x\nRUN {{ framework ~ '; id' }}", "inference.Dockerfile.j2:2", "not one plain word"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_file_and_line(text: str, place: str, words: str) -> None:
    sources = template(text, other="\n{% macro mistaken() %}\n{{ base }}{% endmacro %}", broken="\n{% fi %}")
    with pytest.raises(UsageError) as caught:
        rendered(unit(), sources=sources)
    assert caught.value.message.startswith(f"dockerfiles/{place}: ")
    assert words in caught.value.message
    assert "nothing was built" in caught.value.remedy or "There are: " in caught.value.remedy


def test_a_missing_template_names_the_line_of_the_catalog_and_the_templates_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        rendered(unit(), sources=Sources(templates={"macros.j2": "", "other.j2": ""}, serving=SERVING))
    line = unit().image.line
    assert caught.value.message == (
        f"images.toml:{line}: template 'inference.Dockerfile.j2' is not in dockerfiles/"
    )
    assert caught.value.remedy == "There are: macros.j2, other.j2"


# --- catalog strings stay words


NASTY = st.sampled_from(
    ["\n", "\r", "\\", "\\\n", "\nRUN id", " ", ";", "&&", "`id`", "$(id)", "$X", "${X}", "<<EOF", "'", '"',
     "#", "# syntax=evil/frontend", "syntax=evil", "--platform=x", "{{ 1 }}", "{% raw %}",
     "\x00", "\x85", "\u2028"]
)  # fmt: skip
HOSTILE = st.lists(NASTY | st.text(max_size=4) | st.sampled_from(["a", "1.2"]), max_size=4).map("".join)
BENIGN = rendered(unit())


def with_image(change: Callable[[Image], Image], base: Base | None = None) -> BuildUnit:
    """A unit past the catalog's own checks: the renderer must hold on its own."""
    honest = unit()
    return replace(honest, image=change(honest.image), base=base or honest.base)


def assert_shape_is_kept(hostile: BuildUnit) -> None:
    with suppress(UsageError):
        assert shape(render_dockerfile(hostile, SOURCES.compiled, base_name(hostile.base))) == shape(
            BENIGN.dockerfile
        )


@given(HOSTILE)
@example("syntax=evil/frontend:1")
@example("pytorch\nRUN id")
def test_no_framework_can_change_an_instruction(text: str) -> None:
    assert_shape_is_kept(with_image(lambda image: replace(image, framework=text)))


@given(HOSTILE)
def test_no_name_of_a_base_can_change_an_instruction(text: str) -> None:
    assert_shape_is_kept(with_image(lambda image: replace(image, base=text)))


@given(HOSTILE)
def test_no_python_can_change_an_instruction(text: str) -> None:
    base = replace(unit().base, python=text)
    assert_shape_is_kept(with_image(lambda image: replace(image, python=text), base))


@given(HOSTILE, HOSTILE)
def test_no_base_reference_can_change_an_instruction(repository: str, tag: str) -> None:
    origin = Reference(registry="mirror.example", repository=repository, tag=tag)
    assert_shape_is_kept(with_image(lambda image: image, replace(unit().base, origin=origin)))


@given(HOSTILE)
def test_no_version_can_change_an_instruction(text: str) -> None:
    honest = unit()
    assert_shape_is_kept(replace(honest, cell=honest.image.cell(text, honest.consumer, honest.architecture)))


@given(HOSTILE, HOSTILE)
def test_free_text_reaches_labels_and_nothing_else(title: str, remark: str) -> None:
    hostile = with_image(lambda image: replace(image, title=title, remarks={Architecture.ARM64: remark}))
    found = rendered(hostile)
    assert found.dockerfile == BENIGN.dockerfile
    assert found.labels["org.opencontainers.image.title"] == f"{title} 1.12.1"
    assert found.labels.get(f"{LABEL}.remark", "") == remark


@given(st.lists(HOSTILE, max_size=3))
def test_requirements_reach_a_file_and_nothing_else(lines: list[str]) -> None:
    found = rendered(unit(), locked=locked_unit(unit(), requirements=lines))
    assert found.dockerfile == BENIGN.dockerfile
    assert found.context["requirements.txt"].decode() == "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    "use", ["{{ framework | safe }}", "{{ framework | e }}", "{% set x = framework | tojson %}"]
)
def test_a_value_that_is_no_word_is_refused_whatever_the_template_does_with_it(use: str) -> None:
    hostile = with_image(lambda image: replace(image, framework="a; id"))
    with pytest.raises(UsageError, match=r"images\.toml:\d+: .* 'a; id.*' is not one plain word"):
        render_dockerfile(hostile, template(f"RUN {use}").compiled, "debian:bullseye")


# --- build_id


def changed(change: Callable[[], RenderedUnit]) -> tuple[str, ...]:
    """The inputs that differ from the plain render's; its build_id differs exactly when one does."""
    after = change()
    names = changed_inputs(after, BENIGN.inputs)
    assert (after.build_id != BENIGN.build_id) is bool(names)
    return names


def without(*drops: Drop) -> RenderedUnit:
    return rendered(with_image(lambda image: replace(image, drops=drops)))


def with_macro(name: str, old: str, new: str) -> Sources:
    assert old in TEMPLATES[name]
    return replace(SOURCES, templates={**TEMPLATES, name: TEMPLATES[name].replace(old, new)})


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda: rendered(unit(), sources=with_macro("macros.j2", "EXPOSE", "STOPSIGNAL")), ("dockerfile",)),
        (lambda: rendered(unit(), sources=with_file("serve", b"#!/bin/sh\n")), ("file serve",)),
        (lambda: rendered(unit(), sources=with_file("serving/new.py", b"")), ("file serving/new.py",)),
        (
            lambda: rendered(unit(), locked=locked_unit(unit(), requirements=REQUIREMENTS[:1])),
            ("file requirements.txt",),
        ),
        (lambda: rendered(unit(), base=replace(identity(unit()), digest=digest(9))), ("base", "labels")),
        (
            lambda: rendered(unit(ARM64, CATALOG.replace("PyTorch inference", "Another title"))),
            ("labels",),
        ),
        (
            lambda: rendered(unit(), locked=locked_unit(unit(), created="2026-01-01T00:00:00Z")),
            ("created", "labels"),
        ),
        (
            lambda: rendered(
                unit(ARM64.replace("sagemaker", "eks"), CATALOG.replace('["sagemaker"]', '["eks"]'))
            ),
            ("labels", "media-types"),
        ),
        (
            lambda: without(Drop(version="", architecture=None, path="torch/include", reason="")),
            ("dockerfile", "file drop.py", "file drop.txt", "labels"),
        ),
        (lambda: rendered(unit(AMD64)), ("base", "dockerfile", "labels", "platform")),
    ],
    ids=["template", "serving file", "new serving file", "requirement", "base",
         "title", "created", "consumer", "drop", "architecture"],
)  # fmt: skip
def test_whatever_goes_into_the_image_changes_build_id_and_is_named(
    change: Callable[[], RenderedUnit], names: tuple[str, ...]
) -> None:
    assert changed(change) == names


def test_what_does_not_go_into_the_image_changes_nothing() -> None:
    comment = with_file("requirements.in", b"starlette>=0.49\n# another comment\n")
    assert changed(lambda: rendered(unit(), sources=comment)) == ()
    moved = CATALOG.replace("[images.pytorch-inference]", "\n\n[images.pytorch-inference]")
    assert changed(lambda: rendered(unit(ARM64, moved))) == ()
    unused = replace(SOURCES, templates={**TEMPLATES, "other.j2": "RUN {{ nothing }}"})
    assert changed(lambda: rendered(unit(), sources=unused)) == ()


def test_the_order_of_files_changes_nothing() -> None:
    reversed_files = Sources(
        templates=dict(reversed(list(TEMPLATES.items()))), serving=dict(reversed(list(SERVING.items())))
    )
    assert changed(lambda: rendered(unit(), sources=reversed_files)) == ()


@given(st.sampled_from(sorted(SERVING)), st.binary(max_size=20))
def test_equal_inputs_and_equal_build_ids_are_the_same_thing(path: str, content: bytes) -> None:
    with suppress(LockInvalid, UnicodeDecodeError):
        changed(lambda: rendered(unit(), sources=with_file(path, content)))


def test_build_id_is_a_sha256_and_stands_in_the_labels_with_its_inputs() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", BENIGN.build_id)
    assert BENIGN.labels[f"{LABEL}.build-id"] == BENIGN.build_id
    assert '"platform":"linux/arm64"' in BENIGN.labels[f"{LABEL}.inputs"]


def test_changed_inputs_names_what_is_new_gone_or_different() -> None:
    before = {**BENIGN.inputs, "file gone.py": "1", "base": "another"}
    del before["platform"]
    assert changed_inputs(BENIGN, before) == ("base", "file gone.py", "platform")
    assert changed_inputs(BENIGN, BENIGN.inputs) == ()


# --- labels and context


def test_labels_say_what_it_is_made_of_in_ocis_words() -> None:
    made = rendered(unit(), base=BaseIdentity(reference="debian:bullseye", digest=digest(5)))
    assert {
        "org.opencontainers.image.title": "PyTorch inference 1.12.1",
        "org.opencontainers.image.version": "1.12.1",
        "org.opencontainers.image.created": "2026-11-21T08:15:00Z",
        "org.opencontainers.image.base.name": "debian:bullseye",
        "org.opencontainers.image.base.digest": digest(5),
        f"{LABEL}.identifier": ARM64,
    }.items() <= made.labels.items()


def test_labels_say_whether_it_was_looked_after_on_the_day_it_was_locked() -> None:
    labels = BENIGN.labels
    assert labels[f"{LABEL}.support"] == BENIGN.support.state == "legacy"
    assert labels[f"{LABEL}.support-date"] == "2025-10-31"
    assert labels[f"{LABEL}.support-source"] == "https://devguide.python.org/versions/"
    assert "Debian 11 LTS: end of life 2026-08-31" in labels[f"{LABEL}.support-reasons"]
    earlier = rendered(unit(), locked=locked_unit(unit(), created="2025-01-01T00:00:00Z"))
    assert earlier.labels[f"{LABEL}.support"] == "current"
    assert f"{LABEL}.support-reasons" not in earlier.labels


def test_labels_name_the_sdk_and_the_oldest_one_of_its_host() -> None:
    sdk = Sdk(version="2.20.2", floor="2.20.0", source="https://neuron.example")
    labels = rendered(with_image(lambda image: replace(image, sdk=sdk))).labels
    assert (labels[f"{LABEL}.sdk"], labels[f"{LABEL}.sdk-floor"]) == ("2.20.2", "2.20.0")
    assert f"{LABEL}.sdk" not in BENIGN.labels


def test_a_remark_is_a_label_of_its_architecture_alone() -> None:
    assert rendered(unit(AMD64)).labels[f"{LABEL}.remark"] == "carries CUDA libraries"
    assert f"{LABEL}.remark" not in rendered(unit(ARM64)).labels


def test_what_is_dropped_is_a_list_that_the_installing_step_carries_out_and_a_label_tells() -> None:
    headers = Drop(version="", architecture=None, path="torch/include", reason="no compiler")
    code = Drop(
        version="1.12.1",
        architecture=Architecture.ARM64,
        path="torch/lib/*.so",
        sections=(".a", ".b"),
        reason="",
    )
    other = Drop(version="", architecture=Architecture.AMD64, path="numpy/tests", reason="")
    found = without(headers, code, other)
    assert found.context["drop.txt"] == b"torch/include\ntorch/lib/*.so .a .b\n"
    assert found.context["drop.py"] == PROGRAMS["drop.py"]
    assert found.labels[f"{LABEL}.dropped"] == "torch/include, .a .b of torch/lib/*.so"
    (step,) = [
        line for line in re.sub(r"\\\n", "", found.dockerfile).splitlines() if "uv pip install" in line
    ]
    assert step.endswith('&& /usr/bin/python3 /tmp/drop.py "$made" /opt/packages /tmp/drop.txt')
    assert "drop" not in BENIGN.dockerfile
    assert f"{LABEL}.dropped" not in BENIGN.labels


def test_reasons_change_no_image() -> None:
    drop = Drop(version="", architecture=None, path="torch/include", reason="one")
    assert without(drop).build_id == without(replace(drop, reason="another")).build_id


def test_a_project_without_the_program_that_drops_is_told() -> None:
    drop = Drop(version="", architecture=None, path="torch/include", reason="")
    image = with_image(lambda image: replace(image, drops=(drop,)))
    with pytest.raises(UsageError, match=r"images\.toml:\d+: drop takes drop\.py, which .* lacks"):
        rendered(image, sources=replace(SOURCES, programs={}))


def test_the_context_has_the_runtime_and_the_locked_requirements_with_their_hashes() -> None:
    assert BENIGN.context == {
        "requirements.txt": "".join(f"{line}\n" for line in REQUIREMENTS).encode(),
        "serve": SERVING["serve"],
        "serving/__init__.py": b"",
    }


def test_the_runtimes_needs_are_the_lines_of_its_file_without_comments() -> None:
    assert SOURCES.serving_requirements == ("starlette>=0.49",)
    assert Sources(templates={}, serving={}).serving_requirements == ()


def test_a_unit_that_is_not_locked_is_not_rendered() -> None:
    with pytest.raises(LockInvalid, match=ARM64):
        render(unit(), lock=Lock(), sources=SOURCES, base=identity(unit()))


def test_a_lock_of_other_requirements_is_not_rendered() -> None:
    other = unit(ARM64, CATALOG.replace("numpy==1.23.5", "numpy==1.23.4"))
    with pytest.raises(LockInvalid, match="does not fit"):
        render(other, lock=lock_of([unit()]), sources=SOURCES, base=identity(other))


# --- platforms


@pytest.mark.parametrize(
    ("architecture", "glibc", "expected"),
    [
        ("arm64", "2.31", "aarch64-manylinux_2_31"),
        ("amd64", "2.36", "x86_64-manylinux_2_36"),
        ("amd64", "2.40", "x86_64-manylinux_2_40"),
        ("arm64", "2.41", "aarch64-manylinux_2_40"),
        ("arm64", "2.100", "aarch64-manylinux_2_40"),
        ("amd64", "2.30", "x86_64-manylinux_2_28"),
        ("amd64", "2.27", "x86_64-manylinux_2_17"),
        ("amd64", "2.17", "x86_64-manylinux_2_17"),
    ],
)
def test_wheels_are_asked_for_the_newest_platform_that_the_glibc_has(
    architecture: str, glibc: str, expected: str
) -> None:
    assert wheel_platform(Architecture(architecture), glibc) == expected


def test_a_glibc_older_than_any_wheel_platform_is_refused() -> None:
    with pytest.raises(UsageError, match=r"glibc 2\.16"):
        wheel_platform(Architecture.AMD64, "2.16")


def test_units_that_differ_in_nothing_a_template_knows_have_one_dockerfile() -> None:
    one, other = (
        rendered(unit(f"tensorflow-2.9.1-cpu-py39-debian11-{who}-arm64")) for who in ("eks", "sagemaker")
    )
    assert one.dockerfile is other.dockerfile
    assert one.inputs["dockerfile"] == other.inputs["dockerfile"]


def test_a_template_that_names_the_identifier_gives_each_unit_its_own_dockerfile() -> None:
    sources = template("FROM {{ base }}\nENV NAME={{ identifier }}\n")
    names = [f"tensorflow-2.9.1-cpu-py39-debian11-{who}-arm64" for who in ("eks", "sagemaker")]
    for name in names:
        assert sources.dockerfile_of(unit(name), "debian:bullseye").text.endswith(f"ENV NAME={name}\n")


def test_what_was_rendered_of_other_templates_is_not_taken_for_these() -> None:
    before, after = template("FROM {{ base }}\n"), template("FROM {{ base }}\nUSER 1\n")
    assert before.dockerfile_of(unit(), "debian:bullseye").text == "FROM debian:bullseye\n"
    changed = replace(before, templates=after.templates)
    assert changed.dockerfile_of(unit(), "debian:bullseye").text == "FROM debian:bullseye\nUSER 1\n"


def test_the_projects_own_template_runs_nothing_on_the_target() -> None:
    assert not runs_on_target(BENIGN.dockerfile)
    assert runs_on_target(f"{BENIGN.dockerfile}RUN true\n")


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("FROM x\nRUN y", True),
        ("FROM --platform=$BUILDPLATFORM x\nRUN y\nFROM x\nCOPY a b", False),
        ("FROM --platform=$BUILDPLATFORM x\nCOPY a b\nFROM x\nRUN y", True),
        ("FROM --platform=$TARGETPLATFORM x\nRUN y", True),
        ("FROM --platform=${BUILDPLATFORM} x\nRUN y", False),
        ("from x\n  run y", True),
        ("FROM x\nCOPY --chmod=0755 a b \\\n  RUN", False),
        ("ARG A\nFROM x", False),
    ],
)
def test_a_run_in_a_stage_of_the_target_is_what_may_need_emulation(dockerfile: str, expected: bool) -> None:
    assert runs_on_target(dockerfile) is expected


def test_consumers_decide_the_family_of_media_types() -> None:
    assert rendered(unit(ARM64)).inputs["media-types"] == "docker"
    assert unit(EKS_ARM64).consumer is Consumer.EKS
    assert rendered(unit(EKS_ARM64)).inputs["media-types"] == "oci"
