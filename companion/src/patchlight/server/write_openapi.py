"""Writes companion/openapi.json. Run `python -m patchlight.server.write_openapi`."""

import json
from pathlib import Path
from typing import Any, cast

from .app import create_app
from .settings import ServeSettings


def main() -> None:
    # No route is called, so this works without a model.
    document = create_app(ServeSettings(), cast(Any, None)).openapi()
    path = Path(__file__).resolve().parents[3] / "openapi.json"
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
