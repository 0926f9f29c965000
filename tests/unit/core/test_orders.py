from __future__ import annotations

from hypothesis import given

from holloway import _native
from holloway.core.orders import orders
from holloway.model import DeviceUpdate
from holloway.text.convert import update_of
from models import updates


@given(updates())
def test_the_codec_makes_the_orders_that_the_model_makes(update: DeviceUpdate) -> None:
    places = [peer.endpoint.host for peer in update.peers if peer.endpoint is not None]
    if any("%" in host for host in places):
        return  # no such interface here
    assert update_of(update).orders() == orders(update, _native.Endpoint)
