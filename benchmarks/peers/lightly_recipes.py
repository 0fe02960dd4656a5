"""lightly's own parts for images: nets, transforms, heads, losses, optimisers, schedule.

Everything is set as in lightly's CIFAR-10 and Imagenette benchmarks and its examples.
"""

import numpy as np
import torch
import torchvision
from lightly.loss import BarlowTwinsLoss, NTXentLoss, VICRegLoss
from lightly.models import ResNetGenerator
from lightly.models.modules.heads import (
    BarlowTwinsProjectionHead,
    SimCLRProjectionHead,
    VICRegProjectionHead,
)
from lightly.transforms import SimCLRTransform, VICRegTransform
from lightly.transforms.byol_transform import BYOLTransform, BYOLView1Transform, BYOLView2Transform
from lightly.transforms.utils import IMAGENET_NORMALIZE
from lightly.utils.lars import LARS
from lightly.utils.scheduler import cosine_warmup_schedule
from PIL import Image
from torch import nn
from torchvision.transforms import v2

SCHEDULE_STEPS = 10_000  # resolution of the learning-rate schedule over the budget
OPTIMIZERS = {"simclr": "sgd", "vicreg": "sgd", "barlow_twins": "lars"}


class Views(torch.utils.data.Dataset):
    """An array of images through a transform, one image at a time, as lightly's datasets do."""

    def __init__(self, images, transform):
        self.images, self.transform = images, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index]))


def build_backbone(stem):
    """A ResNet-18 up to its pooled features: lightly's small-image one, or torchvision's."""
    net = ResNetGenerator("resnet-18") if stem == "small" else torchvision.models.resnet18()
    layers = list(net.children())[:-1]
    backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return backbone.to(memory_format=torch.channels_last)  # oneDNN is faster this way round


def build_method(method, side):
    """Transform, head and loss of `method`; small images aren't blurred, as lightly advises."""
    blur = {"gaussian_blur": 0.0} if side <= 32 else {}
    if method == "simclr":
        transform = SimCLRTransform(input_size=side, cj_strength=0.5, **blur)
        return transform, SimCLRProjectionHead(512, 512, 128), NTXentLoss()
    if method == "vicreg":
        head = VICRegProjectionHead(512, 2048, 2048, num_layers=2)
        return VICRegTransform(input_size=side, **blur), head, VICRegLoss()
    transform = BYOLTransform(
        BYOLView1Transform(input_size=side, **blur), BYOLView2Transform(input_size=side, **blur)
    )
    return transform, BarlowTwinsProjectionHead(512, 2048, 2048), BarlowTwinsLoss()


def build_optimizer(args, parameters):
    """One of lightly's optimisers, its rate scaled with the batch, and its share of warm-up.

    lightly has two settings for every method: SGD in its examples and small benchmarks, LARS in
    the large ones. The defaults were picked from runs of 40 CPU seconds, one seed each, on 2,000
    CIFAR-10 images, by the kNN of 500 more: Barlow Twins 31.4 with LARS, 14.0 with SGD (where
    its loss rose); VICReg 30.4 with SGD at twice this rate, 23.6 with LARS. Untrained nets got
    27.2 and 30.4 and the interval is +-4 points, so only the low ones tell anything; longer
    budgets were not tried.
    """
    if (args.optimizer or OPTIMIZERS[args.method]) == "lars":
        lr = args.lr or 0.3 * args.batch / 256
        return LARS(parameters, lr=lr, momentum=0.9, weight_decay=1e-4), 0.1
    lr = args.lr or (0.12 if args.method == "simclr" else 0.06) * args.batch / 256
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=5e-4), 0.0


def set_rate(optimizer, share, warmup):
    """Cosine over the share of CPU seconds spent: no guess of the number of steps is needed."""
    factor = cosine_warmup_schedule(
        step=min(int(share * SCHEDULE_STEPS), SCHEDULE_STEPS),
        max_steps=SCHEDULE_STEPS,
        start_value=1.0,
        end_value=0.0,
        warmup_steps=int(warmup * SCHEDULE_STEPS),
        warmup_start_value=0.0,
    )
    for group in optimizer.param_groups:
        group.setdefault("base_lr", group["lr"])
        group["lr"] = factor * group["base_lr"]


def endless(loader):
    """Batches of views, epoch after epoch."""
    while True:
        yield from loader


@torch.no_grad()
def embed(backbone, images, side, batch=128):
    """Backbone features of the whole images, in order, as float32."""
    transform = v2.Compose(
        [
            v2.Resize(side),
            v2.CenterCrop(side),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(**IMAGENET_NORMALIZE),
        ]
    )
    backbone.eval()
    loader = torch.utils.data.DataLoader(Views(images, transform), batch_size=batch)
    out = [backbone(x.contiguous(memory_format=torch.channels_last)).numpy() for x in loader]
    backbone.train()
    return np.concatenate(out).astype(np.float32)
