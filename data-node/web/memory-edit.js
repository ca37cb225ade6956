/*
 * The form in which the owner changes one fact, puts it right, ends it, or adds one.
 *
 * The node takes an edit only of what still stands.  What was changed meanwhile is shown
 * beside the person's own words, and they say which of the two is to hold.
 */
import { $, button, make, notice, said } from "./dom.js";
import { ApiError, getJson, postJson } from "./api.js";
import { day, dayText, midnight, toDate } from "./times.js";

const HOWS = {
	change: "It has changed since",
	correct: "It was wrong all along",
	end: "It does not hold any more",
	deny: "It never was so",
};

let open = null; // the form, one at a time

function field(label, input) {
	const wrap = make("label", "field", "");
	wrap.append(make("span", "", label), input);
	return wrap;
}

function chooser(words, value) {
	const select = make("select");
	for (const [word, text] of Object.entries(words)) {
		const option = make("option", "", text);
		option.value = word;
		select.append(option);
	}
	select.value = value;
	return select;
}

function input(type, value) {
	const node = make(type === "textarea" ? "textarea" : "input");
	if (type !== "textarea")
		node.type = type;
	node.value = value;
	return node;
}

const dateOf = (time) => time ? dayText(toDate(time)) : "";
const timeOf = (date) => date ? midnight(date).toISOString() : "";

function build(fact, classes) {
	const form = make("form", "edit");
	const made = {
		form, fact, id: fact ? fact.id : "",
		how: chooser(HOWS, "change"),
		text: input("textarea", fact ? fact.text : ""),
		class: chooser(classes, fact ? fact.class : "profile"),
		subject: input("text", fact ? fact.subject : ""),
		since: input("date", ""),
		until: input("date", fact ? dateOf(fact.valid_to) : ""),
		conflict: make("div", "conflict"),
	};
	made.text.required = true;
	made.text.rows = 2;
	made.text.dir = made.subject.dir = "auto";
	made.conflict.setAttribute("role", "alert");
	made.fields = {
		how: field("What is to be done", made.how), text: field("What is true", made.text),
		class: field("Section", made.class), subject: field("About whom or what (empty: you)", made.subject),
		since: field("Since (empty: from now on)", made.since), until: field("Until (empty: no end)", made.until),
	};
	form.append(...Object.values(made.fields), made.conflict);
	return made;
}

function how(made) {
	return made.id ? made.how.value : "add";
}

/* The bounds as they stand in the fields before anybody touches them. */
function given(made) {
	const { fact } = made;
	return {
		since: fact && how(made) === "correct" ? dateOf(fact.valid_from) : "",
		until: fact && how(made) !== "end" ? dateOf(fact.valid_to) : "",
	};
}

function arrange(made) {
	const word = how(made), words = word !== "end" && word !== "deny";
	made.fields.how.hidden = !made.id;
	for (const name of ["text", "class", "subject", "since"])
		made.fields[name].hidden = !words;
	made.text.required = words;
	made.fields.until.hidden = word === "deny";
	made.fields.since.firstChild.textContent = word === "change" ? "Since (empty: from now on)"
		: "Since (empty: always)";
	made.fields.until.firstChild.textContent = word === "end" ? "Ended on (empty: now)"
		: "Until (empty: no end)";
	made.since.value = given(made).since;
	made.until.value = given(made).until;
}

/* What the node is to do; a bound that nobody touched is left as it is, to the second. */
function wanted(made) {
	const word = how(made), start = given(made), body = { how: word };
	if (made.id)
		body.id = made.id;
	if (word !== "end" && word !== "deny") {
		body.class = made.class.value;
		body.subject = made.subject.value.trim();
		body.text = made.text.value.trim().replace(/\s*\n\s*/g, " ");
		if (made.since.value !== start.since)
			body.valid_from = timeOf(made.since.value);
	}
	if (word !== "deny" && made.until.value !== start.until)
		body.valid_to = timeOf(made.until.value);
	return body;
}

