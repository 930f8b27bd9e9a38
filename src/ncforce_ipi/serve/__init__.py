"""A force request, from the socket to the answer.  Knows models only as `backend.Backend`."""
