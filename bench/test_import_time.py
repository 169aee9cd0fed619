"""The time `import fastad` takes where NumPy is imported already."""

from bench import figures


def test_import_time(benchmark):
    figures.track(benchmark, benchmark.pedantic(figures.import_time, rounds=1))
