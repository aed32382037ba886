"""Installs a fitted head in its output folder, with its text output and its browser export."""

import shutil
from dataclasses import replace
from pathlib import Path

from ..head.export import write_head
from ..head.fastrm import TEXT_FOLDER, FastRM, HeadFacts
from .run_folder import staged
from .text_output import TextOutput

BROWSER_FOLDER = "browser"


def install_head(out: Path, head: FastRM, facts: HeadFacts, text: TextOutput) -> None:
    """Write a head and its text output, if there is one, in place of those in `out`.

    The caller has removed the facts of an earlier head: a folder without facts holds no head. They are written last.
    """
    with staged(out / BROWSER_FOLDER) as browser:
        head.save_pretrained(browser, facts)
        write_head(head, text.head, browser, browser)
        for weights in browser.glob("head.*"):
            weights.unlink()
    shutil.rmtree(out / TEXT_FOLDER, ignore_errors=True)
    if text.head is not None:
        text.head.save_pretrained(out / TEXT_FOLDER, replace(facts, classification_threshold=text.threshold))
    head.save_pretrained(out, facts)
