from __future__ import annotations

import pytest

from holloway.errors import ConfigError
from holloway.text.conf import parse_quick

WHOLE = """# a laptop
[Interface]
  Address = 10.0.0.2/24, fd00::2/64
address = 10.1.0.1 # and this
PrivateKey = AAA=
MTU = 1380
DNS = 10.0.0.1, example.org
Table = 1234
PostUp = logger "up # %i"; true
PreDown=echo down
SaveConfig = TRUE

[Peer]
# the office
PublicKey = BBB=  
Address = kept
"""  # noqa: W291


def test_wg_quick_parses_its_own_keys() -> None:
    config = parse_quick(WHOLE)
    assert config.addresses == ["10.0.0.2/24", "fd00::2/64", "10.1.0.1"]
    assert (config.mtu, config.table, config.save_config) == (1380, "1234", True)
    assert config.dns == ["10.0.0.1", "example.org"]
    assert config.pre_down == ["echo down"]
    assert (config.pre_up, config.post_down) == ([], [])


def test_a_hook_keeps_what_follows_a_number_sign() -> None:
    assert parse_quick(WHOLE).post_up == ['logger "up # %i"; true']


def test_the_other_lines_are_for_wg_with_comments_and_blank_lines() -> None:
    assert parse_quick(WHOLE).stripped == (
        "# a laptop\n[Interface]\nPrivateKey = AAA=\n\n[Peer]\n# the office\nPublicKey = BBB=\n"
        "Address = kept\n\n"
    )


def test_the_other_lines_keep_their_numbers() -> None:
    assert [number for number, _ in parse_quick(WHOLE).wg_lines] == [1, 2, 5, 12, 13, 14, 15, 16]


def test_an_empty_value_is_none() -> None:
    config = parse_quick("[Interface]\nMTU =\nTable = # none\n")
    assert (config.mtu, config.table) == (None, None)


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        ("SaveConfig = maybe", "SaveConfig", "`maybe' is neither true nor false"),
        ("SaveConfig =", "SaveConfig", "`' is neither true nor false"),
        ("MTU = big", "MTU", "`big' is not a number of bytes"),
        ("mtu = -5", "MTU", "`-5' is not a number of bytes"),
        ("mtu = 99999999999999999999", "MTU", "`99999999999999999999' is not a number of bytes"),
    ],
)
def test_a_bad_value_is_refused_with_its_line(line: str, key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_quick(f"[Interface]\n\n{line}\n")
    assert (caught.value.line, caught.value.key, caught.value.reason) == (3, key, reason)


def test_space_after_the_last_newline_is_not_a_line() -> None:
    assert parse_quick("[Peer]\n  ").stripped == "[Peer]\n\n"


def test_windows_line_endings_are_accepted() -> None:
    config = parse_quick("[Interface]\r\nAddress = 10.0.0.1/24\r\nMTU = 1400\r\n")
    assert (config.addresses, config.mtu) == (["10.0.0.1/24"], 1400)
