// The chart of the fleet: how many stores were down at a time, and where monitoring was interrupted, hatched.
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

/** Return how many stores were down at a time in a bucket, on average; null where it lies in a gap for the most part. */
function storesDown(bucket, gaps) {
  const length = bucket.end_us - bucket.start_us;
  const unseen = gaps.reduce((sum, gap) => sum + Math.max(0, Math.min(gap.end_us, bucket.end_us) - Math.max(gap.start_us, bucket.start_us)), 0);
  return 2 * unseen >= length ? null : bucket.downtime_us / length;
}

function draw(figure, history) {
  const place = figure.querySelector(".plot");
  place.replaceChildren();
  const { zone } = figure.dataset;
  const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });
  const [day, time] = [format({ weekday: "short", day: "numeric" }), format({ hour: "2-digit", minute: "2-digit" })];
  const clock = (_plot, ticks) => ticks.map((tick) => (time.format(tick * 1e3) === "00:00" ? day.format(tick * 1e3) : time.format(tick * 1e3)));
  const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  const percent = (_plot, value) => percentage(value ?? null);
  const beside = { scale: "ratio", paths: () => null, points: { show: false }, value: percent };
  const options = {
    width: place.clientWidth,
    height: 150,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), zone === "UTC" ? "Etc/UTC" : zone),
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, (high ?? 0) * 1.1)] } },
    axes: [{ ...axis, values: clock }, { ...axis, size: 45 }],
    series: [
      { label: zone === "UTC" ? "UTC" : zone.split("/").at(-1).replaceAll("_", " "), value: (_plot, value) => (value === null ? "–" : `${day.format(value * 1e3)}, ${time.format(value * 1e3)}`) },
      { label: "stores down", stroke: colour("--down"), width: 2, value: (_plot, value) => (value === null ? "–" : value.toFixed(1)) },
      { label: "available", ...beside },
      { label: "watched", ...beside },
    ],
    plugins: [gapsOf(history), excludedOf(history)],
  };
  const part = (of) => history.buckets.map(of);
  const plot = new uPlot(options, [
    part((one) => (one.start_us + one.end_us) / 2e6),
    part((one) => storesDown(one, history.gaps)),
    part((one) => one.availability),
    part((one) => one.coverage),
  ], place);
  leadsToMoments(plot, history);
  return plot;
}

/** Let a click on a bucket lead to the list as it was at its end. */
function leadsToMoments(plot, history) {
  let from = null;
  plot.over.addEventListener("mousedown", (event) => { from = event.clientX; });
  plot.over.addEventListener("click", (event) => {
    const bucket = history.buckets[plot.cursor.idx];
    if (!bucket || Math.abs(event.clientX - from) > 3) return;
    const address = new URL(location.href);
    address.searchParams.delete("cursor");
    address.searchParams.set("as_of", new Date(Math.min(bucket.end_us, history.as_of_us) / 1000).toISOString());
    go(address.href, { push: true, toList: true });
  });
}

function cell(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}

/** The same figures as rows, for those who cannot see the chart, or want to copy them. */
function tabulate(figure, history) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const text of ["From (UTC)", "Stores down", "Availability", "At least", "At most", "Watched", "Excluded", "Stores observed"]) head.append(Object.assign(cell("th", text), { scope: "col" }));
  const body = table.createTBody();
  for (const one of history.buckets) {
    const whole = one.business_us;
    const down = storesDown(one, history.gaps);
    const cells = [down === null ? "–" : down.toFixed(1), percentage(one.availability), percentage(whole ? one.uptime_min_us / whole : null), percentage(whole ? one.uptime_max_us / whole : null), percentage(one.coverage), one.scheduled_us ? percentage(one.excluded_us / one.scheduled_us) : "–", one.stores_observed.toLocaleString()];
    body.insertRow().append(Object.assign(cell("th", stamp(one.start_us)), { scope: "row" }), ...cells.map((text) => cell("td", text)));
  }
  figure.querySelector(".scroll").replaceChildren(table);
}

function tellGaps(figure, history) {
  const listed = figure.querySelector(".gaps");
  if (!history.gaps.length) return listed.replaceChildren();
  const list = document.createElement("ul");
  for (const gap of history.gaps) {
    const length = Math.round((gap.end_us - gap.start_us) / 360e6) / 10;
    list.append(cell("li", `${stamp(gap.start_us)} to ${stamp(gap.end_us)}, ${length} h: almost no store was polled.`));
  }
  const times = history.gaps.length === 1 ? "once" : `${history.gaps.length} times`;
  const details = document.createElement("details");
  details.append(cell("summary", `Monitoring was interrupted ${times}, which says nothing of the stores`), list);
  listed.replaceChildren(details);
}

/** Fetch and draw the history of a figure, unless it is drawn already. */
async function drawHistory(figure) {
  const version = `${figure.dataset.history} ${figure.dataset.asOf} ${figure.dataset.zone}`;
  if (figure.version === version) return;
  figure.version = version;
  try {
    const answer = await fetch(figure.dataset.history);
    const history = await answer.json();
    if (!answer.ok) throw new Error(history.detail);
    if (figure.version !== version) return;
    figure.redraw ??= watch(figure);
    figure.history = history;
    figure.redraw();
    tellGaps(figure, history);
    const table = figure.querySelector("details:has(.scroll)");
    table.ontoggle = () => { if (table.open) tabulate(figure, figure.history); };
    table.ontoggle();
  } catch (error) {
    figure.version = null; // the next refresh tries again
    if (!(error instanceof TypeError)) figure.querySelector("figcaption").textContent = `The chart cannot be drawn: ${error.message}`;
  }
}

/** Draw a figure again when its width or its colours change. */
function watch(figure) {
  const redraw = () => { figure.plot?.destroy(); figure.plot = draw(figure, figure.history); };
  let width = figure.clientWidth;
  new ResizeObserver(() => { if (figure.clientWidth !== width) { width = figure.clientWidth; redraw(); } }).observe(figure);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  return redraw;
}
