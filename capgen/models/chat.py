"""What a model that follows prompts reads: its chat template, filled in.

The text holds the model's own mark where the image goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2.exceptions import TemplateError

from capgen.errors import ModelError, UsageError

# Kinds that were published without a template → how their authors write a message.
_FORMS = dict.fromkeys(("llava", "llava_next", "vipllava"), "USER: {image}\n{words} ASSISTANT:") | {
    "paligemma": "{image}{words}"
}
_PLAIN_FORM = "{image}\n{words}"
# Their processors put the marks of the image in.
_WITHOUT_MARK = ("blip-2", "florence2", "instructblip", "kosmos-2")


# Their processors put a line break behind the prompt, after which the answer begins.
CLOSED_PROMPTS = ("paligemma",)

_SOME_WORDS = "Describe this image."
_PRINTED = re.compile(r"""['"]type['"]: ?['"]image['"]""")


@dataclass(frozen=True)
class ChatText:
    """A prompt as the tokenizer gets it.

    Attributes:
        text: The text.
        complete: Whether it begins with the start token, which must not be added again.
    """

    text: str
    complete: bool = False

    def followed_by(self, start: str) -> str:
        """Return the text with the words that the answer begins with behind it."""
        # A space parts words, as in "Assistant: A dog"; marks such as <start> need none.
        apart = bool(start) and self.text[-1:].strip() not in ("", ">")
        return f"{self.text}{' ' if apart else ''}{start}"


class ChatWriter:
    """Writes prompts as a model was trained to read them.

    Args:
        processor: The model's processor.
        kind: Its `model_type`.
        system: The system message, or "".
    """

    def __init__(self, processor: Any, kind: str, system: str = "") -> None:
        self._processor = processor
        self._kind = kind
        self._system = system
        self._tokenizer = getattr(processor, "tokenizer", processor)
        own = getattr(processor, "chat_template", None)
        template = own or getattr(self._tokenizer, "chat_template", None)
        # There may be several, by name.
        self._template = template.get("default") if isinstance(template, dict) else template

    def write(self, words: str) -> ChatText:
        """Return a prompt as the model reads it.

        Raises:
            UsageError: There is a system message, and the model has no place for one.
            ModelError: It is unknown where the image goes.
        """
        if not self._template:
            if self._system:
                raise UsageError(
                    "--system needs a model with a chat template, and this one has none",
                    hint="Put what you want to say into --prompt.",
                )
            return ChatText(self._plain(words))
        try:
            text = self._chat(words)
        except TemplateError as error:
            if self._system:
                raise UsageError(
                    f"The model's chat template takes no system message: {error}",
                    hint="Put what you want to say into --prompt.",
                ) from error
            raise ModelError(f"The model's chat template cannot be filled in: {error}") from error
        start = str(getattr(self._tokenizer, "bos_token", None) or "")
        return ChatText(text, complete=start != "" and text.startswith(start))

    def _plain(self, words: str) -> str:
        if self._kind in _WITHOUT_MARK:
            return words
        form = _FORMS.get(self._kind, _PLAIN_FORM)
        return form.replace("{image}", self._mark()).replace("{words}", words)

    def _chat(self, words: str) -> str:
        if self._takes_parts:
            return self._filled([{"type": "image"}, {"type": "text", "text": words}])
        return self._filled(f"{self._mark()}\n{words}", self._system)

    @cached_property
    def _takes_parts(self) -> bool:
        """Whether messages may have an image: templates for text alone print the list of parts,
        or leave the image out. Any words show it: those of prompts may look like a list."""
        part = {"type": "text", "text": _SOME_WORDS}
        text = self._filled([{"type": "image"}, part])
        return not _PRINTED.search(text) and _SOME_WORDS in text and text != self._filled([part])

    def _filled(self, content: Any, system: Any = None) -> str:
        asked = {"role": "user", "content": content}
        said = system if system is not None else [{"type": "text", "text": self._system}]
        messages = [{"role": "system", "content": said}, asked] if self._system else [asked]
        return str(
            self._tokenizer.apply_chat_template(
                messages,
                chat_template=self._template,
                add_generation_prompt=True,
                tokenize=False,
                enable_thinking=False,  # of models that think only if they are asked to
            )
        )

    def _mark(self) -> str:
        """Return the mark of an image: what begins its tokens, where there is such a thing."""
        for owner in (self._processor, self._tokenizer):
            for name in ("boi_token", "image_token"):
                mark = getattr(owner, name, None)
                if mark is not None:
                    return str(mark)
        raise ModelError(
            f"capgen does not know how a '{self._kind}' model marks an image in a prompt",
            hint="Save its processor with a chat template.",
        )
