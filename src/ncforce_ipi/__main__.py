"""``python -m ncforce_ipi`` is the program ``ncforce``."""

from ncforce_ipi.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
