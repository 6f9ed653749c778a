"""The account of a comparison: as what becomes JSON, and as text."""

import math
import statistics

from race import PLI

WRONG = 0.1  # an error, over the output's RMS, with which an engine is nobody's best peer
FIGURES = {"median": "median of the rounds' medians", "min": "least of all runs"}


def figures_of(case, engine):
    if engine in case.failures:
        return {"failure": case.failures[engine]}
    rounds = case.rounds.get(engine)
    if not rounds:
        return {"failure": "not measured"}
    return {
        "median_ms": statistics.median(one["median_ms"] for one in rounds),
        "min_ms": min(one["min_ms"] for one in rounds),
        "error": case.errors.get(engine),
        "rounds": rounds,
    }


def ratios(engines, figure):
    """The best peer, and the others' times over Pli's; None where one of them has none."""
    times = {engine: found[f"{figure}_ms"] for engine, found in engines.items() if "failure" not in found}
    own = times.pop(PLI, None)
    right = [engine for engine in times if (engines[engine]["error"] or 0) < WRONG]
    best = min(right, key=times.get, default=None)
    return {
        "best_peer": best,
        "to_onnxruntime": times["onnxruntime"] / own if own and "onnxruntime" in times else None,
        "to_best_peer": times[best] / own if own and best else None,
    }


def geometric_mean(values):
    known = [value for value in values if value is not None]
    return math.exp(statistics.fmean(map(math.log, known))) if known else None


def summary(cases, engines):
    models = []
    for case in cases:
        found = {engine: figures_of(case, engine) for engine in engines}
        by_figure = {figure: ratios(found, figure) for figure in FIGURES}
        failures = {what: why for what, why in case.failures.items() if what not in engines}
        models.append({"name": case.name, "path": str(case.path), "engines": found, **by_figure, "failures": failures})
    means = {
        figure: {ratio: geometric_mean(model[figure][ratio] for model in models) for ratio in ("to_onnxruntime", "to_best_peer")}
        for figure in FIGURES
    }
    return {"models": models, "geometric_means": means}


def print_environment(account):
    versions = ", ".join(f"{name} {version}" for name, version in account["versions"].items())
    beside = ", beside a process that keeps one busy" if account["busy"] else ""
    print(f"{account['cpu']}, {account['instruction_set']}, {account['processors']} processors{beside}; load average "
          f"{account['load_average']:.1f}")
    print(versions)
    print(f"threads {account['threads']}, rounds {account['rounds']}", flush=True)


def print_table(rows):
    """The first row is the head; the first column is text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip())


def times(value):
    return "-" if value is None else f"{value:.2f}x"


def cell(found, key, layout):
    return "-" if found.get(key) is None else format(found[key], layout)


def print_models(account, engines):
    models = account["models"]
    for figure, words in FIGURES.items():
        rows = [["", *engines, "best peer", "onnxruntime/pli", "best/pli"]]
        for model in models:
            cells = [cell(model["engines"][engine], f"{figure}_ms", ".3f") for engine in engines]
            found = model[figure]
            ends = [found["best_peer"] or "-", times(found["to_onnxruntime"]), times(found["to_best_peer"])]
            rows.append([model["name"], *cells, *ends])
        means = account["geometric_means"][figure]
        rows.append(["geometric mean", *[""] * (len(engines) + 1), times(means["to_onnxruntime"]), times(means["to_best_peer"])])
        print(f"\nmilliseconds, {words}")
        print_table(rows)
    print("\nlargest error over the output's RMS, against float64")
    rows = [["", *engines]]
    for model in models:
        rows.append([model["name"], *(cell(model["engines"][engine], "error", ".1e") for engine in engines)])
    print_table(rows)
    print_failures(models)


def print_failures(models):
    lines = []
    for model in models:
        failures = {engine: found["failure"] for engine, found in model["engines"].items() if "failure" in found}
        lines += [f"  {model['name']}, {what}: {why}" for what, why in (failures | model["failures"]).items()]
        lines += [
            f"  {model['name']}, {engine}: wrong by {found['error']:.1e} of the output's RMS, and nobody's best peer"
            for engine, found in model["engines"].items()
            if (found.get("error") or 0) >= WRONG
        ]
    if lines:
        print("\nwhat went wrong:")
        print("\n".join(lines))
