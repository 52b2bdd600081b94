"""The page of a release in a real browser: filters, keys, copying, phone, dark mode, a thousand rows."""

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener
from tests.images import DOCKER
from tests.records import image, record
from tests.released import released
from toolkit.record import Package, PublishedImage, ReleaseRecord

ECR = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


def row(framework: str, version: str, architecture: str, number: int = 0, **changes: Any) -> PublishedImage:
    digest = f"sha256:{number:064x}"
    values = {
        "framework": framework,
        "version": version,
        "digest": digest,
        "uri": f"{ECR}/{framework}-inference@{digest}",
        "registry": ECR,
        "region": "us-west-2",
        "media_type": DOCKER[0],
    }
    return image(f"{framework}-{version}-{number}-{architecture}", **values | changes)


CURRENT = {
    "reasons": "Python 3.11",
    "state": "current",
    "date": "2099-06-30",
    "source": "https://peps.python.org/pep-0693/",
}
ENDED = {"state": "ended", "date": "2024-04-15", "source": "javascript:alert(1)"}
NUMPY = (
    Package(name="numpy", version="1.23.5", kind="python"),
    Package(name="libc6", version="2.31", kind="deb"),
)
TORCH_X86 = row(
    "pytorch",
    "1.12.1",
    "amd64",
    1,
    support={},
    size=842_000_000,
    packages=NUMPY,
    created="2026-10-01T00:00:00Z",
)
TORCH_ARM = row("pytorch", "1.12.1", "arm64", 2, size=111_000_000, support=CURRENT)
FLOW_X86 = row("tensorflow", "2.9.1", "amd64", 3, region="eu-central-1", size=332_000_000, consumer="eks")
FLOW_ARM = row("tensorflow", "2.9.1", "arm64", 4, region="eu-central-1", size=320_000_000, consumer="eks")
NEURON = row(
    "pytorch", "1.13.1", "amd64", 5, accelerator="neuron", support=ENDED, verification={"elf": "failed"}
)
SOME = record(TORCH_X86, TORCH_ARM, FLOW_X86, FLOW_ARM, NEURON)


def uris(*images: PublishedImage) -> list[str]:
    return [each.uri for each in images]


def test_the_page_shows_every_image_and_asks_nobody_for_anything(opener: Opener) -> None:
    opened = opener(SOME)
    assert opened.shown() == uris(*SOME.images)
    assert opened.count() == "5 images"
    assert opened.requests == [opened.file.as_uri()]
    assert opened.trouble == []


@pytest.mark.parametrize(
    ("facet", "value", "expected"),
    [
        ("framework", "tensorflow", (FLOW_X86, FLOW_ARM)),
        ("version", "1.12.1", (TORCH_X86, TORCH_ARM)),
        ("architecture", "arm64", (TORCH_ARM, FLOW_ARM)),
        ("accelerator", "neuron", (NEURON,)),
        ("consumer", "eks", (FLOW_X86, FLOW_ARM)),
        ("region", "eu-central-1", (FLOW_X86, FLOW_ARM)),
    ],
)
def test_each_filter_leaves_what_it_names_and_the_address_keeps_it(
    opener: Opener, facet: str, value: str, expected: tuple[PublishedImage, ...]
) -> None:
    opened = opener(SOME)
    opened.page.locator(f"#{facet}").select_option(value)
    assert opened.shown() == uris(*expected)
    assert opened.address() == f"{facet}={value}"
    assert opened.count() == f"{len(expected)} of 5 images"
    opened.page.reload()
    assert opened.shown() == uris(*expected)


def test_options_tell_how_many_images_each_would_leave(opener: Opener) -> None:
    opened = opener(SOME)
    opened.page.locator("#architecture").select_option("arm64")
    options = opened.page.locator("#framework option").all_inner_texts()
    assert options == ["All", "pytorch (1)", "tensorflow (1)"]


@pytest.mark.parametrize(
    ("name", "expected", "said"),
    [
        ("ml.c7g.xlarge", (TORCH_ARM,), "ml.c7g.xlarge is arm64 with no accelerator"),
        ("c7g.xlarge", (TORCH_ARM, FLOW_ARM), "c7g.xlarge is arm64 with no accelerator"),
        ("ML.C5.xlarge ", (TORCH_X86,), "ml.c5.xlarge is amd64 with no accelerator"),
        ("inf1.2xlarge", (NEURON,), "inf1.2xlarge is amd64 with an accelerator for neuron images"),
        ("g5.xlarge", (), "g5.xlarge is amd64 with an accelerator for cuda images"),
        ("ml.t4g.large", (TORCH_ARM,), "SageMaker has no endpoints on that size"),
        ("c7g.huge", (TORCH_ARM, FLOW_ARM), "that size is not listed"),
    ],
)
def test_an_instance_type_leaves_the_images_that_run_on_it(
    opener: Opener, name: str, expected: tuple[PublishedImage, ...], said: str
) -> None:
    opened = opener(SOME)
    opened.page.locator("#type").fill(name)
    assert said in opened.page.locator("#note").inner_text()
    assert opened.shown() == uris(*expected)


