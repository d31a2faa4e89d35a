// Making elements. Text from outside is only ever set as text: nothing of it becomes markup.

import { locale, t } from "./words.js";

/** An element: `h("p", { class: "soft", onclick: … }, "text", another, …)`; null and false are left out. */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "list" && key !== "form") made[key === "class" ? "className" : key] = value;
    else made.setAttribute(key === "className" ? "class" : key, value === true ? "" : value);
  }
  if (attributes.class) made.className = attributes.class;
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A button that does something, and one that only leads somewhere. */
export const button = (label, onclick, kind = "") => h("button", { type: "button", class: kind, onclick }, label);
export const link = (label, href, kind = "button") => h("a", { class: kind, href }, label);

/** The heading of a view, to which the focus goes when the view is drawn. */
export const heading = (text, more = {}) => h("h2", { tabIndex: -1, ...more }, text);

let hiding;
let undoing = false;

/** Says something below the page's head; what went wrong stays until the next word. */
export function notice(text, bad = false) {
  if (!text && undoing) return;
  tell(text, bad, [], 4000);
}

/** Takes back what went wrong where one was; what was done is said wherever one is by now. */
export function moveOn() {
  if (document.getElementById("notice").className === "bad") notice("");
}

/** Says what was done, and for so long how it is undone. */
export function undoable(text, undo, ms = 10_000) {
  const button = h("button", { type: "button", class: "plain", onclick: doing(async () => {
    undoing = false;
    await undo();
    notice(t("undone"));
  }) }, t("undo"));
  tell(text, false, [button], ms - 500);
  undoing = true;
}

/** Says what was done, with a link to where it is seen. */
export const done = (text, where) => tell(text, false, [where], 10_000);

function tell(text, bad, more, ms) {
  const place = document.getElementById("notice");
  clearTimeout(hiding);
  undoing = false;
  place.replaceChildren(h("span", {}, text), ...more);
  place.className = bad ? "bad" : "";
  place.hidden = !text;
  if (text && !bad) {
    hiding = setTimeout(() => {
      place.hidden = true;
      undoing = false;
    }, ms);
  }
}

/** A handler that tells what went wrong and keeps its button from being pressed twice. */
export function doing(work) {
  return async (event) => {
    event.preventDefault();
    const button = event.submitter ?? event.currentTarget;
    const wasDisabled = button.disabled;
    button.disabled = true;
    notice("");
    try {
      await work(event);
    } catch (error) {
      if (error.name !== "AbortError") notice(error.message, true);
    } finally {
      button.disabled = wasDisabled;
    }
  };
}

export const percent = (share) => new Intl.NumberFormat(locale, { style: "percent" }).format(share);

/** What a person is called: title, first, middle and last name. */
export function fullName(alias) {
  return [alias?.title, alias?.firstName, alias?.middleName, alias?.lastName].filter(Boolean).join(" ");
}

/** The chips of what a person carries. */
export function chips(tags) {
  const kind = (name) => (/ban|block|deny/i.test(name) ? "bad" : /vip/i.test(name) ? "good" : "");
  return tags.length > 0 && h("ul", { class: "chips" }, tags.map((tag) => {
    const name = tag.tag?.name ?? tag.tagId;
    return h("li", { class: `chip ${kind(name)}` }, name);
  }));
}

/** Leads through the pages of a list; nothing where there is one alone. */
export function pager(page, pages, addressOf) {
  if (pages <= 1) return null;
  const step = (to, label) => (to >= 1 && to <= pages ? link(label, addressOf(to), "button plain") : null);
  return h("nav", { class: "bar pager", "aria-label": t("pages") }, step(page - 1, t("page.before")),
    h("span", { class: "soft" }, t("page.of", { page, pages })), step(page + 1, t("page.after")));
}
