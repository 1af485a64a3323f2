"""Learning rate schedules, with torch.optim.lr_scheduler's names."""

from lazygrad.optim.lr_scheduler.cosine import CosineAnnealingLR
from lazygrad.optim.lr_scheduler.lambda_lr import LambdaLR
from lazygrad.optim.lr_scheduler.linear import LinearLR
from lazygrad.optim.lr_scheduler.one_cycle import OneCycleLR
from lazygrad.optim.lr_scheduler.scheduler import LRScheduler
from lazygrad.optim.lr_scheduler.step import ExponentialLR, MultiStepLR, StepLR

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "StepLR",
]
