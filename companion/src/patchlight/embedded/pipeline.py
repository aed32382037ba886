"""Builds the page's model from scratch with one command: `python -m patchlight.embedded.pipeline`.

The steps produce scenes, training stages, head samples, the head, reports, exports, parity checks, the calibration and
recorded runs. Scenes, training stages, head samples and calibration answers are kept between runs, and an interrupted
step resumes from its last checkpoint or shard; all other steps run again each time. If `export` changes the decoder,
run `explain` after it: until then, the manifest lists no graphs for explanations. `--smoke` runs the same code with
small sizes, in a minute.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from .build import NAME, STEPS, Build
from .build_size import FULL, SMOKE


def main(words: Sequence[str] | None = None) -> None:
    root = Path(__file__).resolve().parents[4]
    parser = argparse.ArgumentParser(description="Build the embedded model from scratch.")
    parser.add_argument("--smoke", action="store_true", help="run the same code with small sizes, in a minute")
    parser.add_argument("--work", type=Path, help="folder for scenes, checkpoints and samples")
    parser.add_argument(
        "--hf", type=Path, help="folder for the model in the Hugging Face layout, with its head in `fastrm`"
    )
    parser.add_argument("--out", type=Path, help="folder for the browser model")
    parser.add_argument("--samples", type=Path, help="folder for sample images and recorded runs")
    parser.add_argument("--dataset", type=Path, help="folder for the calibration and its images")
    parser.add_argument("--only", nargs="*", choices=STEPS, help="run only these steps")
    parser.add_argument("--workers", type=int, default=2, help="processes for rendering and collecting")
    arguments = parser.parse_args(words)
    work = arguments.work or root / ".cache" / ("smoke" if arguments.smoke else "build")
    hf = arguments.hf or (work / "hf" if arguments.smoke else root / "models" / NAME)
    out = arguments.out or (work / "model" if arguments.smoke else root / "public" / "models" / NAME)
    samples = arguments.samples or (work / "runs" if arguments.smoke else root / "public" / "samples")
    dataset = arguments.dataset or (work / "dataset" if arguments.smoke else root / "public" / "datasets" / NAME)
    if arguments.smoke and arguments.out is None and not arguments.only:
        shutil.rmtree(work, ignore_errors=True)
    size = SMOKE if arguments.smoke else FULL
    Build(work, hf, out, samples, dataset, size, arguments.workers).run(arguments.only)


if __name__ == "__main__":
    main()
