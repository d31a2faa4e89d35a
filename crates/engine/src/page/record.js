// A person's record: tags, names, fields, notes and files. What is taken off can be put back for ten seconds.

import { call, path, photo } from "./api.js";
import { button, doing, h, notice, undoable } from "./dom.js";
import { leave } from "./place.js";
import { engineZone, known, momentOf, when } from "./time.js";
import { t } from "./words.js";

export async function record(content, record, { id, signal }) {
  const base = `api/v1/people/${path(id)}`;
  const [definitions, documents] = await Promise.all([
    // Somebody may read people and not the definitions: then there is no list to choose from.
    call("GET", "api/v1/Tags", { signal }).catch(() => []),
    call("GET", `${base}/fileDocuments`, { signal }).catch(() => []),
  ]);
  const put = async (part, body) => {
    await call("PUT", `${base}/${part}`, { body });
    leave();
  };
  /** A line with what it is and a button that takes it off. */
  const line = (what, label, part, partId, again) => h("li", {}, h("span", { class: "what" }, what),
    h("button", { type: "button", class: "plain", "aria-label": t("remove.what", { what: label }), onclick: doing(async () => {
      await call("DELETE", `${base}/${part}/${path(partId)}`);
      leave();
      undoable(t("removed", { what: label }), () => put(part, again));
    }) }, t("remove")));
  const tools = { base, put, line };
  content.replaceChildren(h("div", { class: "two" },
    h("section", {}, h("h3", {}, t("tags")), tagList(record.tags, tools), tagForm(definitions, record.tags, tools),
      h("h3", {}, t("names")), nameForm(record.aliases[0] ?? {}, tools)),
    h("section", {}, h("h3", {}, t("fields")), fieldList(record.entityFields, tools), fieldForm(tools),
      h("h3", {}, t("notes")), noteList(record.notes, tools), noteForm(tools),
      documents.length > 0 && [h("h3", {}, t("documents")), documentList(documents, base)])));
}

function tagList(tags, { line }) {
  return h("ul", { class: "rows" }, tags.map((tag) => {
    const name = tag.tag?.name ?? tag.tagId;
    const until = tag.expires ? [" ", h("small", { class: "soft" }, t("until.when", { when: when(tag.expires) }))] : [];
    const again = { personTagId: tag.personTagId, tagId: tag.tagId, ...(tag.expires ? { expires: tag.expires } : {}) };
    return line([h("span", { class: "chip" }, name), ...until], name, "tags", tag.personTagId, again);
  }));
}

function tagForm(definitions, carried, { put }) {
  const free = definitions.filter((tag) => !tag.disabled && !carried.some((own) => own.tagId === tag.tagId));
  const names = h("datalist", { id: "tag-names" }, free.map((tag) => h("option", { value: tag.tagName })));
  const name = h("input", { required: true, placeholder: "VIP" });
  name.setAttribute("list", "tag-names");
  const expires = h("input", { type: "datetime-local" });
  const add = doing(async () => {
    const wanted = name.value.trim();
    const there = definitions.find((tag) => tag.tagName === wanted);
    const tag = there ?? await call("POST", "api/v1/Tags", { body: { tagName: wanted } });
    const until = expires.value ? { expires: new Date(momentOf(expires.value)).toISOString() } : {};
    await put("tags", { tagId: tag.tagId, ...until });
  });
  return h("form", { class: "bar", onsubmit: add }, h("label", {}, t("tag"), name, names),
    h("label", {}, `${t("until")} (${known(engineZone)})`, expires), h("button", { type: "submit", class: "plain" }, t("addTag")));
}

function nameForm(alias, { put }) {
  const fields = ["title", "firstName", "middleName", "lastName"].map((key) => [key, h("input", { value: alias[key] ?? "" })]);
  const save = doing(async () => {
    const names = Object.fromEntries(fields.map(([key, input]) => [key, input.value.trim() || null]));
    await put("aliases", { ...(alias.personAliasId ? { personAliasId: alias.personAliasId } : {}), ...names });
    notice(t("saved"));
  });
  return h("form", { class: "bar", onsubmit: save }, fields.map(([key, input]) => h("label", {}, t(key), input)),
    h("button", { type: "submit", class: "plain" }, t("saveNames")));
}

function fieldList(fields, { line }) {
  const value = (field) => field.stringValue ?? (field.dateValue ? when(field.dateValue) : null)
    ?? (typeof field.boolValue === "boolean" ? t(field.boolValue ? "yes" : "no") : field.numberValue) ?? "";
  return h("ul", { class: "rows" }, fields.map((field) =>
    line([h("b", {}, field.name), `: ${value(field)}`], field.name, "entityFields", field.entityFieldId, field)));
}

/** What each kind of field is typed into, and how it is read from there. */
const KINDS = {
  text: { input: { type: "text" }, read: (input) => ({ stringValue: input.value }) },
  number: { input: { type: "number", step: "any" }, read: (input) => ({ numberValue: input.valueAsNumber }) },
  date: { input: { type: "date" }, read: (input) => ({ dateValue: new Date(momentOf(`${input.value}T00:00`)).toISOString() }) },
  yesNo: { input: { type: "checkbox" }, read: (input) => ({ boolValue: input.checked }) },
};

function fieldForm({ put }) {
  const name = h("input", { required: true, placeholder: t("field.example") });
  const kind = h("select", {}, Object.keys(KINDS).map((kind) => h("option", { value: kind }, t(`kind.${kind}`))));
  const place = h("label", {});
  let input;
  const choose = () => {
    input = h("input", { ...KINDS[kind.value].input, required: kind.value !== "yesNo" });
    place.replaceChildren(t("value"), input);
  };
  kind.addEventListener("change", choose);
  choose();
  const save = doing(() => put("entityFields", { name: name.value.trim(), ...KINDS[kind.value].read(input) }));
  return h("form", { class: "bar", onsubmit: save }, h("label", {}, t("field"), name), h("label", {}, t("kind"), kind), place,
    h("button", { type: "submit", class: "plain" }, t("setField")));
}

function noteList(notes, { line }) {
  return h("ul", { class: "rows" }, notes.map((note) =>
    line([note.body || note.summary || "", " ", h("small", { class: "soft" }, note.author ?? "")], t("note"), "notes",
      note.noteId, note)));
}

function noteForm({ put }) {
  const body = h("input", { required: true });
  return h("form", { class: "bar", onsubmit: doing(() => put("notes", { body: body.value.trim() })) },
    h("label", {}, t("note"), body), h("button", { type: "submit", class: "plain" }, t("addNote")));
}

/** The files attached to a person, each with a button that saves it. */
function documentList(documents, base) {
  return h("ul", { class: "rows" }, documents.map((document) => {
    const save = doing(async () => {
      const url = URL.createObjectURL(await photo(`${base}/fileDocuments/${path(document.publicId)}/data`));
      h("a", { href: url, download: document.fileName || document.name }).click();
      URL.revokeObjectURL(url);
    });
    const saving = button(t("save"), save, "plain");
    saving.setAttribute("aria-label", t("save.what", { what: document.name }));
    return h("li", {}, h("span", { class: "what" }, document.name, " ", h("small", { class: "soft" }, document.description ?? "")), saving);
  }));
}
