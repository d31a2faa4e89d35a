// Enrolling: photos from files or from the camera; as a new person, or as one there is.

import { call, path } from "./api.js";
import { warnings } from "./assign.js";
import { cameraButton, jpeg } from "./camera.js";
import { doing, fullName, h, heading, notice, percent } from "./dom.js";
import { nameOf } from "./people.js";
import { t } from "./words.js";

/** A photo above this is made smaller first, to arrive sooner: the engine takes 32 MiB. */
const MOST_BYTES = 8e6;
const MOST_SIDE = 4000;

export async function enrol(view, { id, signal }) {
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
    shot.look = await look(shot.blob, id);
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
        h("img", { class: "photo", src: url, alt: t("face.photo"), onload: () => URL.revokeObjectURL(url) }),
        h("figcaption", {}, verdict(shot.look), h("button", { type: "button", class: "plain", onclick: remove }, t("remove")))),
        shot.look?.confused && warnings(shot.look));
    }));
  }

  files.addEventListener("change", doing(async () => {
    const chosen = [...files.files];
    files.value = "";
    for (const file of chosen) await add(file);
  }));

  const submit = doing(async () => {
    if (!shots.length) throw new Error(t("photoFirst"));
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
    notice(t("enrolled"));
  });

  view.replaceChildren(h("form", { onsubmit: submit },
    heading(t(id ? "addPhotos" : "enrol.title")),
    h("div", { class: "two" },
      h("section", {},
        h("div", { class: "bar" }, h("label", { class: "grow" }, t("person.photos"), files), cameraButton(camera, add, signal)),
        camera, gallery,
        h("label", { class: "tick" }, force, t("takePoor"))),
      h("section", { class: "form" }, await form.fields(),
        h("div", {}, h("button", { type: "submit" }, t(id ? "addToPerson" : "enrol")))))));
}

/** Names and tags of somebody new. */
function newPerson(signal) {
  const first = h("input", { autocomplete: "off" });
  const last = h("input", { autocomplete: "off" });
  const fresh = h("input", { autocomplete: "off", placeholder: t("anotherTag"), "aria-label": t("anotherTag") });
  let ticks = [];
  return {
    async fields() {
      const definitions = await call("GET", "api/v1/Tags", { signal }).catch(() => []);
      ticks = definitions.filter((tag) => !tag.disabled).map((tag) => ({ tag, input: h("input", { type: "checkbox" }) }));
      return [
        h("label", {}, t("firstName"), first), h("label", {}, t("lastName"), last),
        h("fieldset", {}, h("legend", {}, t("tags")),
          h("div", { class: "ticks" }, ticks.map(({ tag, input }) => h("label", { class: "tick" }, input, tag.tagName))), fresh),
      ];
    },
    async person() {
      if (!first.value.trim() && !last.value.trim()) throw new Error(t("nameNeeded"));
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
      return [h("p", {}, t("morePhotos", { name: nameOf(fullName(record.aliases[0])) }))];
    },
    person: async () => id,
    enrolled: async () => {},
  };
}

/** What the engine sees in a photo, and who else it would be taken for; or why it cannot say. */
async function look(blob, person) {
  try {
    return await call("POST", "page/portraits/look", { body: { image: await base64(blob), personId: person ?? null } });
  } catch (error) {
    return { problem: error.message };
  }
}

function verdict(look) {
  const chip = (kind, text) => h("span", { class: `chip ${kind}` }, text);
  if (look === null) return chip("", t("looking"));
  if (look.problem) return chip("bad", look.problem);
  if (look.faces === 0) return chip("bad", t("noFace"));
  if (look.faces > 1) return chip("wait", t("faces", { n: look.faces }));
  return chip("good", t("quality", { percent: percent(look.quality) }));
}

async function smaller(blob) {
  if (blob.size <= MOST_BYTES) return blob;
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return jpeg(canvas);
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
