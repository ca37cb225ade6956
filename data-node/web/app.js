/*
 * The owner's page: talks to the node's own API with the token kept in this
 * browser.  Everything that comes from the timeline or a model is set as text,
 * never as markup.
 */
"use strict";

const LAYERS = ["text", "visual", "auditory", "behaviour", "environment", "home"];
const FACETS = ["visual", "audio", "language", "device", "location", "environment", "body", "scene", "home"];
const TOKEN_KEY = "hearth-token";
const STEPS_A_DAY = 96;
const PAGE = 500;
const REFRESH_MS = 5000;

const $ = (id) => document.getElementById(id);

function make(tag, className, text) {
	const node = document.createElement(tag);
	if (className)
		node.className = className;
	if (text !== undefined)
		node.textContent = text;
	return node;
}

// ---- the API ------------------------------------------------------------------

function token() {
	return localStorage.getItem(TOKEN_KEY) || "";
}

class ApiError extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

async function call(path, options) {
	const init = Object.assign({ cache: "no-store", credentials: "omit" }, options);
	init.headers = Object.assign({ Authorization: "Bearer " + token() }, init.headers);
	let response;
	try {
		response = await fetch(path, init);
	} catch (e) {
		if (e.name === "AbortError")
			throw e;
		throw new ApiError(0, "The node does not answer.");
	}
	if (response.ok)
		return response;
	let message = "The node answered " + response.status + ".";
	try {
		message = (await response.json()).error.message;
	} catch (e) {
		/* not JSON: the status has to do */
	}
	if (response.status === 401)
		showGate("This token is not valid here.");
	throw new ApiError(response.status, message);
}

async function getJson(path, params) {
	const query = new URLSearchParams(params).toString();
	return (await call(query ? path + "?" + query : path)).json();
}

function notice(text) {
	$("notice").textContent = text || "";
	$("notice").hidden = !text;
}

function guarded(work) {
	return async (...args) => {
		notice("");
		try {
			await work(...args);
		} catch (e) {
			if (e.name !== "AbortError")
				notice(e.message);
		}
	};
}

// ---- times ----------------------------------------------------------------------

/* RFC 3339 with nanoseconds, or integer nanoseconds, to a Date. */
function toDate(start) {
	if (typeof start === "number")
		return new Date(start / 1e6);
	return new Date(String(start).replace(/(\.\d{3})\d+/, "$1"));
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function clock(start) {
	const date = toDate(start);
	return isNaN(date) ? String(start) : clockFormat.format(date);
}

function full(start) {
	const date = toDate(start);
	return isNaN(date) ? String(start) : fullFormat.format(date);
}

function dayText(date) {
	const two = (n) => String(n).padStart(2, "0");
	return date.getFullYear() + "-" + two(date.getMonth() + 1) + "-" + two(date.getDate());
}

/* Local midnight to local midnight: 23 or 25 hours on some days. */
function dayRange() {
	const [y, m, d] = $("day").value.split("-").map(Number);
	return { from: new Date(y, m - 1, d), to: new Date(y, m - 1, d + 1) };
}

// ---- the gate -------------------------------------------------------------------

function showGate(text) {
	$("gate").hidden = false;
	document.querySelectorAll("[role=tabpanel]").forEach((p) => { p.hidden = true; });
	notice(text);
	$("token").focus();
}

$("gate").addEventListener("submit", guarded(async (event) => {
	event.preventDefault();
	localStorage.setItem(TOKEN_KEY, $("token").value.trim());
	$("token").value = "";
	await refreshStatus();
	$("gate").hidden = true;
	select("ask");
}));

$("forget-token").addEventListener("click", () => {
	localStorage.removeItem(TOKEN_KEY);
	showGate("");
});

// ---- tabs -----------------------------------------------------------------------

const TABS = ["ask", "day", "search", "status"];
let current = "ask";

function select(name) {
	current = name;
	for (const tab of TABS) {
		const on = tab === name;
		$("tab-" + tab).setAttribute("aria-selected", String(on));
		$("tab-" + tab).tabIndex = on ? 0 : -1;
		$("panel-" + tab).hidden = !on;
	}
	if (name === "day")
		guarded(loadDay)();
	if (name === "status")
		guarded(refreshStatus)();
	if (name === "ask")
		$("question").focus();
	if (name === "search")
		$("query").focus();
}

$("tabs").addEventListener("click", (event) => {
	const tab = event.target.closest("[role=tab]");
	if (tab && token())
		select(tab.id.slice(4));
});

$("tabs").addEventListener("keydown", (event) => {
	const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
	if (!step || !token())
		return;
	const next = TABS[(TABS.indexOf(current) + step + TABS.length) % TABS.length];
	select(next);
	$("tab-" + next).focus();
});

// ---- asking ---------------------------------------------------------------------

const conversation = [];
let running = null; // AbortController of the answer in progress

/* Events out of a stream of server-sent events. */
async function* sse(response) {
	const reader = response.body.getReader();
	const decoder = new TextDecoder();
	let rest = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done)
			return;
		rest += decoder.decode(value, { stream: true });
		const blocks = rest.split(/\r?\n\r?\n/);
		rest = blocks.pop();
		for (const block of blocks) {
			const data = block.split(/\r?\n/).filter((l) => l.startsWith("data:"))
				.map((l) => l.slice(5).replace(/^ /, "")).join("\n");
			if (data)
				yield data;
		}
	}
}

