"""Cross-entropy: from images (or cached features) and packed captions to a loss.

    inputs ─► front ─► features ─► back ─► states ─► projection ─► GPT-2 ─► loss
    pixels    pretrained            neck    (B, P, E)

With a frozen encoder the features are cached and the front is left out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2LMHeadModel, PreTrainedModel, VisionEncoderDecoderModel
from transformers.activations import NewGELUActivation

from capgen.models.efficientnet import EfficientNetLiteModel
from capgen.training.data.packed_captions import PackedCaptions
from capgen.training.objectives.base import Share, ShareLoss


class LastHiddenState(nn.Module):
    """A vision encoder as a plain function of pixels."""

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) to states (B, P, E)."""
        return self.encoder(pixel_values=pixel_values).last_hidden_state


def split_encoder(encoder: PreTrainedModel) -> tuple[nn.Module, nn.Module]:
    """Split an encoder into its pretrained front and the rest, which share its parameters.

    These are backbone and neck of an EfficientNet-Lite, otherwise the encoder and the identity.
    """
    if isinstance(encoder, EfficientNetLiteModel):
        return encoder.backbone, encoder.neck
    return LastHiddenState(encoder), nn.Identity()


def fuse_activations(decoder: GPT2LMHeadModel) -> None:
    """Let a GPT-2 compute its activation in one kernel; transformers takes eight for the same."""
    for block in decoder.transformer.h:
        if isinstance(block.mlp.act, NewGELUActivation):
            block.mlp.act = nn.GELU(approximate="tanh")


class CaptionObjective:
    """The forward pass of a captioner with a GPT-2 decoder, and its cross-entropy.

    Args:
        model: The captioner.
        cached: The inputs are features of the front, not pixels.
        label_smoothing: Share of the target that is spread over the vocabulary.
    """

    def __init__(
        self, model: VisionEncoderDecoderModel, *, cached: bool, label_smoothing: float = 0.0
    ) -> None:
        self.model = model
        self.cached = cached
        self.label_smoothing = label_smoothing
        self.front, self.back = split_encoder(model.encoder)
        fuse_activations(model.decoder)

    def compile(self) -> None:
        """Let torch.compile speed up the encoder."""
        self.front.compile()

    def encode(self, inputs: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W), or features, to the encoder's last states, (B, P, E)."""
        states: Tensor = self.back(self.features(inputs))
        return states

    def features(self, inputs: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) to the features of the front; features stay as they are."""
        features: Tensor = inputs if self.cached else self.front(inputs)
        return features

    def states(self, share: Share) -> Tensor:
        """Return the encoder's last states for a micro-batch, (B, P, E)."""
        if share.features is None:
            return self.encode(share.inputs)
        states: Tensor = self.back(share.features)
        return states

    def logits(self, states: Tensor, captions: PackedCaptions) -> Tensor:
        """Return the scores of the tokens that follow the captions' picks, (N, V) float32."""
        decoder = self.model.decoder
        if hasattr(self.model, "enc_to_dec_proj"):
            states = self.model.enc_to_dec_proj(states)  # (B, P, D)
        hidden = decoder.transformer(
            input_ids=captions.input_ids,
            position_ids=captions.position_ids,
            attention_mask=captions.attention_mask(_attention_dtype(states)),
            encoder_hidden_states=states,
            use_cache=False,
        ).last_hidden_state  # (B, L, D)
        # Only places with a target reach the vocabulary: padding costs nothing.
        logits: Tensor = decoder.lm_head(hidden.flatten(0, 1)[captions.picks])
        return logits.float()

    def loss_sum(
        self, states: Tensor, captions: PackedCaptions, *, label_smoothing: float | None = None
    ) -> Tensor:
        """Return the cross-entropy summed over the captions' tokens, float32 ()."""
        smoothing = self.label_smoothing if label_smoothing is None else label_smoothing
        return cross_entropy_sum(self.logits(states, captions), captions, smoothing)


def cross_entropy_sum(logits: Tensor, captions: PackedCaptions, label_smoothing: float) -> Tensor:
    """Return the cross-entropy of logits, (N, V), summed over the captions' N tokens."""
    return F.cross_entropy(
        logits, captions.targets, reduction="sum", label_smoothing=label_smoothing
    )


class CrossEntropy:
    """The mean cross-entropy of the captions' tokens, as an objective."""

    names: tuple[str, ...] = ()

    def __init__(self, objective: CaptionObjective) -> None:
        self.objective = objective

    def __call__(self, share: Share) -> ShareLoss:
        states = self.objective.states(share)
        loss = self.objective.loss_sum(states, share.captions) / max(share.tokens, 1)
        return ShareLoss(loss, torch.zeros(0, device=loss.device))


def _attention_dtype(states: Tensor) -> torch.dtype:
    """Return the type of attention's queries, which its mask must share."""
    kind = states.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
