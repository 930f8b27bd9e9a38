"""Files and options in, one result for each observable.

`analyze` is all of them, `compare` several runs.
"""
