// What the steelmaker types is predicted at once: base + slope x difference of kilograms, exact because the model is affine.
"use strict";

const script = document.currentScript;
const BAR_WIDTH = 320;
const SIGNS = { inside: "✓ in", low: "▼ low", high: "▲ high", "": "" };
const estimates = JSON.parse(document.getElementById("estimates").textContent);
const rows = [...document.querySelectorAll("tr[data-additive]")].map((row) => ({
  row,
  name: row.dataset.additive,
  price: Number(row.dataset.price),
  recommended: Number(row.dataset.recommended),
  start: Number(row.dataset.start),
  increment: Number(row.dataset.increment),
  input: row.querySelector("input.kg"),
}));

const percent = (value) => value.toFixed(Math.abs(value) > 0 && Math.abs(value) < 0.01 ? 4 : 3);
const money = (value) => value.toFixed(2).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
const kilograms = (row) => (row.input ? Number(row.input.value) || 0 : row.start);
const differs = (row) =>
  Math.abs(kilograms(row) - row.recommended) > Math.max(row.increment, 0.02 * row.recommended) + 0.001;

function verdict(value, row) {
  const { min, max } = row.dataset;
  if (min === undefined && max === undefined) return "";
  if (min !== undefined && value < Number(min)) return "low";
  return max !== undefined && value > Number(max) ? "high" : "inside";
}

function showElement(element, estimate) {
  const row = document.querySelector(`tr[data-element="${element}"]`);
  if (!row) return;
  let shift = 0;
  for (const additive of rows) {
    shift += (estimate.slope[additive.name] || 0) * (kilograms(additive) - additive.start);
  }
  const predicted = estimate.predicted + shift;
  row.querySelector(".predicted-text").textContent = percent(predicted);
  const judged = verdict(predicted, row);
  const cell = row.querySelector(".verdict");
  cell.textContent = SIGNS[judged];
  cell.className = `verdict ${judged}`;
  const bar = row.querySelector("svg.bar");
  if (!bar) return;
  const left = Number(bar.dataset.left);
  const right = Number(bar.dataset.right);
  const x = (value) => Math.min(Math.max((value - left) / (right - left), 0), 1) * BAR_WIDTH;
  bar.querySelector(".predicted").setAttribute("cx", x(predicted));
  const interval = bar.querySelector(".interval");
  if (interval) {
    interval.setAttribute("x1", x(estimate.low + shift));
    interval.setAttribute("x2", x(estimate.high + shift));
  }
}

function show() {
  let cost = 0;
  let anyDiffers = false;
  for (const row of rows) {
    const kg = kilograms(row);
    cost += kg * row.price;
    row.row.querySelector(".cost").textContent = money(kg * row.price);
    row.row.classList.toggle("unused", kg === 0 && row.recommended === 0);
    row.row.classList.toggle("differs", differs(row));
    anyDiffers = anyDiffers || differs(row);
  }
  document.getElementById("cost").textContent = money(cost);
  if (estimates.basis !== "weighed") {
    for (const [element, estimate] of Object.entries(estimates.elements)) showElement(element, estimate);
  }
  const reason = document.getElementById("reason");
  const recommended = document.querySelector("input[name=recommendation_id]").value !== "";
  reason.required = anyDiffers && recommended;
  reason.closest("label").classList.toggle("needed", reason.required && reason.value === "");
}

const form = document.getElementById("decision");
if (form && rows.some((row) => row.input)) {
  const who = document.getElementById("decided-by");
  who.value = who.value || localStorage.getItem("decided_by") || "";
  form.addEventListener("input", show);
  form.addEventListener("submit", () => localStorage.setItem("decided_by", who.value));
  show();
}

// Something new about this heat: show it, unless somebody is typing.
async function look() {
  try {
    const answer = await fetch(script.dataset.api, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const known = await answer.json();
    const news =
      known.state !== script.dataset.state || String(known.completed_revision || 0) !== script.dataset.revision;
    const typing = document.activeElement && document.activeElement.matches("input, select");
    if (news && !typing) location.reload();
  } catch {
    // The backend is away for a moment; the next look finds it.
  }
}
setInterval(look, script.dataset.state === "registered" ? 500 : 3000);
