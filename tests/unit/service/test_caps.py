"""How much work a request may ask for."""

from __future__ import annotations

import pytest

from capgen import Captioner
from capgen.config import DecodeOptions, PromptOptions, ServeOptions
from capgen.errors import UsageError
from capgen.service.asked import RequestOptions, Resolver
from capgen.service.caps import Caps


@pytest.mark.parametrize(
    ("name", "value"), [("beams", 9), ("num_captions", 9), ("diverse", 9), ("max_length", 101)]
)
def test_a_request_may_ask_for_so_much(bundled: Captioner, name: str, value: int) -> None:
    defaults = RequestOptions(decoding=DecodeOptions(), prompt=PromptOptions())
    caps = Caps(ServeOptions(most_beams=8, most_tokens=100), defaults.decoding)
    resolver = Resolver(bundled, defaults, "mini", 16, caps)
    with pytest.raises(UsageError, match=f"{name} is {value}; this service does at most"):
        resolver.resolve(defaults.with_given({name: value}))
    caps.check(DecodeOptions(**{name: value - 1}))


def test_what_the_service_was_started_with_is_fine() -> None:
    own = DecodeOptions(beams=12, max_length=200)
    caps = Caps(ServeOptions(most_beams=8, most_tokens=100), own)
    caps.check(own)
    assert caps.tokens == 200
    with pytest.raises(UsageError, match="beams is 13"):
        caps.check(DecodeOptions(beams=13))
