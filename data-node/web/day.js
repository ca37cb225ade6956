/* A day: what was known when, and what was recorded. */
import { $, guarded, make, said } from "./dom.js";
import { getJson } from "./api.js";
import { clock, dayText, midnight, toDate } from "./times.js";

const LAYERS = ["text", "visual", "auditory", "behaviour", "environment", "home"];
const FACETS = ["visual", "audio", "language", "device", "location", "environment", "body", "scene", "home"];
const OWN = ["hearth-night", "hearth-memory"]; // what the node says itself
const PAGE = 500;
const STEP_MS = 900000;

/* Local midnight to local midnight: 23 or 25 hours on some days. */
function dayRange() {
	return { from: midnight($("day").value), to: midnight($("day").value, 1) };
}

let slices = [], dayFrom = 0, nextCursor = null;

function valueText(value) {
	if (value.text)
		return value.text;
	if (value.data && typeof value.data === "object")
		return Object.entries(value.data).filter(([, v]) => v !== "" && v !== null)
			.map(([k, v]) => k + " " + (typeof v === "object" ? JSON.stringify(v) : v)).join(", ");
	return value.kind || "";
}

function eventItem(event) {
	const item = make("li");
	item.append(make("div", "meta",
		[clock(event.start), event.layer, event.kind, event.source].filter(Boolean).join(" · ")));
	const text = valueText(event);
	if (text)
		item.append(said("p", "", text));
	return item;
}

function chosenLayers() {
	return LAYERS.filter((layer) => $("layer-" + layer).checked);
}

async function loadEvents(append) {
	const { from, to } = dayRange();
	const layers = chosenLayers();
	const params = { from: from.toISOString(), to: to.toISOString(), limit: PAGE };
	if (layers.length < LAYERS.length)
		params.layer = layers.join(",");
	if (append && nextCursor)
		params.cursor = nextCursor;
	if (!append)
		$("events").replaceChildren();
	const page = layers.length ? await getJson("/api/v1/events", params) : { events: [], next: null };
	nextCursor = page.next;
	$("events").append(...page.events.filter((event) => !OWN.includes(event.source)).map(eventItem));
	$("events-more").hidden = !nextCursor;
	$("events-empty").hidden = $("events").children.length > 0;
}

function drawStrip() {
	const rows = FACETS.map((facet) => {
		const row = make("div", "row");
		const bar = make("div");
		for (const slice of slices) {
			const cell = slice && slice.cells && slice.cells[facet];
			bar.append(make("i", cell && cell.mode !== "absent" ? cell.mode : ""));
		}
		row.append(make("span", "", facet), bar);
		return row;
	});
	$("strip").replaceChildren(...rows);
}

function showMoment() {
	const at = Number($("moment").value);
	const slice = slices[at];
	const parts = [];
	$("moment-time").textContent = clock(new Date(dayFrom + at * STEP_MS));
	document.querySelectorAll(".strip .row div").forEach((bar) => {
		Array.from(bar.children).forEach((c, i) => c.classList.toggle("now", i === at));
	});
	for (const facet of FACETS) {
		const cell = slice && slice.cells && slice.cells[facet];
		if (!cell || cell.mode === "absent" || !cell.values.length)
			continue;
		const more = cell.values.length > 3 ? " (+" + (cell.values.length - 3) + ")" : "";
		const values = cell.values.slice(0, 3).map((v) => valueText(v).slice(0, 200)).join("\n");
		parts.push(make("dt", "", facet));
		const dd = said("dd", "", values + more + " ");
		dd.append(make("span", "meta", cell.mode + ", " + cell.certainty));
		parts.push(dd);
	}
	if (!parts.length)
		parts.push(make("dt", "", "–"), make("dd", "hint", "nothing known"));
	$("cells").replaceChildren(...parts);
}

async function loadSlices() {
	const { from, to } = dayRange();
	dayFrom = from.getTime();
	const count = Math.round((to.getTime() - dayFrom) / STEP_MS);
	slices = new Array(count).fill(null);
	$("moment").max = String(count - 1);
	/* A state is carried on for ever: what lies ahead is not known. */
	const until = new Date(Math.min(to.getTime(), Date.now()));
	const answer = until <= from ? { slices: [] } : await getJson("/api/v1/slices",
		{ from: from.toISOString(), to: until.toISOString(), step: "900s" });
	for (const slice of answer.slices) {
		const at = Math.floor((toDate(slice.start).getTime() - dayFrom) / STEP_MS);
		if (at >= 0 && at < count)
			slices[at] = slice;
	}
	const first = slices.findIndex((s) => s !== null);
	$("moment").value = String(first < 0 ? Math.floor(count / 2) : first);
	drawStrip();
	showMoment();
}

export async function loadDay() {
	if (!$("day").value)
		await chooseDay();
	await Promise.all([loadEvents(false), loadSlices()]);
}

/* The last day that holds something. */
async function chooseDay() {
	const status = await getJson("/api/v1/status");
	const last = status.store && status.store.last ? toDate(status.store.last) : new Date();
	const now = new Date();
	$("day").value = dayText(last < now ? last : now);
}

function moveDay(days) {
	$("day").value = dayText(midnight($("day").value, days));
	guarded(loadDay)();
}

export function startDay() {
	for (const layer of LAYERS) {
		const label = make("label");
		const box = make("input");
		box.type = "checkbox";
		box.id = "layer-" + layer;
		box.checked = true;
		box.addEventListener("change", guarded(() => loadEvents(false)));
		label.append(box, layer);
		$("layers").append(label);
	}
	$("day-form").addEventListener("submit", (event) => event.preventDefault());
	$("day").addEventListener("change", () => { if ($("day").value) guarded(loadDay)(); });
	$("day-before").addEventListener("click", () => moveDay(-1));
	$("day-after").addEventListener("click", () => moveDay(1));
	$("events-more").addEventListener("click", guarded(() => loadEvents(true)));
	$("moment").addEventListener("input", showMoment);
	$("strip").addEventListener("click", (event) => {
		const cell = event.target.closest("i");
		if (!cell)
			return;
		$("moment").value = String(Array.from(cell.parentNode.children).indexOf(cell));
		showMoment();
	});
}
