"""A report: titled figures with the command that measures them, which documents are made from."""

import json
import time
from pathlib import Path


def write_report(
    folder: Path, name: str, title: str, command: str, figures: list[dict[str, object]], **more: object
) -> None:
    """`folder/<name>.json`: a titled list of figures with the command that measures them."""
    folder.mkdir(parents=True, exist_ok=True)
    body = {"title": title, "command": command, "measuredOn": time.strftime("%Y-%m-%d"), "figures": figures, **more}
    (folder / f"{name}.json").write_text(json.dumps(body, indent=1) + "\n")


def figure(label: str, value: float, *, unit: str = "", goal: str = "") -> dict[str, object]:
    """One number of a report, rounded for reading."""
    row: dict[str, object] = {"label": label, "value": round(value, 4)}
    if unit:
        row["unit"] = unit
    if goal:
        row["goal"] = goal
    return row
