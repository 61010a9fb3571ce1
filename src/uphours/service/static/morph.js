// Turns what a page shows into another version of it, and leaves alone what is the same: rows keep their elements,
// fields what was typed, menus whether they are open, and the focus stays.
"use strict";

/** Make ``old`` equal to ``fresh``; what is marked ``data-keep`` gets the attributes alone, its inside is drawn by scripts. */
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) { old.replaceWith(fresh); return; }
  if (old.nodeType !== Node.ELEMENT_NODE) { old.data = fresh.data; return; }
  morphAttributes(old, fresh);
  if (!old.hasAttribute("data-keep")) morphChildren(old, fresh);
}

function morphAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") attribute(old, name, null);
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value && name !== "open") attribute(old, name, value);
}

/** Set an attribute; a field shows the new value too, unless someone is typing in it. */
function attribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
  if (name === "value" && element !== document.activeElement) element.value = value ?? "";
  if (name === "checked") element.checked = value !== null;
  if (name === "selected") element.selected = value !== null;
}

function morphChildren(old, fresh) {
  const kept = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  const wanted = new Set([...fresh.children].map((child) => child.id).filter(Boolean));
  for (const [id, child] of kept) if (!wanted.has(id)) child.remove();
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = child.id ? kept.get(child.id) : place && !place.id && place.nodeName === child.nodeName ? place : null;
    if (!same) { old.insertBefore(child, place); continue; }
    if (same === place) place = place.nextSibling;
    else old.insertBefore(same, place);
    morph(same, child);
  }
  while (place) { const next = place.nextSibling; place.remove(); place = next; }
}
