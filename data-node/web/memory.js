/*
 * Memory: what is known about the person, what waits for their word, what no longer holds.
 */
import { $, button, count, guarded, make, said, tell } from "./dom.js";
import { ApiError, getJson, ifAllowed, postJson } from "./api.js";
import { day, full } from "./times.js";
import { isEditing, openEdit } from "./memory-edit.js";

/* As the node calls them, in the order in which they are shown. */
const CLASSES = {
	profile: "Profile", wishes: "Standing wishes", preferences: "Preferences", people: "People",
	places: "Places",
};
const PAST_MAX = 100;

let owner = null; // the token may change what is shown; null: not known yet

/* ---- one fact ---------------------------------------------------------------------- */

function validity(fact) {
	const from = fact.valid_from ? day(fact.valid_from) : "", to = fact.valid_to ? day(fact.valid_to) : "";
	if (from && to)
		return from + " to " + to;
	return from ? "since " + from : to ? "until " + to : "";
}

function whose(fact) {
	const on = fact.learned ? " on " + day(fact.learned) : "";
	if (fact.by === "owner")
		return "you wrote it" + on;
	return (fact.by === "night" ? "read at night from your words" : "proposed") +
		(fact.who ? " by " + fact.who : "") + on;
}

function meta(parts) {
	return said("div", "meta", parts.filter(Boolean).join(" · "));
}

/* What it was read from, one request each, once somebody wants to see it. */
async function showMoments(fact, list) {
	list.replaceChildren(make("li", "meta", "…"));
	const items = await Promise.all(fact.about.map(async (id) => {
		try {
			const event = await getJson("/api/v1/events/" + id);
			const item = make("li");
			item.append(meta([full(event.start), event.layer, event.source]),
				said("div", "", event.text || event.kind));
			return item;
		} catch (e) {
			if (e instanceof ApiError && e.status === 404)
				return make("li", "meta", "A moment that is not there any more.");
			list.replaceChildren();
			throw e;
		}
	}));
	list.replaceChildren(...items);
}

function momentsOf(fact) {
	const details = make("details", "from");
	const list = make("ol", "sources");
	details.append(make("summary", "", "Where it comes from: " + count(fact.about.length, "moment")), list);
	details.addEventListener("toggle", guarded(async () => {
		if (details.open && !list.children.length)
			await showMoments(fact, list);
	}));
	return details;
}

/* `parts`: what the line below the words says. */
function factItem(fact, parts) {
	const item = make("li", "fact");
	const text = said("p", "", fact.text);
	item.id = "fact-" + fact.id;
	text.id = "text-" + fact.id;
	item.append(text, meta(parts));
	if (fact.about.length)
		item.append(momentsOf(fact));
	return item;
}

function knownItem(fact) {
	const item = factItem(fact, [validity(fact), whose(fact)]);
	if (owner) {
		const edit = button("Edit", () => openEdit(item, fact, CLASSES, edited), "text-" + fact.id);
		edit.id = "edit-" + fact.id;
		item.append(edit);
	}
	return item;
}

function showFacts(facts) {
	const blocks = [];
	let ofClass = "", subject = "", list = null;
	for (const fact of facts) {
		if (fact.class !== ofClass) {
			blocks.push(make("h2", "", CLASSES[fact.class] || fact.class));
			list = null;
		}
		if (!list || fact.subject !== subject) {
			if (fact.subject)
				blocks.push(said("h3", "", fact.subject));
			blocks.push(list = make("ul", "known"));
		}
		ofClass = fact.class;
		subject = fact.subject;
		list.append(knownItem(fact));
	}
	$("known").replaceChildren(...blocks);
	$("known-empty").hidden = facts.length > 0;
}

/* ---- what waits ------------------------------------------------------------------------ */

