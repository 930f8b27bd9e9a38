"""Parts of ``reproduce.py``: tasks, the paper's numbers, and the page."""
