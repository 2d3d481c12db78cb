// One heat: what is typed is predicted at once. The outcome is affine in the kilograms, so base + slope × difference is exact;
// the square of the interval's half is a fixed part's plus that of what the kilograms bring.
import { kilograms as kg, money, percent, signed } from "./format.js";
import { onNews, refresh } from "./page.js";

const BAR_WIDTH = 320;
const SIGNS = { inside: "✓", tight: "◑", low: "▼", high: "▲" };
const HOLD_MS = 450;
const REPEAT_MS = 90;

let data;
let bins;
let touched = false;

// Fill {names} of a text.
const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const typed = (bin) => Number(bin.input.value.replace(",", ".")) || 0;
const differs = (bin) =>
  Math.abs(typed(bin) - bin.recommended) > Math.max(bin.increment, 0.02 * bin.recommended) + 0.001;

// wt % and the interval's half for what is typed.
function predict({ predicted, half, slope, growth }) {
  let value = predicted;
  let before = 0;
  let after = 0;
  for (const bin of bins) {
    value += (slope[bin.name] || 0) * (typed(bin) - bin.start);
    before += (growth[bin.name] || 0) * bin.start;
    after += (growth[bin.name] || 0) * typed(bin);
  }
  return { value, half: half === null ? null : Math.sqrt(Math.max(half ** 2 - before ** 2, 0) + after ** 2) };
}

function verdict({ min, max }, { value, half }) {
  if (min === null && max === null) return "";
  if (min !== null && value < min) return "low";
  if (max !== null && value > max) return "high";
  const sticksOut =
    half !== null && ((min !== null && value - half < min) || (max !== null && value + half > max));
  return sticksOut ? "tight" : "inside";
}

function showElement(element, estimate) {
  const now = predict(estimate);
  const judged = verdict(estimate, now);
  const row = document.querySelector(`tr[data-element="${element}"]`);
  row.className = judged;
  row.querySelector(".predicted-text").textContent = percent(now.value);
  row.querySelector(".verdict").textContent = judged ? `${SIGNS[judged]} ${data.verdicts[judged]}` : "";
  const bar = row.querySelector("svg.bar");
  if (bar) {
    const { left, right } = bar.dataset;
    const x = (pct) => Math.min(Math.max((pct - left) / (right - left), 0), 1) * BAR_WIDTH;
    bar.querySelector(".predicted").setAttribute("cx", x(now.value));
    bar.querySelector(".interval")?.setAttribute("x1", x(now.value - now.half));
    bar.querySelector(".interval")?.setAttribute("x2", x(now.value + now.half));
  }
  return judged;
}

function showSummary(judged) {
  const named = (wanted) => Object.keys(judged).filter((element) => wanted.includes(judged[element]));
  const outside = named(["low", "high"]);
  const edge = named(["tight"]);
  const summary = document.getElementById("summary");
  const count = Object.values(judged).filter(Boolean).length;
  const [kind, text] = outside.length
    ? ["outside", say(data.texts["confirm.outside"], { elements: outside.join(", ") })]
    : edge.length
      ? ["edge", say(data.texts["confirm.edge"], { elements: edge.join(", ") })]
      : ["all-in", say(data.texts["confirm.all_in"], { count })];
  summary.className = `summary ${kind}`;
  summary.textContent = count ? `${{ outside: "▲", edge: "◑", "all-in": "✓" }[kind]} ${text}` : "";
}

function showMoney(cost) {
  document.getElementById("cost").textContent = money(cost);
  const saving = document.getElementById("saving");
  if (!saving) return;
  const more = cost - data.handbookCost;
  const name = Math.abs(more) < 0.005 ? "same" : more < 0 ? "saves" : "costs";
  saving.textContent = say(data.texts[`confirm.${name}`], { amount: money(Math.abs(more)) });
}

function showTemperature() {
  const { predicted, slope } = data.temperature;
  const known = predicted !== null;
  let degrees = known ? predicted : 0;
  for (const bin of bins) degrees += (slope[bin.name] || 0) * (typed(bin) - (known ? bin.start : 0));
  document.getElementById("temperature").textContent = known ? degrees.toFixed(0) : signed(degrees);
}

