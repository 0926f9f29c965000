"""The wg-quick half of a configuration file: text -> `QuickConfig`.

Knows what wg-quick(8) takes for itself in `[Interface]` and what it hands on to wg(8) untouched;
not what either does with it. Called by `quick` and by `wg-quick strip`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from holloway.errors import ConfigError

BLANK: Final = " \t"  # what bash's `read` takes off a line
SPACE: Final = " \t\n\v\f\r"  # [[:space:]] in the C locale


@dataclass(frozen=True, slots=True)
class QuickConfig:
    """What a wg-quick file asks for; hooks stand as written, `#` and all.

    `table` is None where the file has none; `wg_lines` is what wg(8) shall read, each line with
    its number in the file.
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
        """The text that `wg-quick strip` prints."""
        return "".join(f"{line}\n" for _, line in self.wg_lines) + "\n"


def parse_quick(text: str) -> QuickConfig:
    """Read a whole file; raises `ConfigError` with the line and the key."""
    reader = _Reader()
    in_interface = False
    lines = text.replace("\0", "").split("\n")
    if not lines[-1].strip(BLANK):
        lines.pop()  # what follows the last line end is a line only if there is something in it
    for number, raw in enumerate(lines, 1):
        line = raw.strip(BLANK)
        key = line.partition("#")[0].partition("=")[0].strip(SPACE).lower()
        if key.startswith("["):
            in_interface = key == "[interface]"
        if not (in_interface and reader.take(number, key, line)):
            reader.wg_lines.append((number, line))
    return reader.result()


class _Reader:
    """Collects the values while the lines go by."""

    def __init__(self) -> None:
        self.lists: dict[str, list[str]] = {key: [] for key in (*_LISTS, *_HOOKS)}
        self.mtu: int | None = None
        self.table: str | None = None
        self.save_config = False
        self.wg_lines: list[tuple[int, str]] = []

    def take(self, number: int, key: str, line: str) -> bool:
        """Take the line if its key is one of wg-quick's; else it is wg's."""
        # Where a line has no "=", bash's ${stripped#*=} leaves it whole: so does this.
        value = line.partition("#")[0].split("=", 1)[-1].strip(SPACE)
        match key:
            case "address" | "dns":
                self.lists[key] += value.replace(",", " ").split()
            case "preup" | "postup" | "predown" | "postdown":
                # Tools after 2021 keep what follows a "#": it may be within quotes.
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
