"""The page in a real browser: when the words appear, and how busy that keeps the main thread."""

import shutil
import time
from contextlib import nullcontext
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.askers import Heard
from benchmarks.sheet import Sheet, percentile
from benchmarks.stage import Stage
from benchmarks.streaming import token_delays
from benchmarks.work import APP, PLAIN, Scale

SCRIPT = Path(__file__).with_name("browser.js").read_text()
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--no-first-run", "--mute-audio",
]  # fmt: skip
# As Chromium's own tools have it: milliseconds there and back, bytes a second.
SLOW_4G = {
    "offline": False, "latency": 562.5, "downloadThroughput": 180_000, "uploadThroughput": 84_375,
}  # fmt: skip
SLOWER = 4
"""How many times slower than this machine a phone is."""
SETTLED = 3
"""Seconds until a page has all its parts, also those that nobody sees yet."""
PACE = 1 / 50
SECONDS = 60_000
Cookie = dict[str, str]


def browsing(stage: Stage, sheet: Sheet, scale: Scale) -> None:
    """One user in Chromium, with chats of different length."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        raise RuntimeError("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for length in scale.browser_lengths[:2]:
            name = f"{PLAIN}, {length} messages"
            fresh = stage.plain(length) if length else nullcontext(stage.standing_plain)
            with fresh as plain:
                for _ in range(scale.repeat):
                    read(browser, stage, sheet, scale.steady, name, plain.url, {})
        app = stage.standing_app()
        for length in scale.browser_lengths:
            for _ in range(scale.repeat):
                tab = app.tab(length) if length else app.tab()
                login, _, token = tab["headers"]["cookie"].partition("=")
                name = f"{APP}, {length} messages"
                url = app.server.url
                read(browser, stage, sheet, scale.steady, name, url, {login: token})
        for _ in range(scale.repeat):
            load(browser, sheet, PLAIN, stage.standing_plain.url, {})
            login, _, token = app.tab(scale.loaded)["headers"]["cookie"].partition("=")
            load(browser, sheet, APP, app.server.url, {login: token})
        browser.close()


def load(browser: Browser, sheet: Sheet, name: str, url: str, cookies: Cookie) -> None:
    """Open the page on a slow phone, until one can type and sees the messages; and once more."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="en-US")
    context.set_default_timeout(SECONDS)
    context.add_cookies([{"name": key, "value": cookies[key], "url": url} for key in cookies])
    page = context.new_page()
    inspector = context.new_cdp_session(page)
    inspector.send("Network.enable")
    inspector.send("Network.emulateNetworkConditions", SLOW_4G)
    inspector.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    for kept in ("nothing kept", "again"):
        started = time.monotonic()
        page.goto(url, wait_until="commit")
        page.locator("#prompt textarea").fill("typed")
        if cookies:
            page.locator("#chatbot .bot-row").last.wait_for()
        taken = time.monotonic() - started
        sheet.add("opening on Slow 4G, a slower processor", kept, "s", name, taken)
        time.sleep(SETTLED)
    context.close()


def read(
    browser: Browser, stage: Stage, sheet: Sheet, tokens: int, name: str, url: str, cookies: Cookie
) -> None:
    """Open the page, ask, and read the reply at a reader's pace."""
    work = f"in Chromium, {tokens} tokens at 50/s"
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    context.set_default_timeout(SECONDS)
    context.add_cookies([{"name": key, "value": cookies[key], "url": url} for key in cookies])
    context.add_init_script(SCRIPT)
    page = context.new_page()
    inspector = context.new_cdp_session(page)
    inspector.send("Performance.enable")
    page.goto(url)
    ask(page, "echo: hello")
    page.locator("#chatbot .bot-row").last.get_by_text("hello").wait_for()
    # What the page does after a reply is not to be part of the next.
    time.sleep(1)
    opened = page.evaluate("benchmark.opened")
    page.evaluate("benchmark.longTasks.length = 0")
    stage.pace(PACE)
    stage.sent()
    before, started = busy(inspector), time.monotonic()
    ask(page, f"count {tokens}")
    page.wait_for_function(f"benchmark.shown.at(-1)?.[1] === {tokens}", polling=500)
    share = (busy(inspector) - before) / (time.monotonic() - started)
    stage.pace(0)
    told = page.evaluate("benchmark")
    context.close()
    heard = Heard(told["entered"], [(at, number) for at, number in told["shown"]])
    delays = token_delays(heard, stage.sent()[-1]["writes"], tokens)
    sheet.add(work, "Enter to first token", "ms", name, (heard.at(1) - heard.asked) * 1000)
    sheet.add(work, "token to page p50", "ms", name, percentile(delays, 0.5))
    sheet.add(work, "token to page p95", "ms", name, percentile(delays, 0.95))
    sheet.add(work, "long tasks", "count", name, len(told["longTasks"]))
    sheet.add(work, "longest task", "ms", name, max(told["longTasks"], default=0))
    sheet.add(work, "main thread busy", "%", name, share * 100)
    sheet.add(work, "frames shown", "count", name, len(heard.tokens))
    if not name.endswith(" 0 messages"):
        sheet.add(work, "opening to first message", "s", name, opened)


def ask(page: Page, question: str) -> None:
    prompt = page.locator("#prompt textarea")
    prompt.fill(question)
    prompt.press("Enter")


def busy(inspector: CDPSession) -> float:
    """Seconds the main thread has been busy so far."""
    metrics = inspector.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))
