"""i-PI input templates and start structures, installed as package data."""
