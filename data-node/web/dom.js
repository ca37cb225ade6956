/*
 * Elements, and what the page tells the person.  All text is set as text, never as
 * markup, whoever wrote it.
 */
export const $ = (id) => document.getElementById(id);

export function make(tag, className, text) {
	const node = document.createElement(tag);
	if (className)
		node.className = className;
	if (text !== undefined)
		node.textContent = text;
	return node;
}

/* Words of the person's, or of whoever sent them: in the direction they are written in. */
export function said(tag, className, text) {
	const node = make(tag, className, text);
	node.dir = "auto";
	return node;
}

/* `describes`: the id of what the button is about, for those who do not see it beside it. */
export function button(text, work, describes) {
	const node = make("button", "", text);
	node.type = "button";
	if (describes)
		node.setAttribute("aria-describedby", describes);
	node.addEventListener("click", guarded(work));
	return node;
}

export function pairs(list, rows) {
	list.replaceChildren(...rows.flatMap(([name, value]) => {
		const dd = make("dd");
		dd.append(value);
		return [make("dt", "", name), dd];
	}));
}

/* "1 moment", "2 moments" */
export function count(n, one, many) {
	return n.toLocaleString() + " " + (n === 1 ? one : many || one + "s");
}

/* What went wrong, until something else is done. */
export function notice(text) {
	$("notice").textContent = text || "";
	$("notice").hidden = !text;
}

/* What was done: read out, and shown until the next. */
export function tell(text) {
	$("told").textContent = text;
}

/* Work that a person began: what goes wrong in it is said, not lost. */
export function guarded(work) {
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
