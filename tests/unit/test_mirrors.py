"""Where this machine fetches from: the environment before [mirrors], never in a text that is kept."""

import functools
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.projects import CATALOG, TEMPLATES
from toolkit.adapters.uv_settings import LOCAL_LINKS, build_settings, project_text
from toolkit.catalog import parse_catalog
from toolkit.catalog.mirror import CatalogMirrors
from toolkit.catalog.model import Catalog, Source, SourceKind
from toolkit.errors import CatalogInvalid, UsageError
from toolkit.mirrors import Places, apt_with_logins, get_places, without_credentials
from toolkit.oci import Reference

PYTORCH = Source(
    name="pytorch-cpu",
    kind=SourceKind.INDEX,
    url="https://download.pytorch.org/whl/cpu",
    line=1,
    packages=("torch",),
)
NEURON = Source(
    name="neuron-pip", kind=SourceKind.INDEX, url="https://pip.repos.neuron.amazonaws.com", line=2
)
EIA = Source(name="eia", kind=SourceKind.OBJECTS, url="https://amazonei-pytorch.s3.amazonaws.com/v1", line=3)
PAGE = Source(name="page", kind=SourceKind.FIND_LINKS, url="https://wheels.test/all.html", line=4)
SOURCES = (PYTORCH, NEURON, EIA, PAGE)


def places(
    mirrors: CatalogMirrors = CatalogMirrors(),  # noqa: B008
    logins: Mapping[str, tuple[str, str]] | None = None,
    pip_conf: str = "",
    **environment: str,
) -> Places:
    return get_places(
        mirrors,
        environment,
        sources=SOURCES,
        configured_index=lambda: pip_conf,
        credentials=(logins or {}).get,
    )


def catalog(mirrors: str) -> Catalog:
    sources = '\n[sources.neuron-pip]\nkind = "index"\nurl = "https://pip.repos.neuron.amazonaws.com"\n'
    return parse_catalog(CATALOG + sources + mirrors, templates=TEMPLATES.keys())


def test_the_file_names_what_stands_in_by_role() -> None:
    found = catalog("""
[mirrors]
index = "https://mirror.test/simple"
find-links = ["https://mirror.test/wheels", "wheels"]
apt = "http://mirror.test/debian"
apt-security = "http://mirror.test/debian-security"
objects = "https://objects.test"
ca-bundle = "company-ca.pem"
[mirrors.sources]
neuron-pip = "https://mirror.test/neuron"
[mirrors.registries]
"public.ecr.aws" = "mirror.test:5000/ecr-public"
[mirrors.apt-sources]
"debian11" = "mirror/debian11.list"
""").mirrors
    assert found == CatalogMirrors(
        index="https://mirror.test/simple",
        find_links=("https://mirror.test/wheels", "wheels"),
        apt="http://mirror.test/debian",
        apt_security="http://mirror.test/debian-security",
        apt_sources={"debian11": "mirror/debian11.list"},
        objects="https://objects.test",
        ca_bundle="company-ca.pem",
        sources={"neuron-pip": "https://mirror.test/neuron"},
        registries={"public.ecr.aws": "mirror.test:5000/ecr-public"},
    )


@pytest.mark.parametrize(
    ("mirrors", "fault"),
    [
        ('[mirrors]\nindx = "https://m.test"', 'Did you mean "mirrors.index"?'),
        ('[mirrors]\nindex = "https://u:p@m.test"', "credentials belong into ~/.netrc, not into this file"),
        ('[mirrors.sources]\nneuron-pop = "https://m.test"', 'Did you mean "neuron-pip"?'),
        ('[mirrors.apt-sources]\nubuntu = "a.list"', 'base "ubuntu" is not defined: add [bases.ubuntu]'),
        ('[mirrors.registries]\n"public.ecr.aws" = "https://m.test"', 'Did you mean "m.test"?'),
        ('[mirrors]\nca-bundle = "a\\nb"', "holds the character U+000A"),
    ],
)
def test_a_mirror_that_makes_no_sense_is_a_fault_with_its_line(mirrors: str, fault: str) -> None:
    with pytest.raises(CatalogInvalid) as caught:
        catalog(mirrors)
    (line,) = caught.value.faults
    assert line.startswith(f"images.toml:{len(CATALOG.splitlines()) + 6}: ")
    assert fault in line


def test_the_environment_is_heard_before_pip_conf_and_that_before_the_file() -> None:
    file = CatalogMirrors(index="https://file.test")
    assert places().index == ""
    assert places(file).index == "https://file.test"
    assert places(file, pip_conf="https://conf.test").index == "https://conf.test"
    both = functools.partial(places, UV_INDEX_URL="https://b.test", PIP_INDEX_URL="https://c.test")
    assert both(file, pip_conf="https://conf.test").index == "https://b.test"
    assert both(file, UV_DEFAULT_INDEX="https://a.test").index == "https://a.test"


def test_several_places_are_words_of_one_variable_and_may_have_names() -> None:
    found = places(
        UV_INDEX="own=https://a.test/x=y https://b.test", PIP_FIND_LINKS="/opt/wheels https://c.test"
    )
    assert found.further_indexes == ("https://a.test/x=y", "https://b.test")
    assert found.find_links == ("/opt/wheels", "https://c.test")


