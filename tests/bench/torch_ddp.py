#!/usr/bin/env python3
"""A training step of a CIFAR ResNet in PyTorch DDP over gloo: the other side of versus_torch.sh.

  torchrun --nproc_per_node 2 torch_ddp.py --depth 20 --batch 128 [--channels-last]
Rank 0 prints the median step in ms. The batch is of all ranks together; one thread a rank.
"""
import argparse
import os
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


def conv_norm(channels_in, channels_out, kernel, stride):
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out))


class Block(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.first = conv_norm(channels_in, channels, 3, stride)
        self.second = conv_norm(channels, channels, 3, 1)
        same = stride == 1 and channels_in == channels
        self.shortcut = nn.Identity() if same else conv_norm(channels_in, channels, 1, stride)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def resnet(depth):
    layers, channels = [conv_norm(3, 16, 3, 1), nn.ReLU()], 16
    for group, width in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            layers.append(Block(channels, width, 2 if group and block == 0 else 1))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    images = arguments.batch // torch.distributed.get_world_size()
    model, x = resnet(arguments.depth), torch.randn(images, 3, 32, 32)
    if arguments.channels_last:
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (images,))
    model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    seconds = []
    for _ in range(arguments.steps + 2):
        begin = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - begin)
    if torch.distributed.get_rank() == 0:
        print(f"{statistics.median(seconds[2:]) * 1e3:.1f}")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