def test_a_family_that_nobody_knows_is_told(opener: Opener) -> None:
    opened = opener(SOME)
    opened.page.locator("#type").fill("zz9.large")
    assert opened.page.locator("#note").inner_text().startswith("“zz9.large” is of no family")
    expect(opened.page.locator("#none")).to_be_visible()


def test_the_search_finds_packages_and_words_in_any_order(opener: Opener) -> None:
    opened = opener(SOME)
    opened.page.locator("#q").fill("numpy==1.23")
    assert opened.shown() == uris(TORCH_X86)
    opened.page.locator("#q").fill("arm64 Tensorflow")
    assert opened.shown() == uris(FLOW_ARM)


def test_a_column_sorts_up_down_and_back(opener: Opener) -> None:
    opened = opener(SOME)
    button = opened.page.get_by_role("button", name="Size")
    button.click()
    assert opened.shown()[0] == TORCH_ARM.uri
    assert opened.address() == "sort=size"
    button.click()
    assert opened.shown()[0] == TORCH_X86.uri
    expect(opened.page.locator("[data-sort=size]")).to_have_attribute("aria-sort", "descending")
    button.click()
    assert opened.shown() == uris(*SOME.images)
    assert opened.address() == ""


def test_copying_gives_the_uri_and_says_so(opener: Opener) -> None:
    opened = opener(SOME)
    opened.page.get_by_role("button", name=f"Copy the URI of {TORCH_ARM.identifier}").click()
    assert opened.page.evaluate("navigator.clipboard.readText()") == TORCH_ARM.uri
    assert opened.page.locator("#said").inner_text() == f"Copied the URI of {TORCH_ARM.identifier}"


def test_details_have_digest_packages_checks_and_no_link_that_runs_anything(opener: Opener) -> None:
    opened = opener(SOME)
    details = opened.page.get_by_role("button", name=f"Details of {TORCH_X86.identifier}")
    details.click()
    expect(details).to_have_attribute("aria-expanded", "true")
    shown = opened.page.locator(".detail:visible")
    assert TORCH_X86.digest in shown.inner_text()
    assert "1 Python, 1 Debian" in shown.inner_text()
    shown.locator("summary").click()
    assert "numpy 1.23.5" in shown.inner_text()
    opened.page.get_by_role("button", name=f"Details of {NEURON.identifier}").click()
    assert opened.page.locator("a[href^=javascript]").count() == 0
    assert "elf: failed" in opened.page.locator(".detail:visible").last.inner_text()


def test_age_end_of_life_and_verification_are_told(opener: Opener) -> None:
    opened = opener(SOME)
    texts = opened.page.locator("tbody").all_inner_texts()
    assert "until 2099-06-30" in texts[1]
    assert "ended 2024-04-15" in texts[4]
    assert "1 failed" in texts[4]
    assert "not known" in texts[0]
    opened.page.get_by_role("button", name=f"Details of {TORCH_ARM.identifier}").click()
    assert "Python 3.11" in opened.page.locator(".detail").inner_text()
    assert any(word in texts[0] for word in ("day", "month", "year"))


def test_an_end_that_has_passed_since_the_release_is_told(opener: Opener) -> None:
    past = row("pytorch", "1.0", "amd64", support={"state": "current", "date": "2020-01-01"})
    assert "until 2020-01-01, past" in opener(record(past)).page.locator("tbody").inner_text()


def test_all_works_by_keyboard(opener: Opener) -> None:
    opened = opener(SOME)
    keyboard = opened.page.keyboard
    keyboard.press("/")
    keyboard.type("arm64")
    assert opened.shown() == uris(TORCH_ARM, FLOW_ARM)
    keyboard.press("Escape")
    assert opened.count() == "5 images"
    opened.page.reload()
    keyboard.press("Tab")
    keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "list"
    for _ in range(6):  # the columns that sort, then the first row's Copy
        keyboard.press("Tab")
    keyboard.press("Enter")
    assert opened.page.evaluate("navigator.clipboard.readText()") == TORCH_X86.uri


