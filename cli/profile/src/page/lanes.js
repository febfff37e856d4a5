// The time line: every span of every worker, what channels hold, memory, bytes written.

const ROW = 15, GAP = 10, HEAD = 17, AXIS = 22, CHART = 30;
const view = { from: 0, to: wall || 1, only: null, matches: null, hover: -1, drawn: 0 };
const canvas = $("lanes");
const showsNested = $("nested"), showsCounters = $("counters");
showsNested.checked = lanes.length <= 4;

// Innermost spans alone, for one row a lane: [start, end, row] by start.
for (const lane of lanes) {
  const flat = { start: [], end: [], row: [] }, open = [];
  let now = 0;
  const put = (n, from, to) => {
    if (to > from && profile.spans.kind[lane.first + n] !== WAIT) { flat.start.push(from); flat.end.push(to); flat.row.push(lane.first + n); }
  };
  for (let n = 0; n < lane.count; n++) {
    while (open.length > profile.spans.depth[lane.first + n]) { const inner = open.pop(); put(inner, now, lane.end[inner]); now = Math.max(now, lane.end[inner]); }
    if (open.length) put(open[open.length - 1], now, lane.start[n]);
    now = Math.max(now, lane.start[n]);
    open.push(n);
  }
  while (open.length) { const inner = open.pop(); put(inner, now, lane.end[inner]); now = Math.max(now, lane.end[inner]); }
  lane.flat = flat;
}

// Curves below the lanes: name, maximum, [time, value] by time.
const curves = [];
{
  const line = (name, unit, after, value) => {
    let time = 0;
    const points = after.map((step, n) => { time += step; return [time / 1e6, value[n]]; });
    const max = points.reduce((most, point) => Math.max(most, point[1]), 0);
    if (points.length > 1 && max > 0) curves.push({ name, unit, points, max });
  };
  for (const channel of profile.channels) line(`${channel.flow}/${channel.name}`, number, channel.points.after, channel.points.value);
  line("memory, own", size, profile.samples.after, profile.samples.anonymous);
  line("memory of files", size, profile.samples.after, profile.samples.mapped);
  const write = profile.stages.findIndex((stage) => stage.name === "write"), ends = [];
  for (const lane of lanes) for (let n = 0; n < lane.count; n++) {
    const row = lane.first + n;
    if (profile.spans.stage[row] === write && profile.spans.kind[row] === 0) ends.push([lane.end[n], profile.spans.bytes[row]]);
  }
  ends.sort((a, b) => a[0] - b[0]);
  let sum = 0;
  if (ends.length > 1) {
    const points = ends.map(([time, bytes]) => [time, (sum += bytes)]);
    if (sum > 0) curves.push({ name: "bytes written", unit: size, points, max: sum });
  }
}

function place() {
  let top = AXIS;
  for (const lane of lanes) {
    lane.y = top;
    top += HEAD + (showsNested.checked ? lane.rows : 1) * ROW + GAP;
  }
  view.charts = top;
  return top + (showsCounters.checked ? curves.length * (CHART + 6) : 0) + 4;
}

// The first of an ascending column that is not below a value.
function lower(column, value, count = column.length) {
  let low = 0, high = count;
  while (low < high) { const middle = (low + high) >> 1; if (column[middle] < value) low = middle + 1; else high = middle; }
  return low;
}

