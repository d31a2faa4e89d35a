// Everybody enrolled, page by page, with a search over names, tags and fields.

import { call, path } from "./api.js";
import { chips, h, heading, link, notice, pager } from "./dom.js";
import { address, here, note, pageOf } from "./place.js";
import { photoOf } from "./photo.js";
import { when } from "./time.js";
import { t } from "./words.js";

const PAGE = 18;

export const nameOf = (name) => name || t("nameless");

/** A person in a list: what is pressed, and what is shown of them. */
export function personCard(listed) {
  return [photoOf(listed.faceId && `api/v1/people/enrollmentPhoto/${path(listed.faceId)}`),
    h("span", {}, h("b", {}, nameOf(listed.name)), chips(listed.tags),
      h("small", {}, listed.lastSeen ? t("seenAt", { when: when(listed.lastSeen, listed.timeZone) }) : t("notSeen")))];
}

/** Tells a search to begin when somebody has stopped typing. */
export function searchField(value, search, signal) {
  const input = h("input", { type: "search", value, placeholder: t("search.hint"), "aria-label": t("search"), class: "grow" });
  let pause;
  input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => search(input.value).catch((error) => signal.aborted || notice(error.message, true)), 200);
  });
  return input;
}

export async function people(view, { query, signal }) {
  const count = h("p", { class: "soft", role: "status" });
  const list = h("ul", { class: "grid" });
  const pages = h("div");
  let asked = 0;

  async function load(text, page) {
    const turn = ++asked;
    const found = await call("GET", "page/people", { query: { text, skip: (page - 1) * PAGE, take: PAGE }, signal });
    // An answer that was overtaken by a later question is thrown away.
    if (turn !== asked) return;
    list.replaceChildren(...found.people.map((listed) => h("li", {},
      h("a", { class: "entry", href: address(["people", listed.personId]) }, personCard(listed)))));
    count.textContent = found.total === 0 && !text ? t("people.none") : t("people", { n: found.total });
    pages.replaceChildren(...[pager(page, Math.ceil(found.total / PAGE), (to) => here({ page: to }))].filter(Boolean));
  }
  const search = searchField(query.get("q") ?? "", (text) => {
    note({ q: text, page: null });
    return load(text, 1);
  }, signal);
  view.replaceChildren(heading(t("people.title")),
    h("div", { class: "bar" }, search, link(t("enrol"), "#/enrol")), count, list, pages);
  await load(search.value, pageOf(query));
}
