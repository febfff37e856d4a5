// Search: crates, files and stages by a part of their name. Spans about them stand out on the time line.

function search(text) {
  const words = text.trim().toLowerCase();
  view.words = words;
  if (!words) {
    view.matches = null;
    $("found").textContent = "";
    inputTable(); draw(); drawTree();
    return;
  }
  const isGroup = groups.map((group) => group.name.toLowerCase().includes(words));
  const isInput = new Uint8Array(inputCount);
  let inputs = 0, bytes = 0, time = 0;
  for (let n = 0; n < inputCount; n++) {
    if (isGroup[profile.inputs.group[n]] || inputName(n).toLowerCase().includes(words)) {
      isInput[n] = 1; inputs++; bytes += inFile(written[n]); time += profile.inputs.time[n];
    }
  }
  const isStage = profile.stages.map((stage) => stage.name.toLowerCase().includes(words));
  const isLabel = profile.names.map((name) => name.toLowerCase().includes(words));
  const { input, stage, label, kind } = profile.spans;
  view.matches = new Set();
  for (let row = 0; row < stage.length; row++) {
    if (kind[row] !== WAIT && kind[row] !== MAIN && (isStage[stage[row]] || (input[row] && isInput[input[row] - 1]) || (label[row] && isLabel[label[row] - 1]))) view.matches.add(row);
  }
  $("found").textContent = `${number(inputs)} inputs, ${size(bytes)} in the output, ${ms(time)}; ${number(view.matches.size)} spans`;
  $("found").dataset.inputs = inputs;
  $("found").dataset.spans = view.matches.size;
  inputTable((row) => row.name.toLowerCase().includes(words) || (row.group !== undefined && isGroup[row.group]));
  draw(); drawTree();
}

// Brings the next match, or the one before, to the middle.
function nextMatch(by) {
  if (!view.matches || !view.matches.size) return;
  const middle = (view.from + view.to) / 2;
  const times = [...view.matches].map((row) => { const lane = laneOf(row); return [(lane.start[row - lane.first] + lane.end[row - lane.first]) / 2, row]; }).sort((a, b) => a[0] - b[0]);
  const found = by > 0 ? times.find(([time]) => time > middle + 1e-9) || times[0] : times.findLast(([time]) => time < middle - 1e-9) || times[times.length - 1];
  const row = found[1], lane = laneOf(row), length = Math.min(view.to - view.from, Math.max(8 * (lane.end[row - lane.first] - lane.start[row - lane.first]), wall / 200));
  view.from = found[0] - length / 2; view.to = found[0] + length / 2; view.hover = row;
  draw();
}

let typing = 0;
$("search").oninput = () => { clearTimeout(typing); typing = setTimeout(() => search($("search").value), 120); };
$("search").onkeydown = (event) => {
  if (event.key === "Enter") { clearTimeout(typing); search($("search").value); nextMatch(event.shiftKey ? -1 : 1); }
  if (event.key === "Escape") { $("search").value = ""; search(""); }
};
addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement.tagName !== "INPUT") { event.preventDefault(); $("search").focus(); }
});
