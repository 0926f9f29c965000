"""The topologies of the Ubuntu Server guide to WireGuard, with its addresses, to build and try.

Plain data; each is one page of the guide.
"""

from __future__ import annotations

from typing import Final

from holloway.lab.topology import Network, Port, Step, Topology, Tunnel

# The router's line is DSL with PPPoE and another header: its MTU is 1458 bytes.
_HOME: Final = (
    Network((Port("internet", "to-laptop", "203.0.113.1/24"),
             Port("laptop", "eth0", "203.0.113.2/24"))),
    Network((Port("internet", "to-router", "198.51.100.1/24"),
             Port("router", "ppp0", "198.51.100.2/24")), mtu=1458),
    Network((Port("router", "lan0", "10.10.10.1/24"),
             Port("pi4", "eth0", "10.10.10.10/24"),
             Port("nas", "eth0", "10.10.10.230/24"))),
)  # fmt: skip
_HOME_GATEWAYS: Final = {
    "laptop": "203.0.113.1",
    "router": "198.51.100.1",
    "pi4": "10.10.10.1",
    "nas": "10.10.10.1",
}

_ROUTER_CONFIG: Final = """\
[Interface]
PrivateKey = <private key of router>
ListenPort = 51000
Address = 10.10.11.1/24

[Peer]
# laptop
PublicKey = <public key of laptop>
AllowedIPs = 10.10.11.2
"""
_LAPTOP_CONFIG: Final = """\
[Interface]
PrivateKey = <private key of laptop>
ListenPort = 51000
Address = 10.10.11.2/24

[Peer]
# router
PublicKey = <public key of router>
Endpoint = 198.51.100.2:51000
AllowedIPs = 10.10.11.0/24,10.10.10.0/24
"""

PEER_TO_SITE: Final = Topology(
    name="peer-to-site",
    summary="a laptop reaches the whole home network through its router",
    diagram="""
     laptop                    internet            router
     eth0  203.0.113.2 -------(        )------- ppp0 198.51.100.2
     home0 10.10.11.2 ========= tunnel ========= wg0 10.10.11.1
                                                lan0 10.10.10.1
                                                  |
                                       +----------+----------+
                                       |                     |
                                  pi4  10.10.10.10      nas  10.10.10.230
""",
    networks=_HOME,
    gateways=_HOME_GATEWAYS,
    routers=frozenset({"internet", "router"}),
    tunnels=(
        Tunnel("router", "wg0", _ROUTER_CONFIG),
        Tunnel("laptop", "home0", _LAPTOP_CONFIG),
    ),
    steps=(
        Step("The router's peer has no Endpoint: the router waits for the laptop. The MTU of its"
             " line is 1458 bytes, so the tunnel's is 1378.",
             "router", "wg-quick up wg0"),
        Step("The laptop knows the router's public address, and sends it everything for the tunnel"
             " and for the network behind it.",
             "laptop", "wg-quick up home0"),
        Step("The first ping waits for a handshake; the others use the session.",
             "laptop", "ping -c 3 -i 0.3 10.10.10.1"),
        Step("The NAS does not know WireGuard. It answers by its default gateway, the router.",
             "laptop", "ping -c 1 10.10.10.230"),
        Step("Now the router knows the laptop's endpoint.",
             "router", "wg show"),
    ),
)  # fmt: skip

