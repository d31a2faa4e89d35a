// Everybody enrolled, and one person's record.

import { call, path, photo } from "./api.js";
import { chips, doing, fullName, h, moment, notice, percent } from "./dom.js";
import { eraseFor } from "./erase.js";
import { photoOf } from "./photo.js";
import { sightList } from "./sights.js";

const PAGE = 60;
const nameless = "without a name";

/** The list, with a search over names, tags and fields. */
export async function people(view, { signal }) {
  const search = h("input", { type: "search", placeholder: "Name, tag or field", "aria-label": "Search", class: "grow" });
  const count = h("p", { class: "soft" });
  const list = h("ul", { class: "grid" });
  const more = h("button", { type: "button", class: "plain", hidden: true }, "Show more");
  view.replaceChildren(h("div", { class: "bar" }, search, h("a", { class: "button", href: "#/enrol" }, "Enrol")), count, list,
    h("div", { class: "bar" }, more));

  let shown = 0;
  let asked = 0;
  async function load(anew) {
    const turn = ++asked;
    const skip = anew ? 0 : shown;
    const found = await call("GET", "page/people", { query: { text: search.value, skip, take: PAGE }, signal });
    // An answer that was overtaken by a later question is thrown away.
    if (turn !== asked) return;
    if (anew) list.replaceChildren();
    list.append(...found.people.map(entry));
    shown = skip + found.people.length;
    more.hidden = shown >= found.total || found.people.length === 0;
    const noun = found.total === 1 ? "person" : "people";
    count.textContent = found.total === 0 && !search.value ? "Nobody is enrolled yet." : `${found.total} ${noun}`;
  }
  more.addEventListener("click", doing(() => load(false)));
  let pause;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => load(true).catch((error) => signal.aborted || notice(error.message, true)), 200);
  });
  await load(true);
}

function entry(listed) {
  return h("li", {}, h("a", { class: "entry", href: `#/people/${path(listed.personId)}` },
    photoOf(listed.faceId && `api/v1/people/enrollmentPhoto/${path(listed.faceId)}`),
    h("span", {}, h("b", {}, listed.name || nameless), chips(listed.tags),
      h("small", {}, listed.lastSeen ? `seen ${moment(listed.lastSeen)}` : "not seen yet"))));
}

/** One person: names, photos, tags, fields, notes, and where they were seen. */
export async function person(view, { id, signal: left }) {
  const base = `api/v1/people/${path(id)}`;
  // A change draws everything anew; what the old drawing had going on ends.
  const drawn = new AbortController();
  const { signal } = drawn;
  left.addEventListener("abort", () => drawn.abort());
  const redraw = () => {
    drawn.abort();
    return person(view, { id, signal: left });
  };
  const change = (method, part, body) => async () => {
    await call(method, `${base}/${part}`, { body });
    await redraw();
  };
  const [record, photos, definitions, documents] = await Promise.all([
    call("GET", base, { signal }),
    call("GET", `page/people/${path(id)}/photos`, { signal }),
    // Somebody may read people and not the definitions: then there is no list to choose from.
    call("GET", "api/v1/Tags", { signal }).catch(() => []),
    // The same with files.
    call("GET", `${base}/fileDocuments`, { signal }).catch(() => []),
  ]);
  const seen = h("div");
  view.replaceChildren(
    heading(record, id),
    h("div", { class: "two" },
      h("section", {}, h("h3", {}, "Photos"), photoList(photos, id, redraw), h("h3", {}, "Seen"), seen),
      h("section", {}, h("h3", {}, "Tags"), tagList(record.tags, change), tagForm(definitions, record.tags, base, redraw),
        h("h3", {}, "Names"), nameForm(record.aliases[0] ?? {}, change),
        h("h3", {}, "Fields"), fieldList(record.entityFields, change), fieldForm(change),
        h("h3", {}, "Notes"), noteList(record.notes, change), noteForm(change),
        documents.length > 0 && [h("h3", {}, "Documents"), documentList(documents, base)])));
  await sightList(seen, { personId: id }, signal).catch((error) => {
    if (!signal.aborted) seen.replaceChildren(h("p", { class: "soft" }, error.message));
  });
}

function heading(record, id) {
  const name = fullName(record.aliases[0]);
  const erase = doing(async () => {
    if (await eraseFor(`Erase ${name || "this person"}?`, `page/people/${path(id)}`)) location.hash = "#/people";
  });
  return h("div", { class: "bar" }, h("h2", { class: "grow" }, name || nameless),
    h("button", { type: "button", class: "danger", onclick: erase }, "Erase person"));
}

function photoList(photos, id, redraw) {
  const figure = (photo) => {
    const erase = doing(async () => {
      if (!confirm("Erase this photo for good?")) return;
      await call("DELETE", `page/photos/${path(photo.faceId)}`);
      await redraw();
    });
    return h("li", {}, h("figure", {}, photoOf(`api/v1/people/enrollmentPhoto/${path(photo.faceId)}`),
      h("figcaption", {}, `quality ${percent(photo.quality)}`,
        photos.length > 1 && h("button", { type: "button", class: "plain", onclick: erase }, "Erase"))));
  };
  return h("div", {}, h("ul", { class: "photos" }, photos.map(figure)),
    photos.length === 1 && h("p", {}, "A single photo. Another one, of another day and light, makes matches surer."),
    h("p", {}, h("a", { class: "button plain", href: `#/enrol/${path(id)}` }, "Add photos")));
}

