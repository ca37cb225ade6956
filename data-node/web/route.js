/* Where an answer was made, and why: `hearth.route` of an answer, in words. */
import { count } from "./dom.js";

const KEPT = {
	layer: "its layer may not leave", source: "its source is to stay", label: "its label is to stay",
	unlabelled: "last night did not see it yet",
};
const STEPS = {
	"no-rule": "no rule sends hearth there", unknown: "no model elsewhere has that name",
	"not-long": "the question is not long", "not-away": "a compute node of yours is up",
	question: "your question may not leave", conversation: "what stands beside the question may not leave",
	context: "too long for it", key: "its key is missing", down: "it could not be reached a moment ago",
	"day-tokens": "its tokens for the day are used up", "month-tokens": "its tokens for the month are used up",
	"day-money": "its money for the day is used up", "month-money": "its money for the month is used up",
	policy: "cloud.json cannot be read", ledger: "the ledger cannot be written",
	unreachable: "it cannot be reached", silent: "it did not answer in time", busy: "it is too busy",
	denied: "it does not take the key", refused: "it refused the request", faulty: "it failed",
	named: "you named it", rule: "a rule of yours sends hearth there",
};

export function reasonWords(code) {
	return STEPS[code] || code;
}

export const PREFIX = "cloud/";

function wentAlong(route) {
	const { sent, kept } = route.moments || { sent: 0, kept: {} };
	const stayed = Object.entries(kept);
	const lines = [];
	if (sent || stayed.length)
		lines.push((sent ? count(sent, "moment") + " went along" : "No moment went along") +
			(stayed.length ? "; stayed here: " + stayed.map(([why, n]) =>
				n.toLocaleString() + " (" + (KEPT[why] || why) + ")").join(", ") : "") + ".");
	else
		lines.push("Nothing of your timeline went along.");
	if (route.facts)
		lines.push(count(route.facts.sent, "fact") + " about you went along, " +
			route.facts.kept.toLocaleString() + " stayed.");
	return lines;
}

/* Sentences, the first one the most important. */
export function routeWords(hearth) {
	const route = hearth && hearth.route;
	const quoted = hearth && hearth.mode === "recall-only";
	const home = quoted ? "Answered from your moments alone: no model is up."
		: "Answered at home. Nothing left.";
	if (!route)
		return [home];
	const steps = (route.tried || []).filter((step) => step.to);
	if (route.to.startsWith(PREFIX)) {
		const name = route.to.slice(PREFIX.length);
		return ["Answered elsewhere, by " + name + ": " + reasonWords(route.reason) + ".",
			...wentAlong(route),
			...steps.filter((step) => step.to !== name)
				.map((step) => "Not by " + step.to + ": " + reasonWords(step.reason) + ".")];
	}
	if (!steps.length)
		return [home, "Not elsewhere: " + reasonWords(route.reason) + "."];
	/* What was sent before it failed did leave. */
	const asked = ["unreachable", "silent", "busy", "denied", "refused", "faulty"];
	const left = steps.some((step) => asked.includes(step.reason));
	return [left && !quoted ? "Answered at home." : home,
		...steps.map((step) => "Not by " + step.to + ": " + reasonWords(step.reason) + ".")];
}
