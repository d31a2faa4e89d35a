"""What the browser tests share: a real Chromium, and an eye on what it complains about."""

import contextlib
import pathlib

from playwright.sync_api import expect, sync_playwright

DESKTOP = {"width": 1100, "height": 800}
PHONE = {"width": 390, "height": 844}


@contextlib.contextmanager
def page(screenshots, camera=None):
    """A page of a new browser; whatever it complained about makes the test fail. `camera` is an MJPEG file it films."""
    complaints = []
    arguments = [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
    ]
    if camera:
        arguments.append(f"--use-file-for-fake-video-capture={camera}")
    pathlib.Path(screenshots).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        opened = browser.new_page(viewport=DESKTOP)
        opened.set_default_timeout(15_000)
        expect.set_options(timeout=15_000)
        opened.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        try:
            yield opened, complaints
        except BaseException:
            opened.screenshot(path=f"{screenshots}/failed.png", full_page=True)
            print("the browser's complaints:", complaints)
            raise
        finally:
            browser.close()


def fits(opened, name, screenshots):
    """On a phone nothing is wider than the screen, and what is pressed is large enough for a thumb."""
    opened.set_viewport_size(PHONE)
    opened.wait_for_timeout(300)
    opened.screenshot(path=f"{screenshots}/{name}-phone.png", full_page=True)
    width = opened.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"{name} is {width} pixels wide on a phone"
    small = opened.evaluate("""[...document.querySelectorAll('button, nav a, input:not([type=checkbox])')]
        .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 38).map((e) => e.outerHTML)""")
    assert not small, f"{name}: too small for a thumb: {small}"
    opened.set_viewport_size(DESKTOP)
    opened.wait_for_timeout(300)
    opened.screenshot(path=f"{screenshots}/{name}.png", full_page=True)
