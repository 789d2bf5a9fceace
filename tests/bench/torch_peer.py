#!/usr/bin/env python3
"""Training steps of a residual net in PyTorch on CPU: the other side of versus_torch.sh.

  torch_peer.py --net resnet20 --batch 128 --threads 2                          one process
  RANK=0 WORLD_SIZE=2 torch_peer.py --net resnet20 --batch 128 --store FILE &   DDP over gloo, one thread a rank;
  RANK=1 WORLD_SIZE=2 torch_peer.py --net resnet20 --batch 128 --store FILE     FILE must not exist

Nets: resnet20, 32, 44, 56, 110 (32 x 32 pictures), resnet50 (224 x 224), wrn-16-4 (32 x 32). The batch is of all ranks
together. Both memory formats are timed, in turns of --steps steps after two that warm up. Rank 0 prints a line of JSON with
the median of each in ms, and the number of parameters, which must be the other side's.
"""
import argparse
import json
import os
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def conv(channels_in, channels_out, kernel, stride=1):
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)


def conv_norm(channels_in, channels_out, kernel, stride=1):
    return nn.Sequential(conv(channels_in, channels_out, kernel, stride), nn.BatchNorm2d(channels_out))


class Residual(nn.Module):
    """relu(branch(x) + x): two 3x3, or 1x1, 3x3, 1x1 to four times the width."""

    def __init__(self, channels_in, width, stride, bottleneck):
        super().__init__()
        relu = nn.ReLU(inplace=True)
        if bottleneck:
            self.channels = 4 * width
            self.branch = nn.Sequential(conv_norm(channels_in, width, 1), relu, conv_norm(width, width, 3, stride), relu,
                                        conv_norm(width, self.channels, 1))
        else:
            self.channels = width
            self.branch = nn.Sequential(conv_norm(channels_in, width, 3, stride), relu, conv_norm(width, width, 3))
        same = stride == 1 and channels_in == self.channels
        self.shortcut = nn.Identity() if same else conv_norm(channels_in, self.channels, 1, stride)

    def forward(self, x):
        return F.relu(self.branch(x) + self.shortcut(x), inplace=True)


class WideResidual(nn.Module):
    """Norm and ReLU come before each 3x3; a projection sees what the first ReLU gives."""

    def __init__(self, channels_in, width, stride):
        super().__init__()
        self.channels = width
        self.norm1, self.conv1 = nn.BatchNorm2d(channels_in), conv(channels_in, width, 3, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(width), conv(width, width, 3)
        same = stride == 1 and channels_in == width
        self.shortcut = None if same else conv(channels_in, width, 1, stride)

    def forward(self, x):
        y = F.relu(self.norm1(x), inplace=True)
        shortcut = self.shortcut(y) if self.shortcut is not None else x
        return self.conv2(F.relu(self.norm2(self.conv1(y)), inplace=True)) + shortcut


def stack(stem, channels, counts, widths, block):
    blocks = []
    for group, (count, width) in enumerate(zip(counts, widths)):
        for i in range(count):
            blocks.append(block(channels, width, 2 if group > 0 and i == 0 else 1))
            channels = blocks[-1].channels
    return stem + blocks, channels


def build(name):
    """The net, the side of its pictures, and its classes."""
    if name.startswith("wrn-"):
        depth, widen = map(int, name.split("-")[1:])
        layers, channels = stack([conv(3, 16, 3)], 16, [(depth - 4) // 6] * 3, [16 * widen, 32 * widen, 64 * widen], WideResidual)
        layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        side, classes = 32, 10
    elif name == "resnet50":
        stem = [conv_norm(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
        layers, channels = stack(stem, 64, [3, 4, 6, 3], [64, 128, 256, 512],
                                 lambda *arguments: Residual(*arguments, bottleneck=True))
        side, classes = 224, 1000
    else:
        depth = int(name.removeprefix("resnet"))
        layers, channels = stack([conv_norm(3, 16, 3), nn.ReLU(inplace=True)], 16, [(depth - 2) // 6] * 3, [16, 32, 64],
                                 lambda *arguments: Residual(*arguments, bottleneck=False))
        side, classes = 32, 10
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)), side, classes


class Training:
    def __init__(self, name, images, memory_format, ranks, bf16):
        model, side, classes = build(name)
        self.parameters = sum(p.numel() for p in model.parameters())
        model = model.to(memory_format=memory_format)
        self.model = DistributedDataParallel(model) if ranks > 1 else model
        self.x = torch.randn(images, 3, side, side).to(memory_format=memory_format)
        self.labels = torch.randint(0, classes, (images,))
        self.bf16 = bf16
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)

    def step_ms(self):
        begin = time.perf_counter()
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = F.cross_entropy(self.model(self.x), self.labels)
        loss.backward()
        self.optimizer.step()
        return 1e3 * (time.perf_counter() - begin)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", default="resnet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="bf16: autocast, with f32 parameters")
    parser.add_argument("--store", help="where the ranks find each other")
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    ranks, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    if ranks > 1:
        torch.distributed.init_process_group("gloo", init_method="file://" + os.path.abspath(arguments.store), rank=rank,
                                             world_size=ranks)
    result = {"net": arguments.net, "torch": torch.__version__, "ranks": ranks, "threads": arguments.threads,
              "precision": arguments.precision}
    for name, memory_format in FORMATS.items():
        training = Training(arguments.net, arguments.batch // ranks, memory_format, ranks, arguments.precision == "bf16")
        times = [training.step_ms() for _ in range(2 + arguments.steps)]
        result[name + "_ms"] = round(statistics.median(times[2:]), 3)
        result["parameters"] = training.parameters
        del training
    if rank == 0:
        print(json.dumps(result))
    if ranks > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
