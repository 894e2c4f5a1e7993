"""A runtime in a process of its own, spoken to in lines of JSON.

Each runtime that is timed lives in its own process: their thread pools do not fight, each one's
peak memory is its own, and one that fails costs only its own rows. The parent starts
`python FILE.py --worker NAME ...`; the child runs `serve`.
"""

import json
import os
import subprocess
import sys


class Worker:
    """The parent's side: `ask` sends one request and waits for the answer."""

    def __init__(self, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, **request):
        """The answer, a dictionary; it has a key "error" when the child failed or died."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "the process ended"}

    def close(self):
        """Ends the child; returns its peak memory in bytes."""
        self.process.stdin.close()
        _, _, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        self.process.stdout.close()
        return peak_bytes(usage)


def serve(answer):
    """The child's side: answers each line with `answer(request)`, until the parent closes."""
    # Libraries print to standard output; the answers keep a copy of it to themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            result = answer(json.loads(line))
        except Exception as error:  # reported by the parent, in the table
            result = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        answers.write(json.dumps(result) + "\n")
        answers.flush()


def run_and_measure(command, threads):
    """Runs a command to its end: (what it printed, peak bytes). Exits if it fails."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    output = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    return output, peak_bytes(usage)


def peak_bytes(usage):
    """ru_maxrss in bytes: it is in bytes on macOS and in KiB elsewhere."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