function draw() {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = Math.min(place(), 30000 / scale);
  canvas.style.height = height + "px";
  canvas.width = width * scale; canvas.height = height * scale;
  const c = canvas.getContext("2d");
  c.scale(scale, scale);
  c.font = "11px system-ui, sans-serif"; c.textBaseline = "middle";
  const x = (time) => (time - view.from) / (view.to - view.from) * width;
  const text = ink("--ink"), soft = ink("--soft"), line = ink("--line"), mark = ink("--mark"), idle = ink("--idle");
  const step = [1, 2, 5, 10].map((n) => n * 10 ** Math.floor(Math.log10((view.to - view.from) / 6))).find((n) => (view.to - view.from) / n <= 12);
  for (let time = Math.ceil(view.from / step) * step; time < view.to; time += step) {
    c.fillStyle = line; c.fillRect(x(time), 0, 1, height);
    c.fillStyle = soft; c.fillText(ms(time * 1e6), x(time) + 4, AXIS / 2);
  }
  let drawn = 0;
  const span = (row, from, to, y) => {
    const left = Math.max(x(from), -2), right = Math.min(x(to), width + 2), stage = profile.spans.stage[row];
    const wide = Math.max(right - left, 0.6), isMatch = view.matches && view.matches.has(row);
    c.globalAlpha = (view.only === null || view.only === stage) && (!view.matches || isMatch) ? 1 : 0.18;
    c.fillStyle = profile.spans.kind[row] === WAIT ? idle : colour(stage);
    c.fillRect(left, y, wide, ROW - 2);
    if (isMatch) { c.fillStyle = mark; c.fillRect(left, y + ROW - 4, wide, 2); }
    if (row === view.hover) { c.strokeStyle = text; c.strokeRect(left + .5, y + .5, Math.max(wide - 1, 1), ROW - 3); }
    if (wide > 34) {
      const name = profile.stages[stage].name;
      c.fillStyle = profile.spans.kind[row] === WAIT ? soft : stageColour[stage] ? "#10131a" : text;
      c.fillText(name.slice(0, wide / 6), Math.max(left, 0) + 3, y + ROW / 2 - .5);
    }
    drawn++;
  };
  for (const lane of lanes) {
    c.globalAlpha = 1; c.fillStyle = text;
    const worker = profile.workers[lanes.indexOf(lane)];
    c.fillText(`${lane.name}   ${percent(worker.busy, profile.wall)} % busy`, 4, lane.y + HEAD / 2);
    c.fillStyle = idle; c.fillRect(0, lane.y + HEAD, width, (showsNested.checked ? lane.rows : 1) * ROW - 2);
    const near = (view.to - view.from) / width / 2;
    if (showsNested.checked) {
      const last = new Float64Array(lane.rows).fill(-1);
      const stop = lower(lane.start, view.to, lane.count);
      for (let n = 0; n < stop; n++) {
        if (lane.end[n] < view.from) continue;
        const row = lane.first + n, depth = profile.spans.depth[row];
        // What is narrower than half a pixel and would cover its neighbour is left out.
        if (lane.end[n] - last[depth] < near && !(view.matches && view.matches.has(row))) continue;
        last[depth] = lane.end[n];
        span(row, lane.start[n], lane.end[n], lane.y + HEAD + depth * ROW);
      }
    } else {
      const { start, end, row } = lane.flat;
      let last = -1;
      for (let n = Math.max(0, lower(start, view.from) - 1); n < start.length && start[n] < view.to; n++) {
        if (end[n] < view.from || (end[n] - last < near && !(view.matches && view.matches.has(row[n])))) continue;
        last = end[n];
        span(row[n], start[n], end[n], lane.y + HEAD);
      }
    }
  }
  c.globalAlpha = 1;
  if (showsCounters.checked) curves.forEach((curve, n) => chart(c, curve, view.charts + n * (CHART + 6), x, width, { text, soft, line }));
  if (view.hover >= 0) arrows(c, x);
  view.drawn = drawn;
  canvas.dataset.drawn = drawn;
  canvas.dataset.from = view.from.toFixed(4);
  canvas.dataset.to = view.to.toFixed(4);
}

function chart(c, curve, top, x, width, { text, soft, line }) {
  c.fillStyle = line; c.fillRect(0, top + CHART, width, 1);
  c.beginPath();
  let before = 0, last = -Infinity, end = 0;
  const y = (value) => top + CHART - (CHART - 4) * value / curve.max;
  c.moveTo(0, y(0));
  for (const [time, value] of curve.points) {
    const at = x(time);
    if (at > width) { end = width; break; }
    end = Math.max(0, at);
    if (at >= 0 && at - last >= 0.5) { c.lineTo(at, y(before)); c.lineTo(at, y(value)); last = at; }
    before = value;
  }
  c.lineTo(end, y(before)); c.lineTo(end, y(0)); c.closePath();
  c.globalAlpha = .45; c.fillStyle = soft; c.fill(); c.globalAlpha = 1;
  c.fillStyle = text; c.fillText(`${curve.name}, at most ${curve.unit(curve.max)}`, 4, top + 8);
}

// Where a row is drawn: its middle, its ends.
function spot(row) {
  const lane = laneOf(row), depth = showsNested.checked ? profile.spans.depth[row] : 0;
  return { from: lane.start[row - lane.first], to: lane.end[row - lane.first], y: lane.y + HEAD + depth * ROW + ROW / 2 - 1 };
}

let receivers = null;
function receiversOf(row) {
  if (!receivers) {
    receivers = new Map();
    profile.spans.cause.forEach((cause, other) => { if (cause) { if (!receivers.has(cause - 1)) receivers.set(cause - 1, []); receivers.get(cause - 1).push(other); } });
  }
  return receivers.get(row) || [];
}

