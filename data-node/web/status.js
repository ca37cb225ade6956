/* Status: the timeline, the compute nodes, the night's work, this node; in words. */
import { $, count, make, pairs } from "./dom.js";
import { getJson } from "./api.js";
import { showWaiting } from "./memory.js";
import { full } from "./times.js";

const STATES = {
	up: "up", connecting: "being connected", down: "cannot be reached", "not-dialled": "not asked yet",
	refused: "does not let this node in: compute-node allow, there",
};
const DRAINS = { draining: "finishing, takes nothing new", drained: "takes nothing new" };
const ENDS = {
	stopped: "It was stopped before it was through; the next night goes on.",
	"no-model": "No model was up for titles and summaries; a later night writes them.",
	"unfit-model": "The model did not keep to what it was asked for.",
};

function megabytes(bytes) {
	return (bytes / 1048576).toFixed(1) + " MiB";
}

function modelText(model) {
	return [model.name, model.context ? "context " + model.context.toLocaleString() : "",
		model.tokens_per_second ? model.tokens_per_second.toFixed(1) + " tokens a second" : "",
		model.embed && !model.chat ? "finds by meaning" : ""].filter(Boolean).join(" · ");
}

function computeItem(node) {
	const item = make("li");
	const { stats } = node;
	const words = [STATES[node.state] || node.state, DRAINS[node.drain] || ""];
	if (node.state === "up") {
		words.push(node.running ? count(node.running, "answer") + " in progress" : "idle");
		words.push(node.queued ? node.queued + " waiting" : "");
		words.push(stats && stats.memory_short ? "short of memory" : "");
	}
	item.append(make("span", "state " + node.state, node.name + ": " + words.filter(Boolean).join(", ")),
		make("div", "meta", node.address), ...(node.models || []).map((m) => make("div", "meta", modelText(m))));
	return item;
}

function showCompute(nodes) {
	$("compute").replaceChildren(...nodes.map(computeItem));
	if (!nodes.length)
		$("compute").append(make("li", "hint", "None yet: data-node compute add"));
}

function notesText(notes) {
	const { facts } = notes;
	return [notes.model ? notes.model + " wrote " + count(notes.notes, "note") + " about " +
		count(notes.days, "day") + ", learned " + count(facts.learned, "fact") +
		(facts.proposed ? " and left " + facts.proposed.toLocaleString() + " for you to decide" : "") + "." : "",
		ENDS[notes.end] || ""].filter(Boolean);
}

/* Sentences about the night's work. */
function nightWords(night) {
	const words = [];
	if (night.running)
		words.push("At work: day " + Math.min(night.days_done + 1, Math.max(night.days_total, 1)) + " of " +
			Math.max(night.days_total, 1) + ".");
	words.push(night.finished ? "Last finished " + full(night.finished) + "." : "It has not run through yet.");
	if (night.last && night.last !== "ok")
		words.push("The last run ended early: " + night.last + ".");
	else if (night.last)
		words.push("The last run wrote " + count(night.written, "label") +
			(night.withdrawn ? " and took " + night.withdrawn.toLocaleString() + " back" : "") + ".");
	if (night.notes)
		words.push(...notesText(night.notes));
	return words;
}

export async function refreshStatus() {
	const s = await getJson("/api/v1/status");
	const up = s.compute.filter((node) => node.state === "up").length;
	$("light").className = "light " + (up ? "up" : "down");
	$("light").textContent = up ? "model ready" : "no model: moments only";
	pairs($("store"), [
		["Events", s.store.records.toLocaleString()],
		["From", s.store.first ? full(s.store.first) : "–"],
		["To", s.store.last ? full(s.store.last) : "–"],
		["On disk", megabytes(s.store.bytes)],
		["Index", s.recall ? s.recall.cursor + " of " + s.store.cursor : "–"],
	]);
	if (s.memory)
		showWaiting(s.memory.proposals);
	showCompute(s.compute);
	$("night").replaceChildren(...nightWords(s.night).map((text) => make("p", "", text)));
	pairs($("node"), [
		["Version", s.version],
		["Running for", Math.round(s.uptime_s / 60) + " min"],
		["Devices", String(s.devices)],
		["Zone", s.zone],
		["Public key", s.public_key],
	]);
}
