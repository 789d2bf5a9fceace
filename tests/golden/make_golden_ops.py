"""Makes ops.golden: single ops in PyTorch, float64, for the naive twins of tests/reference.

    python make_golden_ops.py      needs torch and numpy; see README.md
"""

import pathlib

import torch
import torch.nn.functional as F

from golden_writer import GoldenWriter

POOLS = [  # dims, options
    ((2, 3, 7, 6), dict(kernel=3, stride=2, padding=1, ceil_mode=0, count_include_pad=0)),
    ((2, 3, 7, 6), dict(kernel=3, stride=2, padding=1, ceil_mode=1, count_include_pad=1)),
    ((1, 2, 5, 9), dict(kernel=2, stride=2, padding=0, ceil_mode=1, count_include_pad=0)),
    ((3, 1, 6, 5), dict(kernel=2, stride=3, padding=1, ceil_mode=1, count_include_pad=1)),
    ((1, 4, 4, 4), dict(kernel=3, stride=1, padding=1, ceil_mode=0, count_include_pad=1)),
]
CONVOLUTIONS = [  # src, weight, options
    ((2, 3, 7, 6), (4, 3, 3, 3), dict(stride=1, padding=1, groups=1)),
    ((2, 4, 5, 8), (6, 2, 3, 3), dict(stride=2, padding=1, groups=2)),
    ((1, 5, 6, 6), (5, 1, 7, 7), dict(stride=1, padding=3, groups=5)),
    ((3, 3, 9, 7), (2, 3, 1, 1), dict(stride=2, padding=0, groups=1)),
    ((1, 2, 11, 10), (3, 2, 7, 7), dict(stride=3, padding=3, groups=1)),
]
NORMS = [(4, 6, 3, 5), (2, 4, 1, 3), (5, 4, 1, 1)]


class Cases:
    def __init__(self):
        self.generator = torch.Generator().manual_seed(1)
        self.settings = {"torch": torch.__version__.split("+")[0]}
        self.tensors = []
        self.counts = {}

    def random(self, *dims):
        return torch.randn(dims, generator=self.generator, dtype=torch.float64)

    def add(self, op, options, function, **inputs):
        """function(inputs...) -> dst; stores inputs, dst, diff_dst and the inputs' gradients."""
        inputs = {name: t.clone().requires_grad_() for name, t in inputs.items()}
        dst = function(*inputs.values())
        diff_dst = self.random(*dst.shape)
        dst.backward(diff_dst)
        stored = {**inputs, "dst": dst, "diff_dst": diff_dst}
        stored |= {"diff_" + name: t.grad for name, t in inputs.items()}
        self.store(op, options, stored)

    def store(self, op, options, tensors):
        prefix = f"{op}/{self.counts.get(op, 0)}/"
        self.counts[op] = self.counts.get(op, 0) + 1
        self.settings |= {prefix + key: value for key, value in options.items()}
        self.tensors += [(prefix + name, t.detach().clone()) for name, t in tensors.items()]

    def write(self, path):
        writer = GoldenWriter(self.settings | {f"{op}/cases": n for op, n in self.counts.items()})
        for name, tensor in self.tensors:
            writer.add(name, tensor, "f64")
        writer.write(path)


def add_convolutions(cases):
    for src, weight, options in CONVOLUTIONS:
        cases.add("conv2d", options, lambda src, weight, bias: F.conv2d(src, weight, bias, **options),
                  src=cases.random(*src), weight=cases.random(*weight), bias=cases.random(weight[0]))


def layer_norm_pixel(src, gamma, beta, eps):
    normalized = F.layer_norm(src.permute(0, 2, 3, 1), (src.shape[1],), gamma, beta, eps)
    return normalized.permute(0, 3, 1, 2)


def add_norms(cases):
    eps = 1e-3
    for dims in NORMS:
        channels = dims[1]

        def inputs():
            return dict(src=cases.random(*dims), gamma=cases.random(channels),
                        beta=cases.random(channels))
        mean, var = cases.random(channels), cases.random(channels).abs() + 0.5
        running = dict(initial_mean=mean.clone(), initial_var=var.clone())
        cases.add("batch_norm", dict(eps=eps, momentum=0.3),
                  lambda src, gamma, beta: F.batch_norm(src, mean, var, gamma, beta, True, 0.3, eps),
                  **inputs())
        running |= dict(mean=mean, var=var)
        cases.store("running", {}, running)
        cases.add("batch_norm_inference", dict(eps=eps),
                  lambda src, gamma, beta: F.batch_norm(src, mean, var, gamma, beta, False, 0, eps),
                  **inputs())
        cases.add("group_norm", dict(eps=eps, groups=2),
                  lambda src, gamma, beta: F.group_norm(src, 2, gamma, beta, eps), **inputs())
        cases.add("layer_norm_image", dict(eps=eps),
                  lambda src, gamma, beta: F.group_norm(src, 1, gamma, beta, eps), **inputs())
        cases.add("layer_norm_pixel", dict(eps=eps),
                  lambda src, gamma, beta: layer_norm_pixel(src, gamma, beta, eps), **inputs())


def add_activations(cases):
    functions = [F.relu, lambda src: F.leaky_relu(src, 0.1), lambda src: F.elu(src, 0.7), F.gelu,
                 torch.sigmoid]  # in the order of reference::ActivationKind
    alphas = [0, 0.1, 0.7, 0, 0]
    for function, alpha in zip(functions, alphas):
        cases.add("activation", dict(alpha=alpha), function, src=3 * cases.random(2, 3, 4, 5))


