// Who was seen, newest first; new ones appear by themselves. What is wrong about a match is said here.

import { call, path } from "./api.js";
import { act, actions, dialogOf } from "./dialog.js";
import { button, doing, h, heading, link, notice, percent, undoable } from "./dom.js";
import { address, here, leave, open, place } from "./place.js";
import { detectionPhoto, enrolledPhoto, photoOf } from "./photo.js";
import { engineZone, known, moment, momentOf, when } from "./time.js";
import { t } from "./words.js";

const PAGE = 18;
const REFRESH_MS = 3000;
const WHO = { everybody: undefined, known: true, unknown: false };

export async function sights(view, { query, signal }) {
  const who = query.get("who") in WHO ? query.get("who") : "everybody";
  const list = h("div");
  view.replaceChildren(heading(t("sights.title")),
    h("nav", { class: "bar", "aria-label": t("sights.who") }, Object.keys(WHO).map((one) => {
      const choice = link(t(`who.${one}`), here({ who: one === "everybody" ? null : one, before: null }),
        one === who ? "button" : "button plain");
      if (one === who) choice.setAttribute("aria-current", "true");
      return choice;
    })), list, eraseForm());
  await sightList(list, { known: WHO[who] }, query, signal);
}

/** Erases what was seen between two moments, by the clock of the engine's zone. */
function eraseForm() {
  const time = (name, label) =>
    h("label", {}, `${label} (${known(engineZone)})`, h("input", { type: "datetime-local", name, required: true }));
  const erase = doing(async ({ target }) => {
    const [from, to] = [target.from, target.to].map((input) => momentOf(input.value));
    open(`erase-time:${from}:${to}:${target.detector.value.trim()}`);
  });
  return h("details", {}, h("summary", {}, t("eraseTime")),
    h("form", { class: "bar", onsubmit: erase }, time("from", t("from")), time("to", t("to")),
      h("label", {}, t("detector"), h("input", { name: "detector", placeholder: t("detector.every") })),
      h("button", { class: "danger" }, t("erase"))));
}

/** Fills `list` with a page of those who fit, and keeps the first page up to date until the signal. */
export async function sightList(list, wanted, query, signal) {
  const [ms, row] = (query.get("before") ?? "").split(".");
  const from = row ? { beforeMs: ms, beforeRow: row } : {};
  let newest = null;
  async function load() {
    const found = await call("GET", "page/sights", { query: { ...wanted, ...from, take: PAGE }, signal });
    if (newest !== null && newest === found[0]?.detectId) return;
    newest = found[0]?.detectId ?? "";
    const last = found.at(-1);
    list.replaceChildren(...days(found), h("nav", { class: "bar pager", "aria-label": t("pages") },
      row && link(t("newest"), here({ before: null }), "button plain"),
      found.length === PAGE && link(t("older"), here({ before: `${Date.parse(last.time)}.${last.row}` }), "button plain")));
    if (!found.length) list.prepend(h("p", { class: "soft" }, t("sights.none")));
  }
  await load();
  if (row) return;
  const refresh = setInterval(() => {
    // Somebody who is at it would lose the place.
    if (document.hidden || list.contains(document.activeElement)) return;
    load().catch((error) => signal.aborted || notice(error.message, true));
  }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(refresh));
}

/** Sections of a day and a zone each. */
function days(found) {
  const sections = [];
  for (const sight of found) {
    const day = `${moment(sight.time, sight.timeZone, { dateStyle: "full" })}, ${known(sight.timeZone)}`;
    let section = sections.at(-1);
    if (section?.dataset.day !== day) {
      section = h("section", {}, h("h3", {}, day), h("ul", { class: "grid" }));
      section.dataset.day = day;
      sections.push(section);
    }
    section.lastElementChild.append(entry(sight));
  }
  return sections;
}

const who = (sight) => (sight.personId ? sight.name || t("nameless") : t("unknown"));

/** How sure the match is; nothing for a stranger, nor where somebody said who it is. */
const matched = (sight) => (sight.matchConfidence === null ? undefined : t("match", { percent: percent(sight.matchConfidence) }));

function entry(sight) {
  return h("li", {}, h("button", { type: "button", class: "entry", onclick: () => open(`sight:${sight.detectId}`) },
    photoOf(detectionPhoto(sight)),
    h("span", {}, h("b", {}, who(sight)),
      h("small", {}, `${moment(sight.time, sight.timeZone, { timeStyle: "medium" })}, ${sight.detector}`),
      h("small", {}, matched(sight) ?? t("quality", { percent: percent(sight.quality) })))));
}

/** The whole photo, and what can be said of it. */
dialogOf("sight", async (id, _, signal) => {
  const sight = await call("GET", `page/sights/${path(id)}`, { signal });
  const figures = [matched(sight), t("face", { percent: percent(sight.confidence) }), t("quality", { percent: percent(sight.quality) })];
  return [
    h("h2", {}, who(sight)),
    photoOf(detectionPhoto(sight), t("face.seen")),
    h("p", { class: "soft" }, `${when(sight.time, sight.timeZone)}, ${sight.detector}; ${figures.filter(Boolean).join(", ")}`),
    sight.personId
      ? actions(button(t("notThis", { name: who(sight) }), () => open(`deny-sight:${id}`)),
        button(t("somebodyElse"), () => open(`assign-sight:${id}`), "plain"),
        link(t("openPerson"), address(["people", sight.personId]), "button plain"))
      : actions(button(t("thisIs"), () => open(`assign-sight:${id}`)),
        sight.groupId && button(t("stranger.all"), () => open(`group:${sight.groupId}`), "plain"),
        sight.groupId && button(t("erase"), () => open(`erase-group:${sight.groupId}`), "danger")),
  ];
});

/** Two faces side by side, each with what it is. */
export function sideBySide(...figures) {
  return h("div", { class: "sides" }, figures.filter(Boolean).map(([photo, alt, caption]) =>
    h("figure", {}, photoOf(photo, alt), h("figcaption", {}, caption))));
}

/** "This is not …": the sighting and the photo it was taken for. */
dialogOf("deny-sight", async (id, _, signal) => {
  const sight = await call("GET", `page/sights/${path(id)}`, { signal });
  const name = who(sight);
  const deny = async () => {
    const before = await call("POST", "page/denials", { body: { detectId: id } });
    undoable(t("denied", { name }), async () => {
      await call("POST", "page/denials/undo", { body: before });
      if (place().name !== "enrol") leave();
    });
    leave();
  };
  return [
    h("h2", {}, t("notThis.title", { name })),
    sideBySide([detectionPhoto(sight), t("face.seen"), when(sight.time, sight.timeZone)],
      [enrolledPhoto(sight.faceId), t("face.enrolled", { name }), name]),
    h("p", {}, t("notThis.what", { name })),
    actions(act(t("notThis", { name }), deny)),
  ];
});