function changesNothing(made, body) {
	const { fact } = made;
	return fact && (body.how === "change" || body.how === "correct") && body.class === fact.class &&
		body.subject === fact.subject && body.text === fact.text &&
		body.valid_from === undefined && body.valid_to === undefined;
}

/* What a fact has become: the last of those that took its place. */
async function newest(id) {
	for (;;) {
		const { facts } = await getJson("/api/v1/memory", { id });
		if (!facts.length)
			return null;
		if (!facts[0].superseded_by)
			return facts[0];
		id = facts[0].superseded_by;
	}
}

/* It stands as it was asked for: by this page, whose answer was lost, or by the same words. */
function isDone(body, now) {
	if (body.how === "end" || body.how === "deny")
		return now !== null && now.id === body.id && now.state === "ended";
	return now !== null && now.state === "holds" && now.by === "owner" && now.text === body.text &&
		now.class === body.class && now.subject === body.subject;
}

function showConflict(made, now, done) {
	const gone = !now || now.state !== "holds";
	const when = now && now.changed && gone ? " on " + day(now.changed)
		: now && now.learned && !gone ? " on " + day(now.learned) : "";
	const words = make("p", "", gone ? "While you were editing, this was ended" + when + "."
		: "While you were editing, this was changed" + when + ". It now reads:");
	made.conflict.replaceChildren(words);
	if (!gone)
		made.conflict.append(said("blockquote", "", now.text));
	const ends = how(made) === "end" || how(made) === "deny";
	if (!gone || !ends) {
		const mine = gone ? "Add mine as new" : ends ? "End that one" : "Put mine in its place";
		made.conflict.append(button(mine, async () => {
			made.id = gone ? "" : now.id;
			made.conflict.replaceChildren();
			await save(made, done);
		}));
	}
	made.conflict.append(button(gone ? "Leave it ended" : "Keep that one", async () => {
		close();
		await done(now ? now.id : "", "Left as it is.");
	}));
	made.conflict.querySelector("button").focus();
}

async function save(made, done) {
	const body = wanted(made);
	let id = made.id;
	if (changesNothing(made, body)) {
		close();
		await done(id, "Nothing was changed.");
		return;
	}
	try {
		({ id } = await postJson("/api/v1/memory/change", body));
	} catch (e) {
		if (!(e instanceof ApiError) || e.status !== 409)
			throw e;
		if (body.how === "add") {
			close();
			await done("", "This is known already.");
			return;
		}
		const now = await newest(body.id);
		if (!isDone(body, now)) {
			showConflict(made, now, done);
			return;
		}
		id = now.id;
	}
	close();
	await done(id, body.how === "end" || body.how === "deny" ? "Ended." : "Saved.");
}

function close() {
	if (!open)
		return;
	open.form.remove();
	open.opener.hidden = false;
	open = null;
}

/* There are words in it that nobody has saved. */
export function isEditing() {
	return open !== null;
}

/*
 * Show the form in `place`, for `fact` or (null) a new one; `done(id, words)` when it is
 * over, with what holds now and what happened.
 */
export function openEdit(place, fact, classes, done) {
	close();
	const made = build(fact, classes);
	made.opener = place.querySelector(":scope > button") || $("add-fact");
	const acts = make("div", "acts");
	const submit = make("button", "primary", "Save");
	submit.type = "submit";
	acts.append(submit, button("Cancel", () => {
		const { opener } = open;
		close();
		opener.focus();
	}));
	made.form.append(acts);
	made.form.setAttribute("aria-label", fact ? "Edit: " + fact.text : "Add to memory");
	made.how.addEventListener("change", () => arrange(made));
	made.form.addEventListener("submit", async (event) => {
		event.preventDefault();
		submit.disabled = true;
		made.conflict.replaceChildren();
		try {
			await save(made, done);
		} catch (e) {
			made.conflict.textContent = e.message; // where they look, not far above
		} finally {
			submit.disabled = false;
		}
	});
	made.form.addEventListener("keydown", (event) => {
		if (event.key === "Escape")
			acts.lastChild.click();
	});
	arrange(made);
	made.opener.hidden = true;
	place.append(made.form);
	open = made;
	notice("");
	(fact ? made.how : made.text).focus();
}
