"""Training steps planned for a GPU: the kernels of ResNet-18 and of a small GPT, with the optimizer's."""

from collections.abc import Callable
from unittest.mock import patch

import lazygrad as lg
from backends.triton.planned import kernels_of
from lazygrad import nn
from lazygrad.kernel.kernel import Kernel
from lazygrad.nn import functional
from lazygrad.runtime import Capabilities
from lazygrad.vision.models import resnet18


def _planned(make: Callable[[], tuple[lg.Tensor, lg.optim.Optimizer]], capabilities: Capabilities) -> list[Kernel]:
    """The kernels of forward, backward and optimizer step, which is not run."""
    loss, optimizer = make()
    loss.backward()
    submitted: list[lg.Tensor] = []
    with patch("lazygrad.realize", submitted.extend):
        optimizer.step()
    return kernels_of([*submitted, loss], capabilities)


def resnet_step(capabilities: Capabilities) -> list[Kernel]:
    """ResNet-18 at 32x64x64 with SGD."""

    def make() -> tuple[lg.Tensor, lg.optim.Optimizer]:
        model = resnet18()
        lg.realize(*model.parameters())
        optimizer = lg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        images, labels = lg.rand(32, 3, 64, 64).realize(), lg.randint(0, 1000, (32,)).realize()
        return functional.cross_entropy(model(images), labels), optimizer

    return _planned(make, capabilities)


class Block(nn.Module):
    """One layer of a GPT: attention and a feed-forward network, each behind a layer norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.grow, self.shrink = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: lg.Tensor) -> lg.Tensor:
        batch, length, width = x.shape
        mixed = self.mix(self.norm1(x)).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.project(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.shrink(functional.gelu(self.grow(self.norm2(x))))


def gpt_step(capabilities: Capabilities) -> list[Kernel]:
    """A GPT of two layers, d 256, 4 heads, at 8x128 with AdamW, in bfloat16 where autocast says so."""

    def make() -> tuple[lg.Tensor, lg.optim.Optimizer]:
        width, length, letters = 256, 128, 96
        embedding, positions = nn.Embedding(letters, width), nn.Embedding(length, width)
        blocks = nn.Sequential(Block(width, 4), Block(width, 4))
        out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, letters))
        model = nn.ModuleList([embedding, positions, blocks, out])
        lg.realize(*model.parameters())
        optimizer = lg.optim.AdamW(model.parameters(), lr=1e-3)
        text = lg.randint(0, letters, (8, length + 1)).realize()
        with lg.autocast("cpu", dtype=lg.bfloat16):
            x = embedding(text[:, :-1]) + positions(lg.arange(length))
            logits = out(blocks(x))
        return functional.cross_entropy(logits.reshape(-1, letters), text[:, 1:].reshape(-1)), optimizer

    return _planned(make, capabilities)