INTERNAL_SYSTEM: Final = Topology(
    name="internal-system",
    summary="WireGuard on a machine inside the home network, behind a router that forwards a port",
    diagram="""
     laptop                    internet            router: forwards 51000/udp to pi4
     eth0  203.0.113.2 -------(        )------- ppp0 198.51.100.2
     home0 10.10.10.11                          lan0 10.10.10.1
       ||                                         |
       ||                              +----------+----------+
       ||                              |                     |
       ||                    pi4  eth0 10.10.10.10     nas  10.10.10.230
       +========= tunnel ======== wg0  10.10.10.10/32
""",
    networks=_HOME,
    gateways=_HOME_GATEWAYS,
    routers=frozenset({"internet", "router"}),
    tunnels=(
        Tunnel("pi4", "wg0", """\
[Interface]
PrivateKey = <private key of pi4>
ListenPort = 51000
Address = 10.10.10.10/32

[Peer]
# laptop
PublicKey = <public key of laptop>
AllowedIPs = 10.10.10.11/32 # any available IP in the VPN range
"""),
        Tunnel("laptop", "home0", """\
[Interface]
PrivateKey = <private key of laptop>
ListenPort = 51000
Address = 10.10.10.11/24

[Peer]
# pi4
PublicKey = <public key of pi4>
Endpoint = 198.51.100.2:51000
AllowedIPs = 10.10.10.0/24
"""),
    ),
    steps=(
        Step("The router translates the home network's addresses to its own, and forwards"
             " WireGuard's port to pi4.",
             "router", "iptables -t nat -A POSTROUTING -o ppp0 -j MASQUERADE; iptables -t nat -A"
             " PREROUTING -i ppp0 -p udp --dport 51000 -j DNAT --to-destination 10.10.10.10"),
        Step("pi4 forwards packets, and answers the home network's ARP requests for the laptop's"
             " address.",
             "pi4", "printf 'net.ipv4.ip_forward = 1\\nnet.ipv4.conf.all.proxy_arp = 1\\n'"
             " > /etc/sysctl.d/70-wireguard-routing.conf;"
             " sysctl -p /etc/sysctl.d/70-wireguard-routing.conf -w"),
        Step("The laptop gets an address of the home network itself; pi4 has a route to it.",
             "pi4", "wg-quick up wg0"),
        Step("The laptop reaches the whole home network through pi4.",
             "laptop", "wg-quick up home0"),
        Step("The laptop reaches the NAS...",
             "laptop", "ping -c 2 -i 0.3 10.10.10.230"),
        Step("...and the NAS reaches the laptop, as if both were in one network.",
             "nas", "ping -c 2 -i 0.3 10.10.10.11"),
        Step("To the NAS, the laptop has pi4's hardware address.",
             "nas", "ip neighbour show 10.10.10.11"),
    ),
    programs=("iptables", "sysctl"),
)  # fmt: skip

SITE_TO_SITE: Final = Topology(
    name="site-to-site",
    summary="two networks connected by their routers; the hosts in them need no configuration",
    diagram="""
     alpha's network                                            beta's network
     nas 10.10.10.230                                         laptop 10.10.11.50
           |                                                          |
     lan0 10.10.10.1                                         lan0 10.10.11.1
     alpha                          internet                         beta
     eth0 203.0.113.2 ------------(          )------------ eth0 198.51.100.2
     wgA  10.10.9.0/31 ============= tunnel =============== wgB  10.10.9.1/31
""",
    networks=(
        Network((Port("internet", "to-alpha", "203.0.113.1/24"),
                 Port("alpha", "eth0", "203.0.113.2/24"))),
        Network((Port("internet", "to-beta", "198.51.100.1/24"),
                 Port("beta", "eth0", "198.51.100.2/24"))),
        Network((Port("alpha", "lan0", "10.10.10.1/24"), Port("nas", "eth0", "10.10.10.230/24"))),
        Network((Port("beta", "lan0", "10.10.11.1/24"), Port("laptop", "eth0", "10.10.11.50/24"))),
    ),
    gateways={
        "alpha": "203.0.113.1",
        "beta": "198.51.100.1",
        "nas": "10.10.10.1",
        "laptop": "10.10.11.1",
    },
    routers=frozenset({"internet", "alpha", "beta"}),
    tunnels=(
        Tunnel("alpha", "wgA", """\
[Interface]
PostUp = wg set %i private-key /etc/wireguard/%i.key
Address = 10.10.9.0/31
ListenPort = 51000

[Peer]
# beta site
PublicKey = <public key of beta>
AllowedIPs = 10.10.11.0/24,10.10.9.0/31
Endpoint = 198.51.100.2:51000
"""),
        Tunnel("beta", "wgB", """\
[Interface]
PostUp = wg set %i private-key /etc/wireguard/%i.key
Address = 10.10.9.1/31
ListenPort = 51000

[Peer]
# alpha site
PublicKey = <public key of alpha>
AllowedIPs = 10.10.10.0/24,10.10.9.0/31
Endpoint = 203.0.113.2:51000
"""),
    ),
    steps=(
        Step("The configuration has no private key: a hook reads the key from a file of its own.",
             "alpha", "wg-quick up wgA"),
        Step("Both sides have an Endpoint, so either side can start.",
             "beta", "wg-quick up wgB"),
        Step("It is three hops from beta's laptop to alpha's NAS: beta, alpha (through the tunnel),"
             " the NAS.",
             "laptop", "mtr -n -r -c 3 -i 0.3 -G 1 10.10.10.230"),
        Step("No address is translated: the NAS sees the laptop's own.",
             "nas", "ping -c 1 10.10.11.50"),
        Step("One session serves both networks.", "alpha", "wg show"),
    ),
    programs=("mtr",),
)  # fmt: skip

