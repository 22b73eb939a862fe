"""Which balance for two tasks in one picture? The runs behind
docs/results/multifashion_balances.md, each a process of its own.

    python benchmarks/multifashion.py --data data/fashion_mnist --jobs 2 --seeds 0 1 2

trains `specs/multifashion.mtl` with each balance. Its learning rate is chosen among --rates by the mean accuracy of
both tasks on validation over --seeds-of-rates, which are other seeds than those reported. Prints test accuracies with
their spread over seeds, the mean of both tasks seed by seed beside that of `equal`, and the processor time beside that
of `equal`. Runs that are in --results are not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from kept_runs import Result, Run, add_options, results_of, spread

SPEC = Path(__file__).parent.parent / "specs" / "multifashion.mtl"
TASKS = ("left", "right")
BALANCES = ("equal", "uncertainty", "pcgrad", "mgda", "it_mtl(candidates=all)")
RATES = (0.01, 0.03, 0.1, 0.3)


def run_of(balance: str, rate: float, seed: int) -> Run:
    """The spec with a balance, a learning rate and a seed."""
    settings = {
        "train.balance": balance,
        "train.optimizer": f"sgd(lr={rate}, momentum=0.9)",
        "train.seed": str(seed),
    }
    return Run(f"{balance} {rate} seed {seed}", SPEC.read_text(encoding="utf-8"), settings)


def accuracy(result: Result, split: str, tasks: Sequence[str] = TASKS) -> float:
    """The mean of tasks in percent, 0 of a run whose losses were no numbers any more."""
    return 0.0 if result.failed else 100 * fmean(getattr(result, split)[task]["accuracy"] for task in tasks)


def chosen_rates(options: argparse.Namespace) -> dict[str, float]:
    """The learning rate of each balance, of equal ones the lowest."""
    pairs = [(balance, rate) for balance in options.balances for rate in sorted(options.rates)]
    wanted = [run_of(*pair, seed) for pair in pairs for seed in options.seeds_of_rates]
    found = results_of(wanted, options)
    count = len(options.seeds_of_rates)
    scores = {
        pair: fmean(accuracy(each, "validation") for each in found[place * count : (place + 1) * count])
        for place, pair in enumerate(pairs)
    }
    return {balance: max(sorted(options.rates), key=lambda rate: scores[balance, rate]) for balance in options.balances}


def table(found: Mapping[str, Sequence[Result]], rates: Mapping[str, float]) -> Iterator[str]:
    """A row for each balance."""
    yield "| balance | learning rate | left, % | right, % | mean, % | mean beside `equal` | processor time |"
    yield "|---|---|---|---|---|---|---|"
    equal = found["equal"]
    for balance, results in found.items():
        each = [spread([accuracy(result, "test", [task]) for result in results]) for task in TASKS]
        means = [accuracy(result, "test") for result in results]
        more = [mean - accuracy(other, "test") for mean, other in zip(means, equal, strict=True)]
        beside = "" if results is equal else spread(more, sign="+")
        time, of_equal = (median(result.seconds for result in those) for those in (results, equal))
        cells = (f"`{balance}`", f"{rates[balance]:g}", *each, spread(means), beside, f"{time / of_equal:.2f}")
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/fashion_mnist"))
    parser.add_argument("--balances", nargs="+", default=list(BALANCES))
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES))
    parser.add_argument("--seeds-of-rates", type=int, nargs="+", default=[10, 11])
    add_options(parser, "runs/multifashion")
    options = parser.parse_args()
    options.balances = ["equal", *(name for name in options.balances if name != "equal")]
    rates = chosen_rates(options)
    pairs = [(balance, seed) for balance in options.balances for seed in options.seeds]
    results = results_of([run_of(name, rates[name], seed) for name, seed in pairs], options)
    found = {
        name: [result for (balance, _), result in zip(pairs, results, strict=True) if balance == name]
        for name in options.balances
    }
    print("\n".join(table(found, rates)))


if __name__ == "__main__":
    main()
