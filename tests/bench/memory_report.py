#!/usr/bin/env python3
"""What memory_time.sh measured, as a table (Markdown) and a picture (SVG). Plain Python, no packages.

  memory_report.py RESULTS.jsonl FOLDER        writes memory_time.md and memory_time.svg there, and prints the table

A ratio is that of the run whose ratio is in the middle, if a way was run more than once; its interval is the run's own.
"""
import json
import pathlib
import sys

NAMES = {"resnet50": "ResNet-50, 224 pixels", "resnet152": "ResNet-152, 224 pixels", "resnet110": "ResNet-110", "resnet1001": "ResNet-1001"}
COLOURS = {"auto": "#2a6f97", "every": "#bc6c25", "sqrt": "#6a994e"}


def kind(way):
    return "auto" if way.startswith("0.") else way.partition(":")[0]


def read(path):
    """net -> rows, one for each way."""
    runs = {}
    for line in pathlib.Path(path).read_text().splitlines():
        r = json.loads(line)
        runs.setdefault(r["net"], {}).setdefault(r["way"], []).append(r["result"])
    return {net: [summarize(net, way, results) for way, results in ways.items()] for net, ways in runs.items()}


def summarize(net, way, results):
    r = sorted(results, key=lambda result: result["step_over_beside"])[(len(results) - 1) // 2]
    return {"net": net, "way": way, "runs": len(results), "steps": r["steps"], "batch": r["batch"], "ms": r["step_ms"],
            "none_ms": r["beside_ms"], "time": r["step_over_beside"], "low": r["low"], "high": r["high"], "arena": r["arena_mib"],
            "none_arena": r["beside_arena_mib"], "memory": r["arena_mib"] / r["beside_arena_mib"], "predicted": r["step_over_predicted"]}


def table(rows):
    lines = ["| net | batch | way | arena, MiB | none's | ratio | step, ms | none's | ratio | 95% | measured / predicted | runs |",
             "|---|---:|---|---:|---:|---:|---:|---:|---:|---|---:|---:|"]
    for r in rows:
        way = f"auto, {r['way']} of none's arena" if kind(r["way"]) == "auto" else r["way"]
        lines.append(f"| {NAMES[r['net']]} | {r['batch']} | {way} | {r['arena']} | {r['none_arena']} | {r['memory']:.2f} | {r['ms']:.0f} | "
                     f"{r['none_ms']:.0f} | **{r['time']:.2f}** | {r['low']:.2f} to {r['high']:.2f} | {r['predicted']:.2f} | {r['runs']} |")
    return "\n".join(lines) + "\n"


def panel(net, rows, left, top, width, height):
    """Memory to the right, time upwards, both as parts of what `none` takes."""
    limit = max(1.3, max(r["high"] for r in rows) + 0.05)
    floor = min(0.9, min(r["low"] for r in rows) - 0.02)
    x = lambda memory: left + memory * width
    y = lambda time: top + (limit - time) / (limit - floor) * height
    parts = [f'<text x="{left}" y="{top - 8}" font-weight="bold">{NAMES[net]}, batch {rows[0]["batch"]}</text>',
             f'<path d="M{left} {top}V{top + height}H{left + width}" stroke="#888" fill="none"/>',
             f'<path d="M{left} {y(1):.1f}H{left + width}" stroke="#b33" stroke-dasharray="4 3"/>']
    for tick in (0.2, 0.4, 0.6, 0.8, 1):
        parts.append(f'<text x="{x(tick):.1f}" y="{top + height + 13}" text-anchor="middle" fill="#555">{tick}</text>')
    time = -(-floor // 0.1) * 0.1
    while time < limit:
        parts.append(f'<text x="{left - 4}" y="{y(time) + 4:.1f}" text-anchor="end" fill="#555">{time:.1f}</text>')
        time += 0.1
    curve = sorted((r["memory"], r["time"]) for r in rows if kind(r["way"]) == "auto") + [(1, 1)]
    parts.append('<path d="M' + "L".join(f'{x(memory):.1f} {y(time):.1f}' for memory, time in curve) + f'" stroke="{COLOURS["auto"]}" fill="none"/>')
    for r in rows:
        colour = COLOURS[kind(r["way"])]
        parts.append(f'<path d="M{x(r["memory"]):.1f} {y(r["low"]):.1f}V{y(r["high"]):.1f}" stroke="{colour}"/>')
        parts.append(f'<circle cx="{x(r["memory"]):.1f}" cy="{y(r["time"]):.1f}" r="3.5" fill="{colour}"/>')
        if kind(r["way"]) in ("every", "sqrt"):
            parts.append(f'<text x="{x(r["memory"]) + 6:.1f}" y="{y(r["time"]) - 4:.1f}" fill="{colour}">{r["way"]}</text>')
    return parts


def picture(nets):
    width, gap, top, height = 250, 60, 64, 200
    parts = []
    for i, (net, rows) in enumerate(nets.items()):
        parts += panel(net, rows, 50 + i * (width + gap), top, width, height)
    whole = 50 + len(nets) * (width + gap)
    parts.append(f'<text x="50" y="{top + height + 32}" fill="#555">across: arena / none\'s; up: time of a step / none\'s; blue: memory.recompute = auto '
                 'under a budget; lines: 95%</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {top + height + 44}" width="{whole}" height="{top + height + 44}" '
            f'font-family="sans-serif" font-size="11">\n<rect width="{whole}" height="{top + height + 44}" fill="white"/>\n'
            '<text x="8" y="20" font-size="13" font-weight="bold">Memory against time of recomputation</text>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    nets = read(sys.argv[1])
    text = table([row for rows in nets.values() for row in rows])
    folder = pathlib.Path(sys.argv[2])
    (folder / "memory_time.md").write_text(text)
    (folder / "memory_time.svg").write_text(picture(nets))
    print(text, end="")


if __name__ == "__main__":
    main()
