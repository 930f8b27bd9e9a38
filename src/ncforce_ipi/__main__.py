"""``python -m ncforce_ipi`` is the program ``ncforce``."""

import os
import sys

if os.path.isdir(".") and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109, PTH112  # os is loaded
    del sys.path[0]  # nothing is imported from where a user works, as with the program ncforce

from ncforce_ipi.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
