"""Uses the engine's web page as a person would: engine_page.py URL PASSWORD_FILE CAMERA SCREENSHOTS PHOTO PHOTO STRANGER.

Both PHOTOs show one person, STRANGER another one. Prints what was done; ends with an error at the first thing that is not so."""

import base64
import sys
from datetime import datetime, timedelta, timezone

from playwright.sync_api import expect

from common import accessible, call as ask, fits, page, sign_in

url, password_file, camera, screenshots, photo, other_photo, stranger = sys.argv[1:]
password = open(password_file).read().strip()
# What a name may be at worst: it must stay a name.
NASTY = "<img src=x onerror=alert(1)>"


def call(method, path, body=None, token=None):
    return ask(url, method, path, body, token)


def publish(picture, token):
    with open(picture, "rb") as file:
        body = {
            "expanded": base64.b64encode(file.read()).decode(), "detectorName": "front-door",
            "ianaTimeZone": "Europe/Helsinki", "detectTimeUtc": datetime.now(timezone.utc).isoformat(),
            "largestFaceOnly": True, "includePerson": True, "allowDoubleDetection": True,
        }
    status, faces = call("POST", "api/v1/faceEdge/publishWithResponse", body, token)
    assert status == 200, status
    return faces["detectedFaces"]


with page(screenshots, camera, own=url) as (opened, complaints):
    opened.goto(url)
    fits(opened, "sign-in", screenshots)
    sign_in(opened, "test-edge", "wrong")
    expect(opened.locator("#notice.bad")).to_be_visible()
    accessible(opened, "sign-in")
    assert complaints and "401" in complaints.pop(), complaints
    sign_in(opened, "test-edge", password)
    expect(opened.get_by_text("Nobody is enrolled yet.")).to_be_visible()
    token = call("POST", "api/v1/authenticate", {"username": "test-edge", "password": password})[1]["token"]

    # From a file, with a new tag.
    opened.get_by_role("link", name="Enrol").first.click()
    opened.set_input_files("input[type=file]", photo)
    expect(opened.locator(".chip.good")).to_contain_text("quality")
    opened.get_by_label("First name").fill("Ada")
    opened.get_by_label("Last name").fill(NASTY)
    opened.get_by_placeholder("another tag").fill("VIP")
    opened.get_by_role("button", name="Enrol", exact=True).click()
    expect(opened.get_by_role("heading", name=f"Ada {NASTY}")).to_be_visible()
    ada = opened.url.rsplit("/", 1)[1]
    print("enrolled from a file:", ada)
    opened.get_by_role("link", name="Record").click()

    # Her record: a tag with an end, fields of every kind, a note, another name, another photo.
    until = datetime.now() + timedelta(days=2)
    opened.get_by_label("Tag", exact=True).fill("Contractor")
    opened.get_by_label("Until").fill(until.strftime("%Y-%m-%dT%H:%M"))
    opened.get_by_role("button", name="Add tag").click()
    expect(opened.get_by_role("button", name="Remove Contractor")).to_be_visible()
    for name, kind, value in [("Department", "text", "Bar"), ("Level", "number", "3.5"), ("Since", "date", "2026-01-31"), ("Left", "yes or no", None)]:
        opened.get_by_label("Field", exact=True).fill(name)
        opened.get_by_label("Kind").select_option(kind)
        opened.get_by_label("Value").check() if value is None else opened.get_by_label("Value").fill(value)
        opened.get_by_role("button", name="Set field").click()
        expect(opened.get_by_role("button", name=f"Remove {name}")).to_be_visible()
    opened.get_by_label("Note", exact=True).fill("rings twice")
    opened.get_by_role("button", name="Add note").click()
    expect(opened.get_by_text("rings twice")).to_be_visible()
    opened.get_by_label("Title").fill("Countess")
    opened.get_by_role("button", name="Save names").click()
    expect(opened.get_by_role("heading", name=f"Countess Ada {NASTY}")).to_be_visible()
    record = call("GET", f"api/v1/people/{ada}", token=token)[1]
    fields = {field["name"]: field for field in record["entityFields"]}
    assert fields["Department"]["stringValue"] == "Bar" and fields["Level"]["numberValue"] == 3.5, fields
    assert fields["Since"]["dateValue"].startswith("2026-01-3") and fields["Left"]["boolValue"] is True, fields
    tags = {tag["tag"]["name"]: tag for tag in record["tags"]}
    assert tags["VIP"]["expires"] is None and tags["Contractor"]["expires"], tags
    expires = datetime.fromisoformat(tags["Contractor"]["expires"].replace("Z", "+00:00"))
    assert abs(expires - until.astimezone()) < timedelta(minutes=1), (expires, until)
    assert record["notes"][0]["body"] == "rings twice" and record["aliases"][0]["title"] == "Countess", record
    opened.get_by_role("button", name="Remove Contractor").click()
    expect(opened.get_by_role("button", name="Remove Contractor")).to_have_count(0)
    assert [tag["tag"]["name"] for tag in call("GET", f"api/v1/people/{ada}/tags", token=token)[1]] == ["VIP"]
    # What was taken off comes back.
    opened.get_by_role("button", name="Undo").click()
    expect(opened.get_by_role("button", name="Remove Contractor")).to_be_visible()
    opened.get_by_role("button", name="Remove note").click()
    expect(opened.get_by_text("rings twice")).to_have_count(0)
    opened.get_by_role("button", name="Undo").click()
    expect(opened.get_by_text("rings twice")).to_be_visible()
    accessible(opened, "record")
    fits(opened, "record", screenshots, 3)
    opened.get_by_role("link", name="Photos", exact=True).click()
    opened.get_by_role("link", name="Add photos").click()
    opened.set_input_files("input[type=file]", other_photo)
    expect(opened.locator(".chip.good")).to_be_visible()
    opened.get_by_role("button", name="Add to this person").click()
    expect(opened.locator(".photos img")).to_have_count(2)
    expect(opened.locator(".photos img").first).to_have_js_property("complete", True)
    fits(opened, "person", screenshots, 3)
    accessible(opened, "person")
    opened.locator(".photos").get_by_role("button", name="Erase", exact=True).first.click()
    opened.get_by_role("dialog").get_by_role("button", name="Erase", exact=True).click()
    expect(opened.locator(".photos img")).to_have_count(1)
    print("the record holds what was typed")

    # With the camera.
    opened.get_by_role("link", name="Enrol").first.click()
    opened.get_by_role("button", name="Use the camera").click()
    # Playing, that is with a picture.
    expect(opened.locator("video")).to_have_js_property("readyState", 4)
    opened.get_by_role("button", name="Take a picture").click()
    expect(opened.locator(".chip.good")).to_contain_text("quality")
    opened.get_by_label("First name").fill("Grace")
    accessible(opened, "enrol")
    fits(opened, "enrol", screenshots, 3)
    opened.get_by_role("button", name="Enrol", exact=True).click()
    expect(opened.get_by_role("heading", name="Grace")).to_be_visible()
    assert opened.evaluate("document.querySelector('video')") is None
    print("enrolled from the camera")

    # A photo without a face is turned down, and the page says so.
    opened.get_by_role("link", name="Enrol").first.click()
    blank = opened.evaluate("""() => { const c = document.createElement('canvas'); c.width = c.height = 200;
        c.getContext('2d').fillRect(0, 0, 200, 200); return c.toDataURL('image/png').split(',')[1]; }""")
    opened.set_input_files("input[type=file]", {"name": "b.png", "mimeType": "image/png", "buffer": base64.b64decode(blank)})
    expect(opened.locator(".chip.bad")).to_have_text("no face")
    opened.get_by_label("First name").fill("Nobody")
    opened.get_by_role("button", name="Enrol", exact=True).click()
    expect(opened.locator("#notice.bad")).to_contain_text("face")
    assert "500" in complaints.pop(), complaints

    # Looking for people.
    opened.get_by_role("link", name="People").click()
    expect(opened.get_by_text("2 people")).to_be_visible()
    fits(opened, "people", screenshots, 3)
    accessible(opened, "people")
    for text, found in [("bar", ["Ada"]), ("vip", ["Ada"]), ("grac", ["Grace"]), ("%", []), ("nobody there", [])]:
        opened.get_by_role("searchbox").fill(text)
        expect(opened.get_by_text("1 person" if found else "0 people")).to_be_visible()
        expect(opened.locator(".entry")).to_have_count(len(found))
        for name in found:
            expect(opened.locator(".entry")).to_contain_text(name)

    # Who is seen appears by itself; a stranger is enrolled from there.
    opened.get_by_role("link", name="Seen").click()
    expect(opened.get_by_text("Nobody yet.")).to_be_visible()
    assert publish(photo, token)[0]["person"]["personId"] == ada
    expect(opened.locator(".entry")).to_have_count(1)
    expect(opened.locator(".entry")).to_contain_text("Ada")
    expect(opened.locator(".entry")).to_contain_text("front-door")
    assert publish(stranger, token)[0].get("person") is None
    expect(opened.locator(".entry")).to_have_count(2)
    expect(opened.locator(".entry").first).to_contain_text("Unknown")
    fits(opened, "sights", screenshots)
    accessible(opened, "sights")
    opened.get_by_role("link", name="Unknown", exact=True).click()
    expect(opened.locator(".entry")).to_have_count(1)
    opened.locator(".entry").click()
    expect(opened.get_by_role("dialog").get_by_role("heading", name="Unknown")).to_be_visible()
    opened.wait_for_timeout(300)
    opened.screenshot(path=f"{screenshots}/sight.png")
    opened.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(opened.get_by_role("dialog")).to_have_count(0)
    print("who is seen appears")

    # Reloading keeps the session; signing out ends it, and somebody who may only look is told so.
    opened.reload()
    expect(opened.get_by_role("link", name="Unknown", exact=True)).to_have_attribute("aria-current", "true")
    token = opened.evaluate("sessionStorage.getItem('identities-token')")
    status = "async token => (await fetch('api/v1/Tags', {headers: {Authorization: `Bearer ${token}`}})).status"
    assert opened.evaluate(status, token) == 200
    opened.get_by_role("button", name="Sign out").click()
    expect(opened.get_by_role("button", name="Sign in")).to_be_visible()
    assert opened.evaluate(status, token) == 401, "whoever has the token is still signed in"
    assert opened.evaluate("sessionStorage.length") == 0
    sign_in(opened, "looker", password)
    opened.get_by_role("link", name="People").click()
    opened.locator(".entry", has_text="Ada").click()
    opened.get_by_role("link", name="Record").click()
    opened.get_by_label("Note", exact=True).fill("may I?")
    opened.get_by_role("button", name="Add note").click()
    expect(opened.locator("#notice.bad")).to_contain_text("Mutate")
    assert "403" in complaints.pop(), complaints
    assert "401" in complaints.pop(), complaints
    assert not complaints, complaints
print("the page does what it says")
