"""Makes damo records in all their forms, from one list of snapshots."""

import json
import zlib


def record(snapshots, target=0, **keys):
    """A record as damo 3.4.3 writes it. snapshots: (end in ns, [(start, end, accesses, age)])."""
    return {
        "kdamond_idx": 0, "context_idx": 0, "intervals": None, "scheme_idx": None, "target_id": target,
        "scheme_filters": [],
        "snapshots": [
            {
                "start_time": str(end - 100_000_000), "end_time": str(end),
                "regions": [
                    {
                        "start": f"{first:,}", "end": f"{last:,}", "nr_accesses": {"samples": seen, "percent": None},
                        "age": {"usec": None, "aggr_intervals": f"{age:,}"}, "probe_hits": [],
                        "sz_filter_passed": "0 B",
                    }
                    for first, last, seen, age in regions
                ],
                "total_bytes": str(sum(last - first for first, last, _, _ in regions)), "damos_stats": None,
                "sample_interval_us": None,
            }
            for end, regions in snapshots
        ],
        "data_source": "unknown", **keys,
    }  # fmt: skip


def as_json(*records, indent=4):
    return json.dumps(list(records), indent=indent).encode()


def packed(*records):
    return zlib.compress(as_json(*records))


def as_text(snapshots, target=0, form="perf", event="damon_aggregated", behind=""):
    """The same as trace events. form: perf, trace-cmd, or an older trace-cmd."""
    fronts = {
        "perf": "kdamond.0  4452 [000] {}: damon:{}: ", "trace-cmd": "kdamond.0-4452 [005] ..... {}: {}:     ",
        "trace-cmd 3.2": "kdamond.0-4452 [005] {}: {}:     ",
    }  # fmt: skip
    ids = f"target_id={target}" if "before_apply" not in event else f"ctx_idx=0 scheme_idx=0 target_idx={target}"
    lines = []
    for end, regions in snapshots:
        for place, (first, last, seen, age) in enumerate(regions):
            # each region is an event of its own, a little later than the one before
            time = f"{end // 10**9}.{end % 10**9 // 1000 + place:06}"
            front = fronts[form].format(time, event)
            lines.append(f"{front}{ids} nr_regions={len(regions)} {first}-{last}: {seen} {age}{behind}")
    return "".join(f"{line}\n" for line in lines).encode()
