"""Benchmarks of fastad: `python -m bench` runs the main job, `pytest bench/test_<name>.py` one figure."""
