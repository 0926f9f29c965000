from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holloway.key import Key
from holloway.text.names import peer_names

PA, PB = Key(bytes([5]) * 32), Key(bytes([9]) * 32)


def test_a_name_is_on_the_peer_line_or_directly_above_it() -> None:
    text = (
        f"# Alice\n[Peer]\nPublicKey = {PA.base64} # not this\n"
        f"\n[Peer]   ## Bob's phone  \nAllowedIPs = 10.0.0.1\nPublicKey={PB.base64}\n"
    )
    assert peer_names(text) == {PA: "Alice", PB: "Bob's phone"}


def test_a_name_on_the_line_itself_wins_over_the_line_above() -> None:
    assert peer_names(f"# Alice\n[ PEER ] # Bob\npublickey={PA.base64}") == {PA: "Bob"}


def test_a_comment_elsewhere_is_no_name() -> None:
    peer = f"[Peer]\nPublicKey={PA.base64}\n"
    for above in ("# Alice\n\n", "# Alice\nListenPort=1\n", "PostUp = x # Alice\n", "#\n", ""):
        assert peer_names(f"[Interface]\n{above}{peer}") == {}


def test_a_name_applies_only_to_its_section() -> None:
    text = (
        f"# Alice\n[Peer]\n[Peer]\nPublicKey={PA.base64}\n# me\n[Interface]\nPublicKey={PB.base64}"
    )
    assert peer_names(text) == {}


def test_control_characters_in_a_name_are_replaced() -> None:
    (name,) = peer_names(f"[Peer] # a\x1b[2Jb\tc\u202ed\nPublicKey={PA.base64}").values()
    assert name == "a\ufffd[2Jb\ufffdc\ufffdd"


@given(
    st.lists(st.sampled_from(["[Peer]", "# x", "PublicKey=", "PublicKey=zz", "\0", "=", "[", ""]))
)
def test_odd_lines_give_no_names(lines: list[str]) -> None:
    assert peer_names("\n".join(lines)) == {}
