"""A decoder-only transformer as GPT-2 is built (Radford et al. 2019), from one source for lazygrad and torch.

Layer norms stand before attention and MLP, positions are learned, and the embedding's table is the head's weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GPTSizes:
    """GPT-2 small, its vocabulary rounded up to a multiple of 64, unless told otherwise."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    context: int = 1024
    vocabulary: int = 50304


def gpt(torch: Any, sizes: GPTSizes) -> Any:
    """A module of ``torch.nn``, where ``torch`` has torch's names: tokens (N, T) -> logits (N, T, vocabulary).

    Given keys and values (N, heads, P, width/heads) of P tokens before, of each layer in turn, one further token (N, 1)
    gives its logits, and its own key and value in each layer.
    """
    nn, F = torch.nn, torch.nn.functional

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c_attn = nn.Linear(sizes.width, 3 * sizes.width)
            self.c_proj = nn.Linear(sizes.width, sizes.width)

        def forward(self, x: Any, past: tuple[Any, Any] | None = None) -> tuple[Any, Any, Any]:
            batch, length, width = x.shape
            q, k, v = (
                part.reshape(batch, length, sizes.heads, width // sizes.heads).transpose(1, 2)
                for part in self.c_attn(x).split(width, dim=2)
            )
            keys, values = (k, v) if past is None else (torch.cat([past[0], k], 2), torch.cat([past[1], v], 2))
            y = F.scaled_dot_product_attention(q, keys, values, is_causal=past is None)
            return self.c_proj(y.transpose(1, 2).reshape(batch, length, width)), k, v

    class MLP(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c_fc = nn.Linear(sizes.width, 4 * sizes.width)
            self.c_proj = nn.Linear(4 * sizes.width, sizes.width)

        def forward(self, x: Any) -> Any:
            return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln_1 = nn.LayerNorm(sizes.width)
            self.attn = Attention()
            self.ln_2 = nn.LayerNorm(sizes.width)
            self.mlp = MLP()

        def forward(self, x: Any, past: tuple[Any, Any] | None = None) -> tuple[Any, Any, Any]:
            y, k, v = self.attn(self.ln_1(x), past)
            x = x + y
            return x + self.mlp(self.ln_2(x)), k, v

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte = nn.Embedding(sizes.vocabulary, sizes.width)
            self.wpe = nn.Embedding(sizes.context, sizes.width)
            self.h = nn.ModuleList([Block() for _ in range(sizes.layers)])
            self.ln_f = nn.LayerNorm(sizes.width)
            self.lm_head = nn.Linear(sizes.width, sizes.vocabulary, bias=False)
            self.lm_head.weight = self.wte.weight

        def forward(self, tokens: Any, *past: Any) -> Any:
            before = past[0].shape[2] if past else 0
            positions = torch.arange(before, before + tokens.shape[1], device=tokens.device)
            x = self.wte(tokens) + self.wpe(positions)
            new: list[Any] = []
            for number, block in enumerate(self.h):
                x, k, v = block(x, (past[2 * number], past[2 * number + 1]) if past else None)
                new += [k, v]
            logits = self.lm_head(self.ln_f(x))
            return (logits, *new) if past else logits

    return GPT()


def training_flops(sizes: GPTSizes, batch: int) -> float:
    """Of the products of a forward and backward pass; attention is causal, so half of its scores are needed."""
    products = sizes.layers * 12 * sizes.width**2 + sizes.vocabulary * sizes.width
    linear = 3 * 2.0 * batch * sizes.context * products
    return linear + sizes.layers * attention_flops(batch, sizes.context, sizes.width)


def decoding_flops(sizes: GPTSizes, batch: int) -> float:
    """Of one token's products, with the whole context before it."""
    products = sizes.layers * 12 * sizes.width**2 + sizes.vocabulary * sizes.width
    return 2.0 * batch * (products + sizes.layers * 2 * sizes.context * sizes.width)


def decoding_bytes(sizes: GPTSizes, batch: int) -> float:
    """Of the weights and of what is remembered of the context, each read once as float32."""
    learned = sizes.layers * 12 * sizes.width**2 + sizes.vocabulary * sizes.width
    return 4.0 * (learned + batch * sizes.layers * 2 * sizes.context * sizes.width)


def attention_flops(batch: int, length: int, width: int) -> float:
    """Of causal attention of all heads, forward and backward: two products forward, five backward."""
    return 7 * 2.0 * batch * length**2 * width / 2
