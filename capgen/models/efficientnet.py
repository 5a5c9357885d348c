"""EfficientNet-Lite vision encoder: a convolutional backbone and a small transformer neck.

    pixels (B, 3, S, S) ─► backbone ─► (B, 1280, S/32, S/32) ─► neck ─► tokens (B, S²/1024, hidden)
                                              └► mean ─► concept head (optional) ─► logits (B, C)

The backbone keeps the parameter names of the published ImageNet weights, so that these load
unchanged (without their classifier). The neck projects the grid to the decoder's width, adds
learned positions, and applies self-attention over the grid cells. The model is registered with
transformers' Auto classes as `capgen_efficientnet_lite`.

Source: Tan and Le, "EfficientNet" (2019), and the EfficientNet-Lite release (2020): no
squeeze-and-excitation, ReLU6, stem and head not scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

from capgen.models.concept_head import ConceptHead

HEAD_CHANNELS = 1280
STEM_CHANNELS = 32
BATCH_NORM_EPSILON = 1e-3
TOTAL_STRIDE = 32


# Multipliers of width and depth.
VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}

# Stages of EfficientNet-B0: (repeats, kernel, stride, expansion, output channels).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


# The settings of the concept head.
CONCEPT_DEFAULTS = {"num_concepts": 0, "num_classes": 0, "concept_rank": 128}


class EfficientNetLiteConfig(PreTrainedConfig):
    """Configuration of `EfficientNetLiteModel`.

    Args:
        variant: `lite0`, `lite1` or `lite2`.
        image_size: Height and width of the input in pixels.
        hidden_size: Width of the output tokens.
        num_hidden_layers: Transformer layers of the neck.
        num_attention_heads: Heads of each of them.
        intermediate_size: Width of their MLPs.
        dropout: Dropout inside the neck while training.
        num_concepts: Concepts of the concept head; 0 for a model without one.
        num_classes: Classes of its image classifier.
        concept_rank: Rank of its learned map.
    """

    model_type = "capgen_efficientnet_lite"
    num_concepts: int
    num_classes: int
    concept_rank: int

    def __init__(
        self,
        variant: str = "lite2",
        image_size: int = 288,
        hidden_size: int = 256,
        num_hidden_layers: int = 1,
        num_attention_heads: int = 8,
        intermediate_size: int = 1024,
        dropout: float = 0.0,
        **kwargs: object,
    ) -> None:
        self.variant = variant
        self.image_size = image_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.dropout = dropout
        for name, default in CONCEPT_DEFAULTS.items():
            setattr(self, name, kwargs.pop(name, default))
        super().__init__(**kwargs)

    @property
    def grid_size(self) -> int:
        """Rows (and columns) of the output grid."""
        return math.ceil(self.image_size / TOTAL_STRIDE)


class BatchNorm(nn.Module):
    """Batch normalisation with frozen statistics; scale and shift are trained."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_var
        if torch.compiler.is_exporting():
            # Plain arithmetic on constants: ONNX Runtime folds it into the convolution.
            scale = self.weight * torch.rsqrt(variance + BATCH_NORM_EPSILON)
            shift = self.bias - mean * scale
            return x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
        return F.batch_norm(
            x, mean, variance, self.weight, self.bias, training=False, eps=BATCH_NORM_EPSILON
        )


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding for its input's size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = _same_padding(input.shape[-2], kernel, stride)
        left, right = _same_padding(input.shape[-1], kernel, stride)
        if top == bottom and left == right:
            return F.conv2d(input, self.weight, self.bias, stride, (top, left), 1, self.groups)
        padded = F.pad(input, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, stride, 0, 1, self.groups)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Block(nn.Module):
    """Inverted residual: expand, filter each channel, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expands = expansion != 1
        self.residual = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = SameConv(inputs, middle, 1)
            self._bn0 = BatchNorm(middle)
        self._depthwise_conv = SameConv(middle, middle, kernel, stride, groups=middle)
        self._bn1 = BatchNorm(middle)
        self._project_conv = SameConv(middle, outputs, 1)
        self._bn2 = BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class Backbone(nn.Module):
    """EfficientNet-Lite without its classifier.

    Args:
        variant: `lite0`, `lite1` or `lite2`.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.variant = variant
        width, depth = VARIANTS[variant]
        self._conv_stem = SameConv(3, STEM_CHANNELS, 3, stride=2)
        self._bn0 = BatchNorm(STEM_CHANNELS)
        self._blocks = nn.ModuleList(_blocks(width, depth))
        last = _scaled_channels(STAGES[-1][-1], width)
        self._conv_head = SameConv(last, HEAD_CHANNELS, 1)
        self._bn1 = BatchNorm(HEAD_CHANNELS)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) to features (B, 1280, ceil(H/32), ceil(W/32))."""
        x = F.relu6(self._bn0(self._conv_stem(pixel_values)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x)))


def _blocks(width: float, depth: float) -> list[Block]:
    blocks = []
    inputs = STEM_CHANNELS
    for index, (repeats, kernel, stride, expansion, base) in enumerate(STAGES):
        outputs = _scaled_channels(base, width)
        first_or_last = index in (0, len(STAGES) - 1)
        count = repeats if first_or_last else math.ceil(repeats * depth)
        for position in range(count):
            blocks.append(Block(inputs, outputs, kernel, stride if position == 0 else 1, expansion))
            inputs = outputs
    return blocks


def _scaled_channels(channels: int, width: float, divisor: int = 8) -> int:
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


class NeckAttention(nn.Module):
    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        # (B, S, 3E) → three of (B, heads, S, E/heads)
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = (qkv.select(2, part).transpose(1, 2) for part in range(3))
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


class NeckMLP(nn.Module):
    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.fc_in = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc_out = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc_out(F.gelu(self.fc_in(x), approximate="tanh"))


class NeckLayer(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(config.hidden_size)
        self.attention = NeckAttention(config)
        self.norm_2 = nn.LayerNorm(config.hidden_size)
        self.mlp = NeckMLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_1(x)))
        return x + self.dropout(self.mlp(self.norm_2(x)))


class Neck(nn.Module):
    """Maps the backbone's grid to tokens of the decoder's width."""

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__()
        self.input_norm = nn.LayerNorm(HEAD_CHANNELS)
        self.projection = nn.Linear(HEAD_CHANNELS, config.hidden_size)
        positions = torch.zeros(config.grid_size**2, config.hidden_size)
        self.position_embeddings = nn.Parameter(positions)
        self.dropout = nn.Dropout(config.dropout)
        self.layer = nn.ModuleList(NeckLayer(config) for _ in range(config.num_hidden_layers))
        self.output_norm = nn.LayerNorm(config.hidden_size)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, 1280, R, C) to tokens (B, R·C, hidden), row by row."""
        x = self.projection(self.input_norm(features.flatten(2).transpose(1, 2)))
        x = self.dropout(x + self.position_embeddings)
        for layer in self.layer:
            x = layer(x)
        return self.output_norm(x)


