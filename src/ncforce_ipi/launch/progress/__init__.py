"""What i-PI has written so far: how far a run is, how long it takes yet, whether it must end."""
