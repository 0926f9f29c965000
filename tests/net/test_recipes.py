"""Every recipe prints what its page says, for an unprivileged user, with both stacks.

The other side is a host with the kernel's TCP/IP and a device: ours, and for some wireguard-go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts import REPOSITORY
from net.home_lab import HomeLab, home_lab
from net.recipes import Recipe, recipes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(180), pytest.mark.slow]

TUTORIAL = REPOSITORY / "docs/tutorial/python-peer.md"
RECIPES = [*recipes(), *recipes(TUTORIAL)]
NAMES = [f"{number}-{recipe.heading}" for number, recipe in enumerate(RECIPES)]


@pytest.fixture(
    scope="module",
    params=["holloway", pytest.param("wireguard-go", marks=pytest.mark.interop)],
)
def lab(request: pytest.FixtureRequest) -> Iterator[HomeLab]:
    with home_lab(request.param) as built:
        built.serve_postgresql()
        yield built


@pytest.mark.parametrize("stack", ["kernel", "userspace"])
@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_a_recipe_prints_what_its_page_says(lab: HomeLab, recipe: Recipe, stack: str) -> None:
    run = lab.sh if recipe.language == "sh" else lab.run
    done = run(recipe.with_stack(stack))
    assert (done.stdout, done.stderr) == (recipe.prints.replace("kernel", stack), "")
