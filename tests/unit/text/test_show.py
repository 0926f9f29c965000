from __future__ import annotations

import pytest

from holloway.key import Key
from holloway.model import AllowedIP, Device, Endpoint, Peer
from holloway.text.conf import dump_conf
from holloway.text.show import Style, fields, pretty
from transcript import Entry, read

PRIVATE, PA, PB = Key(b"\x48" * 32), Key(bytes([5]) * 32), Key(bytes([9]) * 32)
SECOND = 1_000_000_000
SHOOK = 1795570189
NOW = SHOOK + 3 * 3600 + 27 * 60 + 35
FIRST = Peer(
    PA,
    Key(b"\x11" * 32),
    Endpoint("10.172.196.106", 51000),
    (AllowedIP.parse("10.10.11.2"), AllowedIP.parse("fd00::2/128")),
    SHOOK * SECOND + 5,
    3133,
    2867,
    25,
)
DEVICE = Device("fm0", PRIVATE, 51000, 51820, (FIRST, Peer(PB)))


def transcript() -> list[Entry]:
    public = PRIVATE.public().base64
    """Every command but the first, `wg show interfaces`, prints a device."""
    keys = {"<PUB>": public, "<PRIV>": PRIVATE.base64, "<PA>": PA.base64, "<PB>": PB.base64}
    return read("wg-show.txt", keys)


def printed(command: str) -> str | None:
    """Return what the codecs print for a command of the transcript."""
    match command.split():
        case ["wg", "show", "fm0"]:
            return pretty(DEVICE, NOW, Style())
        case ["wg", "show", "all", field]:
            return fields(DEVICE, field, prefix="fm0\t")
        case ["wg", "show", "fm0", field]:
            return fields(DEVICE, field)
        case ["wg", "showconf", "fm0"]:
            return dump_conf(DEVICE)
        case ["WG_COLOR_MODE=always", "WG_HIDE_KEYS=never", *_]:
            return pretty(DEVICE, NOW, Style(colours=True, hide_keys=False))
    return None


# The list of interfaces belongs to no device; `tests/root` compares it with the original's.
SHOWN = [entry for entry in transcript()[1:] if entry.command != "wg show interfaces"]


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: entry.command)
def test_a_device_is_printed_as_recorded(entry: Entry) -> None:
    expected = None if entry.status else entry.output
    if entry.command == "wg show all endpoints" and expected is not None:
        # A bug of wg(8) 1.0.20210914: only the first row has the interface.
        first, second = expected.splitlines()
        expected = f"{first}\nfm0\t{second}\n"
    assert printed(entry.command) == expected


def shown(peer: Peer, now: int = NOW) -> str:
    return pretty(Device("wg0", peers=(peer,)), now, Style())


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (0, "Now"),
        (1, "1 second ago"),
        (60, "1 minute ago"),
        (3661, "1 hour, 1 minute, 1 second ago"),
        (2 * 86400 + 5, "2 days, 5 seconds ago"),
        (2 * 365 * 86400 + 86400, "2 years, 1 day ago"),
        (-1, "(System clock wound backward; connection problems may ensue.)"),
    ],
)
def test_an_age_is_printed_in_its_nonzero_units(age: int, words: str) -> None:
    peer = Peer(PA, latest_handshake=(NOW - age) * SECOND)
    assert f"latest handshake: {words}\n" in shown(peer)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1024**2 - 1, "1024.00 KiB"),
        (1024**2, "1.00 MiB"),
        (5 * 1024**3, "5.00 GiB"),
        (1024**4, "1.00 TiB"),
        (2**64 - 1, "16777216.00 TiB"),
    ],
)
def test_a_size_is_printed_in_the_unit_that_fits(count: int, words: str) -> None:
    assert f"transfer: {words} received, 0 B sent\n" in shown(Peer(PA, rx_bytes=count))


def test_peers_are_ordered_by_latest_handshake_and_those_without_come_last() -> None:
    times = [0, 5 * SECOND, 7 * SECOND, 0]
    peers = tuple(
        Peer(Key(bytes([number]) * 32), latest_handshake=time)
        for number, time in enumerate(times, 1)
    )
    text = pretty(Device("wg0", peers=peers), NOW, Style())
    order = [line.removeprefix("peer: ") for line in text.split("\n") if line.startswith("peer")]
    assert order == [peers[place].public_key.base64 for place in (2, 1, 0, 3)]


def test_secrets_are_hidden_by_default() -> None:
    text = pretty(DEVICE, NOW, Style())
    assert PRIVATE.base64 not in text
    assert text.count("(hidden)") == 2


def test_an_unknown_field_is_none() -> None:
    assert fields(DEVICE, "bogus") is None
