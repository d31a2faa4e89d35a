"""Says on the engine's page who was seen: corrections_page.py URL PASSWORD_FILE SCREENSHOTS ADA GRACE JOAN JOAN.

These are photos of three people, of the last one two. Prints what was done; ends with an error at the first thing that is not so."""

import base64
import re
import sys
import time
from datetime import datetime, timedelta, timezone

from playwright.sync_api import expect

from common import PHONE, accessible, call as ask, fits, page, sign_in

url, password_file, screenshots, ada_photo, grace_photo, joan_photo, other_photo = sys.argv[1:]
password = open(password_file).read().strip()
token = ask(url, "POST", "api/v1/authenticate", {"username": "test-edge", "password": password})[1]["token"]


def call(method, path, body=None, fine=200):
    status, answer = ask(url, method, path, body, token)
    assert status == fine, (method, path, status)
    return answer


def encoded(picture):
    with open(picture, "rb") as file:
        return base64.b64encode(file.read()).decode()


def enrol(picture, first, last):
    person = call("POST", "api/v1/faces/faceEnroll", {"faceImage": encoded(picture)})["personId"]
    call("PUT", f"api/v1/people/{person}/aliases", {"firstName": first, "lastName": last})
    return person


def publish(picture, ago=0):
    """Whom the engine takes the picture for."""
    seen = datetime.now(timezone.utc) - timedelta(minutes=ago)
    faces = call("POST", "api/v1/faceEdge/publishWithResponse", {
        "expanded": encoded(picture), "detectorName": "front-door", "ianaTimeZone": "Europe/Helsinki",
        "detectTimeUtc": seen.isoformat(), "largestFaceOnly": True, "includePerson": True, "allowDoubleDetection": True,
    })["detectedFaces"]
    return (faces[0].get("person") or {}).get("personId")


def go(opened, name):
    opened.locator("#nav").get_by_role("link", name=name).click()
    expect(opened.locator("main").get_by_role("heading", name=name)).to_be_visible()


def photos(opened, count):
    """The photos of the person on the page, when they are there."""
    expect(opened.locator(".photos img")).to_have_count(count)


def dialog(opened, heading):
    """The open dialog, which has this heading, and whose pictures are there."""
    opened_dialog = opened.get_by_role("dialog")
    expect(opened_dialog.get_by_role("heading", name=heading)).to_be_visible()
    pictures(opened, "dialog img")
    return opened_dialog


def pictures(opened, which):
    """Waits until these pictures are there."""
    opened.wait_for_function(
        "which => [...document.querySelectorAll(which)].every((one) => one.complete && one.naturalWidth > 0)", arg=which)


ada = enrol(ada_photo, "Ada", "ÖBERG")
grace = enrol(grace_photo, "Grace", "Hopper")

