// Elements, made without HTML text: names and captions may hold anything.

export const byId = (id) => document.getElementById(id);

// Returns an element. Attributes named `on…` are listeners; undefined, null and false are left out.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const SVG = "http://www.w3.org/2000/svg";

export function svgElement(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Text in its own direction: a Hebrew caption does not turn the English around it.
export const text = (content, tag = "bdi", attributes = {}) =>
  element(tag, { dir: "auto", ...attributes }, content);

export const percent = (share) => `${Math.round(share * 100)} %`;

export const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

export function shortened(content, length) {
  const line = content.replace(/\s+/g, " ");
  return line.length > length ? `${line.slice(0, length).replace(/[\uD800-\uDBFF]$/, "")}…` : line;
}

// The server's messages end as in the terminal, without a full stop.
export const sentence = (said) => (/[.!?…]$/.test(said) ? said : `${said}.`);
export const hint = (fault) => (fault.hint ? ` ${fault.hint}` : "");
