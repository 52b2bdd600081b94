"""The tables of docs/scale.md are what the commands above them print."""

from scripts.scale_page import PAGE, written_anew


def test_each_table_is_what_its_command_prints() -> None:
    page = PAGE.read_text()
    assert page.count("$ toolkit plan") == page.count("requests to the registry for") == 2
    assert page == written_anew(page), (
        "python -m scripts.scale_page; then mend what the page says of its tables"
    )
