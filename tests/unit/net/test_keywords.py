"""The arguments of `Network` and `open`: what they accept as text, and how they refuse the rest."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import holloway
from holloway import (
    AllowedIP,
    ConfigError,
    DeviceUpdate,
    Endpoint,
    Key,
    KeyFormatError,
    Network,
    Peer,
    PeerArguments,
    PeerUpdate,
)
from holloway.net.keywords import converted, from_arguments
from holloway.net.settings import from_either

KEY = Key(bytes(31) + b"\x40")
PEER = KEY.public()
ALLOWED = (AllowedIP.parse("10.10.10.0/24"), AllowedIP.parse("fd10::/64"))
ENDPOINT = Endpoint("192.0.2.1", 51820)


class Answering:
    """A resolver that knows one name."""

    def port(self, service: str) -> int:
        return int(service)

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        if (host, service, text) != ("vpn.example", "51820", "vpn.example:51820"):
            raise ConfigError(f"Name or service not known: `{text}'")
        return ENDPOINT

    def warn(self, sentence: str) -> None:
        raise AssertionError(sentence)


def peer_of(peer: Any) -> PeerUpdate:
    settings = from_arguments(private_key=KEY, peers=peer, addresses="10.10.10.2/24")
    (found,) = settings.resolved(Answering()).update.peers
    return found


@pytest.mark.parametrize(
    "allowed_ips",
    [
        ALLOWED,
        "10.10.10.0/24, fd10::/64",
        ["10.10.10.0/24", "fd10::/64"],
        ("10.10.10.9/24", AllowedIP.parse("fd10::1/64")),
        [ip_network("10.10.10.0/24"), ip_interface("fd10::7/64")],
    ],
)
@pytest.mark.parametrize(
    "endpoint",
    [
        ENDPOINT,
        "192.0.2.1:51820",
        ("192.0.2.1", 51820),
        ("192.0.2.1", "51820"),
        "vpn.example:51820",
        ("vpn.example", 51820),
    ],
)
@pytest.mark.parametrize("key", [PEER, PEER.base64, f" {PEER.base64}\n"])
def test_a_peer_may_be_written_as_text(key: Any, endpoint: Any, allowed_ips: Any) -> None:
    wanted = PeerUpdate(public_key=PEER, endpoint=ENDPOINT, allowed_ips=ALLOWED)
    values = {"public_key": key, "endpoint": endpoint, "allowed_ips": allowed_ips}
    assert peer_of(values) == peer_of([values]) == wanted
    assert peer_of(PeerUpdate(**values)) == wanted
    assert peer_of(Peer(**values)) == PeerUpdate(
        public_key=PEER, endpoint=ENDPOINT, allowed_ips=ALLOWED, persistent_keepalive=0
    )


def test_the_other_settings_of_a_peer_are_kept() -> None:
    values: PeerArguments = {
        "public_key": PEER,
        "preshared_key": KEY.base64,
        "endpoint": "[fe80::1%eth0]:7",
        "persistent_keepalive": 25,
    }
    assert peer_of(values) == PeerUpdate(
        public_key=PEER,
        preshared_key=KEY,
        endpoint=Endpoint("fe80::1%eth0", 7),
        persistent_keepalive=25,
    )
    update = PeerUpdate(public_key=PEER, replace_allowed_ips=True, allowed_ips=ALLOWED)
    assert peer_of(update) == update


@pytest.mark.parametrize(
    "addresses",
    [
        "10.10.10.2/24, fd10::2",
        ["10.10.10.2/24", "fd10::2"],
        (ip_interface("10.10.10.2/24"), ip_address("fd10::2")),
        {"10.10.10.2/24": 1, "fd10::2": 2},
    ],
)
def test_addresses_and_names_may_be_one_text_or_many(addresses: Any) -> None:
    settings = from_arguments(
        private_key=KEY.base64, addresses=addresses, dns="10.10.10.1, home", mtu=1380, name="wg0"
    )
    assert [str(each) for each in settings.addresses] == ["10.10.10.2/24", "fd10::2/128"]
    assert (settings.servers, settings.domains) == (("10.10.10.1",), ("home",))
    assert (settings.mtu, settings.name, settings.source) == (1380, "wg0", None)
    assert settings.update.private_key == KEY


def arguments(**changed: Any) -> dict[str, Any]:
    return {"private_key": KEY, "addresses": "10.10.10.2/24", **changed}


def with_peer(**changed: Any) -> dict[str, Any]:
    return arguments(peers=[{"public_key": PEER, **changed}])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (arguments(private_key="short"), "private_key: a key has 44 base64 characters"),
        (arguments(private_key=Key.ZERO), "private_key: .* Key.generate"),
        (arguments(addresses=()), "addresses: .* needs an address of its own"),
        (arguments(addresses="10.10.10.2/33"), "addresses: `10.10.10.2/33' is not an IP address"),
        (arguments(listen_port=70000), "listen_port: 70000 is not from 0 to 65535"),
        (arguments(mtu=67), "mtu: `67' is not from 68 to 65535"),
        (arguments(peers=[{}]), r"peers\[0\]: a peer needs a public_key"),
        (with_peer(PublicKey=1), r"peers\[0\]: `PublicKey' .* is it `public_key'"),
        (with_peer(colour=1), r"peers\[0\]: `colour' is no setting of a peer; there are public_"),
        (with_peer(public_key="x"), r"peers\[0\].public_key: a key has 44"),
        (with_peer(preshared_key="x"), r"peers\[0\].preshared_key: a key has 44"),
        (with_peer(allowed_ips="10.0.0.0/8, x"), r"peers\[0\].allowed_ips: `x' is not"),
        (with_peer(endpoint="vpn.example"), r"peers\[0\].endpoint: `vpn.example' is not host:port"),
        (with_peer(endpoint="fd10::1"), r"peers\[0\].endpoint: `fd10::1' is not host:port or"),
        (with_peer(endpoint="vpn.example:no"), r"peers\[0\].endpoint: `no' is neither a number"),
        (with_peer(endpoint=("vpn.example", 70000)), r"peers\[0\].endpoint: 70000 is not from"),
        (with_peer(endpoint="two words:7"), r"peers\[0\].endpoint: `two words' is neither"),
        (with_peer(endpoint="[fd10::x]:7"), r"peers\[0\].endpoint: `fd10::x' is neither"),
        (with_peer(persistent_keepalive=-1), r"peers\[0\].persistent_keepalive: `-1'"),
    ],
)
def test_a_bad_value_is_refused_with_its_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_arguments(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (arguments(private_key=None), "private_key is a Key or its base64, not None"),
        (arguments(private_key=b"x"), "private_key is .*, not bytes"),
        (arguments(addresses=10), "addresses is one value or several, not int"),
        (arguments(addresses=[10]), "addresses is text, not int"),
        (arguments(mtu="1420"), "mtu is a number, not str"),
        (arguments(listen_port=None), "listen_port is a number from 0 to 65535, not None"),
        (arguments(peers=[PEER]), r"peers\[0\] is a Peer, a PeerUpdate or a dict, not Key"),
        (arguments(peers=None), "peers is one value or several, not None"),
        (arguments(name=1), "name is text, not int"),
        (with_peer(endpoint=51820), r"peers\[0\].endpoint is an Endpoint, .*, not int"),
        (with_peer(allowed_ips=10), r"peers\[0\].allowed_ips is one value or several, not int"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_with_its_name(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        from_arguments(**given)


@given(
    name=st.sampled_from(["endpoint", "allowed_ips", "public_key", "addresses", "private_key"]),
    text=st.text(st.sampled_from("10.af:/[]%,= x\0é\ud800"), max_size=20) | st.text(),
)
def test_any_text_is_accepted_or_refused_with_its_name(name: str, text: str) -> None:
    of_network = name in {"addresses", "private_key"}
    values = arguments(**{name: text}) if of_network else with_peer(**{name: text})
    refused: str | None = None
    try:
        from_arguments(**values)
    except ConfigError as error:
        refused = error.key
    assert refused in {None, name if of_network else f"peers[0].{name}"}


def test_an_unknown_name_of_an_endpoint_is_refused_with_its_peer() -> None:
    peers = [{"public_key": PEER}, {"public_key": PEER, "endpoint": "nowhere.example:1"}]
    settings = from_arguments(**arguments(peers=peers))
    with pytest.raises(ConfigError, match=r"peers\[1\].endpoint: Name or service not known"):
        settings.resolved(Answering())


def test_there_is_a_configuration_or_arguments() -> None:
    with pytest.raises(TypeError, match="needs a configuration, or private_key, addresses"):
        Network()
    with pytest.raises(TypeError, match="with a configuration there is no peers and no dns"):
        Network("laptop.conf", peers=[{"public_key": PEER}], dns="10.10.10.1")
    text = f"[Interface]\nPrivateKey = {KEY.base64}\nAddress = 10.10.10.2\n"
    defaults = {
        name: each.default
        for name, each in inspect.signature(Network).parameters.items()
        if name not in {"config", "stack", "buffer", "timeout"}
    }
    assert from_either(text, **defaults).update.private_key == KEY


def test_open_and_network_take_the_same_arguments() -> None:
    made, opened = (inspect.signature(each).parameters for each in (Network, holloway.open))
    assert made == opened


def test_an_update_of_a_running_network_may_have_text_too() -> None:
    wanted = PeerUpdate(public_key=PEER, endpoint=ENDPOINT, allowed_ips=ALLOWED)
    text: Any = PeerUpdate(
        public_key=PEER.base64,  # type: ignore[arg-type]
        endpoint=str(ENDPOINT),  # type: ignore[arg-type]
        allowed_ips=("10.10.10.0/24", "fd10::/64"),  # type: ignore[arg-type]
    )
    update = DeviceUpdate(replace_peers=True, peers=(text,))
    assert converted(update) == DeviceUpdate(replace_peers=True, peers=(wanted,))
    name: Any = {"public_key": PEER, "endpoint": "vpn.example:1"}
    with pytest.raises(ConfigError, match=r"peers\[0\].endpoint: `vpn.example:1' is a name"):
        converted(DeviceUpdate(peers=(name,)))


def test_a_generated_key_is_a_private_key_of_its_own() -> None:
    one, two = Key.generate(), Key.generate()
    assert one != two
    assert one == one.clamped()
    assert Key.from_base64(one.base64) == one
    with pytest.raises(KeyFormatError, match=r"32 bytes; Key\.from_base64 reads"):
        Key(one.base64)  # type: ignore[arg-type]


def test_a_network_shows_itself_without_a_secret() -> None:
    network = Network(
        private_key=KEY, addresses="10.0.0.2/24", peers={"public_key": PEER}, name="laptop"
    )
    assert repr(network) == "<Network laptop not open, 1 peer, 10.0.0.2>"


def test_help_of_the_package_teaches() -> None:
    text = pydoc.plain(pydoc.render_doc(holloway))
    for each in holloway.__all__:
        assert each in text
    for example in ('with holloway.open("laptop.conf") as net:', "holloway.Key.generate()"):
        assert example in text
    assert set(holloway.__all__) < set(dir(holloway))
    assert "TYPE_CHECKING" not in dir(holloway)


def test_a_name_is_loaded_without_the_other_modules() -> None:
    script = "import holloway, sys; holloway.Key; print('holloway.net' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
