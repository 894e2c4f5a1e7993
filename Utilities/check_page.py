#!/usr/bin/env python3
"""Uses the page of `dvae serve` in a headless Chromium: drops a photo, looks, paints, undoes, mixes, downloads.

    python3 Utilities/check_page.py .build/release/dvae [--weights starter] [--pictures FOLDER]

Chromium is driven by its DevTools protocol over a pipe; Python's standard library is enough.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check_serve import ROOT, Server, check  # noqa: E402


class Browser:
    """A Chromium with one page."""

    def __init__(self, profile):
        program = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
        if program is None:
            print("check_page: the page was NOT checked: no Chromium found; on Debian: apt-get install chromium")
            sys.exit()
        read, self.write_end = os.pipe()
        self.read_end, write = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        command = ('exec "$0" --headless --remote-debugging-pipe --no-sandbox --disable-gpu --disable-dev-shm-usage '
                   '--no-first-run --user-data-dir="$1" about:blank 3<&%d 4>&%d' % (read, write))
        self.process = subprocess.Popen(["bash", "-c", command, program, profile], pass_fds=(read, write),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read)
        os.close(write)
        self.rest, self.number, self.session, self.events = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                part = os.read(self.read_end, 1 << 20)
                assert part, "Chromium has ended"
                self.rest += part
            text, self.rest = self.rest.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def run(self, script):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (script, result["exceptionDetails"])
        return result["result"].get("value")

    def until(self, script, seconds=60):
        """Waits for an expression to be true."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, "waited in vain for " + script
            time.sleep(0.03)
        return value

    def size(self, width, height, is_dark=False, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}])

    def picture(self, path, whole=False):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def place(self, view, row, column):
        """The middle of a token in the window."""
        return self.run(f"""(() => {{
          const box = document.querySelector('[data-view={view}]').getBoundingClientRect();
          return [box.left + ({column} + .5) * box.width / state.width, box.top + ({row} + .5) * box.height / state.height];
        }})()""")

    def mouse(self, kind, x, y, buttons=0):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=buttons,
                  button="left" if kind != "mouseMoved" else "none", clickCount=1 if kind != "mouseMoved" else 0)

    def click(self, selector):
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def key(self, key, modifiers=0):
        code = {"Enter": 13, "ArrowRight": 39, "ArrowDown": 40}.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, modifiers=modifiers)

    def drop(self, path):
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=200, y=400, data=data)
            time.sleep(0.1)

    def complaints(self):
        """The browser's complaints: errors of scripts, blocked requests, violations of the policy."""
        self.run("0")
        found = []
        for event in self.events:
            if event["method"] == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"]["text"])
            if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"]["text"])
        return found

    def hosts(self):
        """The hosts that the page asked."""
        urls = [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]
        return {url.split("/")[2] for url in urls if url.startswith("http")}

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
        except (AssertionError, OSError):
            pass
        self.process.wait(20)


IDLE = "!document.body.classList.contains('busy')"