@dataclass
class EfficientNetLiteOutput(BaseModelOutput):
    """What `EfficientNetLiteModel` returns.

    Attributes:
        concept_logits: (B, C) the logit that a caption says each concept, or None without a
            concept head.
    """

    concept_logits: Tensor | None = None


class EfficientNetLiteModel(PreTrainedModel):
    """EfficientNet-Lite encoder for `VisionEncoderDecoderModel`."""

    config_class = EfficientNetLiteConfig
    base_model_prefix = "efficientnet_lite"
    main_input_name = "pixel_values"

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.backbone = Backbone(config.variant)
        self.neck = Neck(config)
        if config.num_concepts:
            self.concept_head = ConceptHead(
                HEAD_CHANNELS, config.num_classes, config.num_concepts, config.concept_rank
            )
        self.post_init()

    def forward(
        self, pixel_values: Tensor, return_dict: bool | None = None, **kwargs: object
    ) -> EfficientNetLiteOutput:
        """Map pixels (B, 3, S, S) to `last_hidden_state` (B, (S/32)², hidden).

        With a concept head there are `concept_logits` (B, C), too.
        """
        features = self.backbone(pixel_values)
        output = EfficientNetLiteOutput(last_hidden_state=self.neck(features))
        if self.config.num_concepts:
            output.concept_logits = self.concept_head(features.mean((2, 3)))
        return output

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, Neck):
            init.normal_(module.position_embeddings, std=0.02)
        elif isinstance(module, ConceptHead):
            init.ones_(module.slope)
            init.zeros_(module.membership)
        elif isinstance(module, BatchNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
            init.zeros_(module.running_mean)
            init.ones_(module.running_var)


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig, exist_ok=True)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLiteModel, exist_ok=True)
