// The data of the page and what is derived from them once. Times are milliseconds from here on.

const profile = JSON.parse(document.getElementById("data").textContent).manifold;
for (const name of ["label", "opens", "shard"]) {
  // These columns are stored without their zeros.
  const { length, at, value } = profile.spans[name], column = new Uint32Array(length);
  let row = 0;
  at.forEach((step, n) => { row += step; column[row] = value[n]; });
  profile.spans[name] = column;
}
// How far back the sender is becomes its row, plus one.
profile.spans.cause = profile.spans.cause.map((back, row) => (back ? row - back + 1 : 0));
const WAIT = 1, MAIN = 2;
const KINDS = ["code", "read-only", "data", "bss", "unwind", "debug", "symbols", "dynamic", "other"];

const isDark = matchMedia("(prefers-color-scheme: dark)");
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// Stages of one family have neighbouring colours.
const families = [...new Set(profile.stages.map((stage) => stage.name.split("/")[0]))];
const stageColour = profile.stages.map((stage) => {
  if (stage.name.startsWith("(")) return null;
  const family = families.indexOf(stage.name.split("/")[0]);
  const within = [...stage.name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 97, 7);
  return [(family * 137.5) % 360, 50 + within % 15, 58 + within % 12];
});
function colour(stage) {
  const of = stageColour[stage];
  return of ? `hsl(${of[0]} ${of[1]}% ${of[2]}%)` : isDark.matches ? "#4a5160" : "#c3c8d2";
}
const kindColour = { code: "#74b3f0", "read-only": "#8fd3c8", data: "#f2c14e", bss: "#d9d2b4", unwind: "#c5a3e8", debug: "#f0986c", symbols: "#9fcf70", dynamic: "#e58fb1", other: "#b4bac6" };

// Spans, by lane, as columns of numbers: start and end in milliseconds.
const lanes = [];
{
  const spans = profile.spans;
  let row = 0;
  for (const worker of profile.workers) {
    const count = worker.spans;
    const lane = { name: worker.name, first: row, count, start: new Float64Array(count), end: new Float64Array(count), rows: 1 };
    let time = 0;
    for (let n = 0; n < count; n++, row++) {
      time += spans.after[row];
      lane.start[n] = time / 1e6;
      lane.end[n] = (time + spans.time[row]) / 1e6;
      lane.rows = Math.max(lane.rows, spans.depth[row] + 1);
    }
    lanes.push(lane);
  }
}
const wall = profile.wall / 1e6;
const laneOf = (row) => lanes.find((lane) => row < lane.first + lane.count);

function inputName(input) {
  const path = profile.names[profile.files[profile.inputs.file[input]].path];
  const member = profile.inputs.member[input];
  return member ? `${path}(${profile.names[member - 1]})` : path;
}
function about(row) {
  const { input, label, items } = profile.spans;
  if (input[row]) return inputName(input[row] - 1) + (items[row] > 1 ? ` and ${items[row] - 1} more` : "");
  return label[row] ? profile.names[label[row] - 1] : "";
}

// Figures of each input and, behind them, of the linker itself: bytes by kind, and by portion for the treemap.
const inputCount = profile.inputs.file.length;
const written = Array.from({ length: inputCount + 1 }, () => new Float64Array(KINDS.length));
const portions = Array.from({ length: inputCount + 1 }, () => []);
for (const output of profile.outputs) {
  const kinds = output.portions.map((portion) => Math.max(0, KINDS.indexOf(portion.kind)));
  output.bytes.forEach((bytes, row) => {
    const owner = output.input[row] ? output.input[row] - 1 : inputCount, portion = output.portion[row];
    written[owner][kinds[portion]] += bytes;
    portions[owner].push([output.portions[portion].name, KINDS[kinds[portion]], bytes]);
  });
}
const inFile = (of) => of.reduce((sum, bytes, kind) => (kind === 3 ? sum : sum + bytes), 0);
const dropped = (input) => profile.inputs.unreferenced[input] + profile.inputs.comdat[input] + profile.inputs.folded[input] + profile.inputs.merged[input] + profile.inputs.unwind[input];
const groups = profile.groups.map((group, n) => ({ n, name: group.name, inputs: [], read: 0, time: 0, lost: 0, linked: 0, written: new Float64Array(KINDS.length), stages: group.time }));
for (let input = 0; input < inputCount; input++) {
  const group = groups[profile.inputs.group[input]];
  group.inputs.push(input);
  group.read += profile.inputs.read[input];
  group.time += profile.inputs.time[input];
  group.lost += dropped(input);
  group.linked += profile.inputs.fate[input] === 1 ? 0 : 1;
  written[input].forEach((bytes, kind) => { group.written[kind] += bytes; });
}
const outputSize = profile.outputs.reduce((sum, output) => sum + output.size, 0);
