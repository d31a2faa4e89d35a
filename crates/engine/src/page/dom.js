// Making elements. Text from outside is only ever set as text: nothing of it becomes markup.

/** An element: `h("p", { class: "soft", onclick: … }, "text", another, …)`; null and false are left out. */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "list" && key !== "form") made[key === "class" ? "className" : key] = value;
    else made.setAttribute(key === "className" ? "class" : key, value === true ? "" : value);
  }
  if (attributes.class) made.className = attributes.class;
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

let hiding;

/** Says something at the top of the page; what went wrong stays until the next word. */
export function notice(text, bad = false) {
  const place = document.getElementById("notice");
  clearTimeout(hiding);
  place.textContent = text;
  place.className = bad ? "bad" : "";
  place.hidden = !text;
  if (text && !bad) hiding = setTimeout(() => { place.hidden = true; }, 4000);
}

/** A handler that tells what went wrong and keeps its button from being pressed twice. */
export function doing(work) {
  return async (event) => {
    event.preventDefault();
    const button = event.submitter ?? event.currentTarget;
    const wasDisabled = button.disabled;
    button.disabled = true;
    notice("");
    try {
      await work(event);
    } catch (error) {
      notice(error.message, true);
    } finally {
      button.disabled = wasDisabled;
    }
  };
}

export const percent = (share) => `${Math.round(share * 100)} %`;

/** What a person is called: title, first, middle and last name. */
export function fullName(alias) {
  return [alias?.title, alias?.firstName, alias?.middleName, alias?.lastName].filter(Boolean).join(" ");
}

/** A day and a time in a zone, which may be unknown to the browser. */
export function moment(time, zone, options = { dateStyle: "medium", timeStyle: "short" }) {
  try {
    return new Intl.DateTimeFormat(undefined, { ...options, timeZone: zone || undefined }).format(new Date(time));
  } catch {
    return new Intl.DateTimeFormat(undefined, options).format(new Date(time));
  }
}

/** The chips of what a person carries. */
export function chips(tags) {
  const kind = (name) => (/ban|block|deny/i.test(name) ? "bad" : /vip/i.test(name) ? "good" : "");
  return h("ul", { class: "chips" }, tags.map((tag) => {
    const name = tag.tag?.name ?? tag.tagId;
    return h("li", { class: `chip ${kind(name)}` }, name);
  }));
}
