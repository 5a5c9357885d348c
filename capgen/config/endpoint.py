"""Which model server captions, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capgen.config.decode_settings import DecodeSettings
from capgen.config.decoding import DecodeOptions
from capgen.config.edits import edits_of
from capgen.config.fields import check_ranges, flag_name, setting
from capgen.config.lengths import lengths_of
from capgen.errors import UsageError

# The access key of a model server: only the environment has it, never a file or a command line.
KEY_VARIABLE = "CAPGEN_ENDPOINT_KEY"
# Of a caption, unless the caller says otherwise; what a model thinks before it counts, too.
SERVED_MAX_LENGTH = 512
# Options of decoding that the protocol does not have.
_NOT_SERVED = (
    *("top_k", "min_length", "length_penalty", "repetition_penalty", "no_repeat_ngram_size"),
    *("diverse", "avoid_words", "include_words"),
)
_TAKES = "A server takes --temperature, --top-p, --seed, --max-length and --num-captions."
_HINTS = {
    "avoid_words": "Ask for it in --prompt, or change captions afterwards: --replace 'OLD=NEW'.",
    "include_words": "Ask for them in --prompt.",
}


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """A server that speaks the OpenAI chat protocol, and how fast it is asked.

    Raises:
        UsageError: A value is out of its range.
    """

    PANEL: ClassVar[str] = "Server"

    endpoint: str | None = setting(
        None,
        "Address of a model server with the OpenAI chat protocol, as in http://127.0.0.1:8080/v1; "
        f"--model is the server's name of the model. {KEY_VARIABLE} may hold an access key.",
    )
    concurrency: int = setting(8, "Requests to the server in flight.", low=1, high=256)
    timeout: float = setting(120.0, "Seconds that an answer may take.", low=0.1, high=3600.0)
    retries: int = setting(
        5, "How often a request that failed for a passing reason is repeated.", low=0, high=100
    )
    requests_per_minute: int | None = setting(None, "Most requests per minute.", low=1)
    tokens_per_minute: int | None = setting(
        None, "Most tokens per minute, prompt and caption.", low=1
    )
    send_size: int = setting(
        1024, "Longest side of the images that are sent, in pixels.", low=16, high=16384
    )
    yes: bool = setting(
        False,
        "Do not ask before images are sent to a public address.",
        flags="--yes -y",
        remembered=False,
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def resolve_served(options: DecodeOptions) -> DecodeSettings:
    """Complete `options` for a model server, with greedy decoding by default.

    Raises:
        UsageError: The protocol has no such option.
    """
    refused = [name for name in _NOT_SERVED if getattr(options, name) is not None]
    if (options.beams or 1) > 1:
        refused.insert(0, "beams")
    if refused:
        raise UsageError(
            f"{flag_name(refused[0])} is not in the protocol of --endpoint",
            hint=_HINTS.get(refused[0], _TAKES),
        )
    count = options.num_captions or 1
    if count > 1 and not options.samples:
        raise UsageError(
            f"--num-captions {count}: a server gives several captions only by sampling",
            hint="Add --temperature 1, for example.",
        )
    return DecodeSettings(
        sample=options.samples,
        temperature=1.0 if options.temperature is None else float(options.temperature),
        top_p=1.0 if options.top_p is None else float(options.top_p),
        max_length=int(options.max_length or SERVED_MAX_LENGTH),
        num_captions=int(count),
        seed=None if options.seed is None else int(options.seed),
        retry=False,
        confidence=options.confidence or options.min_confidence is not None,
        min_confidence=options.min_confidence,
        **edits_of(options),
        **lengths_of(options),
    )
