#!/usr/bin/env python3
"""What versus_torch.sh measured, as a table (Markdown), CSV and a picture (SVG). Plain Python, no packages.

  versus_report.py RESULTS.jsonl FOLDER        writes versus_torch.md, .csv, .svg there, and prints the table

A ratio is the median, over rounds, of our step's time by that of PyTorch's better memory format in the same round; its
interval is that of 95% of such medians when rounds are drawn anew with replacement (bootstrap, 10,000 times); fewer than
three rounds have none.
"""
import csv
import json
import pathlib
import random
import statistics
import sys

NAMES = {"resnet20": "ResNet-20", "resnet56": "ResNet-56", "resnet110": "ResNet-110", "resnet50": "ResNet-50",
         "wrn-16-4": "WRN-16-4"}
GRIDS = {"1x2": "1 rank x 2 threads", "2x1": "2 ranks x 1 thread"}
FORMATS = {"nchw": "nchw", "channels_last": "channels last"}


def interval(ratios, draws=10000):
    """The bounds between which 95% of the medians of resamples lie."""
    generator = random.Random(1)
    medians = sorted(statistics.median(generator.choices(ratios, k=len(ratios))) for _ in range(draws))
    return medians[int(0.025 * draws)], medians[int(0.975 * draws) - 1]


def interval_text(row):
    return f"{row['low']:.2f} to {row['high']:.2f}" if row["rounds"] >= 3 else ""


def summarize(net, grid, precision, rounds):
    for r in rounds:
        if r["ours"]["parameters"] != r["torch"]["parameters"]:
            sys.exit(f"versus_report: {net}: lockstep has {r['ours']['parameters']} parameters, "
                     f"PyTorch {r['torch']['parameters']}: not the same net")
    ours = [r["ours"]["step_ms"] for r in rounds]
    theirs = {name: [r["torch"][name + "_ms"] for r in rounds] for name in FORMATS}
    best = min(theirs, key=lambda name: statistics.median(theirs[name]))
    ratios = [a / b for a, b in zip(ours, theirs[best])]
    low, high = interval(ratios)
    return {"net": net, "grid": grid, "precision": precision, "batch": rounds[0]["batch"], "rounds": len(rounds),
            "lockstep_ms": round(statistics.median(ours), 2),
            "torch_nchw_ms": round(statistics.median(theirs["nchw"]), 2),
            "torch_channels_last_ms": round(statistics.median(theirs["channels_last"]), 2),
            "torch_best": best, "ratio": round(statistics.median(ratios), 4),
            "low": round(low, 4), "high": round(high, 4),
            "torch": rounds[0]["torch"]["torch"].partition("+")[0], "cpu": rounds[0]["cpu"], "date": rounds[0]["date"]}


def read(path):
    groups = {}
    for line in pathlib.Path(path).read_text().splitlines():
        r = json.loads(line)
        groups.setdefault((r["net"], r["grid"], r["precision"]), []).append(r)
    order = list(NAMES)
    known = sorted(groups, key=lambda key: (key[2] != "f32", list(GRIDS).index(key[1]),
                                            order.index(key[0]) if key[0] in order else 99))
    return [summarize(*key, groups[key]) for key in known]


def caption(rows):
    first = rows[0]
    fewest, most = min(r["rounds"] for r in rows), max(r["rounds"] for r in rows)
    rounds = str(fewest) if fewest == most else f"{fewest} to {most}"
    return f"{first['cpu']}, {first['date']}; PyTorch {first['torch']}; medians of {rounds} rounds"


def table(rows):
    lines = ["| net | batch | grid | precision | lockstep, ms | PyTorch nchw, ms | channels last, ms | lockstep / PyTorch's best | 95% | rounds |",
             "|---|---:|---|---|---:|---:|---:|---:|---|---:|"]
    for r in rows:
        lines.append(f"| {NAMES.get(r['net'], r['net'])} | {r['batch']} | {GRIDS[r['grid']]} | {r['precision']} | {r['lockstep_ms']:.1f} | "
                     f"{r['torch_nchw_ms']:.1f} | {r['torch_channels_last_ms']:.1f} | **{r['ratio']:.2f}** | "
                     f"{interval_text(r)} | {r['rounds']} |")
    return "\n".join(lines) + f"\n\n{caption(rows)}\n"


def picture(rows):
    """A bar for each net and grid: our step's time as a part of PyTorch's, which is the line at 1."""
    left, top, bar, gap, scale, width = 168, 40, 15, 6, 400, 760
    limit = max(1.1, max(r["high"] for r in rows) + 0.05)
    scale = scale / limit * 1.1
    one = left + scale
    y, parts, heading = top, [], None
    for r in rows:
        if f"{GRIDS[r['grid']]}, {r['precision']}" != heading:
            heading = f"{GRIDS[r['grid']]}, {r['precision']}"
            y += 8 if parts else 0
            parts.append(f'<text x="8" y="{y + 11}" font-weight="bold">{heading}</text>')
            y += 19
        colour = "#2a6f97" if r["grid"] == "1x2" else "#468faf"
        middle = y + bar / 2
        low, high = left + r["low"] * scale, left + r["high"] * scale
        parts += [
            f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">{NAMES.get(r["net"], r["net"])}, batch {r["batch"]}</text>',
            f'<rect x="{left}" y="{y}" width="{r["ratio"] * scale:.1f}" height="{bar}" fill="{colour}"/>',
            f'<text x="{max(high, one) + 8:.1f}" y="{y + 11}">{r["ratio"]:.2f}'
            f'  ({r["lockstep_ms"]:.0f} ms against {min(r["torch_nchw_ms"], r["torch_channels_last_ms"]):.0f})</text>']
        if r["rounds"] >= 3:
            parts.append(f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 3}v6M{high:.1f} {middle - 3}v6" '
                         'stroke="#222" fill="none"/>')
        y += bar + gap
    parts += [f'<path d="M{one:.1f} {top - 6}V{y}" stroke="#b33" stroke-dasharray="4 3"/>',
              f'<text x="{one:.1f}" y="{top - 10}" text-anchor="middle" fill="#b33">PyTorch</text>',
              f'<text x="8" y="{y + 16}" fill="#555">{caption(rows)}; lines: 95% of the paired ratios\' median</text>']
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 26}" width="{width}" height="{y + 26}" '
            'font-family="sans-serif" font-size="11">\n'
            f'<rect width="{width}" height="{y + 26}" fill="white"/>\n'
            '<text x="8" y="16" font-size="13" font-weight="bold">Time of a training step, lockstep / PyTorch (less is better)'
            '</text>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rows = read(sys.argv[1])
    if not rows:
        sys.exit(f"versus_report: {sys.argv[1]} has no rounds")
    folder = pathlib.Path(sys.argv[2])
    text = table(rows)
    (folder / "versus_torch.md").write_text(text)
    (folder / "versus_torch.svg").write_text(picture(rows))
    with open(folder / "versus_torch.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(text, end="")


if __name__ == "__main__":
    main()
