"""i-PI and drivers as supervised processes."""