function showSources(hearth) {
	if (!hearth || !hearth.sources || !hearth.sources.length)
		return;
	const list = make("ol", "sources");
	list.setAttribute("aria-label", "Sources");
	for (const source of hearth.sources) {
		const item = make("li");
		item.append(make("div", "meta", full(source.start) + " · " + source.layer));
		item.append(make("div", "", source.quote || ""));
		list.append(item);
	}
	$("talk").append(list);
}

function setBusy(busy) {
	$("send").hidden = busy;
	$("stop").hidden = !busy;
	$("talk").setAttribute("aria-busy", String(busy));
}

/* Read the stream into `answer`; gives back its text and the sources. */
async function readAnswer(response, answer) {
	let text = "", hearth = null, done = false;
	for await (const data of sse(response)) {
		if (data === "[DONE]") {
			done = true;
			break;
		}
		const chunk = JSON.parse(data);
		if (chunk.error)
			throw new ApiError(0, chunk.error.message || "The answer ended in an error.");
		const delta = chunk.choices && chunk.choices[0] && chunk.choices[0].delta;
		if (delta && delta.content) {
			text += delta.content;
			answer.textContent = text;
		}
		if (chunk.hearth)
			hearth = chunk.hearth;
	}
	if (!done)
		throw new ApiError(0, "The answer broke off.");
	return { text, hearth };
}

async function ask(question) {
	const answer = make("div", "a waiting");
	$("hello").hidden = true;
	$("fresh").hidden = false;
	$("talk").append(make("div", "q", question), answer);
	answer.scrollIntoView({ block: "nearest" });
	conversation.push({ role: "user", content: question });
	running = new AbortController();
	setBusy(true);
	try {
		const response = await call("/v1/chat/completions", {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ model: "hearth", stream: true, messages: conversation }),
			signal: running.signal,
		});
		const { text, hearth } = await readAnswer(response, answer);
		conversation.push({ role: "assistant", content: text });
		if (hearth && hearth.mode === "recall-only")
			$("talk").append(make("div", "note", "Answered from your moments alone: no model is up."));
		showSources(hearth);
	} catch (e) {
		if (conversation.length && conversation[conversation.length - 1].role === "user")
			conversation.pop();
		if (e.name === "AbortError")
			$("talk").append(make("div", "note", "Stopped."));
		else
			throw e;
	} finally {
		running = null;
		answer.classList.remove("waiting");
		setBusy(false);
	}
}

$("ask").addEventListener("submit", guarded(async (event) => {
	event.preventDefault();
	const question = $("question").value.trim();
	if (!question || running)
		return;
	$("question").value = "";
	fitQuestion();
	await ask(question);
}));

function fitQuestion() {
	$("question").rows = Math.min(8, $("question").value.split("\n").length);
}

$("question").addEventListener("input", fitQuestion);
$("question").addEventListener("keydown", (event) => {
	if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
		event.preventDefault();
		$("ask").requestSubmit();
	}
});
$("stop").addEventListener("click", () => { if (running) running.abort(); });
$("fresh").addEventListener("click", () => {
	if (running)
		running.abort();
	conversation.length = 0;
	$("talk").replaceChildren();
	$("hello").hidden = false;
	$("fresh").hidden = true;
	$("question").focus();
});

