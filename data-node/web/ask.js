/* Asking: a conversation, its answers with where they were made and their sources. */
import { $, guarded, make, said } from "./dom.js";
import { ApiError, call, nodeIsBack, serverSent } from "./api.js";
import { full } from "./times.js";
import { routeWords } from "./route.js";

const TRIES_MAX = 3;

const conversation = [];
let running = null; // AbortController of the answer in progress

function showSources(hearth) {
	if (!hearth || !hearth.sources || !hearth.sources.length)
		return;
	const list = make("ol", "sources");
	list.setAttribute("aria-label", "Sources");
	for (const source of hearth.sources) {
		const item = make("li");
		item.append(make("div", "meta", full(source.start) + " · " + source.layer),
			said("div", "", source.quote || ""));
		list.append(item);
	}
	$("talk").append(list);
}

function showRoute(hearth) {
	const [first, ...rest] = routeWords(hearth);
	if (!rest.length) {
		$("talk").append(make("div", "note route", first));
		return;
	}
	const details = make("details", "note route");
	details.append(make("summary", "", first), ...rest.map((text) => make("div", "", text)));
	$("talk").append(details);
}

function setBusy(busy) {
	$("send").hidden = busy;
	$("stop").hidden = !busy;
	$("talk").setAttribute("aria-busy", String(busy));
}

/* Read the stream into `answer`; gives back its text and what the node says about it. */
async function readAnswer(response, answer) {
	let text = "", hearth = null;
	try {
		for await (const data of serverSent(response)) {
			if (data === "[DONE]")
				return { text, hearth };
			const chunk = JSON.parse(data);
			if (chunk.error)
				throw new ApiError(chunk.error.code === "stopping" ? 0 : 500,
					chunk.error.message || "The answer ended in an error.");
			const delta = chunk.choices && chunk.choices[0] && chunk.choices[0].delta;
			if (delta && delta.content) {
				text += delta.content;
				answer.textContent = text;
			}
			if (chunk.hearth)
				hearth = chunk.hearth;
		}
	} catch (e) {
		if (e instanceof ApiError || e.name === "AbortError")
			throw e;
		/* The connection went. */
	}
	throw new ApiError(0, "The answer broke off.");
}

/* A node that goes away in the middle is waited for, and asked again. */
async function askUntilAnswered(answer, signal) {
	for (let tries = 1;; tries++) {
		try {
			const response = await call("/v1/chat/completions", {
				method: "POST",
				headers: { "Content-Type": "application/json" },
				body: JSON.stringify({ model: "hearth", stream: true, messages: conversation }),
				signal,
			});
			return await readAnswer(response, answer);
		} catch (e) {
			if (!(e instanceof ApiError) || e.status !== 0 || tries === TRIES_MAX)
				throw e;
			answer.textContent = "";
			await nodeIsBack(signal);
		}
	}
}

async function ask(question) {
	const answer = said("div", "a waiting", "");
	$("hello").hidden = true;
	$("fresh").hidden = false;
	$("talk").append(said("div", "q", question), answer);
	answer.scrollIntoView({ block: "nearest" });
	conversation.push({ role: "user", content: question });
	const mine = running = new AbortController();
	setBusy(true);
	try {
		const { text, hearth } = await askUntilAnswered(answer, mine.signal);
		conversation.push({ role: "assistant", content: text });
		showRoute(hearth);
		showSources(hearth);
	} catch (e) {
		if (conversation.length && conversation[conversation.length - 1].role === "user")
			conversation.pop();
		if (e.name === "AbortError") {
			$("talk").append(make("div", "note", "Stopped."));
			return;
		}
		/* Asked again by a press of the button. */
		if (!$("question").value)
			$("question").value = question;
		throw e;
	} finally {
		running = null;
		answer.classList.remove("waiting");
		setBusy(false);
	}
}

function fitQuestion() {
	$("question").rows = Math.min(8, $("question").value.split("\n").length);
}

export function startAsk() {
	$("ask").addEventListener("submit", guarded(async (event) => {
		event.preventDefault();
		const question = $("question").value.trim();
		if (!question || running)
			return;
		$("question").value = "";
		fitQuestion();
		await ask(question);
	}));
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
}
