// "This is …": a sighting or a whole group becomes a person's, after a look at both faces.

import { call, path } from "./api.js";
import { act, actions, dialogOf } from "./dialog.js";
import { button, doing, done, h, link, percent } from "./dom.js";
import { nameOf, personCard, searchField } from "./people.js";
import { address, leave, open } from "./place.js";
import { detectionPhoto, enrolledPhoto, photoOf } from "./photo.js";
import { sideBySide } from "./sights.js";
import { when } from "./time.js";
import { t } from "./words.js";

const FOUND = 6;
const NEW = "new";

dialogOf("assign-sight", (id, person, signal) => assign("sight", id, person, signal));
dialogOf("assign-group", (id, person, signal) => assign("group", id, person, signal));

async function assign(kind, id, person, signal) {
  const seen = await call("GET", `page/${kind}s/${path(id)}`, { signal });
  const which = kind === "group" ? { groupId: id } : { detectId: id };
  const what = `assign-${kind}:${id}`;
  return person ? confirm(seen, which, person === NEW ? null : person, signal) : choose(seen, what, signal);
}

/** First, who it is. */
async function choose(seen, what, signal) {
  const list = h("ul", { class: "grid", "aria-live": "polite" });
  async function search(text) {
    const { people } = await call("GET", "page/people", { query: { text, take: FOUND }, signal });
    list.replaceChildren(...people.map((listed) => h("li", {},
      h("button", { type: "button", class: "entry", onclick: () => open(what, listed.personId) }, personCard(listed)))));
    if (!people.length) list.replaceChildren(h("li", { class: "soft" }, t("people", { n: 0 })));
  }
  const field = searchField("", search, signal);
  await search("");
  return [
    h("h2", {}, t("assign.title")),
    h("div", { class: "asked" }, photoOf(detectionPhoto(seen), t("face.seen")), h("p", { class: "soft" }, t("assign.who"))),
    h("div", { class: "bar" }, field, button(t("somebodyNew"), () => open(what, NEW))),
    list, actions(),
  ];
}

/** Then both faces, what comes of it, and whom it might be confused with. */
async function confirm(seen, which, person, signal) {
  const [looked, record, photos] = await Promise.all([
    call("POST", "page/assignments/look", { body: { ...which, personId: person }, signal }),
    person && call("GET", `api/v1/people/${path(person)}/aliases`, { signal }),
    person && call("GET", `page/people/${path(person)}/photos`, { signal }),
  ]);
  const first = h("input", { autocomplete: "off", autofocus: !person });
  const last = h("input", { autocomplete: "off" });
  const force = h("input", { type: "checkbox" });
  const alias = record?.[0];
  const name = person && nameOf([alias?.firstName, alias?.lastName].filter(Boolean).join(" "));
  const doubtful = looked.confused.length > 0 || looked.photos === 0;
  const submit = async () => {
    const names = person ? {} : { firstName: first.value.trim() || null, lastName: last.value.trim() || null };
    const made = await call("POST", "page/assignments", { body: { ...which, personId: person, ...names, force: force.checked } });
    leave();
    const named = name ?? [first.value, last.value].join(" ").trim();
    done(t("assigned", { n: made.sightings, name: named }), link(t("openPerson"), address(["people", made.personId]), ""));
  };
  const sure = act(person ? t("yesThisIs", { name }) : t("enrol"), submit);
  sure.disabled = doubtful;
  force.addEventListener("change", () => { sure.disabled = doubtful && !force.checked; });
  return [
    h("h2", {}, person ? t("isThis", { name }) : t("somebodyNew")),
    sideBySide([detectionPhoto(seen), t("face.seen"), when(seen.lastSeen ?? seen.time, seen.timeZone)],
      person && [enrolledPhoto(photos[0]?.faceId), t("face.enrolled", { name }), name]),
    !person && h("form", { class: "bar", onsubmit: doing(() => sure.click()) },
      h("label", {}, t("firstName"), first), h("label", {}, t("lastName"), last), h("button", { hidden: true })),
    h("p", {}, `${t("willBecome", { n: looked.sightings })} ${t("willEnrol", { n: looked.photos })}`),
    warnings(looked),
    doubtful && h("label", { class: "tick" }, force, t("anyway")),
    actions(sure),
  ];
}

/** Whom else a photo would be taken for, with their faces. */
export function warnings({ confused, photos }) {
  return h("div", {}, photos === 0 && h("p", { class: "chip wait" }, t("tooPoor")), confused.map((other) =>
    h("div", { class: "asked warning" },
      photoOf(enrolledPhoto(other.faceId), t("face.enrolled", { name: nameOf(other.name) })),
      h("p", {}, t("confused", { name: nameOf(other.name), percent: percent(other.matchConfidence) })))));
}
