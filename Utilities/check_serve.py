#!/usr/bin/env python3
"""Starts `dvae serve` on a loopback port and treats it badly; with --long also loads it.

    python3 Utilities/check_serve.py .build/release/dvae
    python3 Utilities/check_serve.py .build/release/dvae --long --weights starter

Everything is bounded in number and time and stays on this machine. --long needs wrk.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PHOTO = ROOT / "Tests/Fixtures/images/kodim04.jpg"
SECONDS = 4  # --timeout of the servers that are abused


class Server:
    """A running service."""

    running = []

    def __init__(self, dvae, weights, *options, timeout=SECONDS):
        self.process = subprocess.Popen(
            [dvae, "serve", "--port", "0", "--weights", weights, "--timeout", str(timeout), *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.running.append(self.process)
        match = re.match(r"http://127\.0\.0\.1:(\d+)/", self.process.stdout.readline())
        assert match, "the service did not start"
        self.port = int(match[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def request(self, method, path, body=None, headers={}, timeout=60):
        """The status, the headers and the body of a response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def raw(self, data, timeout=SECONDS + 6):
        """The service's answer to bytes, until it closes the connection; b"" for nothing."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as client:
            answer = b""
            try:
                client.sendall(data)
                while part := client.recv(65536):
                    answer += part
            except (ConnectionResetError, BrokenPipeError):
                pass
            return answer

    def open(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def metric(self, name):
        text = self.request("GET", "/metrics")[2].decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("dvae_" + name))

    def memory(self):
        """Resident megabytes."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def is_well(self):
        return self.process.poll() is None and self.request("GET", "/healthz")[0] == 200


def check(what, holds, found=""):
    print(f"{'ok  ' if holds else 'FAIL'} {what}" + (f": {found}" if found != "" else ""), flush=True)
    check.failed += not holds


check.failed = 0


