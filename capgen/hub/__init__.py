"""Pushing models to the Hub and pulling them from there, through huggingface_hub.

    from capgen.hub import pull_model

    folder = pull_model("USER/NAME")

push, pull           plan and make one commit; fetch and check one
card, card_examples  the model card
files, model_code    what is pushed
login                tokens
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capgen.lazy_names import lazy_names

if TYPE_CHECKING:
    from capgen.hub.pull import pull_model
    from capgen.hub.push import Pushed, PushOptions, PushPlan, plan_push, push_model
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "capgen.hub.pull": ("pull_model",),
            "capgen.hub.push": (
                "PushOptions",
                "PushPlan",
                "Pushed",
                "plan_push",
                "push_model",
            ),
        },
    )

__all__ = [
    "PushOptions",
    "PushPlan",
    "Pushed",
    "plan_push",
    "pull_model",
    "push_model",
]
