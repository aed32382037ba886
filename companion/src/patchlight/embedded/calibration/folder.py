"""The folder that the page's data set view reads: the embedded model's calibration with the pictures that it is of.

calibration.arrow   an answer a row (docs/calibration.md)
images/0000.webp    a picture a scene, what the model was shown
sprites.webp        their thumbnails in one picture
summary.json        a report: what the calibration comes to
manifest.json       bytes and SHA-256 of each file
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ...calibration.content_tokens import content_tokens
from ...calibration.file import CALIBRATION_FILE, CalibrationFacts, Sprites, write_calibration
from ...calibration.summary import calibration_report
from ...models.pictures import open_upright
from ...report import figure, write_report
from .answer_scenes import AnsweredScene

SPRITES_FILE, SUMMARY_FILE, MANIFEST_FILE = "sprites.webp", "summary.json", "manifest.json"
SPRITE_COLS, CELL_PX = 32, 48
_SPRITE_QUALITY = 72


def calibration_rows(scenes: Sequence[AnsweredScene]) -> list[dict[str, Any]]:
    """Answers as rows of the file; a set's questions of a scene are numbered."""
    rows = []
    for cell, scene in enumerate(scenes):
        asked: dict[str, int] = {}
        for answer in scene.answers:
            name = answer["set"]
            number = asked[name] = asked.get(name, -1) + 1
            rows.append(
                {
                    **answer,
                    "id": f"{name}/{scene.scene:04d}/{number}",
                    "correct": float(answer["correct"]),
                    "image": image_path(scene),
                    "thumbnail": cell,
                    "isContent": content_tokens(answer["tokens"], answer["words"]),
                }
            )
    return rows


def image_path(scene: AnsweredScene) -> str:
    """Relative to the folder."""
    return f"images/{scene.scene:04d}.webp"


def write_folder(
    out: Path,
    scenes: Sequence[AnsweredScene],
    rows: Sequence[dict[str, Any]],
    facts: CalibrationFacts,
    figures: list[dict[str, object]],
    **more: object,
) -> None:
    """Replace `out` by a whole new folder, written beside it first. `figures` lead the summary, which takes `more`."""
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "images").mkdir(parents=True)
    try:
        for scene in scenes:
            (aside / image_path(scene)).write_bytes(scene.webp)
        (aside / SPRITES_FILE).write_bytes(sprite_sheet([scene.webp for scene in scenes]))
        sprites: Sprites = {"file": SPRITES_FILE, "cols": SPRITE_COLS, "cellPx": CELL_PX}
        write_calibration(aside / CALIBRATION_FILE, rows, {**facts, "sprites": sprites})
        report = calibration_report(rows, facts["data"]["sets"])
        sizes = [
            figure("pictures", _bytes(aside / "images") / 1e6, unit="MB"),
            figure("all files that the page reads", _bytes(aside) / 1e6, unit="MB", goal="<= 10"),
        ]
        title = f"Is the answer right? What entropy and log-probability say of {len(rows)} answers"
        together = report.pop("figures")
        write_report(
            aside, Path(SUMMARY_FILE).stem, title, facts["command"], [*figures, *together, *sizes], **report, **more
        )
        (aside / MANIFEST_FILE).write_text(_manifest(aside, facts))
        shutil.rmtree(out, ignore_errors=True)
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sprite_sheet(pictures: Sequence[bytes]) -> bytes:
    """A WebP file of square thumbnails, SPRITE_COLS a row, in the pictures' order."""
    sheet = Image.new("RGB", (SPRITE_COLS * CELL_PX, -(-len(pictures) // SPRITE_COLS) * CELL_PX))
    for cell, picture in enumerate(pictures):
        row, col = divmod(cell, SPRITE_COLS)
        small = open_upright(picture).resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
        sheet.paste(small, (col * CELL_PX, row * CELL_PX))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=_SPRITE_QUALITY, method=6)
    return file.getvalue()


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _manifest(folder: Path, facts: CalibrationFacts) -> str:
    """A line a file, so that a change of one shows as one."""
    files = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        files[file.relative_to(folder).as_posix()] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in files.items())
    named = json.dumps(facts["data"]["name"])
    return f'{{\n "formatVersion": 1,\n "name": {named},\n "files": {{\n{lines}\n }}\n}}\n'
