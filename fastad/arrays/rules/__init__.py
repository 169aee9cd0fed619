"""Derivatives of NumPy's array functions, one declaration each, in a module per family."""
