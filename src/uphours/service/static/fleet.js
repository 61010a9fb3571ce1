// The page of the fleet: a choice applies at once and stands in the address, and the page stays up to date.
"use strict";

const REFRESH_MS = 30_000;
const SEARCH_MS = 300;
let going = null;

/** Fetch a page of this address, and show it in place; ``push``: it becomes an address of its own. */
async function go(address, { push = false, toList = false } = {}) {
  going?.abort();
  const mine = (going = new AbortController());
  document.getElementById("content").setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, signal: mine.signal });
    if (answer.status === 401) return leave(address);
    const made = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine.signal.aborted) return;
    if (answer.ok && !made.getElementById("stores")) return leave(address);
    if (!answer.ok) return trouble(`The service refuses: ${made.querySelector("main .notice.bad")?.textContent.trim() ?? answer.statusText}`);
    if (push && address !== location.href) history.pushState(null, "", address);
    show(made, toList);
    trouble();
  } catch (error) {
    if (error.name === "AbortError") return;
    trouble(`The service does not answer. What you see is old: ${document.querySelector("#updated time")?.title ?? ""}. This page keeps trying.`);
  } finally {
    if (going === mine) { going = null; document.getElementById("content").removeAttribute("aria-busy"); }
  }
}

/** Go to an address that shows something else than the fleet by now, such as a form to sign in. */
function leave(address) {
  if (address === location.href) location.reload();
  else location.assign(address);
}

function show(made, toList) {
  const focused = document.activeElement;
  morph(document.getElementById("content"), made.getElementById("content"));
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  if (toList) document.getElementById("stores").scrollIntoView();
  ready();
}

/** Show what needs scripts, and fetch what is drawn by them if what it shows has changed. */
function ready() {
  for (const button of document.querySelectorAll("[data-prints]")) button.hidden = false;
  for (const part of document.querySelectorAll("[data-loads]")) load(part);
  for (const figure of document.querySelectorAll("[data-history]")) drawHistory(figure);
}

async function load(part) {
  const version = `${part.dataset.loads} ${part.dataset.asOf}`;
  if (part.version === version) return;
  part.version = version;
  try {
    const answer = await fetch(part.dataset.loads, { headers: { Accept: "text/html" } });
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
    if (answer.ok && made && part.version === version) part.replaceChildren(...made.childNodes);
  } catch {
    part.version = null; // the next refresh tries again
  }
}

// --- choices: fields change their own part of the address, links lead to theirs ---

/** Return this address with the values that the fields of a name have in a form. */
function withField(form, name) {
  const address = new URL(location.href);
  const query = address.searchParams;
  const dates = [form.elements.from_date?.value, form.elements.to_date?.value];
  const isDate = name === "from_date" || name === "to_date";
  if (isDate && !dates.every(Boolean)) return null;
  for (const one of isDate || name === "window" ? ["from_date", "to_date", "window"] : [name]) query.delete(one);
  query.delete("cursor");
  if (isDate) { query.set("from_date", dates[0]); query.set("to_date", dates[1]); return address.href; }
  for (const field of form.elements) {
    if (field.name !== name || !field.value || (field.type === "checkbox" && !field.checked)) continue;
    query.append(name, field.value.trim());
  }
  return address.href;
}

function apply(field) {
  const address = withField(field.form, field.name);
  if (address && address !== location.href) go(address, { push: true });
}

const isOurs = (field) => field.name && field.form?.matches("[data-applies]");
let typing = null;
document.addEventListener("input", (event) => {
  if (!isOurs(event.target) || event.target.type !== "search") return;
  clearTimeout(typing);
  typing = setTimeout(() => apply(event.target), SEARCH_MS);
});
document.addEventListener("change", (event) => {
  if (!isOurs(event.target)) return;
  clearTimeout(typing);
  apply(event.target);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-applies]")) return;
  event.preventDefault();
  clearTimeout(typing);
  if (isOurs(document.activeElement)) apply(document.activeElement);
});
document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a");
  if (!anchor || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (anchor.matches("[data-go]")) { event.preventDefault(); go(anchor.href, { push: true, toList: anchor.matches("[data-to-list]") }); }
});

document.addEventListener("keydown", (event) => {
  const typed = event.target.matches?.("input, select, textarea");
  if (event.key === "/" && !typed && !event.ctrlKey && !event.metaKey) { event.preventDefault(); document.getElementById("search").select(); }
});

// --- the address and the clock ---

addEventListener("popstate", () => go(location.href));
setInterval(() => { if (!going && !document.hidden) go(location.href); }, REFRESH_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden && !going) go(location.href); });
addEventListener("DOMContentLoaded", ready);
