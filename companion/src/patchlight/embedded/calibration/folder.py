"""Writes the folder that the page's dataset view reads: the embedded model's calibration and its images.

calibration.arrow   one answer per row (docs/calibration.md)
images.bin          one WebP image per scene as the model saw it, back to back
images.json         the position of each image in images.bin, and its SHA-256
sprites.webp        the images' thumbnails in one sheet
summary.json        a report that summarises the calibration
manifest.json       size and SHA-256 of each file
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from PIL import Image

from ...calibration.content_tokens import content_tokens
from ...calibration.file import CALIBRATION_FILE, CalibrationFacts, Sprites, write_calibration
from ...calibration.reader import read_calibration
from ...calibration.summary import calibration_report
from ...models.pictures import open_upright
from ...report import figure, write_report
from .answer_scenes import AnsweredScene
from .packed_images import IMAGES_FILE, write_images

SPRITES_FILE, SUMMARY_FILE, MANIFEST_FILE = "sprites.webp", "summary.json", "manifest.json"
SPRITE_COLS, CELL_PX = 32, 48
_SPRITE_QUALITY = 72
# The figures that the table does not determine come before the first of these.
_FIRST_DERIVED = ("AUROC", "images")


def calibration_rows(scenes: Sequence[AnsweredScene]) -> list[dict[str, Any]]:
    """Return the answers as rows of the calibration file. Each id ends in the question's number within its scene and
    set.
    """
    rows = []
    for cell, scene in enumerate(scenes):
        last_number: dict[str, int] = {}
        for answer in scene.answers:
            name = answer["set"]
            number = last_number[name] = last_number.get(name, -1) + 1
            rows.append(
                {
                    **answer,
                    "id": f"{name}/{scene.scene:04d}/{number}",
                    "correct": float(answer["correct"]),
                    "image": image_name(scene),
                    "thumbnail": cell,
                    "isContent": content_tokens(answer["tokens"], answer["words"]),
                }
            )
    return rows


def image_name(scene: AnsweredScene) -> str:
    """Return the name of a scene's image in the index of images."""
    return f"images/{scene.scene:04d}.webp"


def write_folder(
    out: Path,
    scenes: Sequence[AnsweredScene],
    rows: Sequence[dict[str, Any]],
    facts: CalibrationFacts,
    figures: list[dict[str, object]],
    **more: object,
) -> None:
    """Write a new folder next to `out` and then replace `out` with it.

    figures: the first figures of the summary; more: additional keys of the summary.
    """
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        images = write_images(temporary, {image_name(scene): scene.webp for scene in scenes}, "image/webp")
        (temporary / SPRITES_FILE).write_bytes(sprite_sheet([scene.webp for scene in scenes]))
        sprites: Sprites = {"file": SPRITES_FILE, "cols": SPRITE_COLS, "cellPx": CELL_PX}
        write_calibration(temporary / CALIBRATION_FILE, rows, {**facts, "sprites": sprites, "images": images})
        _write_summary(temporary, rows, facts, figures, **more)
        shutil.rmtree(out, ignore_errors=True)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def renew_summary(folder: Path) -> None:
    """Summarise the calibration in `folder` again, from its own table.

    Figures that the table does not determine, such as the comparison with PyTorch, are kept from the old summary.
    """
    answers = read_calibration(folder / CALIBRATION_FILE)
    rows, facts = answers.table.to_pylist(), answers.facts
    old = json.loads((folder / SUMMARY_FILE).read_text())
    kept = list(takewhile(lambda row: not row["label"].startswith(_FIRST_DERIVED), old["figures"]))
    _write_summary(folder, rows, facts, kept, headCurve=old["headCurve"])


def _write_summary(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    facts: Mapping[str, Any],
    figures: list[dict[str, object]],
    **more: object,
) -> None:
    """Write the summary of a folder's calibration, and then the folder's manifest."""
    report = calibration_report(rows, facts["data"]["sets"])
    sizes = [
        figure("images", (folder / IMAGES_FILE).stat().st_size / 1e6, unit="MB"),
        figure("all files read by the page", _bytes(folder) / 1e6, unit="MB", goal="<= 10"),
    ]
    title = f"Entropy and log-probability as predictors of right answers ({len(rows)} answers)"
    derived = [*report.pop("figures"), *sizes]
    name = Path(SUMMARY_FILE).stem
    write_report(folder, name, title, facts["command"], [*figures, *derived], **report, **more)
    (folder / MANIFEST_FILE).write_text(_manifest(folder, facts))


def sprite_sheet(images: Sequence[bytes]) -> bytes:
    """Return a WebP file of square thumbnails in the order of the images, SPRITE_COLS per row."""
    sheet = Image.new("RGB", (SPRITE_COLS * CELL_PX, -(-len(images) // SPRITE_COLS) * CELL_PX))
    for cell, image in enumerate(images):
        row, col = divmod(cell, SPRITE_COLS)
        small = open_upright(image).resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
        sheet.paste(small, (col * CELL_PX, row * CELL_PX))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=_SPRITE_QUALITY, method=6)
    return file.getvalue()


def _bytes(folder: Path) -> int:
    """Return the size of the files that the page reads."""
    others = (folder / SUMMARY_FILE, folder / MANIFEST_FILE)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and file not in others)


def _manifest(folder: Path, facts: Mapping[str, Any]) -> str:
    """Return the manifest with one line per file, so that diffs show which files changed."""
    files = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_FILE):
        content = file.read_bytes()
        files[file.relative_to(folder).as_posix()] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in files.items())
    named = json.dumps(facts["data"]["name"])
    return f'{{\n "formatVersion": 1,\n "name": {named},\n "files": {{\n{lines}\n }}\n}}\n'
