// Where one is. The view, what it shows and the dialog over it are all in the address, so that Back closes a dialog and
// reload keeps the place: #/people/ID/record?page=2&open=erase-person:ID

/** The view that is drawn, by its address without the dialog. */
export const drawn = { address: null };
let changed = () => {};

/** Told when the address was changed by a call from here. */
export function onChange(listener) {
  changed = listener;
}

/** `#/people/ID/part?key=value` taken apart. */
export function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id, part] = path.split("/").map(decodeURIComponent);
  return { name: name || "people", id, part, query: new URLSearchParams(query) };
}

/** The address of a view; what is null or empty is left out. */
export function address(parts, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const path = parts.filter((part) => part !== undefined && part !== null).map(encodeURIComponent).join("/");
  return `#/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/** This view with other values in its query. */
export function here(query) {
  const { name, id, part, query: now } = place();
  return address([name, id, part], { ...Object.fromEntries(now), ...query });
}

/** The address of what is behind the dialog. */
export const behind = () => here({ open: null, with: null });

/** Notes in the address what the view shows by now, without a step for Back. */
export function note(query) {
  history.replaceState(history.state, "", here(query));
  drawn.address = behind();
}

/** Opens a dialog over the view, or another step of the one that is open. */
export function open(what, person = null) {
  history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, "", here({ open: what, with: person }));
  changed();
}

/** Closes the dialog, however many steps it had; Back goes one step. */
export function close() {
  if (!place().query.has("open")) return;
  if (history.state?.depth) return history.go(-history.state.depth);
  history.replaceState(null, "", behind());
  changed();
}

/** Ends the dialog, however many steps it had, and goes there or draws anew what is behind it. */
export function leave(to) {
  const target = to ?? behind();
  const depth = history.state?.depth ?? 0;
  drawn.address = null;
  const arrive = () => {
    if (location.hash !== target) history.replaceState(null, "", target);
    changed();
  };
  if (!depth) return arrive();
  addEventListener("popstate", arrive, { once: true });
  history.go(-depth);
}

/** A bar that leads through the pages of a list; nothing where there is one alone. */
export function pageOf(query) {
  return Math.max(1, Number(query.get("page")) || 1);
}
