"""Every link within the documentation has a target, and the map links to every page."""

from __future__ import annotations

import os

import pytest

from docs.pages import PAGES, anchors, links, path

MAP = "docs/README.md"


def resolved(page: str, target: str) -> tuple[str, str]:
    """Return the file and the heading that a link of a page leads to."""
    file, _, heading = target.partition("#")
    place = os.path.normpath(os.path.join(os.path.dirname(page), file)) if file else page
    return place, heading


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: str) -> None:
    broken = []
    for target in links(page):
        if "://" in target:
            continue
        file, heading = resolved(page, target)
        if not path(file).exists() or (heading and heading not in anchors(file)):
            broken.append(target)
    assert not broken


def test_the_map_links_to_every_page() -> None:
    found = {resolved(MAP, target)[0] for target in links(MAP)}
    assert {page for page in PAGES if page.startswith("docs/")} - found == {MAP}
