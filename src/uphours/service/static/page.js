// What the pages do beyond following links: send files, say when the service does not answer, explain a timeline.
"use strict";

const token = () => document.querySelector('meta[name="csrf-token"]')?.content;
const headers = () => (token() ? { "X-CSRF-Token": token() } : {});

// Where the names of the pages are wider than the window, that of this one comes into sight.
for (const here of document.querySelectorAll(".top nav [aria-current]")) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - 40;

// --- trouble: one line at the top, until something works again ---

function trouble(text) {
  const line = document.getElementById("trouble");
  line.textContent = text ?? "";
  line.hidden = !text;
}

document.addEventListener("htmx:sendError", () => trouble("The service does not answer. What you see is how it was; this page keeps trying."));
document.addEventListener("htmx:timeout", () => trouble("The service takes too long to answer. What you see is how it was; this page keeps trying."));
document.addEventListener("htmx:responseError", async (event) => {
  const answer = event.detail.xhr;
  if (answer.status === 401) return location.reload();
  trouble(`The service refuses: ${reason(answer)}`);
});
document.addEventListener("htmx:afterOnLoad", (event) => { if (event.detail.successful) trouble(); });
document.addEventListener("htmx:configRequest", (event) => {
  Object.assign(event.detail.headers, headers());
  // An empty field is not worth a place in the address.
  const fields = event.detail.formData;
  for (const name of new Set(fields.keys())) if (!fields.getAll(name).some(Boolean)) fields.delete(name);
});

/** Return why the service said no, from a problem or from a page that tells one. */
function reason(answer) {
  try {
    return JSON.parse(answer.responseText).detail;
  } catch {
    const page = new DOMParser().parseFromString(answer.responseText, "text/html");
    return page.querySelector("main .notice.bad")?.textContent ?? `${answer.status} ${answer.statusText}`;
  }
}

// --- forms that a browser sends by itself: the same ---

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-submits]")) return;
  for (const field of event.target.elements) if (field.name && field.value === "") field.disabled = true;
  setTimeout(() => { for (const field of event.target.elements) field.disabled = false; });
}, true);

// --- files: dropped or chosen, sent with a progress bar, then watched until they are loaded ---

function send(form, files) {
  const body = new FormData();
  for (const file of files) body.append("files", file);
  const chosen = form.querySelector(".chosen");
  chosen.replaceChildren(...[...files].map((file) => element("li", file.name)));
  chosen.hidden = false;
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) progress(form, event.loaded / event.total / 2, `${Math.round((100 * event.loaded) / event.total)} % sent`);
  });
  request.addEventListener("load", () => {
    const sent = request.status >= 200 && request.status < 300;
    if (!sent) return outcome(form, reason(request), "bad");
    const made = JSON.parse(request.responseText);
    return request.status === 202 ? follow(form, made) : loaded(form, made);
  });
  request.addEventListener("error", () => outcome(form, "The connection broke before all was sent. Nothing was loaded; send the files again.", "bad"));
  request.open("POST", form.action);
  for (const [name, value] of Object.entries({ ...headers(), Prefer: "respond-async" })) request.setRequestHeader(name, value);
  outcome(form, "");
  progress(form, 0, "Sending");
  request.send(body);
}

/** Ask how far a load is until it has ended. */
async function follow(form, job) {
  while (job.finished_at === null) {
    const { done, total } = job.progress;
    progress(form, 0.5 + (total ? done / total / 2 : 0), job.state === "queued" ? "Waiting for a worker" : `${done.toLocaleString()} rows read`);
    await new Promise((wake) => setTimeout(wake, 300));
    try {
      const answer = await fetch(`/v1/jobs/${job.id}`);
      if (answer.ok) { job = await answer.json(); trouble(); } else trouble(`The service answers ${answer.status}; this page keeps asking.`);
    } catch {
      trouble("The service does not answer. The load goes on there; this page keeps asking.");
    }
  }
  if (job.outcome) loaded(form, job.outcome);
  else outcome(form, job.reason ?? `The load was ${job.state}.`, "bad");
}

function loaded(form, made) {
  const bad = made.quarantined ? `, ${made.quarantined.toLocaleString()} set aside` : "";
  outcome(form, `${made.rows_read.toLocaleString()} rows read: ${made.accepted.toLocaleString()} accepted, ${made.repeated.toLocaleString()} repeated${bad}. `, made.quarantined ? "warn" : "good");
  const line = form.querySelector(".outcome p");
  if (made.quarantined) line.append(link(`/data/loads/${made.load}`, "What is wrong with them"), " · ");
  line.append(link("/", "To the fleet"));
}

