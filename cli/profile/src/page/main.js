// Puts the page together.

document.title = $("title").textContent = `Link of ${profile.link.output.split("/").pop()}`;
{
  const busy = profile.workers.reduce((sum, worker) => sum + worker.busy, 0);
  $("summary").textContent = [
    `${ms(profile.wall)} on ${profile.workers.length} worker${profile.workers.length === 1 ? "" : "s"} (${percent(busy, profile.wall * profile.workers.length)} % busy)`,
    `${number(inputCount)} inputs, ${size(profile.inputs.read.reduce((sum, n) => sum + n, 0))} read`,
    `${size(outputSize)} written`, profile.link.succeeded ? "" : "the link failed", profile.link.producer,
  ].filter(Boolean).join(" · ");
}
$("advice").append(...profile.advice.map((advice) => element("li", { textContent: advice.text })));
for (const link of document.querySelectorAll("nav a")) {
  const go = () => $(link.dataset.to).scrollIntoView({ behavior: "instant" });
  link.onclick = go;
  link.onkeydown = (event) => { if (event.key === "Enter") go(); };
}
$("each").onchange = () => search($("search").value);
addEventListener("resize", () => drawTree());
isDark.addEventListener("change", () => { draw(); stageTables(); pathTables(); });
stageTables();
pathTables();
inputTable();
whatifTable();
facts();
kindBar();
drawTree();
draw();
document.documentElement.dataset.ready = "yes";
