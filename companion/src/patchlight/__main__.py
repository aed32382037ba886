"""`python -m patchlight COMMAND`, for launchers that start modules: torchrun, accelerate."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
