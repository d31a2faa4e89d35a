"""Uses the engine's page to try the API: swagger_page.py URL PASSWORD_FILE SCREENSHOTS PHOTO.

Prints what was done; ends with an error at the first thing that is not so."""

import re
import sys

from playwright.sync_api import expect

from common import fits, page

url, password_file, screenshots, photo = sys.argv[1:]
password = open(password_file).read().strip()


def operation(opened, name):
    """Opens an operation's form."""
    place = opened.locator(f"#{name}")
    place.locator("summary").click()
    expect(place.get_by_role("button", name="Send")).to_be_visible()
    return place


def answer(place, status):
    """Sends the form and gives the answer's place."""
    place.get_by_role("button", name="Send").click()
    expect(place.locator(".answer b")).to_contain_text(status)
    return place.locator(".answer")


with page(screenshots) as (opened, complaints):
    opened.goto(f"{url}/swagger")
    expect(opened.get_by_role("heading", name="Face edge")).to_be_visible()
    fits(opened, "swagger", screenshots)

    tags = operation(opened, "listTags")
    answer(tags, "401")
    assert "401" in complaints.pop(), complaints
    opened.get_by_label("User name").first.fill("test-edge")
    opened.get_by_label("Password").first.fill(password)
    opened.get_by_role("button", name="Log in").click()
    expect(opened.get_by_role("status")).to_contain_text("test-edge")
    expect(answer(tags, "200").locator("pre")).to_have_text("[]")

    create = operation(opened, "createTag")
    create.get_by_label("Body").fill('{"tagName": "<b>VIP</b>"}')
    expect(answer(create, "200").locator("pre")).to_contain_text("<b>VIP</b>")
    expect(answer(tags, "200").locator("pre")).to_contain_text("<b>VIP</b>")
    tags.get_by_label("tagName").fill("nobody")
    expect(answer(tags, "200").locator("pre")).to_have_text("[]")
    print("a tag was made and listed")

    enrol = operation(opened, "faceEnroll")
    enrol.get_by_label("faceImage from a file").set_input_files(photo)
    expect(enrol.get_by_label("Body")).to_have_value(re.compile("/9j/|iVBOR"))
    person = answer(enrol, "200").locator("pre").inner_text().split('"')[3]
    upload = operation(opened, "uploadFileDocument")
    upload.get_by_label("file", exact=True).set_input_files(photo)
    upload.get_by_label("personId").fill(person)
    upload.get_by_label("name", exact=True).fill("Scan")
    answer(upload, "200")
    documents = operation(opened, "listFileDocuments")
    documents.get_by_label("personId").fill(person)
    expect(answer(documents, "200").locator("pre")).to_contain_text("Scan")
    print("a photo and a form were sent")
    assert not complaints, complaints
