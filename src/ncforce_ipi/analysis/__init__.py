"""Arrays in, results with error bars out.  Knows no file and no figure."""
