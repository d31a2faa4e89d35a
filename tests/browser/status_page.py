"""Watches the agent's status page: status_page.py URL SCREENSHOTS.

Prints a line whenever it has seen what it waited for, so that the test that feeds the page knows when to go on."""

import sys

from playwright.sync_api import expect

from common import fits, page

url, screenshots = sys.argv[1:]

with page(screenshots) as (opened, complaints):
    opened.goto(url)
    expect(opened.get_by_role("heading", name="All is well")).to_be_visible()
    expect(opened.locator("#detectors")).to_contain_text("camera live")
    expect(opened.locator("#visits")).to_contain_text("known")
    expect(opened.locator("#actions")).to_contain_text("open-door")
    # What a tag may be at worst stays a tag.
    expect(opened.locator("#visits")).to_contain_text("<img src=x onerror=alert(1)>")
    fits(opened, "well", screenshots)
    print("well", flush=True)
    expect(opened.get_by_role("heading", name="No picture from front, trying again")).to_be_visible()
    expect(opened.locator("#detectors")).to_contain_text("no frame for 5 s")
    print("lost", flush=True)
    expect(opened.get_by_role("heading", name="One fault")).to_be_visible()
    expect(opened.locator("#health")).to_contain_text("the built-in face is not found")
    expect(opened).to_have_title("✗ doorward")
    fits(opened, "fault", screenshots)
    assert not complaints, complaints
    print("fault", flush=True)
    expect(opened.get_by_role("heading", name="doorward does not answer")).to_be_visible()
    opened.screenshot(path=f"{screenshots}/silent.png")
    print("silent", flush=True)
