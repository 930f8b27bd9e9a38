"""Runs from their inputs to their ends, side by side, in as many i-PI processes as that takes."""
