"""Makes the .golden files of small residual networks: PyTorch in float64 is what lockstep must equal.

    python make_golden.py [NAME ...]      needs torch and numpy; see README.md
"""

import pathlib
import sys

import torch
import torch.nn.functional as F

from golden_writer import GoldenWriter

DEFAULTS = dict(
    block="basic", counts="1,1,1", widths="8,16,16", widen=1, cardinality=1, base_width=0,
    se_reduction=0, shortcut="B", norm="batch", norm_groups=4, norm_eps=1e-5, norm_momentum=0.1,
    stem="cifar", activation="relu", label_smoothing=0.0, classes=10, image=8, channels=3, batch=8,
    learning_rate=0.05, momentum=0.9, weight_decay=1e-4, nesterov="false")

NETS = {
    "basic_8": dict(widths="16,16,32"),
    "basic_20": dict(counts="3,3,3", widths="8,8,16", batch=4),
    "bottleneck_20": dict(block="bottleneck", counts="2,2,2", widths="8,8,16", batch=6),
    "preact_basic_14": dict(block="preact_basic", counts="2,2,2"),
    "preact_bottleneck_11": dict(block="preact_bottleneck", widths="8,8,16"),
    "resnext_11": dict(block="bottleneck", widths="8,8,16", cardinality=4, base_width=32),
    "se_8": dict(se_reduction=4, nesterov="true"),
    "shortcut_a_8": dict(shortcut="A", image=9),
    "shortcut_c_8": dict(shortcut="C", widths="10,12,20", classes=7, channels=1, image=11, batch=5),
    "group_norm_8": dict(norm="group", label_smoothing=0.1),
    "layer_norm_8": dict(norm="layer", activation="gelu"),
    "imagenet_stem_10": dict(stem="imagenet", counts="1,1,1,1", widths="8,8,16,16", image=32),
    "resnet_d_13": dict(stem="resnet_d", block="bottleneck", widths="8,8,16", image=20, batch=6),
    "wide_resnet_d_10": dict(stem="resnet_d", block="preact_basic", widths="4,8,16", widen=2, image=18),
}

STEPS = 3
SEEDS = 400
# No ReLU's input and no two largest values of a max pool may be closer than this to a switch, in any
# step: then rounding to float32 does not flip one, and gradients can be compared tightly.
MARGIN = 1e-5


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

    def max_pool(self, x):
        padded = F.pad(x.detach(), (1, 1, 1, 1), value=-1e9)
        windows = padded.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4)
        first, second = windows.topk(2).values.unbind(-1)
        # Equal zeros after a ReLU do not matter: none of them has a gradient.
        gap = (first - second)[(first != 0) | (second != 0)]
        self.margin = min(self.margin, gap.min().item())
        return F.max_pool2d(x, 3, 2, 1)

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

    def loss(self, logits, labels):
        return F.cross_entropy(logits, labels, label_smoothing=self.s["label_smoothing"])


def make_batch(settings, seed):
    generator = torch.Generator().manual_seed(1000 + seed)
    dims = (settings["batch"], settings["channels"], settings["image"], settings["image"])
    images = rounded(torch.randn(dims, generator=generator, dtype=torch.float64))
    return images, torch.randint(settings["classes"], (dims[0],), generator=generator)


def copies(tensors):
    return {name: t.detach().clone() for name, t in tensors.items()}


def train(settings, seed, dtype=torch.float64, input_change=0.0):
    """STEPS updates on one batch, and what is compared: the first step's results, the last weights."""
    images, labels = make_batch(settings, seed)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(7)).double()
    images = images + input_change * noise
    net = Net(settings, seed)
    with torch.no_grad():
        net.logits(images)  # creates the parameters
    net.dtype, net.margin = dtype, float("inf")
    net.parameters = {n: p.detach().to(dtype).requires_grad_() for n, p in net.parameters.items()}
    net.statistics = {}
    inputs = images.to(dtype)
    result = dict(images=images, labels=labels, parameters=copies(net.parameters), loss=[])
    groups = [dict(params=[p for n, p in net.parameters.items() if (n in net.decayed) == decay],
                   weight_decay=settings["weight_decay"] if decay else 0.0)
              for decay in (True, False)]
    optimizer = torch.optim.SGD(groups, lr=settings["learning_rate"], momentum=settings["momentum"],
                                nesterov=settings["nesterov"] == "true")
    for step in range(STEPS):
        optimizer.zero_grad()
        logits = net.logits(inputs)
        loss = net.loss(logits, labels)
        loss.backward()
        result["loss"].append(loss.item())
        if step == 0:
            result["logits"] = logits.detach()
            result["gradients"] = {n: p.grad.clone() for n, p in net.parameters.items()}
            result["statistics"] = copies(net.statistics)
        optimizer.step()
    result["margin"] = net.margin
    result["trained"] = copies(net.parameters)
    net.training = False
    with torch.no_grad():
        result["evaluation"] = net.logits(inputs)
    return result


def relative(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def worst(a, b, kind):
    return max(relative(a[kind][name], b[kind][name]) for name in b[kind])


def differences(other, golden):
    """The worst relative L2 differences of two runs: gradients, and weights after the last step."""
    return worst(other, golden, "gradients"), worst(other, golden, "trained")


def find_run(name, settings):
    for seed in range(SEEDS):
        run = train(settings, seed)
        if run["margin"] >= MARGIN:
            return seed, run
    sys.exit(f"{name}: no seed below {SEEDS} keeps a margin of {MARGIN}; lower MARGIN")


def make(name, folder):
    settings = {**DEFAULTS, **NETS[name]}
    seed, run = find_run(name, settings)
    single = differences(train(settings, seed, torch.float32), run)
    changed = differences(train(settings, seed, input_change=1e-6), run)
    writer = GoldenWriter({
        "net": name, "torch": torch.__version__.split("+")[0], **settings, "seed": seed,
        "steps": STEPS, "margin": f"{run['margin']:.2g}",
        "gradient_change": f"{changed[0]:.2g}", "trained_change": f"{changed[1]:.2g}"})
    writer.add("input", run["images"], "f32")
    writer.add("labels", run["labels"], "f32")
    writer.add("logits", run["logits"], "f64")
    writer.add("loss", run["loss"], "f64")
    writer.add("evaluation", run["evaluation"], "f64")
    for kind, prefix in (("parameters", "parameter/"), ("gradients", "gradient/"),
                         ("trained", "trained/"), ("statistics", "statistic/")):
        for tensor_name, tensor in run[kind].items():
            writer.add(prefix + tensor_name, tensor, "f32")
    path = folder / f"{name}.golden"
    writer.write(path)
    count = sum(p.numel() for p in run["parameters"].values())
    print(f"{name}: {count} parameters, {path.stat().st_size} bytes, seed {seed}, "
          f"margin {run['margin']:.1e}, losses {' '.join(f'{x:.3f}' for x in run['loss'])}; "
          f"gradients and weights: in float32 {single[0]:.1e} {single[1]:.1e}, "
          f"input changed by 1e-6 {changed[0]:.1e} {changed[1]:.1e}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[1:] or NETS:
        make(wanted, pathlib.Path(__file__).parent)
