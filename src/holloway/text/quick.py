"""The wg-quick half of a configuration file: text -> `QuickConfig`.

Knows which keys of `[Interface]` are wg-quick(8)'s own; all other lines go to wg(8) unchanged.
It does not know what either does with them. Called by `quick` and by `wg-quick strip`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from holloway.errors import ConfigError

BLANK: Final = " \t"  # what bash's `read` strips from a line
SPACE: Final = " \t\n\v\f\r"  # [[:space:]] in the C locale


@dataclass(frozen=True, slots=True)
class QuickConfig:
    """The settings of a wg-quick file; hooks are unchanged, including `#`.

    `table` is None if the file has none; `wg_lines` are the lines for wg(8), each with its number
    in the file.
    """

    addresses: list[str] = field(default_factory=list)
    mtu: int | None = None
    dns: list[str] = field(default_factory=list)
    table: str | None = None
    pre_up: list[str] = field(default_factory=list)
    post_up: list[str] = field(default_factory=list)
    pre_down: list[str] = field(default_factory=list)
    post_down: list[str] = field(default_factory=list)
    save_config: bool = False
    wg_lines: list[tuple[int, str]] = field(default_factory=list)

    @property
    def stripped(self) -> str:
        """The output of `wg-quick strip`."""
        return "".join(f"{line}\n" for _, line in self.wg_lines) + "\n"


def parse_quick(text: str) -> QuickConfig:
    """Parse a whole file; raises `ConfigError` with the line and the key."""
    reader = _Reader()
    in_interface = False
    lines = text.replace("\0", "").split("\n")
    if not lines[-1].strip(BLANK):
        lines.pop()  # text after the last line break is a line only if it is not blank
    for number, raw in enumerate(lines, 1):
        line = raw.strip(BLANK)
        key = line.partition("#")[0].partition("=")[0].strip(SPACE).lower()
        if key.startswith("["):
            in_interface = key == "[interface]"
        if not (in_interface and reader.take(number, key, line)):
            reader.wg_lines.append((number, line))
    return reader.result()


class _Reader:
    """Collects the values line by line."""

    def __init__(self) -> None:
        self.lists: dict[str, list[str]] = {key: [] for key in (*_LISTS, *_HOOKS)}
        self.mtu: int | None = None
        self.table: str | None = None
        self.save_config = False
        self.wg_lines: list[tuple[int, str]] = []

    def take(self, number: int, key: str, line: str) -> bool:
        """Read a line if its key is one of wg-quick's; return whether it is."""
        # Without "=", the value is the whole line, as with bash's ${stripped#*=}.
        value = line.partition("#")[0].split("=", 1)[-1].strip(SPACE)
        match key:
            case "address" | "dns":
                self.lists[key] += value.replace(",", " ").split()
            case "preup" | "postup" | "predown" | "postdown":
                # Tools after 2021 keep what follows a "#": it may be inside quotes.
                self.lists[key].append(line.split("=", 1)[-1].strip(SPACE))
            case "mtu":
                self.mtu = _mtu(number, value)
            case "table":
                self.table = value or None
            case "saveconfig":
                self.save_config = _flag(number, value)
            case _:
                return False
        return True

    def result(self) -> QuickConfig:
        return QuickConfig(
            addresses=self.lists["address"],
            mtu=self.mtu,
            dns=self.lists["dns"],
            table=self.table,
            pre_up=self.lists["preup"],
            post_up=self.lists["postup"],
            pre_down=self.lists["predown"],
            post_down=self.lists["postdown"],
            save_config=self.save_config,
            wg_lines=self.wg_lines,
        )


def _mtu(number: int, value: str) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= _MTU_DIGITS):
        raise ConfigError(f"`{value}' is not a number of bytes", key="MTU", line=number)
    return int(value)


def _flag(number: int, value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        reason = f"`{value}' is neither true nor false"
        raise ConfigError(reason, key="SaveConfig", line=number)
    return value.lower() == "true"


_LISTS: Final = ("address", "dns")
_HOOKS: Final = ("preup", "postup", "predown", "postdown")
_MTU_DIGITS: Final = 9
