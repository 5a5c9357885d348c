"""What `capgen.training` offers."""

from __future__ import annotations

import capgen.training


def test_every_name_on_offer_can_be_imported():
    names = {name for name in dir(capgen.training) if not name.startswith("_")}
    assert set(capgen.training.__all__) <= names
    for name in names:
        getattr(capgen.training, name)
