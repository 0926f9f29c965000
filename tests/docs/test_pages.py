"""Every block of every page is typed as the page says, or is listed in `not_run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs import administration, first_steps, without_root
from docs.not_run import NOT_RUN
from docs.pages import PAGES, Page
from net.recipes import PAGES as RECIPES
from net.recipes import recipes
from net.test_pytest_plugin import PAGE, examples

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.spread]

SCENARIOS: dict[str, Callable[[Page], None]] = {
    "README.md": first_steps.readme,
    "docs/how-to/install.md": first_steps.install,
    "docs/tutorial/first-tunnel.md": first_steps.first_tunnel,
    "docs/how-to/completion.md": administration.completion,
    "docs/how-to/default-route.md": administration.default_route,
    "docs/how-to/dns.md": administration.dns,
    "docs/how-to/lab.md": administration.lab,
    "docs/how-to/log.md": administration.log,
    "docs/how-to/original-tools.md": administration.original_tools,
    "docs/how-to/phone.md": administration.phone,
    "docs/how-to/proxy.md": without_root.proxy,
    "docs/how-to/reload.md": administration.reload,
    "docs/how-to/run.md": without_root.run,
}
FOLLOWED = [
    pytest.param(name, marks=[pytest.mark.interop] if name.endswith("original-tools.md") else [])
    for name in SCENARIOS
]


@pytest.mark.root
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FOLLOWED)
def test_a_page_works_as_written(name: str) -> None:
    page = Page(name)
    SCENARIOS[name](page)
    assert [block.first for block in page.left] == list(NOT_RUN.get(name, {}))


@pytest.mark.parametrize("name", [name for name in PAGES if name not in SCENARIOS])
def test_a_page_without_a_scenario_has_only_recipes_and_listed_blocks(name: str) -> None:
    page = Page(name)
    for path in RECIPES:
        if path.as_posix().endswith(name):  # test_recipes.py runs these
            for recipe in recipes(path):
                assert page.take(recipe.code) == recipe.code
                assert page.take(recipe.prints) == recipe.prints
    if PAGE.as_posix().endswith(name):  # test_pytest_plugin.py runs these
        for _, code in examples():
            assert page.take(code) == code
    assert [block.first for block in page.left] == list(NOT_RUN.get(name, {}))


def test_the_table_names_existing_pages() -> None:
    assert set(NOT_RUN) <= set(PAGES)