def use(browser, server, photo, downloads):
    address = f"http://127.0.0.1:{server.port}/"
    browser.call("Page.navigate", url=address)
    browser.until("document.readyState === 'complete' && typeof state === 'object' && state.model !== null && " + IDLE)
    browser.drop(photo)
    browser.until("state.picture !== null && palette.codes.length > 0 && " + IDLE)
    _, _, body = server.request("POST", "/v1/tokenize", photo.read_bytes())
    tokens = sum(json.loads(body)["tokens"], [])
    check("a dropped photo has its tokens", browser.run("Array.from(state.tokens)") == tokens)
    check("its ratio is shown", browser.run("byId('fact-psnr').textContent").endswith(" dB"))

    x, y = browser.place("picture", 3, 5)
    browser.mouse("mouseMoved", x, y)
    check("the token under the pointer is shown", browser.run("byId('code').textContent") == str(tokens[3 * 32 + 5])
          and browser.run("byId('place').textContent") == "row 3, column 5")

    # Pick a code with the keyboard, paint with the mouse.
    browser.run("byId('grid').focus()")
    browser.run("show(0)")
    browser.key("ArrowRight")
    browser.key("ArrowDown")
    browser.key("p")
    code = tokens[33]
    check("a code is picked with the keyboard", browser.run("state.brush") == code)
    browser.click("[data-size='4']")
    browser.run("byId('grid').scrollIntoView({block: 'center'})")
    before = browser.run("state.picture.data.reduce((sum, value) => (31 * sum + value) % 1000003, 0)")
    x, y = browser.place("tokens", 10, 10)
    browser.mouse("mouseMoved", x, y)
    browser.mouse("mousePressed", x, y, 1)
    x2, y2 = browser.place("tokens", 14, 20)
    for step in range(1, 6):
        browser.mouse("mouseMoved", x + (x2 - x) * step / 5, y + (y2 - y) * step / 5, 1)
    browser.mouse("mouseReleased", x2, y2)
    browser.until("!isDecoding && !isStale && " + IDLE)
    painted = browser.run("Array.from(state.tokens)")
    changed = [index for index in range(len(tokens)) if painted[index] != tokens[index]]
    check("a stroke paints tokens", len(changed) > 30 and all(painted[index] == code for index in changed), len(changed))
    after = browser.run("state.picture.data.reduce((sum, value) => (31 * sum + value) % 1000003, 0)")
    check("the picture changes with them", before != after)
    times = []
    for column in range(20):
        browser.run("state.size = 1")
        times.append(browser.run(f"""(async () => {{
          const start = performance.now();
          paintAt({25 * 32 + column});
          endStroke();
          while (isDecoding || isStale) await new Promise((done) => setTimeout(done, 1));
          return performance.now() - start;
        }})()"""))
    times.sort()
    print(f"     one painted token to the new picture: median {times[10]:.0f} ms, longest {times[-1]:.0f} ms")
    for _ in range(21):
        browser.click("#undo")
    browser.until("!isDecoding && !isStale && " + IDLE)
    check("undo goes back to the photo's tokens", browser.run("Array.from(state.tokens)") == tokens)
    browser.click("#redo")
    check("redo paints again", browser.run("Array.from(state.tokens)") == painted)

    browser.click("[data-mix='/examples/plane.jpg']")
    browser.until("state.second !== null && !isDecoding && !isStale && " + IDLE)
    share = browser.run("state.tokens.reduce((sum, code, i) => sum + (code === state.second[i]), 0) / state.tokens.length")
    check("half of the tokens are the second picture's", 0.45 < share < 0.65, f"{share:.2f}")

    mixed = browser.run("Array.from(state.tokens)")
    browser.run(f"state.brush = {code}; state.size = 2; paintAt(40); endStroke(); mix(0.51); endMix()")
    check("mixing keeps what is painted",
          browser.run("[40, 41, 72, 73].every((place) => state.tokens[place] === state.brush)"))
    browser.click("#reset")
    slider = "byId('mix').hidden ? null : byId('share').value + ' ' + byId('share-note').textContent.split(' ')[0]"
    check("starting over ends the mixture", browser.run("Array.from(state.tokens)") == tokens
          and browser.run(slider) == "0 0")
    for _ in range(3):
        browser.click("#undo")
    check("undo brings the mixture and its slider back", browser.run("Array.from(state.tokens)") == mixed
          and browser.run(slider) == "50 50")
    browser.click("#undo")
    hidden = browser.run(slider)
    browser.click("#redo")
    check("the slider goes and comes with the mixture", hidden is None and browser.run(slider) == "50 50")
    browser.until("!isDecoding && !isStale && " + IDLE)

    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=downloads)
    now = browser.run("Array.from(state.tokens)")
    for name in ("npy", "json", "png"):
        browser.click(f"#save-{name}")
    files = {name: pathlib.Path(downloads, file) for name, file in
             [("npy", "tokens.npy"), ("json", "tokens.json"), ("png", "picture.png")]}
    deadline = time.monotonic() + 20
    while not all(path.exists() and path.stat().st_size for path in files.values()) and time.monotonic() < deadline:
        time.sleep(0.1)
    check("three files are downloaded", all(path.exists() for path in files.values()))
    data = files["npy"].read_bytes()
    check(".npy holds the tokens", list(struct.unpack("<1024H", data[-2048:])) == now)
    check(".json holds the tokens", sum(json.loads(files["json"].read_text())["tokens"], []) == now)
    status, _, png = server.request("POST", "/v1/decode", data)
    check("the service reads the .npy back", status == 200 and png.startswith(b"\x89PNG"))

    browser.click("#share-link")
    link = browser.until("location.hash.length > 100 && location.href")
    browser.call("Page.navigate", url="about:blank")
    browser.call("Page.navigate", url=link)
    browser.until("typeof state === 'object' && state.picture !== null && " + IDLE)
    check("a link holds the tokens", browser.run("Array.from(state.tokens)") == now, f"{len(link)} letters")
    browser.run("location.hash = '#tokens=32.32.13.00000000.AAAA'")
    browser.until("byId('status').textContent.includes('damaged')")

    browser.click("#again")
    browser.run("""(() => {
      const data = new DataTransfer();
      data.items.add(new File(['no image'], 'x.txt'));
      dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
    })()""")
    browser.until("byId('status').classList.contains('wrong') && byId('status').textContent.startsWith('image: ')")
    check("a bad photo is told in one line", True, browser.run("byId('status').textContent"))