function progress(form, value, text) {
  const sending = form.querySelector(".sending");
  sending.hidden = false;
  sending.querySelector("progress").value = value;
  sending.querySelector("[role=status]").textContent = text;
}

function outcome(form, text, kind) {
  form.querySelector(".sending").hidden = true;
  const said = element("p", text);
  said.className = `notice ${kind}`;
  form.querySelector(".outcome").replaceChildren(...(text ? [said] : []));
}

const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });
const link = (href, text) => Object.assign(element("a", text), { href });

document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-upload]");
  if (form && event.target.files?.length) { send(form, event.target.files); event.target.value = ""; }
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const form = event.target.closest?.("[data-upload]") ?? document.querySelector("[data-upload]");
    if (!form || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) send(form, event.dataTransfer.files);
  });
}

// --- the demo, on an empty store ---

document.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-demo]")) return;
  event.preventDefault();
  const said = event.target.parentElement.querySelector(".outcome");
  event.submitter.disabled = true;
  said.textContent = "Making a fleet, and loading it …";
  try {
    let answer = await fetch(event.target.action, { method: "POST", headers: headers() });
    let job = await answer.json();
    while (answer.ok && job.finished_at === null) {
      await new Promise((wake) => setTimeout(wake, 300));
      answer = await fetch(`/v1/jobs/${job.id}`);
      job = await answer.json();
    }
    if (answer.ok && job.state === "complete") return location.assign("/");
    said.textContent = job.detail ?? job.reason ?? `The load was ${job.state}.`;
  } catch {
    said.textContent = "The service does not answer. Try again.";
  }
  event.submitter.disabled = false;
});

// --- a page that is handed on: printed, or its address copied ---

for (const button of document.querySelectorAll("[data-prints]")) button.hidden = false;
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-prints]")) print();
  const anchor = event.target.closest?.("a[data-copies]");
  const plain = !(event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (anchor && plain && navigator.clipboard) { event.preventDefault(); copy(anchor); }
});

async function copy(anchor) {
  const words = anchor.textContent;
  try {
    await navigator.clipboard.writeText(anchor.href);
    anchor.textContent = "Copied";
  } catch {
    return location.assign(anchor.href);
  }
  setTimeout(() => { anchor.textContent = words; }, 1500);
}

// --- menus: one open at a time, and none behind a click beside it or Escape ---

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
});

// --- the timeline: pointing at a span says what the list of spans says of it ---

function tell(anchor) {
  const row = document.querySelector(anchor.getAttribute("href"));
  const says = anchor.closest("[data-timeline]").querySelector(".says");
  document.querySelector("tr.pointed")?.classList.remove("pointed");
  if (!row) { says.textContent = `${anchor.getAttribute("aria-label")}. It is too long ago for the list below.`; return; }
  row.classList.add("pointed");
  const [from, to, status, poll, because] = [...row.cells].map((cell) => cell.textContent.trim());
  says.textContent = poll === "–" ? `${from} to ${to}: ${status}; ${because}.` : `${from} to ${to}: ${status}. The poll of ${poll} speaks for it: ${because}.`;
}

// --- the timeline: dragging over it fills in the stretch to adjust ---

const adjustForm = () => document.querySelector("form[data-adjust]");
const pad = (number) => String(number).padStart(2, "0");
let drag = null;

/** Return where the pointer is as a row of the timeline and an instant in milliseconds, to five minutes. */
function placeOf(event) {
  const row = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-timeline] svg[data-start]") ?? drag?.row;
  if (!row) return null;
  const box = row.getBoundingClientRect();
  const minutes = ((event.clientX - box.left) / box.width) * row.viewBox.baseVal.width;
  const nearest = Math.round(minutes / 5) * 5;
  return { row, at: Number(row.dataset.start) / 1000 + Math.min(Math.max(nearest, 0), Number(row.dataset.minutes)) * 60e3 };
}

/** Mark a stretch in the rows that it touches; return whether the clock changes in one of them. */
function mark(timeline, from, to) {
  let clockChanges = false;
  for (const row of timeline.querySelectorAll("svg[data-start]")) {
    row.querySelector(".stretch")?.remove();
    const start = Number(row.dataset.start) / 1000;
    const [x, end] = [Math.max(from - start, 0) / 60e3, Math.min((to - start) / 60e3, Number(row.dataset.minutes))];
    if (end <= x) continue;
    clockChanges ||= Number(row.dataset.minutes) !== 1440;
    const marked = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ class: "stretch", x, y: 0, width: end - x, height: 40 })) marked.setAttribute(name, value);
    row.append(marked);
  }
  return clockChanges;
}