def test_a_source_is_asked_where_its_mirror_is() -> None:
    file = CatalogMirrors(sources={"eia": "https://m.test/eia/", "neuron-pip": "https://m.test/neuron"})
    found = places(file, MIRROR_NEURON_PIP="https://env.test/neuron")
    assert found.source_url(NEURON) == "https://env.test/neuron"
    assert found.source_url(PYTORCH) == PYTORCH.url
    assert found.located(f"{EIA.url}/a/b.whl", SOURCES) == "https://m.test/eia/a/b.whl"
    assert found.located("https://amazonei-pytorch.s3.amazonaws.com/v10/b.whl", SOURCES).startswith(
        "https://amazonei-pytorch"
    )


@pytest.mark.parametrize(
    ("url", "at"),
    [
        ("https://amazonei-pytorch.s3.amazonaws.com/v1/a.whl", "https://s3.test/amazonei-pytorch/v1/a.whl"),
        ("https://bkt.s3.us-west-2.amazonaws.com/a", "https://s3.test/bkt/a"),
        ("https://s3.us-west-2.amazonaws.com/b/a", "https://s3.test/b/a"),
        ("https://s3.example.test/b/a", "https://s3.example.test/b/a"),
        ("https://evil-s3.amazonaws.com.test/a", "https://evil-s3.amazonaws.com.test/a"),
    ],
)
def test_buckets_of_s3_are_asked_of_the_object_store_that_is_named(url: str, at: str) -> None:
    assert places(AWS_ENDPOINT_URL_S3="https://s3.test/").located(url, SOURCES) == at


def test_logins_come_from_netrc_or_uv_s_variables_and_are_escaped() -> None:
    logins = {"m.test": ("me", "p@ss/word")}
    found = places(logins=logins, PIP_INDEX_URL="https://m.test:8443/simple")
    assert found.index == "https://me:p%40ss%2Fword@m.test:8443/simple"
    assert places(logins=logins, PIP_INDEX_URL="https://other:x@m.test/s").index == "https://other:x@m.test/s"
    assert without_credentials(found.index) == "https://m.test:8443/simple"
    named = places(UV_INDEX_NEURON_PIP_USERNAME="u", UV_INDEX_NEURON_PIP_PASSWORD="p:")
    assert named.source_url(NEURON) == "https://u:p%3A@pip.repos.neuron.amazonaws.com"


def test_a_base_is_looked_for_in_the_registry_that_stands_in() -> None:
    found = places(CatalogMirrors(registries={"public.ecr.aws": "m.test:5000/ecr"}))
    asked = found.registry_mirror(Reference.parse("public.ecr.aws/docker/library/ubuntu:20.04"))
    assert str(asked) == "m.test:5000/ecr/docker/library/ubuntu:20.04"
    other = Reference.parse("registry.test/debian:11")
    assert found.registry_mirror(other) is other


def test_a_source_that_says_what_it_is_for_is_asked_for_that_alone() -> None:
    text = project_text(("torch==2.8.0", "numpy"), places(PIP_INDEX_URL="https://m.test"), (PYTORCH,))
    assert 'torch = { index = "pytorch-cpu" }' in text
    assert "numpy =" not in text
    assert f'url = "{PYTORCH.url}"\nname = "pytorch-cpu"\nexplicit = true\n' in text
    assert text.endswith('[[tool.uv.index]]\nurl = "https://m.test"\ndefault = true\n')


def test_a_build_is_given_the_pages_of_the_packages_that_a_source_is_for() -> None:
    text = build_settings(places(PIP_INDEX_URL="https://m.test"), (PYTORCH, NEURON, PAGE))
    assert text == (
        'find-links = ["https://download.pytorch.org/whl/cpu/torch/", "https://wheels.test/all.html"]\n'
        '[[index]]\nurl = "https://pip.repos.neuron.amazonaws.com"\nname = "neuron-pip"\n'
        '[[index]]\nurl = "https://m.test"\ndefault = true\n'
    )


def test_directories_of_wheels_reach_a_build_beside_uv_and_nothing_said_is_no_settings() -> None:
    assert build_settings(places(PIP_FIND_LINKS="/opt/wheels"), ()) == f'find-links = ["{LOCAL_LINKS}"]\n'
    assert build_settings(places(), ()) == ""
    assert build_settings(places(), (replace(NEURON, packages=("x",)),)).startswith("find-links")


def test_apt_gets_logins_beside_its_sources() -> None:
    sources = (
        "deb [arch=amd64 trusted=yes] http://me:p%40ss@apt.test:8080/debian bookworm main\n"
        "deb https://other.test/debian bookworm main\n"
        "deb https://open.test/debian bookworm main\n"
    )
    logins = {"other.test": ("you", "word")}
    assert apt_with_logins(sources, logins.get) == (
        "deb [arch=amd64 trusted=yes] http://apt.test:8080/debian bookworm main\n"
        "deb https://other.test/debian bookworm main\n"
        "deb https://open.test/debian bookworm main\n",
        "machine http://other.test/debian login you password word\n"
        "machine other.test/debian login you password word\n"
        "machine http://apt.test:8080/debian login me password p@ss\n"
        "machine apt.test:8080/debian login me password p@ss\n",
    )


@pytest.mark.parametrize("login", [("me", "two words"), ("me", ""), ("", "word")])
def test_a_login_that_apt_cannot_take_is_told_without_it(login: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=r"apt cannot log in at apt\.test") as raised:
        apt_with_logins("deb http://apt.test/debian bookworm main", {"apt.test": login}.get)
    assert "words" not in raised.value.message
