"""Models for images, under torchvision's names: `from lazygrad import vision as torchvision`."""

from lazygrad.vision import models

__all__ = ["models"]
