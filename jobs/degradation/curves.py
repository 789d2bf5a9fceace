#!/usr/bin/env python3
"""The degradation experiment's curves: training and validation error by epoch, as a table, CSV and a picture (SVG). Plain
Python, no packages.

  curves.py RUNS FOLDER    reads RUNS/degradation-*/metrics.jsonl; writes degradation.csv and degradation.svg into FOLDER
"""
import csv
import json
import pathlib
import sys

NETS = [("plain20", "plain, 20 layers", "#d08770", "6 4"), ("plain56", "plain, 56 layers", "#bf2f2f", ""),
        ("residual20", "residual, 20 layers", "#81a1c1", "6 4"), ("residual56", "residual, 56 layers", "#1f4f9f", "")]


def errors(path):
    """By epoch, from 1: the mean error of its steps, and the validation's after it, in percent."""
    train, val = {}, {}
    for line in path.read_text().splitlines():
        m = json.loads(line)
        if "val_accuracy" in m:
            val[m["epoch"]] = 100 * (1 - m["val_accuracy"])
        elif "accuracy" in m:
            train.setdefault(m["epoch"] + 1, []).append(100 * (1 - m["accuracy"]))
    return [(e, sum(train[e]) / len(train[e]), val[e]) for e in sorted(val) if e in train]


def picture(curves):
    width, height, left, top, plot_w, plot_h = 900, 380, 60, 40, 360, 280
    last = max(c[-1][0] for c in curves.values())
    most = 10 * (1 + int(max(max(t, v) for c in curves.values() for _, t, v in c) // 10))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for panel, (title, column) in enumerate([("training error, %", 1), ("validation error, %", 2)]):
        x0 = left + panel * (plot_w + 70)
        x = lambda epoch: x0 + plot_w * (epoch - 1) / max(1, last - 1)
        y = lambda error: top + plot_h * (1 - error / most)
        out.append(f'<text x="{x0}" y="{top - 14}" font-weight="bold">{title}</text>')
        for tick in range(0, most + 1, 10):
            out.append(f'<line x1="{x0}" x2="{x0 + plot_w}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#dddddd"/>'
                       f'<text x="{x0 - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick}</text>')
        for epoch in range(1, last + 1, max(1, last // 8)):
            out.append(f'<text x="{x(epoch):.1f}" y="{top + plot_h + 18}" text-anchor="middle">{epoch}</text>')
        out.append(f'<text x="{x0 + plot_w / 2}" y="{top + plot_h + 36}" text-anchor="middle">epoch</text>')
        for name, _, colour, dashes in NETS:
            if name in curves:
                points = " ".join(f"{x(c[0]):.1f},{y(c[column]):.1f}" for c in curves[name])
                out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.2" stroke-dasharray="{dashes}"/>')
    for i, (name, label, colour, dashes) in enumerate(n for n in NETS if n[0] in curves):
        x0 = left + 210 * i
        out.append(f'<line x1="{x0}" x2="{x0 + 30}" y1="{height - 8}" y2="{height - 8}" stroke="{colour}" stroke-width="2.2" '
                   f'stroke-dasharray="{dashes}"/><text x="{x0 + 38}" y="{height - 4}">{label}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    runs, folder = map(pathlib.Path, sys.argv[1:])
    curves = {}
    for name, *_ in NETS:
        path = runs / f"degradation-{name}" / "metrics.jsonl"
        if path.exists() and (found := errors(path)):
            curves[name] = found
    if not curves:
        sys.exit(f"curves.py: no {runs}/degradation-*/metrics.jsonl with a validation; train jobs/degradation/*.cfg first")
    with open(folder / "degradation.csv", "w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["net", "epoch", "training_error_percent", "validation_error_percent"])
        for name, curve in curves.items():
            rows.writerows([name, e, f"{t:.2f}", f"{v:.2f}"] for e, t, v in curve)
    (folder / "degradation.svg").write_text(picture(curves))
    print("| net | epochs | training error, % | validation error, % |\n|---|---|---|---|")
    for name, label, *_ in NETS:
        if name in curves:
            e, t, v = curves[name][-1]
            print(f"| {label} | {e} | {t:.2f} | {v:.2f} |")


main()
