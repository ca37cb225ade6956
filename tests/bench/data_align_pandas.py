#!/usr/bin/env python3
"""The aligner next to pandas.merge_asof, round by round, medians.

  data_align_pandas.py DATA_ALIGN [OBSERVATIONS] [ROUNDS]   default 5000000 and 5

Ten streams of one day onto the 86,400 starts of its seconds.  pandas has each
stream as a frame of its own with a time and one value, sorted, and finds the last
row before each start: no tolerance, no bounds of clocks, no carry, no blending,
one value a slice and stream (864,000 of 5 M rows).  The aligner shows, of four of
the streams, all that may lie in the slice (6.6 million values).  Each variant is
one way in which people write the join:

  separate   a join a stream, keys are integers
  chained    one frame that gains a column a stream, keys are integers
  datetime   chained, keys are datetime64[ns]
  long       one frame of all streams, `by` names them

A join of frames is compared with `window, streams`, which is given the same: each
stream for itself, in order.  `long` is given all of them in one order, as a log has
them, and so is `window, in one order`: comparing that to frames that were taken
apart and sorted before the clock ran would leave out half of the work.

DATA_ALIGN (the bench) runs between them with one round of its own.  Exits 77
where pandas is absent.
"""
import statistics
import subprocess
import sys
import time

try:
    import numpy as np
    import pandas as pd
except ImportError:
    print("skipped: pandas is not installed")
    sys.exit(77)

STREAMS = 10
SLICES = 86400
START_NS = 1763164800 * 10**9


def make_streams(n):
    rng = np.random.default_rng(1)
    streams = []
    for k in range(STREAMS):
        t = np.sort(START_NS + rng.integers(0, SLICES * 10**9, n // STREAMS))
        streams.append(pd.DataFrame({"t": t, f"value{k}": rng.random(len(t))}))
    return streams


def separate(left, streams):
    return [pd.merge_asof(left, s, on="t") for s in streams]


def chained(left, streams):
    for s in streams:
        left = pd.merge_asof(left, s, on="t")
    return left


def long(left, right):
    return pd.merge_asof(left, right, on="t", by="stream")


def variants(n):
    streams = make_streams(n)
    starts = pd.DataFrame({"t": START_NS + np.arange(SLICES, dtype=np.int64) * 10**9})
    as_dates = [s.assign(t=pd.to_datetime(s.t)) for s in streams]
    tall = [s.rename(columns={f"value{k}": "value"}).assign(stream=k) for k, s in enumerate(streams)]
    right = pd.concat(tall).sort_values("t", kind="stable")
    asked = pd.concat([starts.assign(stream=k) for k in range(STREAMS)])
    asked = asked.sort_values("t", kind="stable")
    return {
        "separate": lambda: separate(starts, streams),
        "chained": lambda: chained(starts, streams),
        "datetime": lambda: chained(starts.assign(t=pd.to_datetime(starts.t)), as_dates),
        "long": lambda: long(asked, right),
    }


BENCH = {"streams": "window, streams", "in one order": "window, in one order"}


def rates_of_bench(program, n):
    """M observations/s of each way to hand them over."""
    text = subprocess.run([program, str(n), "1"], check=True, capture_output=True, text=True)
    lines = {line[:34].strip(): line for line in text.stdout.splitlines()}
    return {way: float(lines[name].split()[-2]) for way, name in BENCH.items()}


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 5_000_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    ways = variants(n)
    rates = {name: [] for name in [*BENCH, *ways]}
    for _ in range(rounds):
        for name, rate in rates_of_bench(sys.argv[1], n).items():
            rates[name].append(rate)
        for name, join in ways.items():
            begin = time.perf_counter()
            join()
            rates[name].append(n / (time.perf_counter() - begin) / 1e6)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{n} observations, pandas {pd.__version__}, medians of {rounds}")
    print(f"{'':16} {'M obs/s':>9} {'slowest':>9} {'fastest':>9}   data_align is")
    for name, values in rates.items():
        own = "in one order" if name in ("long", "in one order") else "streams"
        print(f"{name:16} {middle[name]:9.2f} {min(values):9.2f} {max(values):9.2f}"
              f" {middle[own] / middle[name]:8.2f} x ({own})")


if __name__ == "__main__":
    main()