def luminance(color: str) -> float:
    channels = [int(each) / 255 for each in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


CONTRASTS = """() => {
  const isText = node => node.nodeType === 3 && node.data.trim();
  const texts = [...document.querySelectorAll("body *")].filter(
    each => each.checkVisibility() && [...each.childNodes].some(isText));
  return texts.map(each => {
    let behind = each;
    while (behind && /, 0\\)$/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const paper = getComputedStyle(behind ?? document.body).backgroundColor;
    return [each.outerHTML.slice(0, 80), getComputedStyle(each).color, paper];
  });
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_the_contrast_that_wcag_asks_for(opener: Opener, dark: bool) -> None:
    opened = opener(SOME, dark=dark)
    opened.page.get_by_role("button", name=f"Details of {TORCH_ARM.identifier}").click()
    opened.page.mouse.move(0, 0)
    found = opened.page.evaluate(CONTRASTS)
    assert len(found) > 60
    for what, ink, paper in found:
        brighter, darker = sorted((luminance(ink), luminance(paper)), reverse=True)
        assert (brighter + 0.05) / (darker + 0.05) >= 4.5, what


def test_every_control_has_a_name(opener: Opener) -> None:
    opened = opener(SOME)
    for control in opened.page.locator("input, select, button:visible").all():
        name = control.evaluate("each => each.ariaLabel || each.labels?.[0]?.textContent || each.textContent")
        assert str(name).strip()


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1360])
def test_nothing_is_wider_than_the_screen_and_buttons_are_large_enough_for_a_finger(
    opener: Opener, width: int, tmp_path: Path
) -> None:
    opened = opener(SOME, width=width, dark=width == 390)
    opened.page.get_by_role("button", name=f"Details of {TORCH_ARM.identifier}").click()
    opened.page.screenshot(path=tmp_path / f"{width}.png", full_page=True)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    if width < 500:
        heights = opened.page.locator(".acts button").evaluate_all(
            "each => each.map(one => one.offsetHeight)"
        )
        assert min(heights) >= 44


def test_on_paper_the_whole_uri_stands_and_no_control(opener: Opener, tmp_path: Path) -> None:
    opened = opener(SOME)
    opened.page.emulate_media(media="print")
    opened.page.screenshot(path=tmp_path / "paper.png", full_page=True)
    assert opened.page.locator(".uri").first.inner_text() == TORCH_X86.uri
    assert opened.page.locator("td button:visible, input:visible, select:visible").count() == 0


NASTY = "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>\"'&amp;{{7*7}}"


def test_no_text_of_a_record_becomes_a_part_of_the_page(opener: Opener) -> None:
    nasty = row(
        "pytorch",
        NASTY,
        "arm64",
        remark=NASTY,
        os=NASTY,
        packages=(Package(name=NASTY, version="1", kind="python"),),
    )
    opened = opener(record(nasty))
    opened.page.locator(".more").click()
    opened.page.locator(".detail summary").click()
    assert opened.page.title() == f"Images of release {SOME.release}"
    assert NASTY in opened.page.locator(".detail").inner_text()
    assert opened.page.locator("img").count() == 0
    assert opened.trouble == []


def crowd(count: int) -> ReleaseRecord:
    packages = tuple(Package(name=f"package-{each}", version="1.0", kind="python") for each in range(60))
    architectures = ("amd64", "arm64")
    return record(
        *(
            row("pytorch", f"2.{each % 40}.{each % 7}", architectures[each % 2], each, packages=packages)
            for each in range(count)
        )
    )


def keystroke(page: Page, text: str) -> float:
    """Milliseconds from the key to the new layout."""
    return float(
        page.evaluate(
            """text => {
                const q = document.getElementById("q"), began = performance.now();
                q.value = text;
                q.dispatchEvent(new Event("input", { bubbles: true }));
                document.body.offsetHeight;
                return performance.now() - began;
            }""",
            text,
        )
    )


def test_a_thousand_images_are_there_in_seconds_and_filtered_while_one_types(opener: Opener) -> None:
    began = time.monotonic()
    opened = opener(crowd(1000))
    assert opened.count() == "1,000 images"
    assert time.monotonic() - began < 15
    spent = sorted(keystroke(opened.page, text) for text in ("p", "py", "2.3", "2.3.", "package-7==1.0"))
    assert spent[2] < 500


def test_the_newest_release_is_shown_as_it_is(opener: Opener, tmp_path: Path) -> None:
    real = released()
    for name, width, dark in (("desktop", 1360, False), ("dark", 1360, True), ("phone", 390, False)):
        opened = opener(real, width=width, dark=dark)
        opened.page.screenshot(path=tmp_path / f"{name}.png")
        assert opened.shown() == [each.uri for each in real.images]
        assert opened.trouble == []
