"""What git's remotes become as labels; the checkout itself is the integration tests' business."""

import pytest

from toolkit.adapters.git import web_address


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://git.example/team/images.git", "https://git.example/team/images"),
        ("https://user:secret@git.example/team/images", "https://git.example/team/images"),
        ("git@git.example:team/images.git", "https://git.example/team/images"),
        ("ssh://git@git.example:2222/team/images.git", "https://git.example/team/images"),
        ("/home/someone/images", ""),
        ("../images", ""),
        ("file:///home/someone/images", ""),
        ("", ""),
    ],
)
def test_a_remote_has_one_address_without_credentials_or_paths(remote: str, address: str) -> None:
    assert web_address(remote) == address
