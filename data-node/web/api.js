/*
 * The node's own API, with the token kept in this browser; the token is all that is kept.
 *
 * A node that restarts is waited for: what only reads is asked again, and so is what may
 * be sent twice.
 */
import { $ } from "./dom.js";

const TOKEN_KEY = "hearth-token";
const WAIT_MS = 60000; // for a node that does not answer
const LOOK_MS = 500;   // between looks
const TRIES_MAX = 5;
const AWAY = "The node does not answer.";

export function token() {
	return localStorage.getItem(TOKEN_KEY) || "";
}

export function setToken(text) {
	if (text)
		localStorage.setItem(TOKEN_KEY, text);
	else
		localStorage.removeItem(TOKEN_KEY);
}

/* `status` 0: there was no answer. */
export class ApiError extends Error {
	constructor(status, message, code) {
		super(message);
		this.status = status;
		this.code = code || "";
	}
}

const listeners = { unauthorised: () => {}, waiting: () => {} };

/* What to do when the token is not valid, and when a node is waited for (true), or was (false). */
export function onUnauthorised(listener) {
	listeners.unauthorised = listener;
}
export function onWaiting(listener) {
	listeners.waiting = listener;
}

async function errorOf(response) {
	let message = "The node answered " + response.status + ".", code = "";
	try {
		const { error } = await response.json();
		message = error.message;
		code = error.code;
	} catch (e) {
		/* not JSON: the status has to do */
	}
	return new ApiError(response.status, message, code);
}

/* One request, once. */
export async function call(path, options) {
	const init = Object.assign({ cache: "no-store", credentials: "omit" }, options);
	init.headers = Object.assign({ Authorization: "Bearer " + token() }, init.headers);
	let response;
	try {
		response = await fetch(path, init);
	} catch (e) {
		throw e.name === "AbortError" ? e : new ApiError(0, AWAY);
	}
	if (response.ok)
		return response;
	const error = await errorOf(response);
	if (error.status === 401)
		listeners.unauthorised();
	throw error;
}

function pause(ms, signal) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(resolve, ms);
		if (signal)
			signal.addEventListener("abort", () => {
				clearTimeout(timer);
				reject(signal.reason);
			}, { once: true });
	});
}

/* Until the node answers again; an error if it does not for long. */
export async function nodeIsBack(signal) {
	const until = Date.now() + WAIT_MS;
	listeners.waiting(true);
	try {
		for (;;) {
			try {
				const response = await fetch("/healthz", { cache: "no-store", signal });
				if (response.ok)
					return;
			} catch (e) {
				if (e.name === "AbortError")
					throw e;
			}
			if (Date.now() > until)
				throw new ApiError(0, AWAY + " Is it running?");
			await pause(LOOK_MS, signal);
		}
	} finally {
		listeners.waiting(false);
	}
}

/* `work` again, once the node is back, where it went away. */
export async function again(work, signal) {
	for (let tries = 1;; tries++) {
		try {
			return await work();
		} catch (e) {
			if (!(e instanceof ApiError) || e.status !== 0 || tries === TRIES_MAX)
				throw e;
			await nodeIsBack(signal);
		}
	}
}

export function getJson(path, params) {
	const query = new URLSearchParams(params).toString();
	return again(async () => {
		const response = await call(query ? path + "?" + query : path);
		try {
			return await response.json();
		} catch (e) {
			throw new ApiError(0, "The answer broke off.");
		}
	});
}

/* Of what may be sent twice: the second time it finds what the first one did. */
export function postJson(path, body) {
	return again(async () => (await call(path, {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify(body),
	})).json());
}

/* Events out of a stream of server-sent events. */
export async function* serverSent(response) {
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

/* Why this token may not; "" if it is for another reason. */
function forbidden(error) {
	if (error.code === "owner_only")
		return "Only the owner's own token shows and changes this. " +
			"The one in this browser belongs to a device.";
	if (error.code === "device_limited")
		return "The token in this browser belongs to a device that may only send. " +
			"Open this page with the owner's token to read.";
	return "";
}

/*
 * Do `work`, which fills the element NAME-yes; where this token may not, NAME-no says why,
 * in words and not as an error.  True: it might.
 */
export async function ifAllowed(name, work) {
	let why = "";
	try {
		await work();
	} catch (e) {
		why = e instanceof ApiError ? forbidden(e) : "";
		if (!why)
			throw e;
	}
	$(name + "-no").textContent = why;
	$(name + "-no").hidden = !why;
	$(name + "-yes").hidden = why !== "";
	return why === "";
}
