// Who was seen, newest first; new ones appear by themselves.

import { call, path } from "./api.js";
import { doing, h, moment, notice, percent } from "./dom.js";
import { eraseFor } from "./erase.js";
import { photoOf } from "./photo.js";

const PAGE = 40;
const REFRESH_MS = 3000;
const WHO = [["Everybody", undefined], ["Known", true], ["Unknown", false]];

export async function sights(view, { signal }) {
  const list = h("div");
  const buttons = WHO.map(([label, known]) => h("button", { type: "button", class: "plain", onclick: doing(() => choose(known)) }, label));
  let stop = new AbortController();
  let chosen;
  signal.addEventListener("abort", () => stop.abort());
  async function choose(known) {
    chosen = known;
    stop.abort();
    stop = new AbortController();
    buttons.forEach((button, n) => {
      const pressed = WHO[n][1] === known;
      button.className = pressed ? "" : "plain";
      button.setAttribute("aria-pressed", pressed);
    });
    await sightList(list, { known }, stop.signal);
  }
  const again = () => choose(chosen);
  view.replaceChildren(h("div", { class: "bar" }, buttons), list, eraseForm(again));
  list.addEventListener("erased", () => again().catch((error) => notice(error.message, true)));
  await choose(undefined);
}

/** Erases what was seen between two moments, by the clock of this browser. */
function eraseForm(again) {
  const time = (name, label) =>
    h("label", {}, label, h("input", { type: "datetime-local", name, required: true }));
  const erase = doing(async ({ target }) => {
    const [fromMs, toMs] = [target.from, target.to].map((input) => new Date(input.value).getTime());
    const query = { fromMs, toMs, detector: target.detector.value.trim() };
    if (await eraseFor("Erase everything seen in this time?", "page/sights", query)) await again();
  });
  return h("details", {}, h("summary", {}, "Erase a time"),
    h("form", { class: "bar", onsubmit: erase }, time("from", "From"), time("to", "To"),
      h("label", {}, "Detector", h("input", { name: "detector", placeholder: "every one" })),
      h("button", { class: "danger" }, "Erase")));
}

/** Fills `place` with those who fit the query, and keeps it up to date until the signal. */
export async function sightList(place, query, signal) {
  const days = h("div");
  const more = h("button", { type: "button", class: "plain", hidden: true }, "Show more");
  place.replaceChildren(days, h("div", { class: "bar" }, more));
  const known = new Set();
  let last = null;

  /** Puts a sight below its day, above or below those that are there. */
  function put(sight, atTop) {
    if (known.has(sight.detectId)) return;
    known.add(sight.detectId);
    const day = moment(sight.time, sight.timeZone, { dateStyle: "full" });
    let section = atTop ? days.firstElementChild : days.lastElementChild;
    if (section?.dataset.day !== day) {
      section = h("section", {}, h("h3", {}, day), h("ul", { class: "grid" }));
      section.dataset.day = day;
      if (atTop) days.prepend(section);
      else days.append(section);
    }
    const list = section.querySelector("ul");
    if (atTop) list.prepend(entry(sight, place));
    else list.append(entry(sight, place));
  }

  async function older() {
    const from = last ? { beforeMs: Date.parse(last.time), beforeRow: last.row } : {};
    const found = await call("GET", "page/sights", { query: { ...query, ...from, take: PAGE }, signal });
    found.forEach((sight) => put(sight, false));
    last = found.at(-1) ?? last;
    more.hidden = found.length < PAGE;
    if (!known.size) days.replaceChildren(h("p", { class: "soft" }, "Nobody yet."));
  }

  async function newer() {
    const found = await call("GET", "page/sights", { query: { ...query, take: PAGE }, signal });
    const fresh = found.filter((sight) => !known.has(sight.detectId));
    if (fresh.length && !known.size) days.replaceChildren();
    fresh.reverse().forEach((sight) => put(sight, true));
    last ??= found.at(-1) ?? null;
  }

  more.addEventListener("click", doing(older));
  await older();
  const refresh = setInterval(() => {
    if (!document.hidden) newer().catch((error) => signal.aborted || notice(error.message, true));
  }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(refresh));
}

const photoPath = (sight) => `api/v1/people/detectionPhoto/${path(sight.faceId, sight.detectId)}`;
const who = (sight) => (sight.personId ? sight.name || "without a name" : "Unknown");

/** How sure the match is; nothing for a stranger, nor where an older version did not write it down. */
const matched = (sight) => (sight.matchConfidence === null ? undefined : `match ${percent(sight.matchConfidence)}`);

function entry(sight, place) {
  return h("li", {}, h("button", { type: "button", class: "entry", onclick: () => open(sight, place) },
    photoOf(photoPath(sight)),
    h("span", {}, h("b", {}, who(sight)),
      h("small", {}, `${moment(sight.time, sight.timeZone, { timeStyle: "medium" })}, ${sight.detector}`),
      h("small", {}, matched(sight) ?? `quality ${percent(sight.quality)}`))));
}

/** The whole photo, and what can be made of it; `place` is told when it is erased. */
function open(sight, place) {
  const close = () => dialog.close();
  const erase = doing(async () => {
    if (!await eraseFor("Erase this stranger, and every face like it?", `page/strangers/${path(sight.faceId)}`)) return;
    close();
    place.dispatchEvent(new CustomEvent("erased"));
  });
  const from = new URLSearchParams({ face: sight.faceId, detection: sight.detectId });
  const dialog = h("dialog", { onclose: () => dialog.remove() },
    photoOf(photoPath(sight)),
    h("h2", {}, who(sight)),
    h("p", { class: "soft" }, `${moment(sight.time, sight.timeZone)} (${sight.timeZone}), ${sight.detector}; `
      + [matched(sight), `face ${percent(sight.confidence)}`, `quality ${percent(sight.quality)}`].filter(Boolean).join(", ")),
    h("div", { class: "bar" },
      sight.personId && h("a", { class: "button", href: `#/people/${path(sight.personId)}`, onclick: close }, "Open person"),
      h("a", { class: `button${sight.personId ? " plain" : ""}`, href: `#/enrol?${from}`, onclick: close },
        sight.personId ? "It is somebody else" : "Enrol"),
      !sight.personId && h("button", { type: "button", class: "danger", onclick: erase }, "Erase"),
      h("button", { type: "button", class: "plain", onclick: close }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}
