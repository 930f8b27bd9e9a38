"""One measurement a module: files of one or several runs in, a `Finding` out; prints nothing."""
