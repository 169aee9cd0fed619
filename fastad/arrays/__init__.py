"""Arrays on the tape; so far the derivative rules of NumPy's functions, which the active arrays to come will call."""
