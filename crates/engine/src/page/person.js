// One person: photos, the record, and where they were seen, each at an address of its own.

import { call, path } from "./api.js";
import { button, fullName, h, heading, link, percent } from "./dom.js";
import { address, open } from "./place.js";
import { nameOf } from "./people.js";
import { enrolledPhoto, photoOf } from "./photo.js";
import { record as recordOf } from "./record.js";
import { sightList } from "./sights.js";
import { t } from "./words.js";

const PARTS = { photos: undefined, record: "record", seen: "seen" };
/** Photos of one page: of more the older ones are led to. */
const MOST = 12;

export async function person(view, here) {
  const { id, part, query, signal } = here;
  const record = await call("GET", `api/v1/people/${path(id)}`, { signal });
  const name = nameOf(fullName(record.aliases[0]));
  const content = h("section");
  const tabs = Object.entries(PARTS).map(([key, at]) => {
    const tab = link(t(`person.${key}`), address(["people", id, at]), "tab");
    if (at === part) tab.setAttribute("aria-current", "page");
    return tab;
  });
  view.replaceChildren(
    h("div", { class: "bar" }, heading(name, { class: "grow" }),
      button(t("erase.person.short"), () => open(`erase-person:${id}`), "danger")),
    h("nav", { class: "tabs", "aria-label": name }, tabs), content);
  if (part === PARTS.record) return recordOf(content, record, here);
  if (part === PARTS.seen) return sightList(content, { personId: id }, query, signal);
  await photos(content, here, name);
}

async function photos(content, { id, query, signal }, name) {
  const all = await call("GET", `page/people/${path(id)}/photos`, { signal });
  const from = Math.min(Number(query.get("from")) || 0, Math.max(0, all.length - 1));
  const figure = (photo, n) => h("li", {}, h("figure", {},
    photoOf(enrolledPhoto(photo.faceId), t("face.number", { name, n: from + n + 1 })),
    h("figcaption", {}, h("span", {}, t("quality", { percent: percent(photo.quality) })), all.length > 1 && [
      button(t("notThis", { name }), () => open(`deny-photo:${photo.faceId}`), "plain"),
      button(t("erase"), () => open(`erase-photo:${photo.faceId}`), "danger")])));
  const step = (to, label) => link(label, address(["people", id], { from: to || null }), "button plain");
  content.replaceChildren(
    h("ul", { class: "photos" }, all.slice(from, from + MOST).map(figure)),
    all.length === 1 ? h("p", {}, t("single")) : "",
    h("nav", { class: "bar pager", "aria-label": t("pages") },
      from > 0 && step(Math.max(0, from - MOST), t("page.before")),
      from + MOST < all.length && step(from + MOST, t("page.after")),
      link(t("addPhotos"), address(["enrol", id]), "button plain")));
}
