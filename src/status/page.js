// Shows status.json, again and again. Everything is set as text: nothing from outside becomes markup.
"use strict";

const PERIOD_MS = 2000;
const $ = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** "3 s", "5 min", "2 h", "4 d" */
function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

/** How long ago by the box's own clock; the browser's may be wrong. */
function ago(status, date) {
  if (!date) return "never";
  const seconds = (Date.parse(status.now) - Date.parse(date)) / 1000;
  return seconds < 1.5 ? "now" : `${span(seconds)} ago`;
}

function bytes(count) {
  if (count < 1024) return `${count} B`;
  if (count < 1048576) return `${(count / 1024).toFixed(0)} KiB`;
  return `${(count / 1048576).toFixed(1)} MiB`;
}

function facts(list, pairs) {
  list.replaceChildren(...pairs.filter(([, value]) => value !== "").flatMap(([name, value]) =>
    [element("dt", name), element("dd", value)]));
}

function state(place, text, mood) {
  place.textContent = text;
  place.className = `state ${mood}`;
}

function health(status) {
  const { ok, faults } = status.health;
  // A camera that has just been lost is no fault yet: most come back within seconds.
  const lost = status.detectors.filter((view) => view.camera === "lost").map((view) => view.name);
  const box = $("health");
  box.className = `health ${!ok ? "bad" : lost.length ? "" : "good"}`;
  box.querySelector("h2").textContent = faults.length > 1 ? `${faults.length} faults` : !ok ? "One fault"
    : lost.length ? `No picture from ${lost.join(", ")}, trying again` : "All is well";
  box.querySelector("ul").replaceChildren(...faults.map((fault) =>
    element("li", `${fault.detector ? `${fault.detector}, ` : ""}${fault.part}: ${fault.reason} (for ${span(fault.for_secs)})`)));
  $("warnings").replaceChildren(...status.warnings.map((warning) => element("li", `${warning.part}: ${warning.reason}`)));
  document.title = `${ok ? "✓" : "✗"} doorward`;
}

/** "14.9 a second, 12345 in all" */
function frames(perSecond, total) {
  return `${perSecond.toFixed(1)} a second, ${total} in all`;
}

function detector(status, view) {
  const card = element("article", null, "card");
  const mood = { live: "good", ended: "good", lost: "bad", starting: "" }[view.camera] ?? "";
  const badge = element("p", `camera ${view.camera}`, `state ${mood}`);
  const list = element("dl");
  facts(list, [
    ["since", ago(status, view.camera_since)],
    ["why", view.camera_reason],
    ["last frame", ago(status, view.last_frame)],
    ["picture", view.picture ?? ""],
    ["picture since", view.picture ? ago(status, view.picture_since) : ""],
    ["frames in", frames(view.received_fps, view.received)],
    ["searched", frames(view.searched_fps, view.searched)],
    ["dropped", frames(view.dropped_fps, view.dropped)],
  ]);
  card.append(element("h3", view.name), badge, list);
  return card;
}

/** What the circuit breaker lets through, while that is not everything. */
function sending(status, view) {
  if (view.breaker === "half_open") return "one is sent, to see whether it answers";
  if (view.breaker !== "open") return "";
  return `held back, next try in ${span((Date.parse(view.next_try ?? status.now) - Date.parse(status.now)) / 1000)}`;
}

function engine(status) {
  const view = status.engine;
  const moods = { answering: "good", silent: "bad", unknown: "", none: "" };
  const words = { answering: "answering", silent: "silent", unknown: "not asked yet", none: "none" };
  state($("engine").querySelector(".state"), words[view.state] ?? view.state, moods[view.state] ?? "");
  facts($("engine").querySelector("dl"), [
    ["since", view.state === "none" ? "" : ago(status, view.since)],
    ["why", view.reason],
    ["last answer", view.state === "none" ? "" : ago(status, view.last_answer)],
    ["sightings", sending(status, view)],
  ]);
}

