"""Which peer an inner address belongs to: by hand, and beside the plainest way to find out."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from holloway import AllowedIP, Device, Key, Peer
from holloway.net.routes import Routes

KEYS = [Key(bytes([number]) * 32) for number in range(1, 4)]


def routes(*networks: tuple[str, int]) -> Routes:
    peers = tuple(
        Peer(key, allowed_ips=tuple(AllowedIP.parse(text) for text, of in networks if of == number))
        for number, key in enumerate(KEYS)
    )
    return Routes(Device("wg0", peers=peers))


def test_the_longest_network_wins() -> None:
    found = routes(("0.0.0.0/0", 0), ("10.0.0.0/8", 1), ("10.0.0.1/32", 2), ("fd00::/8", 1))
    assert found.find(ip_address("192.0.2.1")) == KEYS[0]
    assert found.find(ip_address("10.9.9.9")) == KEYS[1]
    assert found.find(ip_address("10.0.0.1")) == KEYS[2]
    assert found.find(ip_address("fd00::1")) == KEYS[1]
    assert found.find(ip_address("2001:db8::1")) is None


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 7), st.integers(0, 32)), st.integers(0, 2), max_size=12
    ),
    st.integers(0, 255),
)
def test_every_address_is_found_as_by_looking_at_all(
    given: dict[tuple[int, int], int], last: int
) -> None:
    networks = {
        ip_network(f"10.0.0.{place * 32}/{length}", strict=False): of
        for (place, length), of in given.items()
    }
    address = ip_address(f"10.0.0.{last}")
    matching = [network for network in networks if address in network]
    best = max(matching, key=lambda network: network.prefixlen, default=None)
    found = routes(*((str(network), of) for network, of in networks.items()))
    assert found.find(address) == (None if best is None else KEYS[networks[best]])