with page(screenshots, own=url, locale="en-GB") as (opened, complaints):
    opened.goto(url)
    sign_in(opened, "test-edge", password)
    expect(opened.get_by_text("2 people")).to_be_visible()

    # Search knows Unicode, however it is typed; Back and reload keep it.
    for text in ["ö", "Ö", "o\u0308berg", "öBERG"]:
        opened.get_by_role("searchbox").fill(text)
        expect(opened.get_by_text("1 person")).to_be_visible()
        expect(opened.locator(".entry")).to_contain_text("Ada")
    opened.get_by_role("searchbox").fill("ä")
    expect(opened.get_by_text("0 people")).to_be_visible()
    opened.get_by_role("searchbox").fill("ö")
    expect(opened.locator(".entry")).to_have_count(1)
    opened.reload()
    expect(opened.get_by_role("searchbox")).to_have_value("ö")
    expect(opened.locator(".entry")).to_have_count(1)
    opened.locator(".entry").click()
    expect(opened.get_by_role("heading", name="Ada ÖBERG")).to_be_focused()
    opened.go_back()
    expect(opened.get_by_role("searchbox")).to_have_value("ö")
    expect(opened.get_by_text("1 person")).to_be_visible()
    print("searched, and came back")

    # A stranger who came three times is one card.
    assert [publish(joan_photo, ago) for ago in (50, 30, 10)] == [None] * 3
    go(opened, "Strangers")
    card = opened.locator(".entry")
    expect(card).to_have_count(1)
    expect(card).to_contain_text("Seen 3 times")
    expect(card).to_contain_text("Europe/Helsinki")
    fits(opened, "strangers", screenshots, 3)
    accessible(opened, "strangers")
    # By keyboard alone: the card opens, Escape closes it, and one is where one was.
    card.focus()
    opened.keyboard.press("Enter")
    group = dialog(opened, "Stranger: Seen 3 times")
    assert opened.evaluate("document.activeElement.closest('dialog') !== null"), "the focus is in the dialog"
    expect(group.locator(".photos img")).to_have_count(3)
    fits(opened, "stranger", screenshots)
    accessible(opened, "stranger")
    opened.keyboard.press("Escape")
    expect(opened.get_by_role("dialog")).to_have_count(0)
    expect(card).to_be_focused()
    # Back closes it, too; and a reload keeps it open.
    card.click()
    dialog(opened, "Stranger: Seen 3 times")
    assert "open=group" in opened.url, opened.url
    opened.reload()
    dialog(opened, "Stranger: Seen 3 times")
    opened.go_back()
    expect(opened.get_by_role("dialog")).to_have_count(0)
    expect(opened.locator("main").get_by_role("heading", name="Strangers")).to_be_visible()
    print("one card; Back closed the dialog and reload kept it")

    # All of it is somebody new.
    card.click()
    dialog(opened, "Stranger").get_by_role("button", name="All of this is").click()
    asked = dialog(opened, "Who is this?")
    asked.get_by_role("searchbox").fill("ö")
    expect(asked.locator(".entry")).to_have_count(1)
    fits(opened, "who", screenshots)
    accessible(opened, "who")
    asked.locator(".entry").click()
    both = dialog(opened, "Is this Ada ÖBERG?")
    expect(both.locator(".sides img")).to_have_count(2)
    expect(both).to_contain_text("3 sightings become theirs")
    fits(opened, "both", screenshots)
    accessible(opened, "both")
    opened.go_back()
    dialog(opened, "Who is this?").get_by_role("button", name="Somebody new").click()
    named = dialog(opened, "Somebody new")
    named.get_by_label("First name").fill("Joan")
    named.get_by_label("Last name").fill("Ärmel")
    named.get_by_role("button", name="Enrol").click()
    expect(opened.locator("#notice")).to_contain_text("3 sightings are now Joan Ärmel.")
    expect(opened.get_by_role("dialog")).to_have_count(0)
    expect(opened.get_by_text("No strangers.")).to_be_visible()
    opened.locator("#notice").get_by_role("link", name="Open person").click()
    expect(opened.get_by_role("heading", name="Joan Ärmel")).to_be_visible()
    joan = opened.url.rsplit("/", 1)[1]
    assert publish(joan_photo) == joan
    opened.get_by_role("navigation", name="Joan Ärmel").get_by_role("link", name="Seen").click()
    expect(opened.locator(".entry")).to_have_count(4)
    pictures(opened, "main img")
    print("a group was assigned, and is recognised at the next look")

    # A wrong match: another photo of Joan was enrolled for Ada once, and Joan is gone.
    call("DELETE", f"page/people/{joan}")
    wrong = {"faceImage": encoded(other_photo)}
    call("POST", f"api/v1/faces/faceEnroll?personId={ada}&forceEnrollment=true", wrong)
    assert publish(joan_photo) == ada and publish(ada_photo) == ada
    go(opened, "Seen")
    expect(opened.locator(".entry")).to_have_count(2)
    fits(opened, "sights", screenshots, 3)
    for undone in (True, False):
        opened.locator(".entry").nth(1).click()
        dialog(opened, "Ada ÖBERG").get_by_role("button", name="Not Ada ÖBERG").click()
        both = dialog(opened, "Is this not Ada ÖBERG?")
        expect(both.locator(".sides img")).to_have_count(2)
        fits(opened, "not-this", screenshots)
        accessible(opened, "not-this")
        both.get_by_role("button", name="Not Ada ÖBERG").click()
        expect(opened.locator(".entry").nth(1)).to_contain_text("Unknown")
        if undone:
            opened.get_by_role("button", name="Undo").click()
            expect(opened.locator(".entry").nth(1)).to_contain_text("Ada")
    assert publish(joan_photo) is None, "a wrong match is refused the next time"
    assert publish(ada_photo) == ada, "her own photo is still hers"
    status, found = ask(url, "POST", "api/v1/faces/faceDetect", {"image": encoded(joan_photo)}, token)
    assert status == 200 and found["detections"][0].get("personId") is None, found
    print("not her: taken out, undone, taken out, refused")

    # Whoever would be confused with somebody is told of, with name and face, before anything is added.
    go(opened, "Strangers")
    opened.locator(".entry").first.click()
    dialog(opened, "Stranger").get_by_role("button", name=re.compile("is …")).last.click()
    dialog(opened, "Who is this?").locator(".entry", has_text="Grace").click()
    both = dialog(opened, "Is this Grace Hopper?")
    expect(both.locator(".warning")).to_contain_text("Ada ÖBERG")
    expect(both.locator(".warning img")).to_have_count(1)
    expect(both.get_by_role("button", name="Yes, this is")).to_be_disabled()
    fits(opened, "confused", screenshots)
    accessible(opened, "confused")
    both.get_by_label("Add it anyway").check()
    expect(both.get_by_role("button", name="Yes, this is")).to_be_enabled()
    both.get_by_role("button", name="Close").click()
    print("confusion was told of")

    # The photo that was the cause is taken out.
    opened.goto(f"{url}/#/people/{ada}")
    photos(opened, 2)
    opened.locator(".photos li").nth(1).get_by_role("button", name="Not Ada ÖBERG").click()
    dialog(opened, "Is this photo of somebody else?").get_by_role("button", name="Take it out").click()
    photos(opened, 1)
    opened.get_by_role("button", name="Undo").click()
    photos(opened, 2)
    opened.locator(".photos li").nth(1).get_by_role("button", name="Not Ada ÖBERG").click()
    dialog(opened, "Is this photo of somebody else?").get_by_role("button", name="Take it out").click()
    photos(opened, 1)

    # Erasing says what goes, is undone, and is done though nobody waits for it.
    opened.goto(f"{url}/#/people/{grace}")
    for undone in (True, False):
        opened.get_by_role("button", name="Erase person").click()
        told = dialog(opened, "Erase Grace Hopper?")
        expect(told).to_contain_text("1 enrolled photo")
        fits(opened, "erase", screenshots)
        accessible(opened, "erase")
        told.get_by_role("button", name="Erase", exact=True).click()
        expect(opened.get_by_text("1 person")).to_be_visible()
        expect(opened.locator("#notice")).to_contain_text("1 enrolled photo")
        assert publish(grace_photo) is None, "nobody is recognised who is being erased"
        if undone:
            opened.get_by_role("button", name="Undo").click()
            expect(opened.get_by_role("heading", name="Grace Hopper")).to_be_visible()
            assert publish(grace_photo) == grace
    opened.goto("about:blank")
    until = time.monotonic() + 30
    while ask(url, "GET", f"api/v1/people/{grace}", token=token)[0] != 404:
        assert time.monotonic() < until, "she is still there"
        time.sleep(0.2)
    print("erased, undone, and erased with the page closed")
    assert not complaints, complaints