/** Write an instant as the clock of a zone shows it, as fields of forms have it. */
function wallClock(at, zone) {
  const format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" });
  const part = Object.fromEntries(format.formatToParts(at).map((one) => [one.type, Number(one.value)]));
  return `${part.year}-${pad(part.month)}-${pad(part.day)}T${pad(part.hour)}:${pad(part.minute)}:${pad(part.second)}`;
}

function fill(timeline, from, to) {
  const form = adjustForm();
  // Where the clock changes, and where the zone does, only UTC says which instant is meant.
  const utc = mark(timeline, from, to) || "utc" in timeline.dataset;
  const zone = utc ? "UTC" : timeline.dataset.zone;
  form.elements.start.value = wallClock(from, zone);
  form.elements.end.value = wallClock(to, zone);
  form.elements.clock.value = utc ? "utc" : "store";
  form.querySelector(".preview")?.remove();
  const text = (at) => wallClock(at, zone).replace("T", " ").slice(0, 16);
  timeline.querySelector(".chosen-stretch").replaceChildren(`Chosen: ${text(from)} to ${text(to)}${utc ? " UTC" : ""}. `, link("#adjust", "Say how it counts"));
}

document.addEventListener("pointerdown", (event) => {
  const timeline = event.target.closest?.("[data-timeline]");
  // A finger scrolls; who has no mouse types the times.
  if (!timeline || !adjustForm() || event.pointerType !== "mouse" || event.button !== 0) return;
  const place = placeOf(event);
  if (place) drag = { timeline, row: place.row, begun: place.at, x: event.clientX, y: event.clientY, moved: false };
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  drag.moved ||= Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 5;
  const place = placeOf(event);
  if (!drag.moved || !place) return;
  drag.row = place.row;
  [drag.from, drag.to] = [Math.min(drag.begun, place.at), Math.max(drag.begun, place.at)];
  mark(drag.timeline, drag.from, drag.to);
});
document.addEventListener("pointerup", () => {
  const done = drag;
  drag = null;
  if (!done?.moved || !(done.to > done.from)) return;
  fill(done.timeline, done.from, done.to);
  // The click that follows would lead to a span.
  const stop = (event) => { event.preventDefault(); event.stopPropagation(); };
  document.addEventListener("click", stop, { capture: true, once: true });
  setTimeout(() => document.removeEventListener("click", stop, { capture: true }));
});
document.addEventListener("pointercancel", () => { drag = null; });
document.addEventListener("dragstart", (event) => { if (event.target.closest?.("[data-timeline]")) event.preventDefault(); });
// What is shown before is not of what is typed now.
document.addEventListener("input", (event) => event.target.closest("form[data-adjust]")?.querySelector(".preview")?.remove());
// A mistake comes back as the form with what was typed and what is wrong.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.id !== "adjust" || ![409, 422].includes(event.detail.xhr.status)) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
});
if (adjustForm()) {
  for (const timeline of document.querySelectorAll("[data-timeline]")) timeline.classList.add("can-drag");
  for (const hint of document.querySelectorAll(".with-scripts")) hint.hidden = false;
}

// --- the window: a date takes the place of the name, a name that of the dates ---

document.addEventListener("change", (event) => {
  const form = event.target.closest("form.question");
  if (form && event.target.name === "window") form.elements.from_date.value = form.elements.to_date.value = "";
});

// In order of time; the newest day stands on top.
const numberOf = (anchor) => Number(anchor.getAttribute("href").slice("#span-".length));
const spans = () => [...document.querySelectorAll("[data-timeline] svg a")].sort((a, b) => numberOf(a) - numberOf(b));
const anchorOf = (event) => event.target.closest?.("[data-timeline] svg a");
for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => { if (anchorOf(event)) tell(anchorOf(event)); });
}
document.addEventListener("click", (event) => {
  if (anchorOf(event)) document.querySelector("[data-spans]").open = true;
});
document.addEventListener("keydown", (event) => {
  const here = anchorOf(event);
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
  if (!here || !step) return;
  event.preventDefault();
  const all = spans();
  const next = all[Math.min(Math.max(all.indexOf(here) + step, 0), all.length - 1)];
  here.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
// One stop for the tabulator key; the last span is the one that people want first.
const last = spans().at(-1);
if (last) last.tabIndex = 0;
