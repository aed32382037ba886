"""Measurement reports: JSON files of labelled figures from which the documentation is generated."""

import json
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path


def write_report(
    folder: Path, name: str, title: str, command: str, figures: list[dict[str, object]], **more: object
) -> None:
    """Write `folder/<name>.json`: a title, the command that measures the figures, today's date, and the figures.

    `more` adds further top-level fields.
    """
    folder.mkdir(parents=True, exist_ok=True)
    body = {"title": title, "command": command, "measuredOn": time.strftime("%Y-%m-%d"), "figures": figures, **more}
    (folder / f"{name}.json").write_text(json.dumps(body, indent=1, allow_nan=False) + "\n")


def figure(
    label: str, value: float, *, interval: tuple[float, float] | None = None, unit: str = "", goal: str = ""
) -> dict[str, object]:
    """Return one figure of a report, rounded to four decimals. `interval` is the 95 % interval of an estimated figure;
    `goal` is such as ">= 0.8".
    """
    row: dict[str, object] = {"label": label, "value": round(value, 4)}
    if interval is not None:
        row["interval"] = [round(end, 4) for end in interval]
    if unit:
        row["unit"] = unit
    if goal:
        row["goal"] = goal
    return row


def is_met(goal: str, value: float, interval: Sequence[float] | None = None) -> bool:
    """Return whether a figure meets its goal: with an interval, its worse end has to (`scripts/figures.mjs` judges
    alike).

    Raises ValueError unless the goal is ">= " or "<= " and a number.
    """
    low, high = interval or (value, value)
    match = re.fullmatch(r"(>=|<=) (\d+(?:\.\d+)?(?:e-?\d+)?)", goal)
    if match is None:
        raise ValueError(f'the goal {goal!r} is not such as ">= 0.8" or "<= 10"')
    return low >= float(match[2]) if match[1] == ">=" else high <= float(match[2])


def processor_name() -> str:
    """Return the name of the processor if the system tells it (Linux), otherwise its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [value.strip() for key, _, value in (line.partition(":") for line in lines) if key.strip() == "model name"]
    return names[0] if names else platform.machine()
