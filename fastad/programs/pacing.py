"""Spreading the rows of a batch over threads in stretches so short that an interrupt and a progress bar need not wait."""

import threading
import time

STRETCH = 0.01           # seconds of work between looks at signals
FIRST_ROWS = 64


class Progress:
    """A progress bar of tqdm or rich, imported when asked for; nothing otherwise."""

    def __init__(self, wanted, total, name):
        self._bar = self._add = None
        if wanted:
            self._bar, self._add = _bar(total, name)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.__exit__(*exception)

    def add(self, rows):
        """Moves the bar on by some rows."""
        if self._add is not None and rows:
            self._add(rows)


def _bar(total, name):
    """(context, function that moves it on)"""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        pass
    else:
        bar = tqdm(total=total, desc=name, unit="row")
        return bar, bar.update
    try:
        from rich.progress import Progress as Bars
    except ImportError:
        raise ImportError("map(progress=True) needs tqdm or rich: pip install fastad[progress]") from None
    bars = Bars()
    task = bars.add_task(name, total=total)
    bars.start()
    return bars, lambda rows: bars.advance(task, rows)


class _Work:
    """Rows that are still to be run, handed out in stretches of whole blocks, `width` rows each."""

    def __init__(self, count, width, numbers):
        self.count, self.width = count, width
        self.first = width * -(-FIRST_ROWS // width)
        self.numbers = 0 if numbers is None else numbers.ctypes.data
        self.at, self.stopping = 0, False
        self.lock = threading.Lock()

    def take(self, rows, parts):
        """(start, stop) of the next stretch; None if there is none. Near the end stretches get shorter, so that all threads end together."""
        with self.lock:
            left = self.count - self.at
            if self.stopping or not left:
                return None
            rows = min(rows, left // (2 * parts)) if parts > 1 else rows
            start, self.at = self.at, self.at + min(left, max(rows - rows % self.width, self.width))
            return start, self.at

    def run(self, worker, parts, moved):
        """Runs stretches until none is left, each of about STRETCH seconds, and says after each how many rows have their results."""
        rows = self.first
        while (stretch := self.take(rows, parts)) is not None:
            began = time.perf_counter()
            left = worker.run(self.numbers, *stretch)
            seconds, run = time.perf_counter() - began, stretch[1] - stretch[0]
            moved(run - left)
            rows = max(self.first if seconds < STRETCH else 1, min(8 * rows, int(run * STRETCH / max(seconds, 1e-6))))


def spread(make, count, numbers, threads, bar, width):
    """Runs `count` rows by workers that make() gives, one per thread, which take `width` rows at once; returns the workers.

    An interrupt or an error comes out.
    """
    work = _Work(count, width, numbers)
    threads = min(threads, max(1, count // width))
    if threads == 1:
        workers = [make()]
        work.run(workers[0], 1, bar.add)
        return workers
    workers = [make() for _ in range(threads)]
    _in_threads(work, workers, bar)
    return workers


def _in_threads(work, workers, bar):
    errors: list = []
    finished = [0]                   # rows that the bar has not been told of

    def moved(rows):
        with work.lock:
            finished[0] += rows

    def tell(*_):
        with work.lock:
            rows, finished[0] = finished[0], 0
        bar.add(rows)

    def target(worker):
        try:
            work.run(worker, len(workers), moved)
        except BaseException as error:
            errors.append(error)
            work.stopping = True

    running = [threading.Thread(target=target, args=(worker,), daemon=True) for worker in workers[1:]]
    try:
        for thread in running:
            thread.start()
        # This thread works too: it is the one that an interrupt reaches, between stretches.
        work.run(workers[0], len(workers), lambda rows: (moved(rows), tell()))
        for thread in running:
            while thread.is_alive():
                thread.join(2 * STRETCH)
                tell()
    finally:
        work.stopping = True
        for worker in workers:
            worker.stop()
        for thread in running:
            if thread.ident is not None:
                thread.join()
    if errors:
        raise errors[0]
    tell()
