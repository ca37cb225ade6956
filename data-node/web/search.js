/* Search: moments by their words. */
import { $, guarded, make, said } from "./dom.js";
import { getJson } from "./api.js";
import { full } from "./times.js";

const RESULTS = 50;

async function search() {
	const q = $("query").value.trim();
	if (!q)
		return;
	const { results } = await getJson("/api/v1/search", { q, k: RESULTS });
	$("results").replaceChildren(...results.map((hit) => {
		const item = make("li");
		item.append(make("div", "meta", [full(hit.start), hit.layer, hit.source].join(" · ")),
			said("p", "", hit.text || ""));
		return item;
	}));
	$("results-empty").hidden = results.length > 0;
}

export function startSearch() {
	$("search").addEventListener("submit", guarded(async (event) => {
		event.preventDefault();
		await search();
	}));
}