def add_pools(cases):
    for dims, o in POOLS:
        arguments = (o["kernel"], o["stride"], o["padding"])
        cases.add("max_pool", o,
                  lambda src: F.max_pool2d(src, *arguments, ceil_mode=bool(o["ceil_mode"])),
                  src=cases.random(*dims))
        cases.add("average_pool", o,
                  lambda src: F.avg_pool2d(src, *arguments, bool(o["ceil_mode"]),
                                           bool(o["count_include_pad"])),
                  src=cases.random(*dims))
    cases.add("global_average_pool", {}, lambda src: F.adaptive_avg_pool2d(src, 1),
              src=cases.random(3, 2, 5, 4))


def add_classifier(cases):
    cases.add("linear", {}, F.linear, src=cases.random(4, 5), weight=cases.random(3, 5),
              bias=cases.random(3))
    for smoothing in (0.0, 0.15):
        logits = (4 * cases.random(5, 7)).requires_grad_()
        labels = torch.randint(7, (5,), generator=cases.generator)
        divisor = 12
        loss = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing) / divisor
        loss.backward()
        cases.store("cross_entropy", dict(smoothing=smoothing, divisor=divisor),
                    dict(logits=logits, labels=labels, loss=loss, diff_logits=logits.grad))


def add_sgd(cases):
    for momentum, decay, nesterov in ((0, 0, 0), (0.9, 0, 0), (0.9, 0.01, 0), (0.8, 0.02, 1)):
        parameter = cases.random(6).requires_grad_()
        stored = dict(initial=parameter.detach().clone())
        optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=momentum, weight_decay=decay,
                                    nesterov=bool(nesterov))
        for step in range(3):
            parameter.grad = cases.random(6)
            stored[f"gradient{step}"] = parameter.grad.clone()
            optimizer.step()
        options = dict(learning_rate=0.1, momentum=momentum, weight_decay=decay, nesterov=nesterov)
        cases.store("sgd", options, stored | dict(final=parameter))


def add_adamw(cases):
    for betas, eps, decay in (((0.9, 0.999), 1e-8, 0), ((0.8, 0.95), 1e-3, 0), ((0.9, 0.99), 1e-6, 0.3),
                              ((0.0, 0.5), 1e-8, 0.01)):
        parameter = cases.random(6).requires_grad_()
        stored = dict(initial=parameter.detach().clone())
        optimizer = torch.optim.AdamW([parameter], lr=0.1, betas=betas, eps=eps, weight_decay=decay)
        for step in range(5):
            parameter.grad = cases.random(6)
            stored[f"gradient{step}"] = parameter.grad.clone()
            optimizer.step()
        kept = optimizer.state[parameter]
        options = dict(learning_rate=0.1, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=decay)
        cases.store("adamw", options, stored | dict(final=parameter, exp_avg=kept["exp_avg"],
                                                    exp_avg_sq=kept["exp_avg_sq"]))


def add_upsampling(cases):
    for src, weight, stride, padding in (((2, 3, 4, 5), (3, 2, 2, 2), 2, 0),
                                         ((1, 4, 3, 3), (4, 3, 4, 4), 2, 1)):
        cases.add("conv_transpose2d", dict(stride=stride, padding=padding),
                  lambda src, weight: F.conv_transpose2d(src, weight, stride=stride, padding=padding),
                  src=cases.random(*src), weight=cases.random(*weight))
    for dims, factor in (((2, 3, 4, 5), 2), ((1, 2, 1, 3), 3), ((1, 1, 5, 2), 4)):
        cases.add("upsample", dict(factor=factor),
                  lambda src: F.interpolate(src, scale_factor=factor, mode="bilinear",
                                            align_corners=False), src=cases.random(*dims))


def add_pixel_loss(cases):
    for smoothing in (0.0, 0.15):
        logits = (4 * cases.random(2, 5, 3, 4)).requires_grad_()
        labels = torch.randint(-1, 5, (2, 3, 4), generator=cases.generator)
        divisor = 24
        loss = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing,
                               ignore_index=-1) / divisor
        loss.backward()
        cases.store("pixel_cross_entropy", dict(smoothing=smoothing, divisor=divisor),
                    dict(logits=logits, labels=labels, loss=loss, diff_logits=logits.grad))


def add_image_gates(cases):
    """Gumbel-sigmoid, straight through: the gate is 0 or 1, its slope that of the soft one. And the
    loss that keeps the share of open gates, a mean over the images."""
    for dims, rate, weight in (((6, 1), 0.6, 0.0), ((9, 1), 0.7, 0.4)):
        odds = (2 * cases.random(*dims)).requires_grad_()
        u = torch.rand(dims, generator=cases.generator, dtype=torch.float64)
        noise = torch.log(u) - torch.log1p(-u)
        soft = torch.sigmoid(odds + noise)
        hard = (odds + noise > 0).double()
        dst = hard - soft.detach() + soft
        loss = weight * ((torch.sigmoid(odds) - rate) ** 2).mean()
        diff_dst = cases.random(*dims)
        ((dst * diff_dst).sum() + loss).backward()
        cases.store("image_gate", dict(rate=rate, weight=weight),
                    dict(odds=odds, noise=noise, dst=hard, loss=loss, diff_dst=diff_dst,
                         diff_odds=odds.grad))


if __name__ == "__main__":
    torch.set_num_threads(1)
    all_cases = Cases()
    for add in (add_convolutions, add_norms, add_activations, add_pools, add_classifier, add_sgd,
                add_upsampling, add_pixel_loss, add_adamw, add_image_gates):
        add(all_cases)
    all_cases.write(pathlib.Path(__file__).parent / "ops.golden")
