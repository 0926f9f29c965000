"""The functions of `cryptography`: those of its extension are those of its public modules."""

from __future__ import annotations

import hashlib
from typing import Never

import pytest

from holloway.core import primitives


def test_the_extension_and_the_public_modules_agree() -> None:
    found = []
    for private_key, public_key, cipher in (
        primitives.from_extension(),
        primitives.from_public_modules(),
    ):
        theirs = public_key(private_key(bytes(range(32))).public_key().public_bytes_raw())
        secret = private_key(bytes(32)).exchange(theirs)
        found.append((secret, cipher(secret).encrypt(bytes(12), b"text", b"more")))
    assert found[0] == found[1]


@pytest.mark.parametrize("error", [ImportError, AttributeError])
def test_without_that_extension_the_public_modules_serve(error: type[Exception]) -> None:
    def absent() -> Never:
        raise error

    assert primitives.choose(absent) == primitives.from_public_modules()


def test_blake2s_is_hashlibs() -> None:
    assert primitives.blake2s is hashlib.blake2s
    assert primitives.choose_blake2s("no_such_module") is hashlib.blake2s
    assert primitives.choose_blake2s("math") is hashlib.blake2s
