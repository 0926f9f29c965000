from __future__ import annotations

from holloway.quick.comments import carry_over

OLD = """\
# The office network
# since 2019

[Interface]
# this host
PrivateKey = old
PostUp = echo '#1' # stays
ListenPort = 51000 # agreed with the provider

# alice
[Peer]
PublicKey = A=
AllowedIPs = 10.0.0.1/32

[Peer] # bob
PublicKey = B=
# Endpoint = 192.0.2.1:1
AllowedIPs = 10.0.0.2/32 # desk
AllowedIPs = 10.0.0.3/32 # phone
"""

NEW = """\
[Interface]
PostUp = echo '#1' # stays
ListenPort = 51000
PrivateKey = new

[Peer]
PublicKey = B=
AllowedIPs = 10.0.0.2/32, 10.0.0.3/32

[Peer]
PublicKey = C=

[Peer]
PublicKey = A=
AllowedIPs = 10.0.0.1/32
"""

MERGED = """\
# The office network
# since 2019

[Interface]
# this host
PostUp = echo '#1' # stays
ListenPort = 51000 # agreed with the provider
PrivateKey = new

# alice
[Peer]
PublicKey = A=
AllowedIPs = 10.0.0.1/32

[Peer]
# bob
# Endpoint = 192.0.2.1:1
PublicKey = B=
AllowedIPs = 10.0.0.2/32, 10.0.0.3/32 # desk
# phone

[Peer]
PublicKey = C=
"""


def test_comments_stay_with_their_section_and_peers_keep_their_order():
    assert carry_over(OLD, NEW) == MERGED


def test_a_saved_file_saved_again_loses_no_comment():
    again = carry_over(MERGED, NEW)
    assert sorted(filter(_is_comment, again.split("\n"))) == sorted(
        filter(_is_comment, MERGED.split("\n"))
    )
    assert carry_over(again, NEW) == again


def test_a_file_without_comments_is_written_unchanged():
    assert carry_over("[Interface]\n", NEW) == NEW


def test_the_comments_of_a_removed_peer_are_removed():
    assert "alice" not in carry_over(OLD, NEW[: NEW.rindex("[Peer]")])


def _is_comment(line: str) -> bool:
    return line.startswith("#")
