// What stands in the tables.

function stageTables() {
  const busy = profile.stages.reduce((sum, stage) => (stage.name === "(wait)" ? sum : sum + stage.busy), 0);
  const rows = profile.stages.map((stage, n) => ({ ...stage, n }));
  table("stage-table", [
    ["stage", (s) => s.name, null, true],
    ["busy", (s) => s.busy, (s) => ms(s.busy)],
    ["%", (s) => s.busy, (s) => (s.name === "(wait)" ? "" : percent(s.busy, busy))],
    ["processor", (s) => s.cpu, (s) => ms(s.cpu)],
    ["critical", (s) => s.critical, (s) => (s.critical ? ms(s.critical) : "")],
    ["from", (s) => s.from, (s) => ms(s.from)],
    ["to", (s) => s.to, (s) => ms(s.to)],
    ["spans", (s) => s.spans, (s) => number(s.spans)],
    ["items", (s) => s.items, (s) => (s.items ? number(s.items) : "")],
    ["bytes", (s) => s.bytes, (s) => (s.bytes ? size(s.bytes) : "")],
    ["MB/s", (s) => s.bytes / (s.busy || 1), (s) => (s.bytes && s.busy ? (s.bytes * 1e3 / s.busy).toFixed(0) : "")],
  ], rows, {
    sort: 1, chip: (s) => colour(s.n),
    onRow: (stage, line) => {
      line.tabIndex = 0; line.style.cursor = "pointer"; line.title = "show it alone on the time line";
      const choose = () => {
        view.only = view.only === stage.n ? null : stage.n;
        document.querySelectorAll("#stage-table tr.on").forEach((other) => other.classList.remove("on"));
        if (view.only !== null) line.classList.add("on");
        draw();
      };
      line.onclick = choose;
      line.onkeydown = (event) => { if (event.key === "Enter") choose(); };
    },
  });
  table("worker-table", [
    ["worker", (w) => w.name, null, true],
    ["busy", (w) => w.busy, (w) => ms(w.busy)],
    ["idle", (w) => w.idle, (w) => ms(w.idle)],
    ["% busy", (w) => w.busy, (w) => percent(w.busy, profile.wall)],
    ["processor", (w) => w.cpu, (w) => ms(w.cpu)],
    ["spans", (w) => w.spans, (w) => number(w.spans)],
    ["while others did", (w) => w.idle, (w) => w.waits.slice(0, 4).map(([stage, time]) => `${profile.stages[stage].name} ${ms(time)}`).join(", "), true],
  ], profile.workers);
  table("channel-table", [
    ["channel", (c) => c.flow + "/" + c.name, null, true],
    ["holds", (c) => c.capacity],
    ["messages", (c) => c.messages, (c) => number(c.messages)],
    ["mean", (c) => c.mean, (c) => c.mean.toFixed(1)],
    ["most", (c) => c.max],
    ["full for", (c) => c.full, (c) => ms(c.full)],
    ["empty for", (c) => c.empty, (c) => ms(c.empty)],
  ], profile.channels);
  table("phase-table", [
    ["step", (p) => p.start, (p) => profile.stages[p.stage].name, true],
    ["from", (p) => p.start, (p) => ms(p.start)],
    ["time", (p) => p.end - p.start, (p) => ms(p.end - p.start)],
    ["in program", (p) => p.usage.user, (p) => ms(p.usage.user)],
    ["in kernel", (p) => p.usage.system, (p) => ms(p.usage.system)],
    ["faults", (p) => p.usage.minor_faults, (p) => number(p.usage.minor_faults)],
    ["reading", (p) => p.usage.major_faults, (p) => number(p.usage.major_faults)],
    ["switches", (p) => p.usage.voluntary_switches, (p) => number(p.usage.voluntary_switches)],
    ["forced", (p) => p.usage.involuntary_switches, (p) => number(p.usage.involuntary_switches)],
  ], profile.phases);
}

