"""`python -m tests.bench`: what issue 3 section 4 and issue 4 ask for, measured in one run against the raw API server.

Each scenario has a control plane of its own; what is compared with each other was measured on the same one. Writes are
counted in its audit log, CPU and memory by the kernel. Limits of times and rates were set on one machine: how slow this
one is against it is measured first in each scenario, and what misses such a limit is judged at this machine's speed,
too. Two cores that others use too make every single number noisy: a thousand certificates are made three times, each on
a fresh control plane, and the median is judged; the raw rate is the mean of before and after.
"""

import argparse
import asyncio
import os
import platform
import sys
from pathlib import Path

import uvloop
from tests.bench import certificates, figures, interpreter, machine, stores, webhook
from tests.bench.figures import Figure, Sheet

SCENARIOS = ("certificates", "many", "stores", "webhook")
SCALES = {"small": (200, 1000, 100), "full": (1000, 10_000, 1000)}


async def _webhook(sheet: Sheet) -> None:
    sheet = await asyncio.to_thread(machine.judged_by_cryptography, sheet)
    late = await asyncio.to_thread(machine.lateness_ms)
    stolen = machine.Stolen()
    found = await asyncio.to_thread(webhook.measure)
    sheet.least("reviews a second, one process", found["reviews_per_second"], 5000, "/s")
    sheet.most("p99 at 1,000 a second", found["p99_ms_at_rate"], 5.0, "ms")
    sheet.note("p99 of its single seconds, median", found["p99_ms_of_a_second_at_rate"], "ms")
    sheet.note("a process that only wakes on this machine: p99 late by", late, "ms")
    sheet.note("server CPU for each", found["server_cpu_us_per_review"], "us")
    sheet.note("taken by the machine's host meanwhile", stolen.percent(), "%")


async def _run(chosen: list[str], scale: str) -> list[Figure]:
    found: list[Figure] = []
    few, many, namespaces = SCALES[scale]
    cost: certificates.Cost | None = None
    if "certificates" in chosen:
        cost = await certificates.few(Sheet(scenario="certificates", figures=found), few)
    if "many" in chosen:
        await certificates.many(Sheet(scenario="many", figures=found), many, cost)
    if "stores" in chosen:
        await stores.spread_root(Sheet(scenario="stores", figures=found), namespaces)
    if "webhook" in chosen:
        await _webhook(Sheet(scenario="webhook", figures=found))
    return found


def main() -> None:
    """Run the scenarios, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario (may be given again)")
    parser.add_argument("--scale", choices=SCALES, default="full", help="small: a fifth to a tenth of everything")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    arguments = parser.parse_args()
    interpreter.go_on_with_the_fastest(sys.argv[1:])
    load, python = os.getloadavg()[0], f"Python {platform.python_version()} ({sys.executable})"
    print(f"{os.cpu_count()} cores, load {load:.1f}, {python}, scale {arguments.scale}")
    found = uvloop.run(_run(arguments.only or list(SCENARIOS), arguments.scale))
    if (busy := os.getloadavg()[1]) > 4 * (os.cpu_count() or 1):
        print(f"load {busy:.1f}: others used this machine, so only ratios of CPU and counts of writes mean anything")
    if arguments.json:
        figures.write(found, arguments.json)
    if arguments.scale != "full":
        print("the limits are those of the full scale; here a start weighs more")
    missed = [each for each in found if each.met is False]
    kept = sum(each.met is True for each in found)
    here = sum(each.met_here is True for each in missed)
    print(f"{kept} targets met, {len(missed)} missed, {here} of these met at this machine's speed")
    for each in missed:
        print(figures.line(each))


if __name__ == "__main__":
    main()
