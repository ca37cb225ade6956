/* Models elsewhere: who may be asked, what may leave for them, what it cost, what left. */
import { $, count, make, pairs, said } from "./dom.js";
import { getJson, ifAllowed } from "./api.js";
import { full } from "./times.js";
import { reasonWords } from "./route.js";

const LINES = 100;
const TRUSTS = { home: "To machines of your own", outside: "To anybody else's" };
const WHEN = { always: "always", away: "while no compute node of yours is up" };

/* ---- what may leave ------------------------------------------------------------------ */

function mayLeave(leave) {
	return [
		...(leave.question ? ["your question"] : []),
		...(leave.conversation ? ["the rest of the conversation"] : []),
		...(leave.facts ? ["facts about you"] : []),
		...leave.layers.map((layer) => "moments of " + layer),
		...leave.sources.map((source) => "moments from " + source),
		...leave.labels.map((label) => "moments labelled " + label),
	];
}

function isToStay(leave) {
	return [...leave.not_sources.map((source) => "anything from " + source),
		...leave.not_labels.map((label) => "anything labelled " + label)];
}

function leaveBlock(trust, leave) {
	const block = make("div", "leave");
	const may = mayLeave(leave), stays = isToStay(leave);
	block.append(make("h3", "", TRUSTS[trust]), said("p", may.length ? "" : "hint",
		may.length ? "May leave: " + may.join(", ") + "." : "Nothing may leave."));
	if (stays.length)
		block.append(said("p", "", "Always stays: " + stays.join(", ") + "."));
	return block;
}

function ruleText(rule) {
	const when = rule.when === "long" ? "for questions of " + count(rule.tokens, "token") + " or more"
		: WHEN[rule.when] || rule.when;
	return "hearth asks " + rule.to + ", " + when;
}

/* ---- who may be asked, and what it cost -------------------------------------------------- */

function spentText(used, limit, unit) {
	const show = (n) => n.toLocaleString(undefined, { maximumFractionDigits: 4 }) + unit;
	return show(used) + (limit ? " of " + show(limit) : ", no limit");
}

function budget(used, limit, unit) {
	const cell = make("span", "", spentText(used, limit, unit));
	if (limit) {
		const meter = make("meter");
		meter.max = limit;
		meter.high = limit * 0.8;
		meter.value = used;
		meter.setAttribute("aria-hidden", "true");
		cell.append(" ", meter);
	}
	return cell;
}

function upstreamItem(upstream, state) {
	const item = make("li");
	const list = make("dl", "facts");
	const key = { set: "has its key", none: "needs no key, or has none", unusable: "its key cannot be used" };
	const tokens = (spent) => spent.tokens_in + spent.tokens_out;
	item.append(make("span", "state " + (state.down ? "down" : "up"), upstream.name +
		(state.down ? ": could not be reached a moment ago" : "")),
		make("div", "meta", [upstream.url, upstream.model, upstream.size,
			upstream.trust === "home" ? "your own" : "anybody else's", key[state.key]].join(" · ")));
	pairs(list, [
		["Tokens today", budget(tokens(state.day), upstream.day_tokens, "")],
		["Tokens this month", budget(tokens(state.month), upstream.month_tokens, "")],
		["Money today", budget(state.day.money, upstream.day_money, "")],
		["Money this month", budget(state.month.money, upstream.month_money, "")],
	]);
	item.append(list);
	return item;
}

/* ---- what left --------------------------------------------------------------------------- */

const LAYERS = ["text", "visual", "auditory", "behaviour", "environment", "home"];

/* "far reason=rule bytes=812 tokens=203 text=1 facts=2" */
function lineWords(line) {
	const [name, ...rest] = line.object.split(" ");
	const said = Object.fromEntries(rest.map((word) => word.split("=")));
	const layers = LAYERS.filter((layer) => said[layer]).map((layer) => layer + " " + said[layer]);
	const why = said.reason ? reasonWords(said.reason) : "";
	switch (line.action) {
	case "cloud-ask":
		return name + " was asked (" + why + "): " + (line.n ? count(line.n, "moment") +
			" (" + layers.join(", ") + ")" : "no moment") +
			(said.facts ? ", " + count(Number(said.facts), "fact") + " about you" : "") +
			", " + count(Number(said.bytes), "byte") + ", about " + count(Number(said.tokens), "token");
	case "cloud-stay":
		return "Stayed at home" + (name === "-" ? ": " : ", not " + name + ": ") + why;
	case "cloud-fell":
		return name + " gave no answer (" + why + "): answered at home";
	case "cloud-add":
		return name + " was set up";
	case "cloud-remove":
		return name + " was removed";
	case "cloud-allow":
	case "cloud-deny":
		return "What may leave was " + (line.action === "cloud-allow" ? "widened" : "narrowed") +
			(TRUSTS[name] ? ": " + TRUSTS[name].toLowerCase() : "");
	case "cloud-route":
		return "When hearth asks elsewhere was changed";
	default:
		return line.action + " " + line.object;
	}
}

function ledgerItem(line) {
	const item = make("li", line.action === "cloud-ask" ? "left" : "");
	item.append(make("div", "meta", full(line.at) + " · " + (line.who === "owner" ? "you" : line.who)),
		make("div", "", lineWords(line)));
	return item;
}

/* ---- all of it ----------------------------------------------------------------------------- */

export async function loadElsewhere() {
	await ifAllowed("elsewhere", async () => {
		const [{ policy, state }, { audit }] = await Promise.all([getJson("/api/v1/cloud"),
			getJson("/api/v1/audit", { of: "cloud", limit: LINES })]);
		$("leave").replaceChildren(...Object.keys(TRUSTS).map((trust) => leaveBlock(trust, policy.leave[trust])));
		$("rules").replaceChildren(...policy.hearth.map((rule) => make("li", "", ruleText(rule))));
		if (!policy.hearth.length)
			$("rules").append(make("li", "", "hearth asks nobody elsewhere"));
		$("upstreams").replaceChildren(...policy.upstreams.map((upstream) =>
			upstreamItem(upstream, state[upstream.name])));
		if (!policy.upstreams.length)
			$("upstreams").append(make("li", "hint", "None."));
		$("ledger").replaceChildren(...audit.map(ledgerItem));
		if (!audit.length)
			$("ledger").append(make("li", "hint", "Nothing has left, and nothing was to."));
	});
}
