"""Entry point of `python -m patchlight COMMAND`, for launchers that run modules, such as torchrun and accelerate."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
