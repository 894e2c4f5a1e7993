"""Timing in turns, and the rows of the table."""

import dataclasses
import datetime
import importlib.metadata
import os
import platform
import statistics

from contenders import Contender, Failed

HEADER = """\
| task | runtime | median s | range | ours ÷ this | same as ours | peak MB |
| --- | --- | --- | --- | --- | --- | --- |"""


@dataclasses.dataclass
class Task:
    """Contenders that do the same; ours is the first one.

    `agreement` maps a contender's result to the share of it that is the same as ours. `memory` says
    whether the peak memory is that of the task alone. `unmeasured` is why none can be timed here.
    """

    title: str
    contenders: list[Contender]
    agreement: object = None
    memory: bool = False
    unmeasured: str = ""

    def rows(self, rounds):
        """Times all contenders in turns, A B C A B C ..., and ends them; returns the table's rows."""
        if self.unmeasured:
            return [self.failure(contender, self.unmeasured) for contender in self.contenders]
        times = {contender: [] for contender in self.contenders}
        failures, same = {}, {}

        def measure(contender):
            try:
                if contender not in failures:
                    return contender.measure()
            except Failed as failure:
                failures[contender] = failure

        # The first run compiles, optimises and warms up, so it does not count.
        for contender in self.contenders:
            measure(contender)
            if self.agreement and contender not in failures:
                same[contender] = f"{100 * self.agreement(contender.result()):.1f} %"
        for _ in range(rounds):
            for contender in self.contenders:
                times[contender].append(measure(contender))
        for contender in self.contenders:
            contender.close()
        if self.contenders[0] in failures:
            raise SystemExit(f"{self.title}: {failures[self.contenders[0]]}")
        ours = times[self.contenders[0]]
        return [self.failure(c, failures[c]) if c in failures
                else self.row(c, ours, times[c], same.get(c, "")) for c in self.contenders]

    def failure(self, contender, reason):
        return f"| {self.title} | {contender.name} | not measured: {reason} | | | | |"

    def row(self, contender, ours, theirs, same):
        # The median of the rounds' ratios, because disturbances of a round cancel out.
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        peak = f"{contender.peak / 1e6:.0f}" if self.memory else ""
        return (f"| {self.title} | {contender.name} | {statistics.median(theirs):.3f} | "
                f"{min(theirs):.3f}–{max(theirs):.3f} | {ratio:.2f} | {same} | {peak} |")


def versioned(distribution, title, mode=""):
    """A peer's name in the table: with the version that is installed."""
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        version = "(not installed)"
    return f"{title} {version}" + (f", {mode}" if mode else "")


def machine(threads):
    """One line: processor, threads, system, date."""
    today = datetime.date.today().isoformat()
    return f"{processor()}, {threads} threads, {platform.system()} {platform.machine()}, {today}"


def processor():
    """The processor's name and instruction sets that matter here, as the system gives them."""
    lines = cpuinfo()
    if "model name" in lines:
        sets = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
                if name in lines["flags"].split()]
        return f"{lines['model name']} (family {lines['cpu family']}, {' '.join(sets)})"
    return platform.processor() or platform.machine()


def cpuinfo():
    """The first processor's fields in /proc/cpuinfo; empty where there is none."""
    if not os.path.exists("/proc/cpuinfo"):
        return {}
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        first = text.read().split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
