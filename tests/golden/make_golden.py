"""Makes the .golden files of small networks: PyTorch in float64 is what lockstep must equal.

    python make_golden.py [NAME ...]      needs torch and numpy; see README.md
"""

import pathlib
import sys

import torch

from golden_families import FAMILIES
from golden_net import Net, rounded
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
    "bands_8": dict(widths="16,16,32", channels=13, batch=6),
    "group_norm_8": dict(norm="group", label_smoothing=0.1),
    "layer_norm_8": dict(norm="layer", activation="gelu"),
    "imagenet_stem_10": dict(stem="imagenet", counts="1,1,1,1", widths="8,8,16,16", image=32),
    "resnet_d_13": dict(stem="resnet_d", block="bottleneck", widths="8,8,16", image=20, batch=6),
    "wide_resnet_d_10": dict(stem="resnet_d", block="preact_basic", widths="4,8,16", widen=2, image=18),
    "densenet_10": dict(family="densenet", depth=10, growth=8, compression=1.0, image=12, batch=6),
    "densenet_bc_16": dict(family="densenet", block="bottleneck", depth=16, growth=6,
                           compression=0.5, image=9, batch=6),
    "unet_3": dict(family="unet", widths="8,16,24", skip="concat", upsample="transposed", classes=5,
                   image=12, batch=3),
    "unet_bilinear_3": dict(family="unet", widths="16,16,32", skip="add", upsample="bilinear",
                            classes=4, image=8, batch=4, label_smoothing=0.1),
    "unet_residual_3": dict(family="unet", widths="8,16,16", skip="add", upsample="transposed", residual="true",
                            classes=4, image=8, batch=4),
    "highway_8": dict(family="highway", counts="2,1", widths="8,16", batch=6),
    "mlp_8": dict(family="mlp", counts="2,1", widths="16,12", mlp_ratio=2, image=5),
    "mlp_layer_norm_6": dict(family="mlp", counts="2", widths="12", mlp_ratio=1, image=4, norm="layer",
                             activation="gelu"),
    "convnext_3": dict(family="convnext", counts="1,1", widths="8,16", mlp_ratio=2, patch=2, norm="layer",
                       activation="gelu", image=10, batch=3),
    "transformer_2": dict(family="transformer", counts="2", widths="8", mlp_ratio=2, patch=2, heads=2,
                          pre_norm="true", norm="layer", activation="gelu", batch=3),
    "transformer_hybrid_2": dict(family="transformer", hybrid="1,1", stem="imagenet", stem_width=8, counts="2", widths="8",
                                 mlp_ratio=2, patch=1, heads=2, pre_norm="true", norm="layer", activation="gelu", image=20,
                                 batch=4),
    "transformer_post_norm_1": dict(family="transformer", counts="1", widths="6", mlp_ratio=3, patch=2,
                                    heads=1, pre_norm="false", norm="layer", activation="gelu",
                                    batch=3, image=6, label_smoothing=0.1),
    "adamw_8": dict(optimizer="adamw", steps=20, widths="8,8,16", activation="gelu", learning_rate=0.005,
                    beta1=0.9, beta2=0.99, eps=1e-6, weight_decay=0.05),
}

STEPS = 3  # unless the net says how many
SEEDS = 400
# No ReLU's input and no two largest values of a max pool may be closer than this to a switch, in any
# step: then rounding to float32 does not flip one, and gradients can be compared tightly.
MARGIN = 1e-5


def family_of(settings):
    return FAMILIES.get(settings.get("family"), Net)


def make_batch(settings, seed):
    generator = torch.Generator().manual_seed(1000 + seed)
    dims = (settings["batch"], settings["channels"], settings["image"], settings["image"])
    images = rounded(torch.randn(dims, generator=generator, dtype=torch.float64))
    return images, family_of(settings).random_labels(settings, generator)


def copies(tensors):
    return {name: t.detach().clone() for name, t in tensors.items()}


def make_optimizer(settings, net):
    groups = [dict(params=[p for n, p in net.parameters.items() if (n in net.decayed) == decay],
                   weight_decay=settings["weight_decay"] if decay else 0.0)
              for decay in (True, False)]
    rate = settings["learning_rate"]
    if settings.get("optimizer") == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(settings["beta1"], settings["beta2"]),
                                 eps=settings["eps"])
    return torch.optim.SGD(groups, lr=rate, momentum=settings["momentum"],
                           nesterov=settings["nesterov"] == "true")


def train(settings, seed, dtype=torch.float64, input_change=0.0):
    """All updates on one batch, and what is compared: the first step's results, the last weights."""
    images, labels = make_batch(settings, seed)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(7)).double()
    images = images + input_change * noise
    net = family_of(settings)(settings, seed)
    with torch.no_grad():
        net.logits(images)  # creates the parameters
    net.dtype, net.margin = dtype, float("inf")
    net.parameters = {n: p.detach().to(dtype).requires_grad_() for n, p in net.parameters.items()}
    net.statistics = {}
    inputs = images.to(dtype)
    result = dict(images=images, labels=labels, parameters=copies(net.parameters), loss=[])
    optimizer = make_optimizer(settings, net)
    for step in range(settings["steps"]):
        optimizer.zero_grad()
        logits = net.logits(inputs)
        loss = net.loss(logits, labels)
        net.objective(logits, labels).backward()
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
    settings = {**DEFAULTS, "steps": STEPS, **NETS[name]}
    seed, run = find_run(name, settings)
    single = differences(train(settings, seed, torch.float32), run)
    changed = differences(train(settings, seed, input_change=1e-6), run)
    writer = GoldenWriter({
        "net": name, "torch": torch.__version__.split("+")[0],
        **{key: value for key, value in settings.items() if key != "steps"}, "seed": seed,
        "steps": settings["steps"], "margin": f"{run['margin']:.2g}",
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