// From who sent the item to the span, and from the span to who ran what it sent.
function arrows(c, x) {
  const arrow = (from, to) => {
    const a = spot(from), b = spot(to);
    c.beginPath(); c.moveTo(x(a.to), a.y);
    c.bezierCurveTo(x(a.to) + 20, a.y, x(b.from) - 20, b.y, x(b.from), b.y);
    c.stroke();
    c.beginPath(); c.arc(x(b.from), b.y, 2.5, 0, 7); c.fill();
  };
  c.strokeStyle = c.fillStyle = ink("--mark"); c.lineWidth = 1.3;
  let row = view.hover;
  for (let n = 0; n < 8 && profile.spans.cause[row]; n++) { arrow(profile.spans.cause[row] - 1, row); row = profile.spans.cause[row] - 1; }
  receiversOf(view.hover).slice(0, 40).forEach((other) => arrow(view.hover, other));
  c.lineWidth = 1;
}

function spanAt(event) {
  const box = canvas.getBoundingClientRect(), y = event.clientY - box.top;
  const time = view.from + (event.clientX - box.left) / box.width * (view.to - view.from), near = (view.to - view.from) / box.width;
  const lane = lanes.find((lane) => y >= lane.y && y < lane.y + HEAD + (showsNested.checked ? lane.rows : 1) * ROW);
  if (!lane) return -1;
  if (!showsNested.checked) {
    const { start, end, row } = lane.flat, n = lower(start, time + near) - 1;
    return n >= 0 && end[n] >= time - near ? row[n] : -1;
  }
  const depth = Math.floor((y - lane.y - HEAD) / ROW);
  let best = -1;
  for (let n = lower(lane.start, time + near, lane.count) - 1; n >= 0; n--) {
    if (profile.spans.depth[lane.first + n] === depth) { if (lane.end[n] >= time - near) best = lane.first + n; break; }
  }
  return best;
}

function describe(row) {
  const { spans, stages } = profile, lane = laneOf(row), n = row - lane.first;
  return [stages[spans.stage[row]].name, about(row), `${ms(spans.time[row])}, from ${ms(lane.start[n] * 1e6)}, ${lane.name}`,
    spans.bytes[row] ? size(spans.bytes[row]) + (spans.time[row] ? `, ${(spans.bytes[row] * 1e3 / spans.time[row]).toFixed(0)} MB/s` : "") : "",
    spans.items[row] ? `${number(spans.items[row])} items` : "",
    spans.cause[row] ? `sent by ${stages[spans.stage[spans.cause[row] - 1]].name}` : ""].filter(Boolean).join("\n");
}

function zoom(by, middle = (view.from + view.to) / 2) {
  const length = Math.min(Math.max((view.to - view.from) * by, wall / 1e6), wall * 1.2);
  const part = (middle - view.from) / (view.to - view.from);
  view.from = middle - length * part; view.to = view.from + length;
  draw();
}
function pan(by) { const step = by * (view.to - view.from); view.from += step; view.to += step; draw(); }
function all() { view.from = 0; view.to = wall || 1; draw(); }

let drag = null;
canvas.onpointerdown = (event) => { drag = [event.clientX, view.from, view.to]; canvas.setPointerCapture(event.pointerId); canvas.focus({ preventScroll: true }); };
canvas.onpointerup = () => { drag = null; };
canvas.onpointerleave = () => { $("tip").style.display = "none"; if (view.hover >= 0) { view.hover = -1; draw(); } };
canvas.ondblclick = all;
canvas.onpointermove = (event) => {
  const tip = $("tip");
  if (drag) {
    const by = (drag[0] - event.clientX) / canvas.clientWidth * (drag[2] - drag[1]);
    view.from = drag[1] + by; view.to = drag[2] + by; draw();
  }
  const row = drag ? -1 : spanAt(event);
  if (row !== view.hover) { view.hover = row; draw(); }
  tip.style.display = row >= 0 ? "block" : "none";
  if (row < 0) return;
  tip.textContent = describe(row);
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)) + "px";
};
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = canvas.getBoundingClientRect();
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) return pan(event.deltaX / box.width);
  zoom(Math.exp(event.deltaY * .002), view.from + (event.clientX - box.left) / box.width * (view.to - view.from));
}, { passive: false });
canvas.onkeydown = (event) => {
  const act = { ArrowLeft: () => pan(-.15), ArrowRight: () => pan(.15), "+": () => zoom(.6), "=": () => zoom(.6), "-": () => zoom(1 / .6), 0: all, Home: all, n: () => nextMatch(1), p: () => nextMatch(-1) }[event.key];
  if (act && !event.ctrlKey && !event.metaKey) { event.preventDefault(); act(); }
};
showsNested.onchange = showsCounters.onchange = draw;
addEventListener("resize", draw);
