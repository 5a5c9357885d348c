"""How much work a request may ask for: one client must not keep the model for minutes."""

from __future__ import annotations

from capgen.config import DecodeOptions, ServeOptions
from capgen.errors import UsageError

_BEAMS = ("beams", "num_captions", "diverse")


class Caps:
    """The most that requests may ask for; what the service itself was started with is fine.

    Args:
        serving: The limits.
        defaults: The options that the service was started with.
    """

    def __init__(self, serving: ServeOptions, defaults: DecodeOptions) -> None:
        own = {name: getattr(defaults, name) or 0 for name in (*_BEAMS, "max_length")}
        self.tokens = max(serving.most_tokens, own["max_length"])
        self._most = {name: max(serving.most_beams, own[name]) for name in _BEAMS}
        self._most["max_length"] = self.tokens

    def check(self, options: DecodeOptions) -> None:
        """Check the options of a request.

        Raises:
            UsageError: They ask for more than this service does.
        """
        for name, most in self._most.items():
            value = getattr(options, name) or 0
            if value > most:
                raise UsageError(f"{name} is {value}; this service does at most {most}")
