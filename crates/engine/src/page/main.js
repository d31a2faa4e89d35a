// Which view is shown, and signing in.

import "./assign.js";
import "./erase.js";
import { isSignedIn, onSignedOut, signIn, signOut } from "./api.js";
import { follow } from "./dialog.js";
import { doing, h, heading, moveOn, notice } from "./dom.js";
import { enrol } from "./enrol.js";
import { people } from "./people.js";
import { person } from "./person.js";
import { behind, drawn, onChange, place } from "./place.js";
import { sights } from "./sights.js";
import { strangers } from "./strangers.js";
import { languageSwitch, t, translate } from "./words.js";

const view = document.getElementById("view");
const nav = document.getElementById("nav");
const leaving = document.getElementById("sign-out");
const views = { people, sights, strangers, enrol };
/** Ends what the view before this one had going on. */
let leave = () => {};
/** Nothing takes the focus before somebody has gone somewhere. */
let first = true;

async function show() {
  nav.hidden = leaving.hidden = !isSignedIn();
  if (!isSignedIn()) {
    leave();
    drawn.address = null;
    return view.replaceChildren(signInForm());
  }
  if (drawn.address !== behind()) await draw();
  if (isSignedIn()) await follow();
}

async function draw() {
  leave();
  drawn.address = behind();
  const { name, id, part, query } = place();
  for (const link of nav.querySelectorAll("a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const stop = new AbortController();
  leave = () => stop.abort();
  try {
    await (name === "people" && id ? person : views[name] ?? people)(view, { id, part, query, signal: stop.signal });
  } catch (error) {
    if (!stop.signal.aborted) {
      view.replaceChildren(heading(t("wrong")));
      notice(error.message, true);
    }
  }
  if (stop.signal.aborted) return;
  const title = view.querySelector("h2");
  document.title = title ? `${title.textContent} – Identities` : "Identities";
  if (!first) title?.focus({ preventScroll: true });
  first = false;
  scrollTo(0, history.state?.y ?? 0);
}

function signInForm() {
  const username = h("input", { name: "username", autocomplete: "username", required: true, autofocus: true });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const submit = doing(async () => {
    await signIn(username.value, password.value);
    await show();
  });
  return h("form", { class: "card form narrow", onsubmit: submit },
    heading(t("signIn")),
    h("label", {}, t("userName"), username),
    h("label", {}, t("password"), password),
    h("button", { type: "submit" }, t("signIn")));
}

/** Where one is in a long view is kept with the step, for Back and for reload. */
let resting;
addEventListener("scroll", () => {
  clearTimeout(resting);
  resting = setTimeout(() => {
    if (!document.querySelector("dialog")) history.replaceState({ ...history.state, y: scrollY }, "");
  }, 150);
});

translate();
languageSwitch(document.getElementById("language"));
history.scrollRestoration = "manual";
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.querySelector("h2")?.focus();
});
onSignedOut(show);
onChange(show);
leaving.addEventListener("click", signOut);
addEventListener("hashchange", () => {
  moveOn();
  show();
});
show();
