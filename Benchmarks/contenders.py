"""The contenders of the table, one for each row: a program, or a peer's runtime in a process of its own.

A contender does its task once when `measure` is called. Each one has its own process, so that thread
pools do not fight, the peak memory is its own, and one that fails costs only its own row.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time


class Failed(Exception):
    """Why a contender gives no time; the table shows the text."""


class Contender:
    """A name for the table, and a function that reads the task's result after a measurement."""

    def __init__(self, name, arguments, threads, result=None):
        self.name, self.result = name, result
        self.arguments = [str(argument) for argument in arguments]
        self.environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.peak = 0

    def start(self, **pipes):
        return subprocess.Popen(
            self.arguments, stdout=subprocess.PIPE, text=True, env=self.environment, **pipes)

    def wait(self, process):
        """Waits for the end; returns the exit status and keeps the peak memory."""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        # ru_maxrss is in bytes on macOS and in KiB elsewhere.
        self.peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return process.returncode

    def close(self):
        """Ends what still runs."""


class Command(Contender):
    """A whole process, from start to end.

    `read` finds the measurement in what the program prints; without it the wall clock counts. The
    folder `fresh` is emptied before each start.
    """

    def __init__(self, name, arguments, threads, result=None, read=None, fresh=None):
        super().__init__(name, arguments, threads, result)
        self.read, self.fresh = read, fresh

    def measure(self):
        if self.fresh:
            shutil.rmtree(self.fresh, ignore_errors=True)
            self.fresh.mkdir()
        with tempfile.TemporaryFile("w+") as errors:
            start = time.perf_counter()
            process = self.start(stderr=errors)
            printed = process.stdout.read()
            status = self.wait(process)
            elapsed = time.perf_counter() - start
            if status != 0:
                errors.seek(0)
                lines = errors.read().strip().splitlines() or ["no message"]
                raise Failed(f"exit status {status}: {lines[-1][:200]}")
        return self.read(printed) if self.read else elapsed


class Worker(Contender):
    """A Python process that prepares once, keeps the network, and does the task when it is asked.

    The child runs `serve` and saves its result in `output`. Times are divided by `images`: they are
    per image of a batch.
    """

    def __init__(self, name, arguments, threads, output=None, images=1):
        super().__init__(
            name, [sys.executable, *arguments, threads, output or ""], threads,
            result=output and array(output))
        self.process, self.images = None, images

    def measure(self):
        if self.process is None:
            self.process = self.start(stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["seconds"] / self.images

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.stdout.close()
            self.wait(self.process)


def check_bfloat16():
    """Fails where PyTorch would emulate bfloat16, at ten and more times float32's time."""
    import torch

    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise Failed("this processor has no bfloat16 products")


def array(path):
    """A function that reads an array file, without the axes of length 1."""
    import numpy

    return lambda: numpy.load(path).squeeze()


def serve(prepare, output):
    """The worker's side: times `run = prepare()` once per line that it reads, until the parent closes.

    The array that `run` returns is saved in `output` once, if that is not empty.
    """
    import numpy

    # Libraries print to standard output, so the answers use a copy of it.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = None
    for _ in sys.stdin:
        try:
            if run is None:
                run = prepare()
                if output:
                    numpy.save(output, run())
            # As in `dvae benchmark --runs 1`, one run precedes the one that counts.
            run()
            start = time.perf_counter()
            run()
            answer = {"seconds": time.perf_counter() - start}
        except Failed as failure:
            answer = {"error": str(failure)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
