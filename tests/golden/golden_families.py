"""Networks of other families than the residual ones, by lockstep's names."""

import torch
import torch.nn.functional as F

from golden_net import Net


class DenseNet(Net):
    """CIFAR's form: 3x3 stem, three dense blocks."""

    def layer(self, name, x):
        bottleneck = self.s["block"] == "bottleneck"
        y = self.norm_activation(name + ".norm1", x)
        if bottleneck:
            y = self.conv(name + ".conv1", y, 4 * self.s["growth"], 1)
            y = self.norm_activation(name + ".norm2", y)
        y = self.conv(name + (".conv2" if bottleneck else ".conv1"), y, self.s["growth"], 3)
        return torch.cat((x, y), 1)

    def logits(self, x):
        bottleneck = self.s["block"] == "bottleneck"
        layers = (self.s["depth"] - 4) // (6 if bottleneck else 3)
        x = self.conv("stem.conv", x, 2 * self.s["growth"] if bottleneck else 16, 3)
        for g in (1, 2, 3):
            for b in range(layers):
                x = self.layer(f"group{g}.block{b}", x)
            if g < 3:
                name = f"group{g}.transition"
                kept = int(x.shape[1] * self.s["compression"])
                x = self.conv(name + ".conv", self.norm_activation(name + ".norm", x), kept, 1)
                x = F.avg_pool2d(x, 2)
        x = self.norm_activation("final.norm", x)
        return self.linear("fc", x.mean((2, 3)), self.s["classes"])


class UNet(Net):
    """Labels of pixels, every seventh or so without a class (-1)."""

    def two_convolutions(self, name, x, width):
        y = self.norm_activation(name + ".norm1", self.conv(name + ".conv1", x, width, 3))
        y = self.norm(name + ".norm2", self.conv(name + ".conv2", y, width, 3))
        if "residual" not in self.s:
            return self.activation(y)
        if name == "encoder1" or x.shape[1] != width:
            x = self.norm(name + ".projection_norm", self.conv(name + ".projection", x, width, 1))
        return self.activation(y + x)

    def up(self, name, x, width):
        if self.s["upsample"] == "bilinear":
            x = self.conv(name + ".up.conv", x, width, 1)
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        dims = (x.shape[1], width, 2, 2)
        weight = self.parameter(name + ".up.weight", dims, 0, x.shape[1]**-0.5, True)
        return F.conv_transpose2d(x, weight, stride=2)

    def logits(self, x):
        widths, skips = self.planes(), []
        for level, width in enumerate(widths, 1):
            x = self.two_convolutions(f"encoder{level}", x, width)
            if level < len(widths):
                skips.append(x)
                x = self.max_pool(x, 2, 0)
        for level in range(len(widths) - 1, 0, -1):
            name = f"decoder{level}"
            up, skip = self.up(name, x, widths[level - 1]), skips[level - 1]
            x = torch.cat((skip, up), 1) if self.s["skip"] == "concat" else up + skip
            x = self.two_convolutions(name, x, widths[level - 1])
        dims = (self.s["classes"], x.shape[1], 1, 1)
        weight = self.parameter("fc.weight", dims, 0, x.shape[1]**-0.5, True)
        return F.conv2d(x, weight, self.parameter("fc.bias", dims[:1], 0, 0.2))

    @staticmethod
    def random_labels(settings, generator):
        dims = (settings["batch"], settings["image"], settings["image"])
        labels = torch.randint(settings["classes"], dims, generator=generator)
        return labels.masked_fill(torch.randint(7, dims, generator=generator) == 0, -1)

    def loss(self, logits, labels, reduction="mean"):
        return F.cross_entropy(logits, labels, label_smoothing=self.s["label_smoothing"],
                               ignore_index=-1, reduction=reduction)

    def objective(self, logits, labels):
        """Divided by all pixels, not by those with a label."""
        return self.loss(logits, labels, "sum") / labels.numel()


class Highway(Net):
    def block(self, name, x):
        y = self.norm_activation(name + ".norm", self.conv(name + ".conv", x, x.shape[1], 3))
        dims = (x.shape[1], x.shape[1], 3, 3)
        weight = self.parameter(name + ".gate.conv.weight", dims, 0, (dims[1] * 9)**-0.5, True)
        bias = self.parameter(name + ".gate.conv.bias", dims[:1], -0.5, 0.5)
        return torch.lerp(x, y, torch.sigmoid(F.conv2d(x, weight, bias, padding=1)))

    def plain(self, name, x, width, stride):
        return self.norm_activation(name + ".norm", self.conv(name + ".conv", x, width, 3, stride))

    def logits(self, x):
        x = self.plain("stem", x, self.planes()[0], 1)
        for g, (count, width) in enumerate(zip(self.counts(), self.planes()), 1):
            if g > 1:
                x = self.plain(f"group{g}.down", x, width, 2)
            for b in range(count):
                x = self.block(f"group{g}.block{b}", x)
        return self.linear("fc", x.mean((2, 3)), self.s["classes"])