// ---- the day --------------------------------------------------------------------

let slices = [], dayFrom = 0, dayStepMs = 0, nextCursor = null;

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
		item.append(make("p", "", text));
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
	// What the node says about events (labels) is shown in the slices.
	$("events").append(...page.events.filter((event) => !["hearth-night", "hearth-memory"].includes(event.source)).map(eventItem));
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
	$("moment-time").textContent = clockFormat.format(new Date(dayFrom + at * dayStepMs));
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
		const dd = make("dd", "", values + more + " ");
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
	dayStepMs = 900000;
	const count = Math.round((to.getTime() - dayFrom) / dayStepMs);
	slices = new Array(count).fill(null);
	$("moment").max = String(count - 1);
	/* A state is carried on for ever: what lies ahead is not known. */
	const until = new Date(Math.min(to.getTime(), Date.now()));
	const answer = until <= from ? { slices: [] } : await getJson("/api/v1/slices",
		{ from: from.toISOString(), to: until.toISOString(), step: "900s" });
	for (const slice of answer.slices) {
		const at = Math.floor((toDate(slice.start).getTime() - dayFrom) / dayStepMs);
		if (at >= 0 && at < count)
			slices[at] = slice;
	}
	const first = slices.findIndex((s) => s !== null);
	$("moment").value = String(first < 0 ? Math.floor(count / 2) : first);
	drawStrip();
	showMoment();
}

async function loadDay() {
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
	const { from } = dayRange();
	$("day").value = dayText(new Date(from.getFullYear(), from.getMonth(), from.getDate() + days));
	guarded(loadDay)();
}

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

// ---- search ---------------------------------------------------------------------

$("search").addEventListener("submit", guarded(async (event) => {
	event.preventDefault();
	const q = $("query").value.trim();
	if (!q)
		return;
	const { results } = await getJson("/api/v1/search", { q, k: 50 });
	$("results").replaceChildren(...results.map((hit) => {
		const item = make("li");
		item.append(make("div", "meta", [full(hit.start), hit.layer, hit.source].join(" · ")));
		item.append(make("p", "", hit.text || ""));
		return item;
	}));
	$("results-empty").hidden = results.length > 0;
}));

// ---- status ---------------------------------------------------------------------

function facts(list, pairs) {
	list.replaceChildren(...pairs.flatMap(([name, value]) =>
		[make("dt", "", name), make("dd", "", value)]));
}

function megabytes(bytes) {
	return (bytes / 1048576).toFixed(1) + " MiB";
}

function showCompute(nodes) {
	$("compute").replaceChildren(...nodes.map((node) => {
		const item = make("li");
		item.append(make("span", "state " + node.state, node.name + ": " + node.state + (node.drain ? ", " + node.drain : "")));
		item.append(make("div", "meta", node.address));
		for (const model of node.models || [])
			item.append(make("div", "meta", model.name + " · context " + model.context));
		return item;
	}));
	if (!nodes.length)
		$("compute").append(make("li", "hint", "None yet: data-node compute add"));
}

async function refreshStatus() {
	const s = await getJson("/api/v1/status");
	const up = s.compute.filter((node) => node.state === "up").length;
	$("light").className = "light " + (up ? "up" : "down");
	$("light").textContent = up ? "model ready" : "no model: moments only";
	facts($("store"), [
		["Events", s.store.records.toLocaleString()],
		["From", s.store.first ? full(s.store.first) : "–"],
		["To", s.store.last ? full(s.store.last) : "–"],
		["On disk", megabytes(s.store.bytes)],
		["Index", s.recall ? s.recall.cursor + " of " + s.store.cursor : "–"],
	]);
	showCompute(s.compute);
	facts($("node"), [
		["Version", s.version],
		["Running for", Math.round(s.uptime_s / 60) + " min"],
		["Devices", String(s.devices)],
		["Zone", s.zone],
		["Public key", s.public_key],
	]);
}

async function tick() {
	if (token() && $("gate").hidden && !document.hidden) {
		try {
			await refreshStatus();
		} catch (e) {
			$("light").className = "light down";
			$("light").textContent = "the node does not answer";
		}
	}
	setTimeout(tick, REFRESH_MS);
}

if (token()) {
	select("ask");
	tick();
} else {
	showGate("");
	setTimeout(tick, REFRESH_MS);
}
