// Which view is shown, and signing in.

import { isSignedIn, onSignedOut, signIn, signOut } from "./api.js";
import { doing, h, notice } from "./dom.js";
import { enrol } from "./enrol.js";
import { people, person } from "./people.js";
import { sights } from "./sights.js";

const view = document.getElementById("view");
const nav = document.getElementById("nav");
/** Ends what the view before this one had going on. */
let leave = () => {};

/** `#/people/ID?key=value` → the view and what it is given. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/").map(decodeURIComponent);
  return { name, id, query: new URLSearchParams(query) };
}

async function show() {
  leave();
  leave = () => {};
  const signedIn = isSignedIn();
  nav.hidden = !signedIn;
  if (!signedIn) return view.replaceChildren(signInForm());
  const { name, id, query } = place();
  for (const link of nav.querySelectorAll("a")) {
    const current = link.hash === `#/${name || "people"}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const views = { people: id ? person : people, sights, enrol };
  const stop = new AbortController();
  leave = () => stop.abort();
  try {
    await (views[name] ?? people)(view, { id, query, signal: stop.signal });
  } catch (error) {
    if (!stop.signal.aborted) notice(error.message, true);
  }
}

function signInForm() {
  const username = h("input", { name: "username", autocomplete: "username", required: true, autofocus: true });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const submit = doing(async () => {
    await signIn(username.value, password.value);
    show();
  });
  return h("form", { class: "card form narrow", onsubmit: submit },
    h("h2", {}, "Sign in"),
    h("label", {}, "User name", username),
    h("label", {}, "Password", password),
    h("button", { type: "submit" }, "Sign in"));
}

onSignedOut(show);
document.getElementById("sign-out").addEventListener("click", signOut);
addEventListener("hashchange", () => {
  notice("");
  show();
});
show();
