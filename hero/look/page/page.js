"use strict";
/* The page of a run. All text of a run is set as text, never as markup. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const VERDICTS = {
    useful: ["✓ useful", "ok"], unnecessary: ["≈ unnecessary", "meh"],
    invalid: ["⊘ invalid", "bad"], failed: ["✗ failed", "bad"],
  };
  const percent = (p) => p >= 0.1 ? `${(100 * p).toFixed(0)} %` : p >= 0.001 ? `${(100 * p).toFixed(1)} %` : p > 0 ? `${(100 * p).toExponential(0)} %` : "0 %";
  const several = data.runs.length > 1;

  /** Makes an element; strings among its children are text. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
    return element;
  }
  const wrong = (turn) => turn.verdict !== undefined && turn.verdict !== "useful";

  /* ---- Curves ---- */
  const PANELS = [
    ["validation success", "%", [["sampled", null, "sampled"], ["greedy", null, "greedy"]]],
    ["training success", "%", [["rollout.success"]]],
    ["follow rate", "%", [["update.followed"], ["update.repeated"]]],
    ["teacher gap", "nats", [["update.teacher_gap"]]],
    ["loss", "", [["update.loss"]]],
    ["verdicts right", "%", [["quality.verdicts_right"], ["quality.faults_praised"]]],
    ["turns per episode", "", [["rollout.turns_per_episode"]]],
    ["mismatch", "nats", [["update.mismatch"]]],
  ];
  const HUES = [["#0b6bcb", "#6fb3ff"], ["#b3470a", "#ffab70"], ["#6b3fa0", "#c8a2ff"], ["#0c7a4d", "#6fdca8"]];
  let charts = [];

  function plots(panel) {
    const [, unit, wanted] = panel;
    const scale = unit === "%" ? 100 : 1;
    const found = [];
    data.runs.forEach((run, index) => {
      for (const [path, , mode] of wanted) {
        const rows = mode
          ? run.evals.filter((row) => row.mode === mode && row.success).map((row) => [row.step, scale * row.success.value, scale * row.success.low, scale * row.success.high])
          : run.steps.filter((row) => row[path] !== undefined).map((row) => [row.step, scale * row[path]]);
        if (rows.length) found.push({ run: index, number: wanted.findIndex((each) => each[0] === path && each[2] === mode), label: (several ? run.name + " " : "") + (mode || path.split(".").pop()), rows, band: mode === "sampled", dash: mode === "greedy" || path === wanted[1]?.[0] && !mode });
      }
    });
    return found;
  }

  function chart(panel) {
    const found = plots(panel);
    if (!found.length) return;
    const [title, unit] = panel;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches ? 1 : 0;
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--soft").trim(), line = style.getPropertyValue("--line").trim();
    const steps = [...new Set(found.flatMap((each) => each.rows.map((row) => row[0])))].sort((a, b) => a - b);
    const columns = [steps], series = [{ label: "step" }], bands = [];
    const at = (rows, column) => { const values = new Map(rows.map((row) => [row[0], row[column]])); return steps.map((step) => values.has(step) ? values.get(step) : null); };
    for (const each of found) {
      const hue = HUES[(several ? each.run : each.number) % HUES.length][dark];
      const number = (_, value) => value === null || value === undefined ? "–" : Math.abs(value) >= 0.01 || value === 0 ? value.toFixed(Math.abs(value) >= 10 ? 1 : 3) : value.toExponential(1);
      columns.push(at(each.rows, 1));
      series.push({ label: each.label, stroke: hue, width: 2, dash: each.dash ? [6, 4] : undefined, spanGaps: true, value: number, points: { show: steps.length < 30 } });
      if (each.band) {
        columns.push(at(each.rows, 3), at(each.rows, 2));
        series.push({ label: "high", class: "hidden", stroke: "transparent", spanGaps: true, value: number, points: { show: false } }, { label: "low", class: "hidden", stroke: "transparent", spanGaps: true, value: number, points: { show: false } });
        bands.push({ series: [columns.length - 2, columns.length - 1], fill: hue + "2e" });
      }
    }
    const alarmed = [...new Set(data.runs.flatMap((run) => run.alarms.map((alarm) => alarm.step)))];
    const box = make("div", { class: "chart" }, make("h3", {}, title + (unit ? `, ${unit}` : "")));
    const known = data.metrics.find((metric) => metric.path === (panel[2][0][0] || ""));
    box.append(make("p", {}, known ? `Good: ${known.good}.${known.bad ? ` Bad: ${known.bad}.` : ""}`.replaceAll("`", "") : panel[0] === "validation success" ? "With 95 % intervals of the sampled policy." : ""));
    byId("charts").append(box);
    const place = make("div", { role: "img", "aria-label": found.map((each) => `${each.label}: ${each.rows[0][1].toPrecision(3)} at step ${each.rows[0][0]}, ${each.rows.at(-1)[1].toPrecision(3)} at step ${each.rows.at(-1)[0]}`).join("; ") });
    box.append(place);
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
    const plot = new uPlot({
      width: Math.max(200, box.clientWidth - 18), height: 170, series, bands,
      axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }, { ...axis, size: 54, values: (_, splits) => splits.map((value) => value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(4)))) }],
      scales: { x: { time: false }, ...(unit === "%" ? { y: { range: [0, 100] } } : {}) },
      cursor: { sync: { key: "steps" }, drag: { x: true, y: false } },
      hooks: {
        draw: [(u) => {
          u.ctx.save(); u.ctx.strokeStyle = style.getPropertyValue("--bad").trim(); u.ctx.setLineDash([2, 4]);
          for (const step of alarmed) {
            const x = u.valToPos(step, "x", true);
            u.ctx.beginPath(); u.ctx.moveTo(x, u.bbox.top); u.ctx.lineTo(x, u.bbox.top + u.bbox.height); u.ctx.stroke();
          }
          u.ctx.restore();
        }],
      },
    }, columns, place);
    charts.push([plot, box]);
  }

  const added = [];
  function draw() {
    charts.forEach(([plot]) => plot.destroy());
    charts = [];
    byId("charts").replaceChildren();
    [...PANELS, ...added].forEach(chart);
    if (!charts.length) byId("charts").append(make("p", { class: "soft" }, "There are no steps to plot."));
  }
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(() => charts.forEach(([plot, box]) => plot.setSize({ width: Math.max(200, box.clientWidth - 18), height: 170 }))).observe(byId("charts"));
  const paths = [...new Set(data.runs.flatMap((run) => run.steps.flatMap((row) => Object.keys(row))))].filter((path) => path !== "step");
  byId("metric").append(make("option", { value: "" }, "choose ..."), ...paths.map((path) => make("option", { value: path }, path)));
  byId("metric").addEventListener("change", (event) => {
    const shown = [...PANELS, ...added].some((panel) => panel[2].some((each) => each[0] === event.target.value));
    if (event.target.value && !shown) { added.push([event.target.value, "", [[event.target.value]]]); draw(); }
  });
  for (const run of data.runs) for (const alarm of run.alarms) byId("alarms").append(make("li", {}, `⚠ ${several ? run.name + ", " : ""}step ${alarm.step}, ${alarm.name}: ${alarm.text}`));

  /* ---- Episodes ---- */
  const episodes = data.episodes;
  episodes.forEach((episode, index) => { episode.index = index; episode.wrong = episode.turns.filter(wrong).length; });
  const result = (episode) => episode.success ? "✓ solved" : episode.error ? "! error" : "✗ not solved";
  const COLUMNS = [
    ["step", (e) => e.step, "number"], ["task", (e) => e.task, ""], ["result", result, ""], ["reward", (e) => Number(e.reward.toFixed(3)), "number"],
    ["turns", (e) => e.turns.length, "number"], ["wrong", (e) => e.wrong, "number"],
  ];
  if (several) COLUMNS.unshift(["run", (e) => data.runs[e.run].name, ""]);
  let sorted = [null, 1], shown = [], current = null, second = null, limit = 200;
  const filters = {};

  function option(name, label, values) {
    const field = make("select", { name, onchange: refresh }, make("option", { value: "" }, "any"), ...values.map((value, index) => make("option", { value: name === "run" ? String(index) : String(value) }, String(value))));
    filters[name] = field;
    return values.length > 1 ? make("label", {}, label, field) : "";
  }
  const unique = (get) => [...new Set(episodes.map(get))];
  const search = make("input", { type: "search", name: "text", placeholder: "words in actions, pages, reviews", oninput: refresh });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").append(...[
    option("run", "run", several ? data.runs.map((run) => run.name) : []),
    option("split", "episodes of", unique((e) => e.split)),
    option("mode", "drawn", unique((e) => e.mode)),
    option("step", "step", unique((e) => e.step).sort((a, b) => a - b)),
    option("result", "result", unique(result)),
    option("verdict", "has a turn", unique((e) => e).length ? Object.keys(VERDICTS).filter((verdict) => episodes.some((e) => e.turns.some((t) => t.verdict === verdict))) : []),
    option("stop", "ended by", unique((e) => e.stop)),
    make("label", {}, "text", search),
  ].filter(Boolean));
  const words = (e) => e.words ??= [e.task, e.error, ...e.opening.slice(-1).map((n) => data.texts[n]), ...e.turns.flatMap((t) => [t.action, t.observation, t.cause, t.advice, t.feedback])].join("\n").toLowerCase();
  const rest = data.runs.filter((run) => !run.scored && run.steps.length);
  byId("hint").textContent = data.runs.some((run) => run.shown < run.played) ? `${data.runs.map((run) => `${run.shown} of ${run.played}`).join(", ")} episodes are on this page, of steps that are evenly spread. ` : "";
  if (rest.length) byId("hint").textContent += `Tokens are not scored yet: hero score ${rest[0].path} does that, then open this page again.`;
  else if (data.runs.some((run) => run.scored)) byId("hint").append(...legend());

  function legend() {
    return ["Of each token of an action: ", make("span", { class: "token less s3" }, "the teacher, who knows better, finds it less likely"), " or ", make("span", { class: "token more s3" }, "likelier"), " than the student. Hover, tap or tab for both probabilities."];
  }

  function refresh() { limit = 200; list(); }
  function matches(episode) {
    const is = (name, value) => !filters[name].value || filters[name].value === String(value);
    const text = search.value.trim().toLowerCase();
    return is("run", episode.run) && is("split", episode.split) && is("mode", episode.mode) && is("step", episode.step) && is("result", result(episode)) && is("stop", episode.stop)
      && (!filters.verdict.value || episode.turns.some((turn) => turn.verdict === filters.verdict.value)) && (!text || words(episode).includes(text));
  }
  function list() {
    shown = episodes.filter(matches);
    if (sorted[0] !== null) {
      const get = COLUMNS[sorted[0]][1];
      shown.sort((a, b) => { const [x, y] = [get(a), get(b)]; return sorted[1] * (x < y ? -1 : x > y ? 1 : 0) || a.index - b.index; });
    }
    const head = make("tr", {}, ...COLUMNS.map(([name, , kind], index) => make("th", { class: kind, "aria-sort": sorted[0] === index ? (sorted[1] > 0 ? "ascending" : "descending") : "none" },
      make("button", { type: "button", onclick: () => { sorted = [index, sorted[0] === index ? -sorted[1] : 1]; list(); } }, name + (sorted[0] === index ? (sorted[1] > 0 ? " ▲" : " ▼") : "")))));
    const rows = shown.slice(0, limit).map((episode) => make("tr", { "data-index": episode.index, "aria-selected": String(episode === current), onclick: () => open(episode) },
      ...COLUMNS.map(([name, get, kind]) => make("td", { class: name === "result" ? (episode.success ? "ok" : "bad") : kind }, String(get(episode))))));
    const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
    const more = shown.length > limit ? make("button", { class: "load", type: "button", onclick: () => { limit += 500; list(); } }, `${shown.length - limit} more ...`) : "";
    byId("list").replaceChildren(make("p", { class: "soft" }, `${shown.length} of ${episodes.length} episodes`), table, more);
  }

  function long(text, lines = 9) {
    const element = make("p", { class: "text" }, text);
    if (text.split("\n").length <= lines && text.length < 900) return element;
    element.classList.add("long");
    const button = make("button", { type: "button", onclick: () => { button.textContent = element.classList.toggle("long") ? "show all" : "show less"; } }, "show all");
    return make("div", {}, element, button);
  }
  const spell = (text) => text === null ? "⏎ end" : text === "" ? "(part of a character)" : JSON.stringify(text).slice(1, -1);

  function token([text, student, teacher, likeliest]) {
    const gap = teacher - student, size = [0.1, 0.5, 1.5, 4].filter((least) => Math.abs(gap) >= least).length;
    const label = `${spell(text)}: student ${percent(Math.exp(student))}, teacher ${percent(Math.exp(teacher))}`;
    const element = make("span", { class: `token ${size ? (gap < 0 ? "less" : "more") : ""} s${size} ${text === null ? "end" : ""}`, tabindex: "0", "aria-label": label }, text === null ? "⏎" : text);
    const show = (event) => tip(element, text, student, teacher, likeliest, event);
    element.addEventListener("mouseenter", show); element.addEventListener("focus", show);
    element.addEventListener("mouseleave", hide); element.addEventListener("blur", hide);
    return element;
  }
  function hide() { byId("tip").hidden = true; }
  function tip(element, text, student, teacher, likeliest) {
    const row = (name, p) => make("tr", {}, make("td", {}, name), make("td", {}, percent(Math.exp(p))));
    const box = byId("tip");
    box.replaceChildren(make("strong", {}, spell(text)), make("table", {}, row("student", student), row("teacher, with hindsight", teacher)),
      make("div", { class: "soft" }, "the teacher's likeliest"), make("table", {}, ...likeliest.map(([other, p]) => row(spell(other), p))));
    box.hidden = false;
    const at = element.getBoundingClientRect();
    box.style.left = `${Math.max(4, Math.min(at.left, innerWidth - box.offsetWidth - 4))}px`;
    box.style.top = `${at.bottom + box.offsetHeight + 8 < innerHeight ? at.bottom + 6 : Math.max(4, at.top - box.offsetHeight - 6)}px`;
  }

  function turnCard(turn, number) {
    const [name, kind] = VERDICTS[turn.verdict] || ["", ""];
    const action = make("p", { class: "text" }, ...(turn.tokens ? turn.tokens.map(token) : [turn.action]));
    const pair = (term, ...content) => [make("dt", {}, term), make("dd", {}, ...content)];
    const worst = (turn.tokens || []).reduce((least, each) => !least || each[2] - each[1] < least[2] - least[1] ? each : least, null);
    const facts = [];
    if (worst && worst[2] - worst[1] < -1.5 && worst[3].length) facts.push(...pair("teacher", `${worst[0] === worst[3][0][0] ? "finds" : "would not say"} “${spell(worst[0])}” ${worst[0] === worst[3][0][0] ? "less likely " : ""}(student ${percent(Math.exp(worst[1]))}, teacher ${percent(Math.exp(worst[2]))})${worst[0] === worst[3][0][0] ? "" : ` but “${spell(worst[3][0][0])}” (${percent(Math.exp(worst[3][0][1]))})`}`));
    return make("section", { class: `turn ${wrong(turn) ? "wrong" : ""}`, "data-turn": number, "aria-label": `turn ${number + 1}` },
      make("header", {}, make("h3", {}, `Turn ${number + 1}`), name ? make("span", { class: kind }, name) : "", turn.valid === false ? make("span", { class: "bad" }, "⊘ the environment could not act on it") : "", turn.cut_off ? make("span", { class: "bad" }, "✂ cut off") : "", turn.reward ? make("span", { class: "soft" }, `reward ${Number(turn.reward.toFixed(3))}`) : ""),
      make("dl", {}, ...pair("did", turn.tokens ? action : long(turn.action)),
        ...(turn.cause ? pair("review", turn.cause) : []), ...(turn.advice ? pair("instead", make("p", { class: "text" }, turn.advice)) : []),
        ...(turn.would ? pair("teacher would", make("p", { class: "text" }, turn.would)) : []), ...facts,
        ...(turn.feedback ? pair("feedback", long(turn.feedback)) : []), ...pair("then", turn.observation ? long(turn.observation) : make("span", { class: "soft" }, "nothing"))));
  }
  function name(episode) { return `${several ? data.runs[episode.run].name + ", " : ""}${episode.key}, step ${episode.step}${episode.split === "training" ? "" : ", " + episode.mode}`; }
  function column(episode) {
    const opening = episode.opening.map((number) => data.texts[number]);
    const faults = episode.turns.map((turn, number) => wrong(turn) ? number : -1).filter((number) => number >= 0);
    return make("article", {},
      make("h3", {}, name(episode)),
      make("p", {}, make("span", { class: episode.success ? "ok" : "bad" }, result(episode)), ` task ${episode.task}, reward ${Number(episode.reward.toFixed(3))}, ended by ${episode.stop}`, episode.author ? `, reviewed by ${episode.author}` : "", episode.problem ? `; the review failed: ${episode.problem}` : ""),
      episode.error ? make("p", { class: "bad" }, episode.error) : "",
      faults.length ? make("p", {}, "Wrong turns: ", ...faults.map((number) => make("button", { type: "button", onclick: (event) => jump(event.target.closest("article"), number) }, String(number + 1)))) : "",
      opening.length > 1 ? make("details", {}, make("summary", {}, "Instructions"), ...opening.slice(0, -1).map((text) => make("p", { class: "text" }, text))) : "",
      opening.length ? make("div", {}, make("p", { class: "soft" }, "saw"), long(opening.at(-1), 14)) : "",
      ...episode.turns.map(turnCard));
  }
  function jump(article, number) {
    article.querySelectorAll(".here").forEach((each) => each.classList.remove("here"));
    const turn = article.querySelector(`[data-turn="${number}"]`);
    turn.classList.add("here");
    turn.scrollIntoView({ block: "center" });
  }

  function open(episode, keepSecond = false, named = true) {
    current = episode;
    if (!keepSecond) second = null;
    hide();
    const others = episodes.filter((other) => other !== episode && other.task === episode.task);
    const beside = make("select", { "aria-label": "beside", onchange: (event) => { second = event.target.value === "" ? null : episodes[Number(event.target.value)]; open(episode, true); } },
      make("option", { value: "" }, others.length ? `beside ... (${others.length} of the same task)` : "no other episode of this task"),
      ...others.map((other) => make("option", { value: String(other.index), selected: other === second }, `${name(other)}: ${result(other)}`)));
    byId("detail").replaceChildren(
      make("div", { class: "bar" }, make("button", { type: "button", onclick: () => move(-1) }, "← previous"), make("button", { type: "button", onclick: () => move(1) }, "next →"),
        make("button", { type: "button", onclick: nextWrong }, "next wrong turn"), beside),
      make("div", { class: second ? "columns two" : "columns" }, column(episode), ...(second ? [column(second)] : [])));
    document.querySelectorAll("#list tr[data-index]").forEach((row) => row.setAttribute("aria-selected", String(Number(row.dataset.index) === episode.index)));
    if (named) history.replaceState(null, "", `#${episode.run}/${episode.key}`);
  }
  function move(by) {
    if (!shown.length) return;
    const at = shown.indexOf(current), next = shown[Math.max(0, Math.min(shown.length - 1, at + by))];
    if (shown.indexOf(next) >= limit) { limit += 500; list(); }
    open(next);
    document.querySelector(`#list tr[data-index="${next.index}"]`)?.scrollIntoView({ block: "nearest" });
  }
  function nextWrong() {
    const article = byId("detail").querySelector("article");
    const faults = current ? current.turns.map((turn, number) => wrong(turn) ? number : -1).filter((number) => number >= 0) : [];
    const here = article?.querySelector(".here");
    const next = faults.find((number) => !here || number > Number(here.dataset.turn));
    if (next !== undefined) { jump(article, next); return; }
    const later = shown.slice(shown.indexOf(current) + 1).find((episode) => episode.wrong);
    if (later) { open(later); jump(byId("detail").querySelector("article"), later.turns.findIndex(wrong)); }
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName || "")) {
      if (event.key === "Escape") document.activeElement.blur();
      return;
    }
    const keys = { j: () => move(1), k: () => move(-1), w: nextWrong, "/": () => search.focus(), Escape: hide };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  list();
  const linked = () => episodes.find((episode) => `#${episode.run}/${episode.key}` === location.hash);
  addEventListener("hashchange", () => { const episode = linked(); if (episode && episode !== current) open(episode); });
  addEventListener("scroll", hide, { passive: true, capture: true });
  const first = linked() || shown.find((episode) => !episode.success && episode.wrong) || shown[0];
  if (first) open(first, false, !location.hash || Boolean(linked()));
  else byId("detail").append(make("p", { class: "soft" }, "There are no episodes."));

  /* ---- Tables ---- */
  const last = (path) => data.runs.map((run) => {
    const value = path.includes(".") || path === "examples" ? run.steps.at(-1)?.[path] : run.evals.filter((row) => row.mode === "sampled").at(-1)?.[path]?.value;
    return value === undefined || value === null ? "–" : Math.abs(value) >= 0.001 || value === 0 ? String(Number(value.toPrecision(4))) : value.toExponential(1);
  });
  byId("metric-table").append(
    make("thead", {}, make("tr", {}, ...["metric", ...data.runs.map((run) => several ? run.name : "newest"), "what it is", "good", "bad"].map((text) => make("th", {}, text)))),
    make("tbody", {}, ...data.metrics.map((metric) => make("tr", {}, ...[metric.path, ...last(metric.path), metric.meaning, metric.good, metric.bad].map((text) => make("td", {}, text.replaceAll("`", "")))))));
  const names = [...new Set(data.runs.flatMap((run) => run.facts.map(([key]) => key)))];
  byId("setting-table").append(
    ...(several ? [make("thead", {}, make("tr", {}, ...["", ...data.runs.map((run) => run.name)].map((text) => make("th", {}, text))))] : []),
    make("tbody", {}, ...names.map((key) => make("tr", {}, make("th", {}, key), ...data.runs.map((run) => make("td", {}, new Map(run.facts).get(key) || ""))))));
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
