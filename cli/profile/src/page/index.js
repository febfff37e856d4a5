// All links of a build.

const { build, pages } = JSON.parse(document.getElementById("data").textContent).manifold;
const [start, end] = build.span, whole = Math.max(end - start, 1e-6);
const seconds = (value) => ms(value * 1e9);

$("summary").textContent = `${build.links.length} links, ${ms(build.link_time)} together. Of the ${seconds(whole)} from start to end, ${ms(build.covered)} (${percent(build.covered / 1e9, whole)} %) had a link running, ${ms(build.overlapping)} more than one.`;
$("axis").textContent = `0 to ${seconds(whole)}, from ${new Date(start * 1000).toISOString()}`;

// Each link in the first line that is free.
const lines = [];
for (const link of build.links) {
  const from = link.started - start, to = from + link.wall / 1e9;
  let line = lines.findIndex((free) => free <= from);
  if (line < 0) line = lines.push(0) - 1;
  lines[line] = to;
  const page = pages[link.file], name = link.output.split("/").pop();
  const mark = element(page ? "a" : "span", { textContent: name, title: `${link.output}\n${ms(link.wall)}, ${size(link.size)}, ${link.threads} workers` });
  if (page) mark.setAttribute("href", page);
  mark.style.cssText = `left:${100 * from / whole}%;width:${100 * (to - from) / whole}%;top:${line * 23 + 2}px`;
  $("lines").append(mark);
}
$("lines").style.height = Math.max(1, lines.length) * 23 + 4 + "px";

table("link-table", [
  ["output", (l) => l.output, null, true],
  ["time", (l) => l.wall, (l) => ms(l.wall)],
  ["work", (l) => l.busy, (l) => ms(l.busy)],
  ["workers", (l) => l.threads],
  ["size", (l) => l.size, (l) => size(l.size)],
  ["began", (l) => l.started, (l) => seconds(l.started - start)],
  ["costliest stage", (l) => l.stage, null, true],
  ["", (l) => (l.succeeded ? "" : "failed"), null, true],
], build.links, {
  sort: 1,
  onRow: (link, line) => { if (pages[link.file]) { const cell = line.firstChild, a = element("a", { textContent: cell.textContent }); a.setAttribute("href", pages[link.file]); cell.replaceChildren(a); } },
});
const busy = build.stages.reduce((sum, stage) => sum + stage[1], 0);
table("stage-table", [["stage", (s) => s[0], null, true], ["work", (s) => s[1], (s) => ms(s[1])], ["%", (s) => s[1], (s) => percent(s[1], busy)]], build.stages, { sort: 1 });
table("group-table", [["name", (g) => g[0], null, true], ["time", (g) => g[1], (g) => ms(g[1])], ["written", (g) => g[2], (g) => size(g[2])], ["links", (g) => g[3]]], build.groups, { sort: 1, limit: 300 });
table("advice-table", [["link", (a) => a[0], null, true], ["", (a) => a[1], null, true]], build.links.flatMap((link) => link.advice.map((text) => [link.output.split("/").pop(), text])), { limit: 200 });
table("command-table", [["command", (c) => c.command.join(" "), null, true], ["time", (c) => c.ended - c.started, (c) => seconds(c.ended - c.started)], ["status", (c) => c.status]], build.commands);
if (build.skipped.length) $("skipped").append(element("h2", { textContent: "Not read" }), element("ul", {}, ...build.skipped.map(([file, why]) => element("li", { textContent: `${file}: ${why}` }))));
document.documentElement.dataset.ready = "yes";
