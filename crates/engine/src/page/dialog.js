// The dialog over a view: what it shows is in the address, `open=KIND:ID`. Escape, its Close button and Back end it.

import { button, doing, h, notice } from "./dom.js";
import { close, place } from "./place.js";
import { t } from "./words.js";

/** Kind → what fills the dialog: an async function of the id, the person and a signal, which gives elements. */
const kinds = {};
let shown = null;

/** Says what fills dialogs of a kind. */
export function dialogOf(kind, fill) {
  kinds[kind] = fill;
}

/** Shows the dialog of the address, or none. */
export async function follow() {
  const { query } = place();
  const [kind, ...rest] = (query.get("open") ?? "").split(":");
  const person = query.get("with");
  const key = `${query.get("open")} ${person}`;
  if (shown?.key === key) return;
  shown?.end();
  if (!kinds[kind]) return;
  const stop = new AbortController();
  const dialog = h("dialog", {}, h("p", { class: "soft", role: "status" }, t("loading")));
  const mine = { key, end: () => {
    shown = null;
    stop.abort();
    dialog.close();
    dialog.remove();
  } };
  shown = mine;
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  // A browser may close it by itself.
  dialog.addEventListener("close", () => shown === mine && close());
  document.body.append(dialog);
  dialog.showModal();
  try {
    const filled = await kinds[kind](rest.join(":"), person, stop.signal);
    if (stop.signal.aborted) return;
    dialog.replaceChildren(...filled.filter(Boolean));
    const title = dialog.querySelector("h2");
    title.id = "dialog-title";
    title.tabIndex = -1;
    dialog.setAttribute("aria-labelledby", title.id);
    (dialog.querySelector("[autofocus]") ?? title).focus();
  } catch (error) {
    if (stop.signal.aborted) return;
    notice("");
    dialog.replaceChildren(h("p", { role: "alert" }, error.message), actions());
  }
}

/** The buttons at the foot of a dialog, the last of which closes it. */
export function actions(...buttons) {
  return h("div", { class: "bar actions" }, buttons, button(t("close"), () => close(), "plain"));
}

/** A button of a dialog that does something: what goes wrong is told in the dialog, which is before everything else. */
export function act(label, work, kind = "") {
  const handler = doing(async (event) => {
    const bar = event.currentTarget?.closest?.("dialog") ?? document.querySelector("dialog");
    bar?.querySelector("[role=alert]")?.remove();
    try {
      await work(event);
    } catch (error) {
      bar?.append(h("p", { role: "alert", class: "chip bad" }, error.message));
    }
  });
  return button(label, handler, kind);
}
