"""A residual network in PyTorch; other families (golden_families.py) derive from it."""

import torch
import torch.nn.functional as F


def rounded(tensor):
    """Values that float32 represents, in float64."""
    return tensor.float().double()


class Net:
    """A network as a function of its parameters, which its first run creates, by lockstep's names."""

    def __init__(self, settings, seed):
        self.s = settings
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = torch.float64
        self.parameters, self.statistics, self.decayed = {}, {}, set()
        self.training, self.margin = True, float("inf")

    def counts(self):
        return [int(n) for n in self.s["counts"].split(",")]

    def planes(self):
        return [int(n) * self.s["widen"] for n in self.s["widths"].split(",")]

    # Parameters

    def normal(self, dims, mean, std):
        return mean + std * torch.randn(dims, generator=self.generator, dtype=torch.float64)

    def parameter(self, name, dims, mean, std, decay=False):
        if name not in self.parameters:
            self.parameters[name] = rounded(self.normal(dims, mean, std)).requires_grad_()
            if decay:
                self.decayed.add(name)
        return self.parameters[name]

    # Layers

    def conv(self, name, x, out, kernel, stride=1, groups=1):
        dims = (out, x.shape[1] // groups, kernel, kernel)
        weight = self.parameter(name + ".weight", dims, 0, (2 / (dims[1] * kernel**2))**0.5, True)
        return F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=groups)

    def linear(self, name, x, out):
        weight = self.parameter(name + ".weight", (out, x.shape[1]), 0, x.shape[1]**-0.5, True)
        return F.linear(x, weight, self.parameter(name + ".bias", (out,), 0, 0.2))

    def norm(self, name, x):
        channels = x.shape[1]
        weight = self.parameter(name + ".weight", (channels,), 1, 0.2)
        bias = self.parameter(name + ".bias", (channels,), 0, 0.2)
        if self.s["norm"] == "batch":
            mean = self.statistic(name + ".running_mean", torch.zeros(channels))
            var = self.statistic(name + ".running_var", torch.ones(channels))
            return F.batch_norm(x, mean, var, weight, bias, self.training, self.s["norm_momentum"],
                                self.s["norm_eps"])
        groups = 1 if self.s["norm"] == "layer" else min(self.s["norm_groups"], channels)
        return F.group_norm(x, groups, weight, bias, self.s["norm_eps"])

    def statistic(self, name, initial):
        if name not in self.statistics:
            self.statistics[name] = initial.to(self.dtype)
        return self.statistics[name]

    def relu(self, x):
        self.margin = min(self.margin, x.detach().abs().min().item())
        return F.relu(x)

    def activation(self, x):
        return self.relu(x) if self.s["activation"] == "relu" else F.gelu(x)

    def norm_activation(self, name, x):
        return self.activation(self.norm(name, x))

    def max_pool(self, x, kernel=3, padding=1):
        padded = F.pad(x.detach(), (padding,) * 4, value=-1e9)
        windows = padded.unfold(2, kernel, 2).unfold(3, kernel, 2).flatten(4)
        first, second = windows.topk(2).values.unbind(-1)
        # Equal zeros after a ReLU do not matter: none of them has a gradient.
        gap = (first - second)[(first != 0) | (second != 0)]
        self.margin = min(self.margin, gap.min().item())
        return F.max_pool2d(x, kernel, 2, padding)

    # Blocks

    def stem(self, x, preact):
        width = self.planes()[0]
        if self.s["stem"] == "resnet_d":
            x = self.norm_activation("stem.norm1", self.conv("stem.conv1", x, width // 2, 3, 2))
            x = self.norm_activation("stem.norm2", self.conv("stem.conv2", x, width // 2, 3))
            x = self.conv("stem.conv3", x, width, 3)
            last = "stem.norm3"
        else:
            large = self.s["stem"] == "imagenet"
            x = self.conv("stem.conv", x, width, 7 if large else 3, 2 if large else 1)
            last = "stem.norm"
        if not preact:
            x = self.norm_activation(last, x)
        return x if self.s["stem"] == "cifar" else self.max_pool(x)

    def convolutions(self, planes, stride):
        """(out, kernel, stride, groups) of a block's branch."""
        if self.s["block"].endswith("basic"):
            return [(planes, 3, stride, 1), (planes, 3, 1, 1)]
        groups, base = self.s["cardinality"], self.s["base_width"]
        width = planes * base // 64 * groups if base else planes
        return [(width, 1, 1, 1), (width, 3, stride, groups), (4 * planes, 1, 1, 1)]

    def squeeze_excitation(self, name, x):
        hidden = max(1, x.shape[1] // self.s["se_reduction"])
        gate = self.relu(self.linear(name + ".fc1", x.mean((2, 3)), hidden))
        gate = torch.sigmoid(self.linear(name + ".fc2", gate, x.shape[1]))
        return x * gate[:, :, None, None]

    def projection(self, name, x, out, stride):
        if self.s["stem"] == "resnet_d" and stride > 1:
            x = F.avg_pool2d(x, stride, stride, ceil_mode=True, count_include_pad=False)
            stride = 1
        return self.conv(name + ".shortcut.conv", x, out, 1, stride)

    def shortcut(self, name, x, active, out, stride, preact):
        changes = stride != 1 or x.shape[1] != out
        if self.s["shortcut"] == "C" or (self.s["shortcut"] == "B" and changes):
            if preact:
                return self.projection(name, active, out, stride)
            return self.norm(name + ".shortcut.norm", self.projection(name, x, out, stride))
        if not changes:
            return x
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, out - x.shape[1]))

    def block(self, name, x, planes, stride, preact):
        branch = self.convolutions(planes, stride)
        active = self.norm_activation(name + ".norm1", x) if preact else None
        y = active if preact else x
        for i, (out, kernel, conv_stride, groups) in enumerate(branch, 1):
            if preact and i > 1:
                y = self.norm_activation(f"{name}.norm{i}", y)
            y = self.conv(f"{name}.conv{i}", y, out, kernel, conv_stride, groups)
            if not preact:
                y = self.norm(f"{name}.norm{i}", y)
                if i < len(branch):
                    y = self.activation(y)
        if self.s["se_reduction"]:
            y = self.squeeze_excitation(name + ".se", y)
        y = y + self.shortcut(name, x, active, branch[-1][0], stride, preact)
        return y if preact else self.activation(y)

    def logits(self, x):
        preact = self.s["block"].startswith("preact")
        x = self.stem(x, preact)
        for g, (count, planes) in enumerate(zip(self.counts(), self.planes()), 1):
            for b in range(count):
                stride = 2 if g > 1 and b == 0 else 1
                x = self.block(f"group{g}.block{b}", x, planes, stride, preact)
        if preact:
            x = self.norm_activation("final.norm", x)
        return self.linear("fc", x.mean((2, 3)), self.s["classes"])

    @staticmethod
    def random_labels(settings, generator):
        return torch.randint(settings["classes"], (settings["batch"],), generator=generator)

    def loss(self, logits, labels):
        return F.cross_entropy(logits, labels, label_smoothing=self.s["label_smoothing"])

    def objective(self, logits, labels):
        """What is minimized, where that is not the loss that is told."""
        return self.loss(logits, labels)
