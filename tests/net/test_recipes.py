"""Every recipe prints what its page says, for an unprivileged user, with both stacks.

The other side is a host with the kernel's TCP/IP and a device: ours, and for some wireguard-go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from net.home_lab import HomeLab, home_lab
from net.library_servers import serve_redis
from net.loop_servers import serve_loop_libraries
from net.recipes import PAGES, Recipe, recipes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(180), pytest.mark.slow]

RECIPES = [recipe for page in PAGES for recipe in recipes(page)]
NAMES = [f"{number}-{recipe.heading}" for number, recipe in enumerate(RECIPES)]


@pytest.fixture(
    scope="module",
    params=["holloway", pytest.param("wireguard-go", marks=pytest.mark.interop)],
)
def lab(request: pytest.FixtureRequest) -> Iterator[HomeLab]:
    with home_lab(request.param) as built:
        built.serve_postgresql()
        serve_redis(built)
        serve_loop_libraries(built)
        yield built


@pytest.mark.parametrize("stack", ["kernel", "userspace"])
@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_a_recipe_prints_what_its_page_says(lab: HomeLab, recipe: Recipe, stack: str) -> None:
    run = lab.sh if recipe.language == "sh" else lab.run
    done = run(recipe.with_stack(stack))
    assert (done.stdout, errors(done.stderr)) == (recipe.prints.replace("kernel", stack), "")


def errors(stderr: str) -> str:
    """Leave out how long asyncio took for something: `-X dev` has it say so on a slow machine."""
    lines = stderr.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("Executing <"))
