"""The options -q and -v of the commands that run a tunnel, and the log that they control."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add -q and -v, which exclude each other."""
    add = parser.add_mutually_exclusive_group().add_argument
    add("-q", "--quiet", action="store_true", help="print only errors")
    add("-v", "--verbose", action="store_true", help="also log what the tunnel does")


def start_log(form: str, *, is_quiet: bool, is_verbose: bool) -> None:
    """Write the log to standard error, with `form` as the format of each record."""
    level = logging.DEBUG if is_verbose else logging.ERROR if is_quiet else logging.WARNING
    logging.basicConfig(level=level, format=form, datefmt="%H:%M:%S")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