function show() {
  let cost = 0;
  const different = [];
  for (const bin of bins) {
    const amount = typed(bin);
    cost += amount * bin.price;
    bin.cost.textContent = money(amount * bin.price);
    bin.row.classList.toggle("unused", amount === 0);
    bin.row.classList.toggle("differs", data.recommended && differs(bin));
    bin.row.classList.toggle("too-much", bin.most !== null && amount > bin.most);
    if (data.recommended && differs(bin)) different.push(`${bin.name} ${signed(amount - bin.recommended)} kg`);
  }
  const judged = {};
  for (const [element, estimate] of Object.entries(data.elements)) judged[element] = showElement(element, estimate);
  showSummary(judged);
  showMoney(cost);
  showTemperature();
  // Without a recommendation nothing is confirmed by a slip of the finger.
  document.querySelector(".confirm .go").disabled = !data.recommended && bins.every((bin) => typed(bin) === 0);
  const fieldset = document.getElementById("why-different");
  fieldset.hidden = different.length === 0;
  document.getElementById("different").textContent = different.join(", ");
  // One reason for all, or each its own; what does not differ has none.
  const apart = data.recommended ? bins.filter(differs).map((bin) => bin.name) : [];
  const own = new Set();
  for (const label of fieldset.querySelectorAll("#one-by-one label")) {
    const select = label.querySelector("select");
    label.hidden = !apart.includes(label.dataset.additive);
    if (label.hidden) select.value = "";
    if (select.value) own.add(label.dataset.additive);
  }
  document.getElementById("one-by-one").hidden = apart.length < 2 && own.size === 0;
  for (const radio of fieldset.querySelectorAll("input[type=radio]")) {
    radio.required = apart.some((name) => !own.has(name));
    if (!apart.length) radio.checked = false;
  }
}

// To the next whole bag in that direction, within what may be tipped.
function step(bin, direction) {
  const bags = typed(bin) / bin.increment;
  const whole = direction > 0 ? Math.floor(bags + 1e-6) + 1 : Math.ceil(bags - 1e-6) - 1;
  const most = bin.most === null ? Infinity : bin.most;
  bin.input.value = kg(Math.min(Math.max(whole * bin.increment, 0), most));
  touched = true;
  show();
}

function holdable(button, act) {
  let timer;
  const stop = () => clearTimeout(timer);
  const again = () => {
    act();
    timer = setTimeout(again, REPEAT_MS);
  };
  button.addEventListener("pointerdown", () => {
    timer = setTimeout(again, HOLD_MS);
  });
  for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) button.addEventListener(end, stop);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("click", act);
}

function prepareBin(row) {
  const name = row.dataset.additive;
  const bin = { row, name, ...data.additives[name], input: row.querySelector("input.kg"), cost: row.querySelector(".cost") };
  for (const button of row.querySelectorAll("button.step")) {
    holdable(button, () => step(bin, Number(button.dataset.step)));
  }
  bin.input.addEventListener("focus", () => bin.input.select());
  bin.input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      step(bin, event.key === "ArrowUp" ? 1 : -1);
    }
    // Enter in a number goes on to the next bin; only the button confirms.
    if (event.key === "Enter") {
      event.preventDefault();
      const next = bins[bins.indexOf(bin) + 1];
      (next?.input.offsetParent ? next.input : document.querySelector(".confirm .go")).focus();
    }
  });
  bin.input.addEventListener("input", () => {
    touched = true;
    show();
  });
  return bin;
}

function prepare() {
  data = JSON.parse(document.getElementById("heat-data").textContent);
  touched = document.querySelector(".notice.bad[role=alert]:not(.banner)") !== null;
  const form = document.getElementById("decision");
  if (!form) return;
  bins = [...document.querySelectorAll("tr[data-additive]")].map(prepareBin);
  document.getElementById("one-by-one").addEventListener("change", show);
  document.getElementById("back").addEventListener("click", () => {
    for (const bin of bins) bin.input.value = kg(bin.recommended);
    touched = false;
    show();
  });
  form.addEventListener("submit", () => {
    const go = form.querySelector(".go");
    go.setAttribute("aria-busy", "true");
    setTimeout(() => {
      go.disabled = true;
    });
  });
  const by = document.getElementById("decided-by");
  if (by) {
    by.value = by.value || localStorage.getItem("decided_by") || "";
    form.addEventListener("submit", () => localStorage.setItem("decided_by", by.value));
  }
  show();
}

prepare();
// News of this heat: shown at once, unless somebody is at work on it; then he is told, and decides when.
onNews(document.getElementById("fresh").dataset.watch, async () => {
  const form = document.getElementById("decision");
  if (form && (touched || form.contains(document.activeElement) || document.activeElement.matches("input.kg"))) {
    document.getElementById("changed").hidden = false;
  } else if (await refresh("fresh")) {
    prepare();
  }
});