function pathTables() {
  const steps = profile.critical.map((step) => ({ text: step.stage ? profile.stages[step.stage - 1].name : "(nobody)", share: step.end - step.start, stage: step.stage - 1, worker: step.worker, start: step.start }));
  // Neighbours too narrow to see are drawn as one.
  const parts = [];
  for (const step of steps) {
    const last = parts[parts.length - 1];
    if (last && last.text === step.text || last && step.share < profile.wall / 800) last.share += step.share;
    else parts.push({ ...step });
  }
  bar("path-bar", parts.map((part) => ({ ...part, back: part.stage < 0 ? ink("--idle") : colour(part.stage), title: `${part.text}: ${ms(part.share)} from ${ms(part.start)}` })), profile.wall);
  const stages = profile.stages.map((stage, n) => ({ ...stage, n })).filter((stage) => stage.critical);
  table("path-table", [
    ["stage", (s) => s.name, null, true],
    ["on the path", (s) => s.critical, (s) => ms(s.critical)],
    ["% of the link", (s) => s.critical, (s) => percent(s.critical, profile.wall)],
    ["of its work", (s) => s.critical / (s.busy || 1), (s) => percent(s.critical, s.busy) + " %"],
  ], stages, { sort: 1, chip: (s) => colour(s.n), limit: 15 });
}

function inputTable(filter = null) {
  const each = $("each").checked;
  const all = each
    ? Array.from({ length: inputCount }, (_, n) => ({ name: inputName(n), group: profile.inputs.group[n], read: profile.inputs.read[n], time: profile.inputs.time[n], lost: dropped(n), written: written[n], fate: ["linked", "not needed", "shared"][profile.inputs.fate[n]], n }))
    : groups.map((group) => ({ ...group, group: group.n, fate: `${group.linked}/${group.inputs.length}` }));
  const rows = filter ? all.filter((row) => filter(row)) : all;
  const kind = (name) => { const n = KINDS.indexOf(name); return [name, (r) => r.written[n], (r) => (r.written[n] ? size(r.written[n]) : "")]; };
  table("input-table", [
    [each ? "object" : "crate, archive or target", (r) => r.name, null, true],
    ["time", (r) => r.time, (r) => ms(r.time)],
    ["read", (r) => r.read, (r) => size(r.read)],
    ["in output", (r) => inFile(r.written), (r) => size(inFile(r.written))],
    ["%", (r) => inFile(r.written), (r) => percent(inFile(r.written), outputSize)],
    kind("code"), kind("read-only"), kind("data"), kind("bss"), kind("unwind"), kind("debug"), kind("symbols"),
    ["dropped", (r) => r.lost, (r) => size(r.lost)],
    ["linked", (r) => r.fate, null],
  ], rows, { sort: 1, limit: 500, onRow: (row, line) => { line.dataset.name = row.name; } });
  $("input-count").textContent = rows.length > 500 ? `500 of ${number(rows.length)} are shown` : `${number(rows.length)} rows`;
}

function whatifTable() {
  table("whatif-table", [
    ["workers", (p) => p.threads, null, true],
    ["time", (p) => p.wall, (p) => ms(p.wall)],
    ["speed-up", (p) => p.speedup, (p) => p.speedup.toFixed(2) + " ×"],
    ["one at work", (p) => p.serial, (p) => (p.serial * 100).toFixed(0) + " %"],
    ["limited by", (p) => p.limit, (p) => `${p.limit} (${ms(p.limit_time)} alone)`, true],
  ], profile.predictions);
  $("left-out").textContent = "LEFT-OUT";
}

function facts() {
  const { link, usage } = profile;
  const rows = [
    ["linker", link.producer], ["output", `${link.output} (${link.kind}, ${size(outputSize)})`], ["directory", link.directory],
    ["started", new Date(link.started * 1000).toISOString()],
    ["workers", `${link.threads} (${{ asked: "asked for", processors: "as many as processors", jobserver: "as many as the jobserver had tokens" }[link.threads_by] || link.threads_by}), ${link.processors} processors`],
    ["processor", link.processor], ["system", link.system], ["file system of the output", link.file_system],
    ["processor time", `${ms(usage.user)} in the program, ${ms(usage.system)} in the kernel`],
    ["page faults", `${number(usage.minor_faults)}, and ${number(usage.major_faults)} that read`],
    ["peak memory", `${size(usage.peak)}: at most ${size(usage.peak_anonymous)} of its own, ${size(usage.peak_mapped)} of files`],
    ["switches", `${number(usage.voluntary_switches)} voluntary, ${number(usage.involuntary_switches)} forced`],
    ["trace", `version ${profile.version}`],
  ];
  table("fact-table", [["", (r) => r[0], null, true], ["", (r) => r[1], null, true]], rows);
  $("command").textContent = link.command.join(" ");
}
