// The chart of the fleet: availability within its bounds, how much was watched, and the collector's own gaps, hatched.
"use strict";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const instant = (us) => new Date(us / 1000);
const stamp = (us) => `${instant(us).toISOString().slice(0, 16).replace("T", " ")} UTC`;
/** As the pages write it: two decimals, never rounded up. */
const percentage = (ratio) => (ratio === null ? "–" : `${(Math.floor(ratio * 10000 + 1e-9) / 100).toFixed(2)} %`);

/** Draw which share of the open time is excluded: lines across each bucket, from below. */
function excludedOf(history) {
  return {
    hooks: {
      drawClear: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.fillStyle = colour("--excluded");
        ctx.globalAlpha = 0.55;
        for (const one of history.buckets) {
          if (!one.excluded_us) continue;
          const left = Math.max(plot.valToPos(one.start_us / 1e6, "x", true), bbox.left);
          const right = Math.min(plot.valToPos(one.end_us / 1e6, "x", true), bbox.left + bbox.width);
          const bottom = bbox.top + bbox.height;
          // At least one line, however small the share.
          const height = Math.max((bbox.height * one.excluded_us) / one.scheduled_us, 3);
          for (let y = bottom - 3; y >= bottom - height; y -= 7) ctx.fillRect(left, y, Math.max(right - left, 1), 2.5);
        }
        ctx.restore();
      },
    },
  };
}

/** Draw the stretches in which the collector was down. */
function gapsOf(history) {
  return {
    hooks: {
      drawClear: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.strokeStyle = colour("--unknown");
        ctx.globalAlpha = 0.55;
        ctx.beginPath();
        for (const gap of history.gaps) {
          const left = Math.max(plot.valToPos(gap.start_us / 1e6, "x", true), bbox.left);
          const right = Math.min(plot.valToPos(gap.end_us / 1e6, "x", true), bbox.left + bbox.width);
          if (right <= left) continue;
          const edge = new Path2D();
          edge.rect(left, bbox.top, right - left, bbox.height);
          ctx.save();
          ctx.clip(edge);
          ctx.beginPath();
          for (let x = left - bbox.height; x < right; x += 9) { ctx.moveTo(x, bbox.top + bbox.height); ctx.lineTo(x + bbox.height, bbox.top); }
          ctx.stroke();
          ctx.restore();
          ctx.strokeRect(left, bbox.top, right - left, bbox.height);
        }
        ctx.restore();
      },
    },
  };
}

function draw(figure, history) {
  const place = figure.querySelector(".plot");
  place.replaceChildren();
  const part = (name, of) => history.buckets.map((one) => of(one));
  const ratio = (us, whole) => (whole ? (100 * us) / whole : null);
  const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  const percent = (_plot, value) => (value === null ? "–" : percentage(value / 100));
  const day = (moment) => `${moment.getUTCDate()} ${"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ")[moment.getUTCMonth()]}`;
  const clock = (_plot, ticks) => ticks.map((tick) => {
    const moment = new Date(tick * 1e3);
    return tick % 86400 ? moment.toISOString().slice(11, 16) : day(moment);
  });
  const options = {
    width: place.clientWidth,
    height: 180,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    scales: { y: { range: (_plot, low) => [Math.max(0, Math.min(90, Math.floor((low ?? 0) / 10) * 10)), 100] } },
    axes: [{ ...axis, values: clock }, { ...axis, values: (_plot, ticks) => ticks.map((tick) => `${tick} %`), size: 60 }],
    series: [
      { label: "UTC", value: (_plot, value) => (value === null ? "–" : stamp(value * 1e6)) },
      { label: "at most", stroke: colour("--up"), width: 0.5, value: percent, points: { show: false } },
      { label: "availability", stroke: colour("--up"), width: 2.5, value: percent },
      { label: "at least", stroke: colour("--up"), width: 0.5, value: percent, points: { show: false } },
      { label: "watched", stroke: colour("--faint"), width: 1.5, dash: [6, 4], value: percent, points: { show: false } },
    ],
    bands: [{ series: [1, 3], fill: `color-mix(in srgb, ${colour("--up")} 18%, transparent)` }],
    plugins: [gapsOf(history), excludedOf(history)],
  };
  const middle = part("x", (one) => (one.start_us + one.end_us) / 2e6);
  return new uPlot(options, [
    middle,
    part("max", (one) => ratio(one.uptime_max_us, one.business_us)),
    part("availability", (one) => (one.availability === null ? null : 100 * one.availability)),
    part("min", (one) => ratio(one.uptime_min_us, one.business_us)),
    part("watched", (one) => (one.coverage === null ? null : 100 * one.coverage)),
  ], place);
}

function cell(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}

/** The same figures as rows, for those who cannot see the chart, or want to copy them. */
function tabulate(figure, history) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const text of ["From (UTC)", "Availability", "At least", "At most", "Watched", "Excluded", "Stores observed"]) head.append(Object.assign(cell("th", text), { scope: "col" }));
  const body = table.createTBody();
  for (const one of history.buckets) {
    const whole = one.business_us;
    const cells = [percentage(one.availability), percentage(whole ? one.uptime_min_us / whole : null), percentage(whole ? one.uptime_max_us / whole : null), percentage(one.coverage), one.scheduled_us ? percentage(one.excluded_us / one.scheduled_us) : "–", one.stores_observed.toLocaleString()];
    body.insertRow().append(Object.assign(cell("th", stamp(one.start_us)), { scope: "row" }), ...cells.map((text) => cell("td", text)));
  }
  figure.querySelector(".scroll").replaceChildren(table);
}

function tellGaps(figure, history) {
  const told = figure.querySelector(".gaps");
  if (!history.gaps.length) return;
  const list = document.createElement("ul");
  for (const gap of history.gaps) {
    const length = Math.round((gap.end_us - gap.start_us) / 360e6) / 10;
    list.append(cell("li", `${stamp(gap.start_us)} to ${stamp(gap.end_us)}, ${length} h: almost no store was observed.`));
  }
  const times = history.gaps.length === 1 ? "once" : `${history.gaps.length} times`;
  const details = document.createElement("details");
  details.append(cell("summary", `The collector was down ${times}, which says nothing of the stores`), list);
  told.replaceChildren(details);
}

async function show(figure) {
  const says = figure.querySelector("figcaption");
  try {
    const answer = await fetch(figure.dataset.history);
    const history = await answer.json();
    if (!answer.ok) throw new Error(history.detail);
    const redraw = () => { figure.plot?.destroy(); figure.plot = draw(figure, history); };
    redraw();
    tellGaps(figure, history);
    const table = figure.querySelector("figure > details");
    if (table.open) tabulate(figure, history);
    else table.addEventListener("toggle", () => tabulate(figure, history), { once: true });
    let width = figure.clientWidth;
    new ResizeObserver(() => { if (figure.clientWidth !== width) { width = figure.clientWidth; redraw(); } }).observe(figure);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  } catch (error) {
    says.textContent = `The chart cannot be drawn: ${error.message}`;
  }
}

for (const figure of document.querySelectorAll("[data-history]")) show(figure);
