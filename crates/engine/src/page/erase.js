// Erasing: what goes is told before, and for ten seconds it can be undone. The engine does it, whether this page is open
// by then or not.

import { call, path } from "./api.js";
import { act, actions, dialogOf } from "./dialog.js";
import { h, undoable } from "./dom.js";
import { leave } from "./place.js";
import { enrolledPhoto, photoOf } from "./photo.js";
import { when } from "./time.js";
import { t } from "./words.js";

const WHAT = ["photos", "notes", "documents", "strangers", "sightings"];

function told(erased) {
  const parts = WHAT.filter((key) => erased[key] > 0).map((key) => t(`goes.${key}`, { n: erased[key] }));
  return parts.join(", ") || t("goes.nothing");
}

/** A dialog that says what goes and begins to erase it; `to` is where one is after that. */
async function erasing(title, body, { to, more, kept, label = t("erase") } = {}, signal) {
  const goes = await call("POST", "page/erasures/look", { body, signal });
  const begin = async () => {
    const begun = await call("POST", "page/erasures", { body });
    const back = location.hash;
    leave(to);
    undoable(t("erased", { what: told(begun.erased) }), async () => {
      await call("DELETE", `page/erasures/${path(begun.erasureId)}`);
      if (to) location.hash = back.replace(/[?&]open=[^&]*/, "");
      else leave();
    }, begun.undoMs);
  };
  return [h("h2", {}, title), more, h("p", {}, t("goes", { what: told(goes) })),
    h("p", { class: "soft" }, kept ?? t("goes.soon")), actions(act(label, begin, "danger"))];
}

dialogOf("erase-person", async (id, _, signal) => {
  const names = await call("GET", `api/v1/people/${path(id)}/aliases`, { signal });
  const name = [names[0]?.firstName, names[0]?.lastName].filter(Boolean).join(" ") || t("nameless");
  return erasing(t("erase.person", { name }), { personId: id }, { to: "#/people" }, signal);
});

dialogOf("erase-group", (id, _, signal) => erasing(t("erase.group"), { groupId: id }, {}, signal));

dialogOf("erase-time", (id, _, signal) => {
  const [from, to, ...detector] = id.split(":");
  const body = { fromMs: Number(from), toMs: Number(to), detector: detector.join(":") || null };
  const more = h("p", {}, t("between", { first: when(body.fromMs), last: when(body.toMs) }), body.detector && `, ${body.detector}`);
  return erasing(t("erase.time"), body, { more }, signal);
});

const photo = (id) => photoOf(enrolledPhoto(id), t("face.photo"));

dialogOf("erase-photo", (id, _, signal) =>
  erasing(t("erase.photo"), { photoId: id }, { more: photo(id) }, signal));

dialogOf("deny-photo", (id, _, signal) =>
  erasing(t("deny.photo"), { photoId: id, denied: true }, { more: photo(id), kept: t("deny.photo.what"), label: t("takeOut") }, signal));