def looks(browser, server, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for width, height in ((400, 850), (1000, 800), (2000, 1150)):
        for is_dark in (False, True):
            name = f"{width}-{'dark' if is_dark else 'light'}"
            browser.size(width, height, is_dark)
            browser.call("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
            browser.until("document.readyState === 'complete' && typeof state === 'object' && state.model !== null && " + IDLE)
            browser.picture(folder / f"{name}-start.png")
            browser.click("[data-example='/examples/parrots.jpg']")
            browser.until("state.picture !== null && palette.codes.length > 0 && " + IDLE)
            browser.run("show(9 * 32 + 10)")
            time.sleep(0.2)
            browser.picture(folder / f"{name}-work.png", whole=width < 600)
            lefts = browser.run("[...document.querySelectorAll('.card')].map((card) => card.getBoundingClientRect().left)")
            check(f"{name}: the cards of a column begin at one place: {lefts}",
                  len(set(lefts)) == (3 if width == 2000 else 1))
            check(f"{name}: nothing wider than the window",
                  browser.run("document.documentElement.scrollWidth <= innerWidth"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dvae")
    parser.add_argument("--weights", default="starter")
    parser.add_argument("--pictures", help="a folder for pictures of the page at three widths, light and dark")
    options = parser.parse_args()
    limit = threading.Timer(600, lambda: os._exit(1))
    limit.daemon = True
    limit.start()
    with Server(options.dvae, options.weights, timeout=60) as server, tempfile.TemporaryDirectory() as folder:
        browser = Browser(f"{folder}/profile")
        browser.size(1000, 800)
        use(browser, server, ROOT / "Examples/photos/kodim23.png", folder)
        looks(browser, server, options.pictures or folder)
        wrong = [text for text in browser.complaints() if "422" not in text]
        check("the browser has no complaint", not wrong, wrong or "")
        check("no other host was asked", browser.hosts() == {f"127.0.0.1:{server.port}"}, browser.hosts())
        browser.close()
    print(f"{check.failed} failed" if check.failed else "all well")
    sys.stdout.flush()
    os._exit(1 if check.failed else 0)


if __name__ == "__main__":
    main()
