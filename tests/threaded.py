"""Running a function in several threads that start together."""

import threading


def in_threads(count, work):
    """Runs work(k) in `count` threads that start together; a list of results, or the first exception. They must all end."""
    results, errors, barrier = [None] * count, [], threading.Barrier(count)

    def run(k):
        try:
            barrier.wait(30)
            results[k] = work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread did not come back"
    if errors:
        raise errors[0]
    return results