DEFAULT_GATEWAY: Final = Topology(
    name="default-gateway",
    summary="a laptop in a cafe sends all its traffic through a gateway that it trusts",
    diagram="""
     laptop                            cafe                     internet
     eth0 192.168.7.2 ---------- lan0  192.168.7.1             (        )
     wg0  10.90.90.1             wan0  203.0.113.2 -----------(          )---- one  1.1.1.1
       ||                                                     (          )
       ||                     gateway  eth0 198.51.100.2 ------(        )
       +========= tunnel ========= gateway0 10.90.90.2
                                       lan0 10.48.0.1 ---- dns  10.48.0.5
""",
    networks=(
        Network((Port("cafe", "lan0", "192.168.7.1/24 fd07::1/64"),
                 Port("laptop", "eth0", "192.168.7.2/24 fd07::2/64"))),
        Network((Port("internet", "to-cafe", "203.0.113.1/24 2001:db8:1::1/64"),
                 Port("cafe", "wan0", "203.0.113.2/24 2001:db8:1::2/64"))),
        Network((Port("internet", "to-gateway", "198.51.100.1/24 2001:db8:2::1/64"),
                 Port("gateway", "eth0", "198.51.100.2/24 2001:db8:2::2/64"))),
        Network((Port("gateway", "lan0", "10.48.0.1/24"), Port("dns", "eth0", "10.48.0.5/24"))),
        # A host on the internet. A packet that reaches it has left the gateway.
        Network((Port("internet", "to-one", "1.1.1.254/24 2606:4700::fe/64"),
                 Port("one", "eth0", "1.1.1.1/24 2606:4700::1/64"))),
    ),
    gateways={
        "laptop": "192.168.7.1 fd07::1",
        "cafe": "203.0.113.1 2001:db8:1::1",
        "gateway": "198.51.100.1 2001:db8:2::1",
        "dns": "10.48.0.1",
        "one": "1.1.1.254 2606:4700::fe",
    },
    routers=frozenset({"internet", "cafe"}),
    tunnels=(
        Tunnel("gateway", "gateway0", """\
[Interface]
PostUp = wg set %i private-key /etc/wireguard/%i.key
Address = 10.90.90.2/24
ListenPort = 51000

[Peer]
# laptop
PublicKey = <public key of laptop>
AllowedIPs = 10.90.90.1/32
"""),
        Tunnel("laptop", "wg0", """\
[Interface]
PostUp = wg set %i private-key /etc/wireguard/%i.key
ListenPort = 51000
Address = 10.90.90.1/24

[Peer]
# gateway
PublicKey = <public key of gateway>
Endpoint = 198.51.100.2:51000
AllowedIPs = 0.0.0.0/0
"""),
    ),
    steps=(
        Step("The cafe translates its guests' addresses to its own, in both families.",
             "cafe", "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE;"
             " ip6tables -t nat -A POSTROUTING -o wan0 -j MASQUERADE"),
        Step("The gateway forwards packets, and translates the tunnel's addresses to its own.",
             "gateway", "sysctl -w net.ipv4.ip_forward=1;"
             " iptables -t nat -A POSTROUTING -s 10.90.90.0/24 -o eth0 -j MASQUERADE"),
        Step("The gateway's peer has one address.", "gateway", "wg-quick up gateway0"),
        Step("AllowedIPs = 0.0.0.0/0 routes everything into the tunnel but the tunnel's own"
             " packets. These carry a mark, which the routing rules check.",
             "laptop", "wg-quick up wg0"),
        Step("The first hop is the gateway: the cafe sees encrypted packets only.",
             "laptop", "mtr -n -r -c 3 -i 0.3 -G 1 1.1.1.1"),
        Step("The main table still has the old default route...", "laptop", "ip route"),
        Step("...which the rules use only for packets with the mark.", "laptop", "ip rule list"),
    ),
    programs=("iptables", "mtr", "sysctl"),
)  # fmt: skip

