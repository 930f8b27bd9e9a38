"""From files to arrays: properties, trajectories, the metadata of a run.  No statistics."""
