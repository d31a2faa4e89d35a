// The operations of the OpenAPI document, each with a form to try it. The token lives as long as the page does.

import { doing, h, notice } from "../page/dom.js";

let token = null;
const view = document.getElementById("view");

const described = await (await fetch("v1/swagger.json")).json();
view.append(signIn(), ...groups(described.paths));

/** Logs in; what is sent from then on carries the token. */
function signIn() {
  const username = h("input", { autocomplete: "username", required: true });
  const password = h("input", { type: "password", autocomplete: "current-password", required: true });
  const enter = doing(async () => {
    const answer = await send("post", "/api/v1/authenticate", {
      body: JSON.stringify({ username: username.value, password: password.value }),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    token = (await answer.json()).token;
    password.value = "";
    notice(`Requests are sent as ${username.value} now.`);
  });
  return h("form", { class: "bar", onsubmit: enter }, h("label", {}, "User name", username),
    h("label", {}, "Password", password), h("button", { type: "submit" }, "Log in"));
}

/** A heading for each group of operations, and what is below it. */
function groups(paths) {
  const found = new Map();
  for (const [path, verbs] of Object.entries(paths)) {
    for (const [verb, operation] of Object.entries(verbs)) {
      const group = operation.tags[0];
      if (!found.has(group)) found.set(group, []);
      found.get(group).push(entry(verb, path, operation));
    }
  }
  return [...found].map(([group, entries]) => h("section", {}, h("h2", {}, group), entries));
}

/** An operation; its form is made when it is opened. */
function entry(verb, path, operation) {
  const place = h("div");
  const made = h("details", { id: operation.operationId }, h("summary", {}, h("span", { class: "verb" }, verb),
    h("code", {}, path), h("span", { class: "soft" }, operation.summary)), place);
  made.addEventListener("toggle", () => {
    if (made.open && !place.firstChild) place.append(form(verb, path, operation));
  });
  return made;
}

function form(verb, path, operation) {
  const parameters = operation.parameters.map((parameter) => ({ parameter, input: input(parameter.schema, parameter.required) }));
  const body = bodyOf(operation.requestBody);
  const answer = h("div", { class: "answer", role: "region", "aria-label": "Answer" });
  const go = doing(async () => {
    answer.replaceChildren();
    let address = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of parameters) {
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value !== "") query.append(parameter.name, input.value);
    }
    const asked = query.size ? `${address}?${query}` : address;
    answer.replaceChildren(...await shown(await send(verb, asked, { body: body.value() })));
  });
  return h("form", { class: "operation", onsubmit: go }, h("p", { class: "soft" }, operation.description),
    parameters.map(({ parameter, input }) => h("label", {}, parameter.name, input)), body.fields,
    h("div", {}, h("button", { type: "submit" }, "Send")), answer);
}

function input(schema, required) {
  if (schema.type === "boolean") {
    return h("select", {}, ["", "true", "false"].map((value) => h("option", {}, value)));
  }
  return h("input", { required: Boolean(required), placeholder: schema.format ?? schema.type });
}

/** The fields of a body, and how it is read from them. */
function bodyOf(requestBody) {
  const [kind, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  if (!kind) return { fields: [], value: () => undefined };
  const schema = shape(content.schema);
  if (kind === "application/json") {
    const text = h("textarea", { value: JSON.stringify(sample(content.schema), null, 2), spellcheck: false });
    return { fields: [h("label", {}, "Body", text), ...pictures(schema, text)], value: () => text.value };
  }
  const parts = Object.entries(schema.properties).map(([name, part]) =>
    [name, h("input", { type: part.format === "binary" ? "file" : "text", required: schema.required.includes(name) })]);
  const value = () => {
    const form = new FormData();
    for (const [name, part] of parts) {
      if (part.type === "file" ? part.files.length : part.value) form.append(name, part.files?.[0] ?? part.value);
    }
    return form;
  };
  return { fields: parts.map(([name, part]) => h("label", {}, name, part)), value };
}

/** A file for every picture of a body: its base64 goes into the text. */
function pictures(schema, text) {
  const names = Object.keys(schema.properties).filter((name) => schema.properties[name].minLength === 4);
  return names.map((name) => {
    const file = h("input", { type: "file", accept: "image/*" });
    file.addEventListener("change", doing(async () => {
      const bytes = new Uint8Array(await file.files[0].arrayBuffer());
      const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
      text.value = JSON.stringify({ ...JSON.parse(text.value), [name]: btoa(binary) }, null, 2);
    }));
    return h("label", {}, `${name} from a file`, file);
  });
}

const shape = (schema) => (schema.$ref ? described.components.schemas[schema.$ref.split("/").pop()] : schema);

/** What a body may look like: its required properties, and no others. */
function sample(schema) {
  const { type, format, properties, required = [], nullable, example } = shape(schema);
  if (type === "object") {
    const wanted = required.length ? required : Object.keys(properties).filter((name) => !/Id$/.test(name));
    return Object.fromEntries(wanted.map((name) => [name, sample(properties[name])]));
  }
  if (format === "date-time" && !nullable) return new Date().toISOString();
  return nullable ? null : example ?? { boolean: false, number: 0, integer: 0, array: [] }[type] ?? "";
}

function send(verb, path, { body } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (typeof body === "string") headers["Content-Type"] = "application/json";
  return fetch(`..${path}`, { method: verb.toUpperCase(), headers, body });
}

async function shown(answer) {
  const kind = answer.headers.get("content-type") ?? "";
  const status = h("b", {}, `${answer.status} ${answer.statusText}`);
  if (kind.startsWith("image/")) {
    return [status, h("img", { src: URL.createObjectURL(await answer.blob()), alt: "The picture of the answer" })];
  }
  const text = await answer.text();
  const pretty = kind.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  return text ? [status, h("pre", {}, pretty.slice(0, 100_000))] : [status];
}
