"""Active arrays: storages on the tape, NumPy's protocols, and the derivative rules of its functions."""
