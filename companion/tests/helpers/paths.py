"""Paths of the files that tests read."""

from pathlib import Path

COMPANION = Path(__file__).resolve().parents[2]
ROOT = COMPANION.parent
OPENAPI = COMPANION / "openapi.json"
EMBEDDED = ROOT / "models" / "patchlight-scenes"
SAMPLES = ROOT / "public" / "samples"
