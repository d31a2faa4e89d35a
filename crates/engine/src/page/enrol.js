// Enrolling: photos from files, from the camera, or of somebody seen; as a new person, or as one there is.

import { call, path, photo } from "./api.js";
import { doing, fullName, h, notice, percent } from "./dom.js";

/** A photo above this is made smaller first, to arrive sooner: the engine takes 32 MiB. */
const MOST_BYTES = 8e6;
const MOST_SIDE = 4000;

export async function enrol(view, { id, query, signal }) {
  /** `{ blob, look }`: the photos to enrol, and what the engine sees in each. */
  const shots = [];
  const gallery = h("ul", { class: "photos" });
  const files = h("input", { type: "file", accept: "image/jpeg,image/png,image/webp,image/bmp", multiple: true });
  const camera = h("div");
  const force = h("input", { type: "checkbox" });
  const form = id ? existing(id, signal) : newPerson(signal);

  async function add(blob) {
    const shot = { blob: await smaller(blob), look: null };
    shots.push(shot);
    draw();
    shot.look = await look(shot.blob);
    draw();
  }

  function draw() {
    gallery.replaceChildren(...shots.map((shot) => {
      const url = URL.createObjectURL(shot.blob);
      const remove = () => {
        shots.splice(shots.indexOf(shot), 1);
        draw();
      };
      return h("li", {}, h("figure", {},
        h("img", { class: "photo", src: url, alt: "", onload: () => URL.revokeObjectURL(url) }),
        h("figcaption", {}, verdict(shot.look, id), h("button", { type: "button", class: "plain", onclick: remove }, "Remove"))));
    }));
  }

  files.addEventListener("change", doing(async () => {
    const chosen = [...files.files];
    files.value = "";
    for (const file of chosen) await add(file);
  }));

  const submit = doing(async () => {
    if (!shots.length) throw new Error("Add a photo first.");
    const made = await form.person();
    let person = made;
    while (shots.length) {
      const enrolled = await call("POST", "api/v1/faces/faceEnroll", {
        query: { personId: person, forceEnrollment: force.checked || null },
        body: { faceImage: await base64(shots[0].blob) },
      });
      shots.shift();
      draw();
      if (!person) {
        person = enrolled.personId;
        await form.enrolled(person);
      }
    }
    location.hash = `#/people/${path(person)}`;
    notice("Enrolled.");
  });

  view.replaceChildren(h("form", { onsubmit: submit },
    h("h2", {}, id ? "Add photos" : "Enrol somebody"),
    h("div", { class: "two" },
      h("section", {},
        h("div", { class: "bar" }, h("label", { class: "grow" }, "Photos", files), cameraButton(camera, add, signal)),
        camera, gallery,
        h("label", { class: "tick" }, force, "Take poor photos, too")),
      h("section", { class: "form" }, await form.fields(),
        h("div", {}, h("button", { type: "submit" }, id ? "Add to this person" : "Enrol"))))));

  if (query.has("face")) {
    await add(await photo(`api/v1/people/detectionPhoto/${path(query.get("face"), query.get("detection"))}`));
  }
}

/** Names and tags of somebody new. */
function newPerson(signal) {
  const first = h("input", { autocomplete: "off" });
  const last = h("input", { autocomplete: "off" });
  const fresh = h("input", { autocomplete: "off", placeholder: "another tag" });
  let ticks = [];
  return {
    async fields() {
      const definitions = await call("GET", "api/v1/Tags", { signal }).catch(() => []);
      ticks = definitions.filter((tag) => !tag.disabled).map((tag) => ({ tag, input: h("input", { type: "checkbox" }) }));
      return [
        h("label", {}, "First name", first), h("label", {}, "Last name", last),
        h("fieldset", {}, h("legend", {}, "Tags"),
          h("div", { class: "ticks" }, ticks.map(({ tag, input }) => h("label", { class: "tick" }, input, tag.tagName))), fresh),
      ];
    },
    async person() {
      if (!first.value.trim() && !last.value.trim()) throw new Error("A name is needed.");
      return null;
    },
    async enrolled(person) {
      const base = `api/v1/people/${path(person)}`;
      const names = { firstName: first.value.trim() || null, lastName: last.value.trim() || null };
      await call("PUT", `${base}/aliases`, { body: names });
      const chosen = ticks.filter(({ input }) => input.checked).map(({ tag }) => tag);
      const name = fresh.value.trim();
      if (name) {
        const there = ticks.find(({ tag }) => tag.tagName === name)?.tag;
        chosen.push(there ?? await call("POST", "api/v1/Tags", { body: { tagName: name } }));
      }
      for (const tag of chosen) await call("PUT", `${base}/tags`, { body: { tagId: tag.tagId } });
    },
  };
}

/** More photos of a person there is. */
function existing(id, signal) {
  return {
    async fields() {
      const record = await call("GET", `api/v1/people/${path(id)}`, { signal });
      return [h("p", {}, "More photos, in other light and at other angles, make it surer that ",
        h("b", {}, fullName(record.aliases[0]) || "this person"), " is recognised.")];
    },
    person: async () => id,
    enrolled: async () => {},
  };
}

/** What the engine sees in a photo: `{ faces, quality, person }`, or why it cannot say. */
async function look(blob) {
  try {
    const { detections } = await call("POST", "api/v1/faces/faceDetect", { body: { image: await base64(blob) } });
    const area = ({ boundingBox: box }) => box.width * box.height;
    const largest = detections.toSorted((a, b) => area(b) - area(a))[0];
    return { faces: detections.length, quality: largest?.quality, person: largest?.personId, match: largest?.matchConfidence };
  } catch (error) {
    return { problem: error.message };
  }
}

function verdict(look, id) {
  const chip = (kind, text) => h("span", { class: `chip ${kind}` }, text);
  if (look === null) return chip("", "looking …");
  if (look.problem) return chip("bad", look.problem);
  if (look.faces === 0) return chip("bad", "no face");
  const seen = chip(look.faces > 1 ? "wait" : "good", look.faces > 1 ? `${look.faces} faces` : `quality ${percent(look.quality)}`);
  if (!look.person || look.person === id) return seen;
  return h("span", {}, seen, " ", h("a", { href: `#/people/${path(look.person)}` }, `known already (match ${percent(look.match)})`));
}

/** Opens the camera, takes pictures of it until it is closed. */
function cameraButton(place, add, signal) {
  let stream = null;
  const button = h("button", { type: "button", class: "plain" }, "Use the camera");
  const close = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    place.replaceChildren();
    button.textContent = "Use the camera";
  };
  button.addEventListener("click", doing(async () => {
    if (stream) return close();
    if (!navigator.mediaDevices) {
      throw new Error("The browser gives a page its camera only over HTTPS, or from this machine itself.");
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    } catch (error) {
      throw new Error(`There is no camera to use: ${error.message}`);
    }
    if (signal.aborted) return close();
    const video = h("video", { autoplay: true, playsInline: true, muted: true, srcObject: stream });
    const take = doing(async () => {
      const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      await add(await jpeg(canvas));
    });
    place.replaceChildren(h("div", { class: "camera" }, video),
      h("div", { class: "bar" }, h("button", { type: "button", onclick: take }, "Take a picture")));
    button.textContent = "Close the camera";
  }));
  signal.addEventListener("abort", close);
  return button;
}

async function smaller(blob) {
  if (blob.size <= MOST_BYTES) return blob;
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return jpeg(canvas);
}

const jpeg = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
