"""A fast partner for any slow model: data, training, and the tests that a pair must pass."""