/** A line with what it is and a button that takes it away. */
function line(what, remove, label) {
  return h("li", {}, h("span", { class: "what" }, what),
    h("button", { type: "button", class: "plain", "aria-label": `Remove ${label}`, onclick: doing(remove) }, "Remove"));
}

function tagList(tags, change) {
  return h("ul", { class: "rows" }, tags.map((tag) => {
    const name = tag.tag?.name ?? tag.tagId;
    const until = tag.expires ? [" ", h("small", { class: "soft" }, `until ${moment(tag.expires)}`)] : [];
    return line([h("span", { class: "chip" }, name), ...until], change("DELETE", `tags/${path(tag.personTagId)}`), name);
  }));
}

function tagForm(definitions, carried, base, redraw) {
  const free = definitions.filter((tag) => !tag.disabled && !carried.some((own) => own.tagId === tag.tagId));
  const names = h("datalist", { id: "tag-names" }, free.map((tag) => h("option", { value: tag.tagName })));
  const name = h("input", { required: true, placeholder: "VIP", "aria-label": "Tag" });
  name.setAttribute("list", "tag-names");
  const expires = h("input", { type: "datetime-local" });
  const add = doing(async () => {
    const wanted = name.value.trim();
    const known = definitions.find((tag) => tag.tagName === wanted);
    const tag = known ?? await call("POST", "api/v1/Tags", { body: { tagName: wanted } });
    const until = expires.value ? { expires: new Date(expires.value).toISOString() } : {};
    await call("PUT", `${base}/tags`, { body: { tagId: tag.tagId, ...until } });
    await redraw();
  });
  return h("form", { class: "bar", onsubmit: add }, h("label", {}, "Tag", name, names), h("label", {}, "Until", expires),
    h("button", { type: "submit", class: "plain" }, "Add tag"));
}

function nameForm(alias, change) {
  const field = (key, label) => [key, label, h("input", { value: alias[key] ?? "" })];
  const fields = [field("title", "Title"), field("firstName", "First name"), field("middleName", "Middle name"),
    field("lastName", "Last name")];
  const save = doing(async () => {
    const names = Object.fromEntries(fields.map(([key, , input]) => [key, input.value.trim() || null]));
    const id = alias.personAliasId ? { personAliasId: alias.personAliasId } : {};
    await change("PUT", "aliases", { ...id, ...names })();
    notice("Saved.");
  });
  return h("form", { class: "bar", onsubmit: save }, fields.map(([, label, input]) => h("label", {}, label, input)),
    h("button", { type: "submit", class: "plain" }, "Save names"));
}

function fieldList(fields, change) {
  const value = (field) => field.stringValue ?? (field.dateValue ? moment(field.dateValue) : null)
    ?? (field.boolValue === null || field.boolValue === undefined ? field.numberValue : field.boolValue ? "yes" : "no") ?? "";
  return h("ul", { class: "rows" }, fields.map((field) =>
    line([h("b", {}, field.name), `: ${value(field)}`], change("DELETE", `entityFields/${path(field.entityFieldId)}`), field.name)));
}

/** What each kind of field is typed into, and how it is read from there. */
const KINDS = {
  text: { input: { type: "text" }, read: (input) => ({ stringValue: input.value }) },
  number: { input: { type: "number", step: "any" }, read: (input) => ({ numberValue: input.valueAsNumber }) },
  date: { input: { type: "date" }, read: (input) => ({ dateValue: new Date(input.value).toISOString() }) },
  "yes or no": { input: { type: "checkbox" }, read: (input) => ({ boolValue: input.checked }) },
};

function fieldForm(change) {
  const name = h("input", { required: true, placeholder: "Department" });
  const kind = h("select", {}, Object.keys(KINDS).map((kind) => h("option", {}, kind)));
  const place = h("label", {});
  let input;
  const choose = () => {
    input = h("input", { ...KINDS[kind.value].input, required: kind.value !== "yes or no" });
    place.replaceChildren("Value", input);
  };
  kind.addEventListener("change", choose);
  choose();
  const save = doing(() =>
    change("PUT", "entityFields", { name: name.value.trim(), ...KINDS[kind.value].read(input) })());
  return h("form", { class: "bar", onsubmit: save }, h("label", {}, "Field", name), h("label", {}, "Kind", kind), place,
    h("button", { type: "submit", class: "plain" }, "Set field"));
}

function noteList(notes, change) {
  return h("ul", { class: "rows" }, notes.map((note) =>
    line([note.body || note.summary || "", " ", h("small", { class: "soft" }, note.author ?? "")],
      change("DELETE", `notes/${path(note.noteId)}`), "note")));
}

/** The files attached to a person, each with a button that saves it. */
function documentList(documents, base) {
  return h("ul", { class: "rows" }, documents.map((document) => {
    const save = doing(async () => {
      const url = URL.createObjectURL(await photo(`${base}/fileDocuments/${path(document.publicId)}/data`));
      h("a", { href: url, download: document.fileName || document.name }).click();
      URL.revokeObjectURL(url);
    });
    return h("li", {}, h("span", { class: "what" }, document.name, " ", h("small", { class: "soft" }, document.description ?? "")),
      h("button", { type: "button", class: "plain", "aria-label": `Save ${document.name}`, onclick: save }, "Save"));
  }));
}

function noteForm(change) {
  const body = h("input", { required: true });
  return h("form", { class: "bar", onsubmit: doing(() => change("PUT", "notes", { body: body.value.trim() })()) },
    h("label", {}, "Note", body), h("button", { type: "submit", class: "plain" }, "Add note"));
}
