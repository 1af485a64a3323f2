"""Optimizers and learning rate schedules, with torch.optim's names."""

from lazygrad.optim import lr_scheduler
from lazygrad.optim.adam import Adam, AdamW
from lazygrad.optim.optimizer import Optimizer
from lazygrad.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
