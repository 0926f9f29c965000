"""The names of peers: the comments beside their `[Peer]` lines.

Pure: text of a configuration file -> names. wg(8) drops comments, so a device does not know these
names. Called by `wg show --names`.
"""

from __future__ import annotations

from typing import Final

from holloway.errors import KeyFormatError
from holloway.key import Key
from holloway.text.conf import clean
from holloway.text.values import ascii_lower


def peer_names(text: str) -> dict[Key, str]:
    """Return the name of each peer of a file that has one.

    It is the comment on the `[Peer]` line or, if there is none, on the line directly above.
    """
    names: dict[Key, str] = {}
    name, above = "", ""
    for line in text.split("\n"):
        setting, _, value = clean(line).partition("=")
        if setting.startswith("["):
            heads_peer = ascii_lower(setting) == "[peer]"
            name = (_comment(line) or above) if heads_peer else ""
        elif name and ascii_lower(setting) == "publickey":
            _note(names, value, name)
        above = "" if setting else _comment(line)
    return names


def _note(names: dict[Key, str], key: str, name: str) -> None:
    try:
        names[Key.from_base64(key)] = name
    except KeyFormatError:
        return  # wg(8) refuses this line; it is not for us to report


def _comment(line: str) -> str:
    comment = line.partition("#")[2].lstrip("#").strip()
    # It is printed on a terminal, so it must not contain control sequences.
    return "".join(character if character.isprintable() else _REPLACEMENT for character in comment)


_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
