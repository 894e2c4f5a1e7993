"""What the tables have in common: medians, ratios of paired rounds, the machine's name."""

import datetime
import os
import platform
import statistics


def interleaved(rounds, contenders):
    """Runs every contender once a round, A B C A B C ..., for `rounds` rounds.

    `contenders` maps names to functions that return seconds, or None once they failed. Returns the
    seconds of each contender that never failed, in order of the rounds.
    """
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            if name in times:
                seconds = run()
                if seconds is None:
                    del times[name]
                else:
                    times[name].append(seconds)
    return times


def ratio(ours, theirs):
    """Median over the rounds of ours/theirs: what both had to suffer in one round cancels out."""
    return statistics.median(a / b for a, b in zip(ours, theirs))


def spread(times):
    """Median and range, in seconds."""
    return f"{statistics.median(times):.3f} | {min(times):.3f}–{max(times):.3f}"


def machine(threads):
    """One line: processor, threads, system, date."""
    today = datetime.date.today().isoformat()
    return f"{processor()}, {threads} threads, {platform.system()} {platform.machine()}, {today}"


def processor():
    """The processor's name as the system gives it."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
