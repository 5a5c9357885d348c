"""Push models to the Hub and pull them from it, through huggingface_hub.

    from capgen.hub import pull_model

    pulled = pull_model("USER/NAME")

push                 plans a push, and makes it as one commit
pull                 downloads a model, checks it, and pins its commit
card, card_examples  the model card
files, model_code    the files to push
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
            "capgen.hub.push": ("PushOptions", "PushPlan", "Pushed", "plan_push", "push_model"),
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
