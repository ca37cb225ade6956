/* Times as the node writes them, shown in the zone of whoever looks. */

/* RFC 3339 with nanoseconds, or integer nanoseconds, to a Date. */
export function toDate(start) {
	if (typeof start === "number")
		return new Date(start / 1e6);
	return new Date(String(start).replace(/(\.\d{3})\d+/, "$1"));
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

function shown(format, start) {
	const date = start instanceof Date ? start : toDate(start);
	return isNaN(date) ? String(start) : format.format(date);
}

export const clock = (start) => shown(clockFormat, start);
export const full = (start) => shown(fullFormat, start);
export const day = (start) => shown(dateFormat, start);

/* "2026-11-27", as inputs of dates have it. */
export function dayText(date) {
	const two = (n) => String(n).padStart(2, "0");
	return String(date.getFullYear()).padStart(4, "0") + "-" + two(date.getMonth() + 1) + "-" +
		two(date.getDate());
}

/* The midnight here at which that day begins; `days` later ones. */
export function midnight(text, days) {
	const [y, m, d] = text.split("-").map(Number);
	return new Date(y, m - 1, d + (days || 0));
}
