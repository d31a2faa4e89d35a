// Erasing for good: what goes is told before, and counted after.

import { call } from "./api.js";
import { notice } from "./dom.js";

const WHAT = [
  ["photos", "enrolled photo", "enrolled photos"],
  ["notes", "note", "notes"],
  ["documents", "document", "documents"],
  ["strangers", "stranger's face", "strangers' faces"],
  ["sightings", "sighting with its photo", "sightings with their photos"],
];

function told(erased) {
  const parts = WHAT.filter(([key]) => erased[key] > 0)
    .map(([key, one, many]) => `${erased[key]} ${erased[key] === 1 ? one : many}`);
  return parts.join(", ") || "nothing";
}

/** Asks, and erases what is at this path; false when somebody thought better of it. */
export async function eraseFor(question, path, query = {}) {
  const goes = await call("GET", `${path}/erasing`, { query });
  if (!confirm(`${question}\n\nThis goes for good: ${told(goes)}.`)) return false;
  notice(`Erased: ${told(await call("DELETE", path, { query }))}.`);
  return true;
}