def same_bits(dvae, weights, server, photo):
    with tempfile.TemporaryDirectory() as folder:
        photo_copy = pathlib.Path(folder, PHOTO.name)
        photo_copy.write_bytes(photo)
        subprocess.run(
            [dvae, "tokenize", photo_copy, "--output", f"{folder}/t.npy", "--weights", weights, "--quiet"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(
            [dvae, "decode", f"{folder}/t.npy", "--output", f"{folder}/p", "--weights", weights, "--quiet"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        npy = pathlib.Path(folder, "t.npy").read_bytes()
        png = next(pathlib.Path(folder, "p").glob("*.png")).read_bytes()
    status, _, body = server.request("POST", "/v1/tokenize", photo, {"Accept": "application/x-npy"})
    check("tokens are the file of dvae tokenize", status == 200 and body == npy)
    status, _, body = server.request("POST", "/v1/decode", npy)
    check("the picture is the file of dvae decode", status == 200 and body == png)


def busy_port(dvae, weights, server):
    run = subprocess.run(
        [dvae, "serve", "--port", str(server.port), "--weights", weights], capture_output=True, text=True, timeout=60)
    check("a busy port is told", run.returncode == 73 and "choose another port" in run.stderr
          and "(--port, --host)" in run.stderr, run.stderr.strip())


def malformed(server, photo):
    post = b"POST /v1/tokenize HTTP/1.1\r\nHost: localhost\r\n"
    get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    for name, data, statuses in [
        ("a head of 100 kB", get + b"X: " + b"a" * 100_000 + b"\r\n\r\n", b"4"),
        ("10,000 headers", get + b"A: b\r\n" * 10_000 + b"\r\n", b"4"),
        ("a path of 100 kB", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"4"),
        ("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", b"4"),
        ("another Host", b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"403"),
        ("another Origin", b"POST /v1/decode HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
         b"Connection: close\r\nContent-Length: 2\r\n\r\n{}", b"403"),
        ("a negative length", post + b"Content-Length: -1\r\n\r\n", b"4"),
        ("a length beyond 64 bits", post + b"Content-Length: 99999999999999999999999\r\n\r\n", b"4"),
        ("a length that is not a number", post + b"Content-Length: ten\r\n\r\n", b"4"),
        ("a length over the limit", post + b"Expect: 100-continue\r\nContent-Length: 20971521\r\n\r\n", b"413"),
        ("a length of 10 GB", post + b"Content-Length: 10000000000\r\n\r\n", b"413"),
        ("a bad chunk", post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"4"),
        ("a chunk beyond 64 bits", post + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffffff\r\n", b"4"),
        ("an unknown method", b"BREW / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"405"),
        ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n", b"4"),
        ("an empty body", post + b"Connection: close\r\nContent-Length: 0\r\n\r\n", b"422"),
        # libmicrohttpd reads a path only up to the zero.
        ("a path with zeros", b"GET /\x00\x00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b""),
    ]:
        answer = server.raw(data)
        # A connection may also be closed without an answer.
        fits = answer == b"" or answer.startswith(b"HTTP/1.1 " + statuses)
        check(name, fits and server.is_well(), answer.split(b"\r\n")[0].decode(errors="replace") or "closed")
    status, _, body = server.request("POST", "/v1/tokenize", b"x" * 20971521)
    check("a body over the limit is told", status == 413 and b"20971520" in body, status)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    answer = server.raw(post + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 400 + b"0\r\n\r\n")
    check("a chunked body over the limit", answer == b"" or b" 413 " in answer[:20], answer[:12].decode())
    body = b"".join(b"%x\r\n" % len(part) + part + b"\r\n" for part in
                    (photo[i:i + 5000] for i in range(0, len(photo), 5000)))
    answer = server.raw(post + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n")
    check("a chunked photo is read", answer.startswith(b"HTTP/1.1 200"))
    head = post + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(photo)
    check("100-continue", b"HTTP/1.1 100 Continue" in server.raw(head + photo))
    answer = server.raw((get + b"\r\n") * 20 + get + b"Connection: close\r\n\r\n")
    check("21 requests in one piece", answer.count(b"HTTP/1.1 200") == 21)
    for host in (b"localhost", b"evil.example"):
        start = time.monotonic()
        with server.open() as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        check(f"a client of {host.decode()} that has closed its side is let go", time.monotonic() - start < SECONDS / 2)
    generator = random.Random(1)
    for _ in range(60):
        data = bytearray(post + b"Content-Length: 9\r\n\r\n{\"a\": [1]}")
        for _ in range(generator.randrange(1, 6)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        with server.open() as client:
            client.sendall(data)
    check("60 heads damaged at random", server.is_well())


def bad_images(server, photo, count):
    generator = random.Random(2)
    statuses = set()
    for index in range(count):
        data = bytearray(photo)
        for _ in range(generator.randrange(1, 30)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        if index % 3 == 0:
            data = data[:generator.randrange(len(data))]
        status, _, body = server.request("POST", "/v1/tokenize", bytes(data))
        statuses.add(status)
        if status != 200:
            assert json.loads(body)["error"]["message"].startswith("image: "), body
    check(f"{count} damaged photos", statuses <= {200, 422} and server.is_well(), sorted(statuses))


def stalled(server, photo, count):
    head = b"POST /v1/tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(photo)
    clients = []
    for index in range(count):
        client = server.open()
        # Nothing, half a head, half a body, and responses that are never read.
        client.sendall([b"", head[:30], head + photo[:1000], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400][index % 4])
        clients.append(client)
    started = time.monotonic()
    status = server.request("POST", "/v1/tokenize", photo)[0]
    check(f"one request beside {count} stalled clients", status == 200, f"{time.monotonic() - started:.2f} s")
    # These send a byte now and then, so that they are never idle for long.
    dripping = [server.open() for _ in range(4)]
    until = time.monotonic() + SECONDS + 5
    open_ones = set(dripping)
    while open_ones and time.monotonic() < until:
        for client in list(open_ones):
            try:
                client.sendall(b"G")
            except OSError:
                open_ones.discard(client)
        time.sleep(0.3)
    check("clients that drip bytes are cut off", not open_ones, f"{len(open_ones)} left")
    left = 0
    for client in clients:
        client.settimeout(3)
        try:
            while client.recv(1 << 16):
                pass
        except socket.timeout:
            left += 1
        except OSError:
            pass
        client.close()
    check("stalled clients are cut off", left == 0 and server.is_well(), f"{left} left")


def gone(server, photo, count):
    before = server.metric("images_encoded_total")
    head = b"POST /v1/tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(photo)
    for _ in range(count):
        with server.open() as client:
            client.sendall(head + photo)
    while server.metric("queue_requests") > 0:
        time.sleep(0.05)
    cost = server.metric("images_encoded_total") - before
    check(f"{count} clients that go away", cost <= count / 2 and server.metric("cancelled_requests_total") >= count / 2,
          f"{cost:.0f} images computed")


def full_queue(dvae, weights, photo):
    with Server(dvae, weights, "--queue", "3", "--batch-size", "1") as server:
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda _: server.request("POST", "/v1/tokenize", photo), range(48)))
        statuses = [status for status, _, _ in answers]
        waits = [headers["Retry-After"] for status, headers, _ in answers if status == 503]
        check("a full queue refuses and says when to come back",
              set(statuses) == {200, 503} and all(int(wait) >= 1 for wait in waits),
              f"{statuses.count(200)} answered, {statuses.count(503)} refused")


def terminated(dvae, weights, photo, count):
    with Server(dvae, weights, "--queue", "500", timeout=60) as server:
        expected = server.request("POST", "/v1/tokenize", photo)[2]
        head = b"POST /v1/tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(photo)
        clients = [server.open() for _ in range(count)]
        for index, client in enumerate(clients):
            # Complete requests, and some whose second half follows after the signal.
            client.sendall((head + photo)[:len(head) + (len(photo) if index % 3 else len(photo) // 2)])
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        for index, client in enumerate(clients):
            if index % 3 == 0:
                client.sendall(photo[len(photo) // 2:])
        whole = 0
        for client in clients:
            answer = b""
            client.settimeout(60)
            while part := client.recv(1 << 16):
                answer += part
            whole += answer.startswith(b"HTTP/1.1 200") and answer.endswith(expected)
            client.close()
        try:
            status = server.process.wait(20)
        except subprocess.TimeoutExpired:
            status = "still running"
        check(f"SIGTERM with {count} requests under way: none is lost", whole == count and status == 0,
              f"{whole} answered, exit status {status}")


WRK = """
local file = io.open("{photo}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Accept"] = "application/x-npy"
local wrong = 0
response = function(status) if status ~= 200 then wrong = wrong + 1 end end
done = function(summary, latency)
  io.write(string.format("RESULT %d %d %f %f %f %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), latency.max, summary.errors.status + summary.errors.connect + summary.errors.read +
    summary.errors.write + summary.errors.timeout))
end
"""


def wrk(server, lua, path, connections, seconds):
    text = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", lua,
         f"http://127.0.0.1:{server.port}{path}"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+) (\S+) (\S+)", text)
    assert found, text
    count, duration, median, p99, largest, errors = map(float, found.groups())
    return {"rate": count / duration * 1e6, "count": int(count), "median": median / 1e3, "p99": p99 / 1e3,
            "max": largest / 1e3, "errors": int(errors)}


def bulk(dvae, weights, photo, count):
    """Images per second of dvae tokenize: the time of many less that of few."""
    seconds = []
    for images in (count // 5, count):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/photos")
            for index in range(images):
                pathlib.Path(folder, "photos", f"{index:05}.jpg").write_bytes(photo)
            started = time.monotonic()
            subprocess.run([dvae, "tokenize", f"{folder}/photos", "--output", f"{folder}/t.npy", "--weights", weights,
                            "--quiet"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            seconds.append(time.monotonic() - started)
    return (count - count // 5) / (seconds[1] - seconds[0])


def load(dvae, weights, photo, requests):
    with Server(dvae, weights, timeout=60) as server, tempfile.TemporaryDirectory() as folder:
        image, lua = f"{folder}/photo.jpg", f"{folder}/post.lua"
        pathlib.Path(image).write_bytes(photo)
        pathlib.Path(lua).write_text(WRK.replace("{photo}", image))
        wrk(server, lua, "/v1/tokenize", 8, 5)
        # Alternate, because other programs share the machine.
        ratios = []
        for _ in range(3):
            rate = bulk(dvae, weights, photo, 100)
            found = wrk(server, lua, "/v1/tokenize", 8, 12)
            ratios.append(found["rate"] / rate)
            print(f"     bulk {rate:.2f}/s, service {found['rate']:.2f}/s over 8 connections, median "
                  f"{found['median']:.0f} ms, p99 {found['p99']:.0f} ms, {found['errors']} errors", flush=True)
            check.failed += found["errors"] > 0
        ratio = sorted(ratios)[1]
        check("throughput within 10 % of dvae tokenize", ratio >= 0.9, f"{ratio:.3f}")
        alone = wrk(server, lua, "/v1/tokenize", 1, 8)
        print(f"     one connection: median {alone['median']:.0f} ms, p99 {alone['p99']:.0f} ms")
        done, memory = 0, []
        while done < requests:
            found = wrk(server, lua, "/v1/tokenize", 16, 30)
            check.failed += found["errors"] > 0
            done += found["count"]
            memory.append(server.memory())
        check(f"{done} requests without an error, memory flat", memory[-1] <= memory[0] * 1.1 + 10,
              f"{memory[0]:.0f} MB, later {memory[-1]:.0f} MB")


def give_up():
    """Ends the test and what it started, where a request never ends or the machine is too slow."""
    print("check_serve: the time is up", flush=True)
    for process in Server.running:
        process.kill()
    os._exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dvae")
    parser.add_argument("--weights", default=str(ROOT / "Tests/Fixtures/tiny"))
    parser.add_argument("--long", action="store_true", help="more of everything, and the load test")
    parser.add_argument("--requests", type=int, default=10_000, help="of the load test")
    options = parser.parse_args()
    photo = PHOTO.read_bytes()
    threading.Timer(7200 if options.long else 300, give_up).start()
    with Server(options.dvae, options.weights) as server:
        same_bits(options.dvae, options.weights, server, photo)
        busy_port(options.dvae, options.weights, server)
        malformed(server, photo)
        bad_images(server, photo, 500 if options.long else 60)
        stalled(server, photo, 200 if options.long else 40)
        gone(server, photo, 100 if options.long else 40)
    full_queue(options.dvae, options.weights, photo)
    terminated(options.dvae, options.weights, photo, 60 if options.long else 18)
    if options.long:
        load(options.dvae, options.weights, photo, options.requests)
    print(f"{check.failed} failed" if check.failed else "all well")
    sys.stdout.flush()
    os._exit(1 if check.failed else 0)


if __name__ == "__main__":
    main()
