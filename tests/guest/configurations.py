"""Configurations that use everything, for the tests in the guest."""

from __future__ import annotations

from base64 import b64encode

PRIVATE, PA, PB, PC, PSK = (b64encode(bytes([n]) * 32).decode() for n in (72, 5, 9, 1, 17))
FULL = f"""[Interface]
PrivateKey = {PRIVATE}
ListenPort = 51000
FwMark = 0xca6c
[Peer]
PublicKey = {PA}
PresharedKey = {PSK}
AllowedIPs = 10.10.11.2/32, fd00::2/128, 0.0.0.0/0, ::/0
Endpoint = 192.0.2.1:7
PersistentKeepalive = 25
[Peer]
PublicKey = {PB}
Endpoint = [2001:db8::1]:65535
[Peer]
PublicKey = {PC}
AllowedIPs = 10.0.0.0/8
Endpoint = [fe80::1%lo]:9
"""
ONE = f"[Interface]\nFwMark = 5\n[Peer]\nPublicKey = {PA}\nAllowedIPs = 10.3.0.0/16\n"
