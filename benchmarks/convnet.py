"""A convnet that two cores can train: four layers, about a twentieth of a ResNet-18."""

from __future__ import annotations

from torch import nn


def small(channels: int) -> nn.Sequential:
    """(n, channels, h, w) → (n, 256, h/8, w/8)."""
    layers: list[nn.Module] = []
    for before, after in ((channels, 32), (32, 64), (64, 128), (128, 256)):
        layers += [nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers[:-1])
