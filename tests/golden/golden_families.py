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


FAMILIES = {"densenet": DenseNet}
