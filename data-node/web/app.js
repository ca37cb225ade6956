/* The owner's page: the gate that asks for a token, the tabs, and what keeps them fresh. */
import { $, guarded, notice } from "./dom.js";
import { onUnauthorised, onWaiting, setToken, token } from "./api.js";
import { startAsk } from "./ask.js";
import { loadDay, startDay } from "./day.js";
import { loadElsewhere } from "./elsewhere.js";
import { loadMemory, startMemory } from "./memory.js";
import { startSearch } from "./search.js";
import { refreshStatus } from "./status.js";

const REFRESH_MS = 5000;

/* What a tab does when it is chosen. */
const TABS = {
	ask: () => $("question").focus(),
	day: guarded(loadDay),
	search: () => $("query").focus(),
	memory: guarded(loadMemory),
	elsewhere: guarded(loadElsewhere),
	status: guarded(refreshStatus),
};
const NAMES = Object.keys(TABS);
let current = "ask";
let waits = 0; // how much of the page waits for the node

function showGate(text) {
	$("gate").hidden = false;
	document.querySelectorAll("[role=tabpanel]").forEach((p) => { p.hidden = true; });
	notice(text);
	$("token").focus();
}

function select(name) {
	current = name;
	for (const tab of NAMES) {
		const on = tab === name;
		$("tab-" + tab).setAttribute("aria-selected", String(on));
		$("tab-" + tab).tabIndex = on ? 0 : -1;
		$("panel-" + tab).hidden = !on;
	}
	$("told").textContent = "";
	document.documentElement.scrollTop = 0;
	TABS[name]();
}

function isOpen() {
	return token() && $("gate").hidden;
}

function startTabs() {
	$("tabs").addEventListener("click", (event) => {
		const tab = event.target.closest("[role=tab]");
		if (tab && isOpen())
			select(tab.id.slice(4));
	});
	$("tabs").addEventListener("keydown", (event) => {
		const at = NAMES.indexOf(current), last = NAMES.length - 1;
		const next = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1,
			Home: 0, End: last }[event.key];
		if (next === undefined || !isOpen())
			return;
		event.preventDefault();
		select(NAMES[next]);
		$("tab-" + NAMES[next]).focus();
	});
}

function startGate() {
	onUnauthorised(() => showGate("This token is not valid here."));
	$("gate").addEventListener("submit", guarded(async (event) => {
		event.preventDefault();
		setToken($("token").value.trim());
		$("token").value = "";
		await refreshStatus();
		$("gate").hidden = true;
		select("ask");
	}));
	$("forget-token").addEventListener("click", () => {
		setToken("");
		location.reload();
	});
}

/* While the node does not answer the page says so, and goes on by itself. */
function startWaiting() {
	onWaiting((begins) => {
		waits += begins ? 1 : -1;
		$("away").textContent = waits ? "The node does not answer. Trying again until it does." : "";
		$("away").hidden = waits === 0;
		$("light").className = "light down";
		$("light").textContent = waits ? "the node does not answer" : "…";
	});
}

async function tick() {
	if (isOpen() && !document.hidden && waits === 0) {
		try {
			await refreshStatus();
		} catch (e) {
			$("light").className = "light down";
			$("light").textContent = "the node does not answer";
		}
	}
	setTimeout(tick, REFRESH_MS);
}

startGate();
startTabs();
startWaiting();
startAsk();
startDay();
startSearch();
startMemory();
if (token()) {
	select("ask");
	tick();
} else {
	showGate("");
	setTimeout(tick, REFRESH_MS);
}