class Mlp(Net):
    def inner(self, name, x, out):
        if self.s["norm"] != "batch":
            return self.linear(name, x, out)
        dims = (out, x.shape[1])
        return F.linear(x, self.parameter(name + ".weight", dims, 0, dims[1]**-0.5, True))

    def block(self, name, x):
        y = self.inner(name + ".fc1", self.norm_activation(name + ".norm1", x),
                       self.s["mlp_ratio"] * x.shape[1])
        return x + self.inner(name + ".fc2", self.norm_activation(name + ".norm2", y), x.shape[1])

    def logits(self, x):
        x = self.inner("stem.fc", x.flatten(1), self.planes()[0])
        for g, (count, width) in enumerate(zip(self.counts(), self.planes()), 1):
            if g > 1:
                x = self.inner(f"group{g}.transition.fc", x, width)
            for b in range(count):
                x = self.block(f"group{g}.block{b}", x)
        return self.linear("fc", self.norm_activation("final.norm", x), self.s["classes"])


class PixelNet(Net):
    """What ConvNeXt and transformers share: norms of pixels over channels, convolutions with bias."""

    def patches(self, name, x, out, side, groups=1, padding=0):
        dims = (out, x.shape[1] // groups, side, side)
        weight = self.parameter(name + ".weight", dims, 0, (dims[1] * side**2)**-0.5, True)
        bias = self.parameter(name + ".bias", (out,), 0, 0.2)
        return F.conv2d(x, weight, bias, 1 if padding else side, padding, groups=groups)

    def norm(self, name, x):
        weight = self.parameter(name + ".weight", (x.shape[1],), 1, 0.2)
        bias = self.parameter(name + ".bias", (x.shape[1],), 0, 0.2)
        pixels = F.layer_norm(x.movedim(1, -1), (x.shape[1],), weight, bias, self.s["norm_eps"])
        return pixels.movedim(-1, 1)

    def inner(self, name, first, second, x):
        hidden = self.patches(f"{name}.{first}", x, self.s["mlp_ratio"] * x.shape[1], 1)
        return self.patches(f"{name}.{second}", F.gelu(hidden), x.shape[1], 1)


class ConvNeXt(PixelNet):
    def block(self, name, x):
        width = x.shape[1]
        y = self.norm(name + ".norm", self.patches(name + ".conv1", x, width, 7, width, 3))
        y = self.inner(name, "conv2", "conv3", y)
        factors = self.parameter(name + ".layer_scale.weight", (width,), 0.5, 0.2)
        return x + y * factors[:, None, None]

    def logits(self, x):
        x = self.norm("stem.norm", self.patches("stem.conv", x, self.planes()[0], self.s["patch"]))
        for g, (count, width) in enumerate(zip(self.counts(), self.planes()), 1):
            if g > 1:
                name = f"group{g}.downsample"
                x = self.patches(name + ".conv", self.norm(name + ".norm", x), width, 2)
            for b in range(count):
                x = self.block(f"group{g}.block{b}", x)
        return self.linear("fc", self.norm("norm", x.mean((2, 3))), self.s["classes"])


class Transformer(PixelNet):
    def attention(self, name, x):
        n, width, height, _ = x.shape
        qkv = self.patches(name + ".qkv", x, 3 * width, 1)
        heads = qkv.reshape(n, 3, self.s["heads"], width // self.s["heads"], -1).transpose(3, 4)
        y = F.scaled_dot_product_attention(*heads.unbind(1))
        y = y.transpose(2, 3).reshape(n, width, height, -1)
        return self.patches(name + ".proj", y, width, 1)

    def residual(self, name, x, branch):
        if self.s["pre_norm"] == "true":
            return x + branch(self.norm(name, x))
        return self.norm(name, x + branch(x))

    def resnet(self, x):
        """Batch norms; every group twice as wide as the one before."""
        own, width = self.s, self.s["stem_width"]
        self.s, self.norm = {**own, "norm": "batch", "widths": str(width)}, lambda name, y: Net.norm(self, name, y)
        x = self.stem(x, False)
        for g, count in enumerate(own["hybrid"].split(",")):
            for b in range(int(count)):
                x = Net.block(self, f"resnet{g + 1}.block{b}", x, width << g, 2 if g > 0 and b == 0 else 1, False)
        self.s = own
        del self.norm
        return x

    def logits(self, x):
        hybrid = "hybrid" in self.s
        first = "embed" if hybrid else "stem"
        x = self.patches(first + ".patches", self.resnet(x) if hybrid else x, self.planes()[0], self.s["patch"])
        dims = (*x.shape[2:], x.shape[1])
        x = x + self.parameter(first + ".position.weight", dims, 0, 0.5).movedim(-1, 0)
        for b in range(self.counts()[0]):
            name = f"group1.block{b}"
            x = self.residual(name + ".norm1", x, lambda y: self.attention(name, y))
            x = self.residual(name + ".norm2", x, lambda y: self.inner(name, "fc1", "fc2", y))
        if self.s["pre_norm"] == "true":
            x = self.norm("final.norm", x)
        return self.linear("fc", x.mean((2, 3)), self.s["classes"])


FAMILIES = {"densenet": DenseNet, "unet": UNet, "highway": Highway, "mlp": Mlp,
            "convnext": ConvNeXt, "transformer": Transformer}
