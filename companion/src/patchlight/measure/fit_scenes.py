"""Measures `patchlight fit` on the embedded model: how long it takes, and how good the head is.

    python -m patchlight.measure.fit_scenes --work FOLDER --scenes 300 --held-out 64

Renders scenes, saves them as pictures, and runs the command on them, which knows nothing about scenes: it asks generic
questions. The head is judged twice: by the command, on pictures that it held out, and here, on questions about other
scenes for which the object that a word names is known. A finished fit in FOLDER is not run again, so the times are
those of an uninterrupted run. Processor time is that of all threads; it depends less on what else the machine is doing.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..embedded.collect import CollectConfig, collect
from ..embedded.held_out import read_held_out
from ..embedded.world.pool import ScenePool
from ..head.fastrm import FastRM
from ..head.whole_files import write_json
from ..report import figure, write_report
from .head_trial import estimates_of, score

TIMES_FILE = "times.json"


def write_pictures(pool: ScenePool, folder: Path) -> None:
    """Save the scenes' images as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(len(pool)):
        path = folder / f"scene-{index:04d}.png"
        if not path.exists():
            Image.fromarray(np.array(pool[index].image)).save(path)


def run_fit(model: Path, work: Path) -> dict[str, float]:
    """Run the command, unless that is done, and return its times in seconds. Raises CalledProcessError if it fails."""
    times = work / TIMES_FILE
    if times.exists():
        return json.loads(times.read_text())
    command = [sys.executable, "-m", "patchlight", "fit", "--model", str(model), "--device", "cpu"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [*command, "--images", str(work / "pictures"), "--out", str(work / "head"), "--overwrite"], check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result = {"wall": time.perf_counter() - started, "processor": used}
    write_json(times, result)
    return result


def figures_of(report: dict[str, Any], goals: dict[str, str]) -> list[dict[str, object]]:
    """Return the figures of a verdict, with `goals` by label for the head's own."""
    figures = []
    for name, scores in report.items():
        if not isinstance(scores, dict):
            continue
        for label, part in scores.items():
            if part["value"] is not None:
                goal = goals.get(label, "") if name == "head" else ""
                interval = (part["low"], part["high"])
                figures.append(figure(f"{label}, {name}", part["value"], interval=interval, goal=goal))
    return figures


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure `patchlight fit` on the embedded model.")
    parser.add_argument("--model", type=Path, default=Path("models/patchlight-scenes"), help="the embedded model")
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes, pictures, samples and the head")
    parser.add_argument("--scenes", type=int, default=300, help="scenes to fit on (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=64, help="other scenes to judge on (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for the report")
    args = parser.parse_args(arguments)
    for split, scenes in (("train", args.scenes), ("test", args.held_out)):
        ScenePool(args.work / "scenes", split, scenes).fill(workers=2)
    write_pictures(ScenePool(args.work / "scenes", "train", args.scenes), args.work / "pictures")
    times = run_fit(args.model, args.work)
    report = json.loads((args.work / "head" / "head-report.json").read_text())
    config = CollectConfig("test", 0, args.held_out, seed=12, autocast=False)
    collect(args.model, args.work / "scenes", args.work / "held-out", config, workers=2)
    judged = read_held_out(args.work / "held-out", ScenePool(args.work / "scenes", "test", args.held_out))
    scores = {
        name: np.array(column) for name, column in score(FastRM.from_pretrained(args.work / "head"), judged).items()
    }
    figures = [
        figure("scenes", args.scenes),
        figure("cores", os.cpu_count() or 0),
        figure("time", times["wall"] / 60, unit="min", goal="<= 10"),
        figure("processor time of all threads", times["processor"] / 60, unit="min"),
        figure("labelled tokens", report["tokens"]),
        figure("steps", report["steps"]),
        *figures_of(report["figures"], {"f1": ">= 0.53", "pointing": ">= 0.50"}),
    ]
    if report["text"]["figures"] is not None:
        of_words = figures_of(report["text"]["figures"], {})
        figures += [{**row, "label": f"words: {row['label']}"} for row in of_words]
    for label, estimate in estimates_of(scores, judged).items():
        figures.append(figure(f"questions about other scenes: {label}", estimate.value, interval=estimate.interval))
    for row in figures:
        print(f"{row['label']}: {row['value']} {row.get('interval', '')}")
    if args.out:
        amount = f"--scenes {args.scenes} --held-out {args.held_out}"
        command = f"python -m patchlight.measure.fit_scenes --work FOLDER {amount} --out bench/report"
        precision = FastRM.from_pretrained(args.work / "head").facts.label_precision
        title = f"A head for the embedded model by `patchlight fit`, from pictures alone (labels in {precision})"
        write_report(args.out, "fit", title, command, figures)


if __name__ == "__main__":
    main()
