// Strangers: each card is one of them, as far as the engine can tell, with everything seen of them.

import { call, path } from "./api.js";
import { act, actions, dialogOf } from "./dialog.js";
import { button, h, heading, pager } from "./dom.js";
import { here, open, pageOf } from "./place.js";
import { detectionPhoto, photoOf } from "./photo.js";
import { when } from "./time.js";
import { t } from "./words.js";

const PAGE = 18;
const SIGHTS = 6;

export async function strangers(view, { query, signal }) {
  const page = pageOf(query);
  const found = await call("GET", "page/groups", { query: { skip: (page - 1) * PAGE, take: PAGE }, signal });
  view.replaceChildren(heading(t("strangers.title")),
    h("p", { class: "soft" }, found.total ? t("strangers", { n: found.total }) : t("strangers.none")),
    h("ul", { class: "grid" }, found.groups.map((group) => h("li", {},
      h("button", { type: "button", class: "entry", onclick: () => open(`group:${group.groupId}`) },
        photoOf(detectionPhoto(group)),
        h("span", {}, h("b", {}, t("times", { n: group.sightings })),
          h("small", {}, when(group.lastSeen, group.timeZone)), h("small", {}, group.detector)))))),
    pager(page, Math.ceil(found.total / PAGE), (to) => here({ page: to })) ?? "");
}

/** Everything seen of a stranger, a few at a time, and who they are. */
dialogOf("group", async (id, _, signal) => {
  const list = h("ul", { class: "photos" });
  let last = null;
  const more = act(t("older"), () => load(), "plain");
  async function load() {
    const from = last ? { beforeMs: Date.parse(last.time), beforeRow: last.row } : {};
    const found = await call("GET", "page/sights", { query: { groupId: id, ...from, take: SIGHTS }, signal });
    last = found.at(-1) ?? last;
    more.hidden = found.length < SIGHTS;
    // Those before make room, so that the dialog stays as long as it is.
    if (found.length) list.replaceChildren(...found.map(sightOf));
  }
  const [group] = await Promise.all([call("GET", `page/groups/${path(id)}`, { signal }), load()]);
  const single = group.sightings === 1;
  return [
    h("h2", {}, t("stranger.title", { times: t("times", { n: group.sightings }) })),
    h("p", { class: "soft" }, single ? when(group.lastSeen, group.timeZone)
      : t("between", { first: when(group.firstSeen, group.timeZone), last: when(group.lastSeen, group.timeZone) })),
    list,
    h("div", { class: "bar" }, more),
    actions(button(single ? t("thisIs") : t("allAre"), () => open(`assign-group:${id}`)),
      button(t("erase"), () => open(`erase-group:${id}`), "danger")),
  ];
});

function sightOf(sight) {
  return h("li", {}, h("figure", {}, photoOf(detectionPhoto(sight), t("face.seen")),
    h("figcaption", {}, h("span", {}, `${when(sight.time, sight.timeZone)}, ${sight.detector}`),
      button(t("onlyThisIs"), () => open(`assign-sight:${sight.detectId}`), "plain"))));
}