# In German, because the browser says so; in the dark; and in English, because somebody chose it.
publish(joan_photo)
with page(screenshots, own=url, locale="de-DE", color_scheme="dark") as (opened, complaints):
    opened.goto(url)
    expect(opened.get_by_label("Benutzername")).to_be_visible()
    opened.get_by_label("Benutzername").fill("test-edge")
    opened.get_by_label("Passwort").fill(password)
    opened.get_by_role("button", name="Anmelden").click()
    expect(opened.get_by_text("1 Person")).to_be_visible()
    assert opened.evaluate("document.documentElement.lang") == "de"
    for name, place in [("Personen", "people"), ("Fremde", "strangers"), ("Gesehen", "sights"), ("Erfassen", "enrol")]:
        opened.locator("#nav").get_by_role("link", name=name).click()
        expect(opened.locator("main").get_by_role("heading", name=name)).to_be_visible()
        opened.wait_for_timeout(300)
        fits(opened, f"german-{place}", screenshots, 3)
        accessible(opened, f"german-{place}")
    opened.locator("#nav").get_by_role("link", name="Fremde").click()
    opened.locator(".entry").first.click()
    group = dialog(opened, "Fremde Person")
    fits(opened, "german-stranger", screenshots)
    accessible(opened, "german-stranger")
    opened.go_back()
    opened.get_by_label("Sprache").select_option("English")
    expect(opened.locator("main").get_by_role("heading", name="Strangers")).to_be_visible()
    opened.reload()
    expect(opened.locator("main").get_by_role("heading", name="Strangers")).to_be_visible()
    opened.set_viewport_size(PHONE)
    assert not complaints, complaints
print("the page takes corrections")