/* With what it was shown to take the place of, so that nothing is decided unseen. */
async function decide(shown, accept) {
	let words = accept ? "Accepted." : "Refused.";
	try {
		await postJson("/api/v1/memory/" + (accept ? "accept" : "refuse"),
			{ id: shown.id, replaces: shown.replaces.join(" ") });
	} catch (e) {
		if (!(e instanceof ApiError) || (e.status !== 404 && e.status !== 409))
			throw e;
		words = e.status === 409 ? "What it would replace was changed meanwhile. Look at it again."
			: "It was " + await fateOf(shown.id) + " already.";
	}
	await loadMemory();
	tell(words);
	($("proposals").querySelector("button") || $("add-fact")).focus();
}

async function fateOf(id) {
	const { facts } = await getJson("/api/v1/memory", { id });
	return !facts.length ? "forgotten" : facts[0].state === "refused" ? "refused" : "accepted";
}

function proposalItem(proposal, facts) {
	const place = [CLASSES[proposal.class] || proposal.class, proposal.subject].filter(Boolean).join(", ");
	const item = factItem(proposal, [place, validity(proposal), whose(proposal)]);
	for (const id of proposal.replaces) {
		const old = facts.find((fact) => fact.id === id);
		item.append(said("p", "replaces", "Takes the place of: " + (old ? old.text : id)));
	}
	const acts = make("div", "acts");
	acts.append(button("Accept", () => decide(proposal, true), "text-" + proposal.id),
		button("Refuse", () => decide(proposal, false), "text-" + proposal.id));
	item.append(acts);
	return item;
}

/* ---- what no longer holds -------------------------------------------------------------- */

function endWords(fact, facts) {
	const on = fact.changed ? " on " + day(fact.changed) : "";
	const next = facts.find((other) => other.id === fact.superseded_by);
	if (fact.state === "refused")
		return "you refused it" + on;
	if (fact.state === "superseded")
		return "changed" + on + (next ? " to: " + next.text : "");
	return fact.state === "ended" ? "ended" + on : "";
}

async function showPast() {
	const { facts } = await getJson("/api/v1/memory", { history: 1 });
	const known = new Set(Array.from($("known").querySelectorAll("li"), (item) => item.id));
	const past = facts.filter((fact) => fact.state !== "proposed" && !known.has("fact-" + fact.id));
	past.sort((a, b) => (a.changed || a.valid_to || "") < (b.changed || b.valid_to || "") ? 1 : -1);
	$("past-list").replaceChildren(...past.slice(0, PAST_MAX).map((fact) =>
		factItem(fact, [validity(fact), whose(fact), endWords(fact, facts)])));
	if (!past.length)
		$("past-list").append(make("li", "hint", "Nothing."));
	if (past.length > PAST_MAX)
		$("past-list").append(make("li", "hint", "And " + count(past.length - PAST_MAX, "older one") +
			": data-node memory history"));
}

/* ---- all of it --------------------------------------------------------------------------- */

/* After an edit: `id` is what holds now, and has the focus. */
async function edited(id, words) {
	await loadMemory();
	tell(words);
	($("edit-" + id) || $("add-fact")).focus();
}

/* How much waits for the owner, where they see it before they look. */
export function showWaiting(n) {
	$("tab-memory").textContent = n && owner !== false ? "Memory (" + n + ")" : "Memory";
}

export async function loadMemory() {
	const reads = await ifAllowed("memory", async () => {
		const [{ facts }, waits] = await Promise.all([getJson("/api/v1/memory"), waiting()]);
		if (!isEditing())
			showFacts(facts);
		$("proposals").replaceChildren(...waits.map((proposal) => proposalItem(proposal, facts)));
		$("waits").hidden = !waits.length;
		showWaiting(waits.length);
	});
	if (reads && $("past").open)
		await showPast();
}

/* What waits for the owner; for others there is nothing to see, and why. */
async function waiting() {
	let proposals = [];
	owner = await ifAllowed("owner", async () => {
		({ proposals } = await getJson("/api/v1/memory/proposals"));
	});
	return proposals;
}

export function startMemory() {
	$("add-fact").addEventListener("click",
		guarded(() => openEdit($("add-place"), null, CLASSES, edited)));
	$("past").addEventListener("toggle", guarded(async () => {
		if ($("past").open)
			await showPast();
	}));
}
