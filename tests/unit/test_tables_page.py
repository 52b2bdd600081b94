"""The page of a release, without a browser: what stands in it. tests/browser opens it."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records import DIGEST, HOST, INDEX, image, record
from toolkit.tables.page import hardware, to_html

BOTH = record(image("a-amd64"), image("a-arm64"))


class Reader(HTMLParser):
    """Elements, the texts of scripts and styles, and every address that a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.opened: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        named = dict(attrs)
        self.fetched += [str(named[name]) for name in ("src", "srcset", "action") if name in named]
        if tag == "link":
            self.fetched.append(str(named["href"]))

    def handle_endtag(self, tag: str) -> None:
        self.opened.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.opened and self.opened[-1] in self.raw:
            self.raw[self.opened[-1]].append(data)


def data(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_nothing_is_fetched_and_only_the_pages_own_script_and_style_run() -> None:
    text = to_html(BOTH)
    reader = Reader(text)
    assert reader.fetched == ["data:,"]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    said = policy[1].replace("&#39;", "'")
    assert said.startswith("default-src 'none';")
    for kind, parts in (("script", reader.raw["script"][1:]), ("style", reader.raw["style"])):
        digest = base64.b64encode(hashlib.sha256("".join(parts).encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in said


def test_every_image_is_a_row_and_has_its_details() -> None:
    text = to_html(BOTH)
    assert Reader(text).opened.count("tbody") == 2
    first = data(text)["images"][0]
    details = {name: value for name, value, _ in first["details"]}
    assert details["Digest"] == DIGEST
    assert details["Manifest list"] == f"{HOST}/pytorch-inference@{INDEX}"
    assert first["region"] == "-"


def test_packages_that_images_share_are_told_once() -> None:
    found = data(to_html(BOTH))
    assert found["packages"] == [["torch", "1.12.1", "python"]]
    assert found["sets"] == [[0]]
    assert [each["set"] for each in found["images"]] == [0, 0]


def test_instance_types_have_the_words_of_images() -> None:
    families = {family: rest for family, *rest in hardware()}
    assert families["c7g"][:2] == ["arm64", "cpu"]
    assert families["inf1"][1] == "neuron"
    assert families["inf2"][1] == "neuronx"
    assert families["g5"][1] == "cuda"
    assert families["mac2"][0] == ""
    assert "xlarge" in families["c7g"][2].split()
    assert families["t4g"][3] == ""


@settings(max_examples=25)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40))
def test_no_text_opens_an_element_or_ends_one(text: str) -> None:
    nasty = f"{text}</script><b>'\"&<!--"
    plain, said = (
        Reader(to_html(record(image(framework=each, remark=each, tag=each, uri=each))))
        for each in ("x", nasty)
    )
    assert said.opened == plain.opened
    assert data(to_html(record(image(remark=nasty))))["images"][0]["details"][-1][1] == nasty