HUB: Final = Topology(
    name="hub",
    summary="two laptops, each connected to the router at home, reach each other through it",
    diagram="""
     laptop    home0 10.10.11.2 ========= tunnel =======+
               eth0  203.0.113.2 ---+                   |
                                    |               router  wg0  10.10.11.1
                                internet ------------------ ppp0 198.51.100.2
                                    |                   |   lan0 10.10.10.1 ---+--- pi4 10.10.10.10
               eth0  192.0.2.2 -----+                   |                      +--- nas 10.10.10.230
     ontheroad wg0   10.10.11.3 ========= tunnel =======+
""",
    networks=(
        *_HOME,
        Network((Port("internet", "to-ontheroad", "192.0.2.1/24"),
                 Port("ontheroad", "eth0", "192.0.2.2/24"))),
    ),
    gateways={**_HOME_GATEWAYS, "ontheroad": "192.0.2.1"},
    routers=frozenset({"internet", "router"}),
    tunnels=(
        Tunnel("router", "wg0", f"""\
{_ROUTER_CONFIG}
[Peer]
# ontheroad
PublicKey = <public key of ontheroad>
AllowedIPs = 10.10.11.3
"""),
        Tunnel("laptop", "home0", _LAPTOP_CONFIG),
        Tunnel("ontheroad", "wg0",
               _LAPTOP_CONFIG.replace("laptop", "ontheroad").replace("10.10.11.2/", "10.10.11.3/")),
    ),
    steps=(
        Step("The router has two peers, each with a key and an address. Neither has sent anything"
             " yet, so the router knows no endpoint.",
             "router", "wg-quick up wg0"),
        Step("The first peer comes up and sends a packet...",
             "laptop", "wg-quick up home0; ping -c 1 10.10.11.1"),
        Step("...and so does the second. Its file differs only in the key and the address.",
             "ontheroad", "wg-quick up wg0; ping -c 1 10.10.11.1"),
        Step("It reaches the network at home...", "ontheroad", "ping -c 2 -i 0.3 10.10.10.230"),
        Step("...and the laptop, through the router, which decrypts each packet and encrypts it"
             " again for the other peer.",
             "ontheroad", "ping -c 2 -i 0.3 10.10.11.2"),
        Step("The peer with the latest handshake comes first.", "router", "wg show"),
    ),
)  # fmt: skip

TOPOLOGIES: Final = {
    topology.name: topology
    for topology in (PEER_TO_SITE, INTERNAL_SYSTEM, SITE_TO_SITE, DEFAULT_GATEWAY, HUB)
}
