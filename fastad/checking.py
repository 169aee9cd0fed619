"""Checking derivatives against differences."""


def check_derivatives(f, *args, order=2):
    """None."""
