"""What the browser tests share: a real Chromium, and an eye on what it complains about."""

import contextlib
import json
import pathlib
import urllib.error
import urllib.request

from playwright.sync_api import expect, sync_playwright

DESKTOP = {"width": 1100, "height": 800}
PHONE = {"width": 390, "height": 844}

# `make test` brings it: what looks for what people who use a screen reader or a keyboard would stumble over.
AXE = pathlib.Path(__file__).parents[2] / "target/axe/node_modules/axe-core/axe.min.js"


@contextlib.contextmanager
def page(screenshots, camera=None, own=None, **more):
    """A page of a new browser; whatever it complained about makes the test fail. `camera` is an MJPEG file it films; of
    what is asked for elsewhere than at `own` it complains, too."""
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
        opened = browser.new_page(viewport=DESKTOP, **more)
        opened.set_default_timeout(15_000)
        expect.set_options(timeout=15_000)
        opened.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        opened.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        opened.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        if own:
            mine = (f"{own}/", "blob:", "data:", "about:")
            opened.on("request", lambda it: None if it.url.startswith(mine) else complaints.append(f"elsewhere: {it.url}"))
        try:
            yield opened, complaints
        except BaseException:
            opened.screenshot(path=f"{screenshots}/failed.png", full_page=True)
            print("the browser's complaints:", complaints)
            raise
        finally:
            browser.close()


def fits(opened, name, screenshots, screens=None):
    """On a phone nothing is wider than the screen, and what is pressed is large enough for a thumb; and it is no
    longer than so many screens, where that is said."""
    opened.set_viewport_size(PHONE)
    opened.wait_for_timeout(300)
    opened.screenshot(path=f"{screenshots}/{name}-phone.png", full_page=True)
    width = opened.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"{name} is {width} pixels wide on a phone"
    if screens:
        height = opened.evaluate("document.documentElement.scrollHeight")
        assert height <= screens * PHONE["height"], f"{name} is {height} pixels long on a phone"
    small = opened.evaluate("""[...document.querySelectorAll('button, nav a, input:not([type=checkbox])')]
        .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 38).map((e) => e.outerHTML)""")
    assert not small, f"{name}: too small for a thumb: {small}"
    opened.set_viewport_size(DESKTOP)
    opened.wait_for_timeout(300)
    opened.screenshot(path=f"{screenshots}/{name}.png", full_page=True)


def accessible(opened, name):
    """Nothing that axe-core calls serious or critical."""
    opened.evaluate(AXE.read_text())
    found = opened.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [(one["id"], one["help"], [node["html"] for node in one["nodes"]][:3])
               for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, f"{name}: {serious}"


def call(url, method, path, body=None, token=None):
    """The engine's own answer, past the page: status and JSON."""
    request = urllib.request.Request(f"{url}/{path}", method=method, data=body and json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, None


def sign_in(opened, username, secret):
    opened.get_by_label("User name").fill(username)
    opened.get_by_label("Password").fill(secret)
    opened.get_by_role("button", name="Sign in").click()