/** Shown only where one is configured. */
function broker(status) {
  const view = status.broker;
  $("broker").hidden = !view;
  if (!view) return;
  const moods = { connected: "good", away: "bad", unknown: "" };
  const words = { connected: "connected", away: "away", unknown: "not tried yet" };
  state($("broker").querySelector(".state"), words[view.state] ?? view.state, moods[view.state] ?? "");
  facts($("broker").querySelector("dl"), [
    ["since", ago(status, view.since)],
    ["why", view.reason],
    ["waiting", view.waiting === 0 ? "" : `${view.waiting} messages`],
  ]);
}

function outbox(status) {
  const view = status.outbox;
  const broken = status.health.faults.some((fault) => fault.part === "outbox");
  const text = broken ? "cannot write" : view.pending === 0 ? "empty" : `${view.pending} waiting`;
  state($("outbox").querySelector(".state"), text, broken ? "bad" : view.pending === 0 ? "good" : "");
  facts($("outbox").querySelector("dl"), [
    ["size", bytes(view.bytes)],
    ["oldest", view.oldest ? ago(status, view.oldest) : ""],
  ]);
}

/** A cell: text, or a text with a smaller one below it. */
function cell(name, text, below, className) {
  const made = element("td");
  made.dataset.name = name;
  const main = element("span", text, className);
  made.append(main);
  if (below) made.append(element("small", below));
  if (!text && !below) made.classList.add("none");
  return made;
}

function rows(table, lines, columns, nothing) {
  const body = table.querySelector("tbody");
  if (lines.length === 0) {
    const empty = element("td", nothing, "empty");
    empty.colSpan = table.querySelectorAll("th").length;
    const row = element("tr");
    row.append(empty);
    body.replaceChildren(row);
    return;
  }
  body.replaceChildren(...lines.map((line) => {
    const row = element("tr");
    row.append(...columns(line));
    return row;
  }));
}

const percent = (share) => (share === null ? "" : `${Math.round(share * 100)} %`);
/** How sure the engine is: of the person, where it says so, or who came how near, and of the face. */
const sure = (visit) => [
  visit.person_id && (visit.match_confidence === null ? "no match score" : `match ${percent(visit.match_confidence)}`),
  visit.nearest && `nearest ${short(visit.nearest.person_id)} ${visit.nearest.measured}`,
  visit.confidence !== null && `face ${percent(visit.confidence)}`,
].filter(Boolean).join(", ");
const short = (id) => (id && id.length > 13 ? `${id.slice(0, 13)}…` : id ?? "");

function show(status) {
  $("about").textContent = `${status.version}, up ${span(status.up_secs)}`;
  health(status);
  $("detectors").replaceChildren(...(status.detectors.length
    ? status.detectors.map((view) => detector(status, view))
    : [element("p", "no detector", "empty")]));
  engine(status);
  broker(status);
  outbox(status);
  rows($("visits"), status.visits, (visit) => [
    cell("Seen", ago(status, visit.last_seen)),
    cell("Detector", visit.detector),
    cell("Outcome", visit.outcome ?? "here", visit.why),
    cell("Person", short(visit.person_id), sure(visit), "id"),
    cell("Tags", visit.tags.join(", ")),
    cell("Quality", percent(visit.quality), visit.shots === 1 ? "1 picture" : `${visit.shots} pictures`),
    cell("Visit", visit.visit, "", "id"),
  ], "nobody yet");
  rows($("actions"), status.actions, (action) => [
    cell("At", ago(status, action.at)),
    cell("Action", action.action),
    cell("Result", action.result, action.reason),
    cell("Rule", action.rule),
    cell("Detector", action.detector),
    cell("Took", `${action.took_ms} ms`),
    cell("Visit", action.visit, "", "id"),
  ], "none yet");
}

async function refresh() {
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    const box = $("health");
    box.className = "health bad";
    box.querySelector("h2").textContent = "doorward does not answer";
    box.querySelector("ul").replaceChildren(element("li", error.message));
    document.title = "✗ doorward";
  }
  setTimeout(refresh, document.hidden ? PERIOD_MS * 5 : PERIOD_MS);
}

refresh();
