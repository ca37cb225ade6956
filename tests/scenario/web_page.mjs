/*
 * What web_page.sh runs: a person with the owner's page.  What has to happen at the nodes
 * is a line to it, and a line back once it has.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { checkNames, fill, key, openPage, press, text, until } from '../support/page.mjs';

const [npm, room, base, ownerToken, deviceToken, limitedToken] = process.argv.slice(2);
const served = { npm, room, base };
const replies = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function nodes(words) {
	console.log(words);
	assert.equal((await replies.next()).value, 'ok', words);
}
const straight = globalThis.fetch; // past the page
async function api(path) {
	const response = await straight(base + path, { headers: { Authorization: `Bearer ${ownerToken}` } });
	return response.json();
}
const facts = async (query) => (await api(`/api/v1/memory${query || ''}`)).facts;
const idOf = async (words) => (await facts()).find((fact) => fact.text === words).id;
const known = (page) => Array.from(page.document.querySelectorAll('#known .fact > p'), (p) => p.textContent);

async function go(page, name, done) {
	page.document.getElementById(`tab-${name}`).click();
	await until(`the tab ${name}`, done);
}

/* ---- asking, and a node that goes away in the middle -------------------------------------- */

async function asks(page) {
	const { document } = page;
	fill(page, '#ask', 'Question', 'What was lunch with Ines?');
	key(page, '#question', 'Enter');
	await until('the answer has begun', () => text(page, '.talk .a').length > 0);
	assert.ok(document.getElementById('send').hidden && !document.getElementById('stop').hidden);
	await nodes('cut');
	await until('the page says so', () => text(page, '#away').startsWith('The node does not answer. Trying again'));
	assert.equal(text(page, '.talk .a'), '', 'half an answer stands there');
	await nodes('start');
	await until('the answer', () => document.getElementById('stop').hidden);
	assert.equal(text(page, '#notice'), '');
	assert.ok(document.getElementById('away').hidden);
	assert.equal(document.querySelectorAll('.talk .q').length, 1);
	assert.equal(text(page, '.talk .route'), 'Answered at home. Nothing left.');
	const sources = Array.from(document.querySelectorAll('.talk .sources li'), (li) => li.textContent);
	assert.ok(sources.some((source) => source.includes('<b>pumpkin</b> soup')), sources.join());
	/* In the zone of whoever looks: half past one in the night. */
	assert.ok(sources.some((source) => source.startsWith('Nov 20, 2026, 1:30')), sources.join());
	assert.equal(document.querySelector('.talk b'), null);
}

/* ---- memory ---------------------------------------------------------------------------------- */

const QUARRY = 'Works at the quarry', NURSE = 'Anna is a nurse', CHESS = 'Anna plays chess';
const HOSTILE = '<img src=x onerror="pwned=1"><script>pwned=1</script>';

async function openEditor(page, words) {
	const id = await idOf(words);
	press(page, `#edit-${id}`);
	assert.equal(page.document.activeElement, page.document.querySelector('form.edit select'));
	return id;
}

async function saved(page, words, told = 'Saved.') {
	press(page, 'form.edit button.primary');
	await until(words, () => text(page, '#told') === told && !page.document.querySelector('form.edit'));
}

async function seesMemory(page) {
	const { document } = page;
	await go(page, 'memory', () => known(page).length === 5);
	assert.deepEqual(Array.from(document.querySelectorAll('#known h2, #known h3'), (h) => h.textContent),
		['Profile', 'People', 'Anna']);
	assert.ok(known(page).includes(HOSTILE));
	assert.equal(document.querySelector('#panel-memory img, #panel-memory script'), null);
	const nurse = document.getElementById(`fact-${await idOf(NURSE)}`);
	assert.match(nurse.querySelector('.meta').textContent, /^since May 1, 2024 · you wrote it on /);
	checkNames(document);
}

async function changesMemory(page) {
	const { document } = page;
	/* It has changed, from now on. */
	const chess = await openEditor(page, CHESS);
	checkNames(document);
	fill(page, 'form.edit', 'What is true', 'Anna plays go');
	await saved(page, 'a change');
	const [go1] = (await facts()).filter((fact) => fact.text === 'Anna plays go');
	assert.equal(document.activeElement.id, `edit-${go1.id}`);
	assert.ok(go1.valid_from && !known(page).includes(CHESS));
	/* It was wrong: the date stays as it was, to the second. */
	const nurse = await openEditor(page, NURSE);
	fill(page, 'form.edit', 'What is to be done', 'correct');
	fill(page, 'form.edit', 'What is true', 'Anna is a midwife');
	await saved(page, 'a correction');
	const midwife = (await facts()).find((fact) => fact.text === 'Anna is a midwife');
	const [was] = await facts(`?id=${nurse}`);
	assert.equal(midwife.valid_from, was.valid_from);
	assert.ok(was.valid_to <= was.valid_from, 'it is said to have held');
	/* What the node will not take stands where they look, and their words stay. */
	await openEditor(page, 'Anna is a midwife');
	fill(page, 'form.edit', 'What is true', 'A'.repeat(401));
	press(page, 'form.edit button.primary');
	await until('why not', () => text(page, '.conflict').startsWith('text: one line of 1 to 400 bytes'));
	assert.equal(document.querySelector('form.edit textarea').value.length, 401);
	press(page, 'form.edit button', 'Cancel');
	/* Nothing changed: nothing is written. */
	await openEditor(page, 'Anna is a midwife');
	await saved(page, 'no change', 'Nothing was changed.');
	assert.equal(await idOf('Anna is a midwife'), midwife.id);
	/* It ends; what no longer holds is seen, and what became of it. */
	await openEditor(page, 'Anna plays go');
	fill(page, 'form.edit', 'What is to be done', 'end');
	await saved(page, 'an end', 'Ended.');
	document.getElementById('past').open = true;
	await until('the past', () => document.querySelectorAll('#past-list .fact').length === 3);
	const past = Array.from(document.querySelectorAll('#past-list .fact'), (li) => li.textContent);
	assert.ok(past.some((words) => words.startsWith(CHESS) && words.endsWith('to: Anna plays go')), past.join('\n'));
	assert.ok(document.getElementById(`fact-${chess}`));
	/* One is added, with words that Markdown would take apart; Escape leaves a form. */
	press(page, '#add-fact');
	key(page, 'form.edit', 'Escape');
	assert.equal(document.activeElement.id, 'add-fact');
	press(page, '#add-fact');
	fill(page, 'form.edit', 'What is true', `${HOSTILE} (since 2020-01-01) #employer ^f1`);
	fill(page, 'form.edit', 'Section', 'wishes');
	await saved(page, 'a new one');
	assert.ok(known(page).includes(`${HOSTILE} (since 2020-01-01) #employer ^f1`));
	assert.equal(document.querySelector('#panel-memory img, #panel-memory script'), null);
}

/* Somebody else was there first: both are shown, and the person says which holds. */
async function isMetByAnother(page) {
	const { document } = page;
	const bonn = await openEditor(page, 'Anna lives in Bonn');
	fill(page, 'form.edit', 'What is true', 'Anna lives in Kiel');
	await nodes(`import ## People|### Anna|- Anna lives in Ulm ^${bonn}`);
	/* A look elsewhere keeps what was typed. */
	await go(page, 'search', () => !document.getElementById('panel-search').hidden);
	await go(page, 'memory', () => !document.getElementById('panel-memory').hidden);
	press(page, 'form.edit button.primary');
	await until('the conflict', () => text(page, '.conflict').includes('changed'));
	assert.equal(text(page, '.conflict blockquote'), 'Anna lives in Ulm');
	assert.equal(document.querySelector('form.edit textarea').value, 'Anna lives in Kiel');
	assert.ok((await facts()).some((fact) => fact.text === 'Anna lives in Ulm'));
	press(page, '.conflict button', 'Put mine in its place');
	await until('mine', () => known(page).includes('Anna lives in Kiel'));
	const all = await facts('?history=1');
	const ulm = all.find((fact) => fact.text === 'Anna lives in Ulm');
	assert.equal(ulm.superseded_by, all.find((fact) => fact.text === 'Anna lives in Kiel').id);

	const kiel = await openEditor(page, 'Anna lives in Kiel');
	fill(page, 'form.edit', 'What is true', 'Anna lives in Jena');
	await nodes(`import ## People|### Anna|- Anna lives in Trier ^${kiel}`);
	press(page, 'form.edit button.primary');
	await until('the conflict', () => text(page, '.conflict').includes('changed'));
	press(page, '.conflict button', 'Keep that one');
	await until('theirs', () => known(page).includes('Anna lives in Trier'));
	assert.ok(!(await facts('?history=1')).some((fact) => fact.text === 'Anna lives in Jena'));

	/* The answer to an edit is lost: it is asked again, and was done once. */
	let lost = 0;
	page.answers = async (path, init, send) => {
		const response = await send();
		if (path !== '/api/v1/memory/change' || lost++ > 0)
			return response;
		throw new TypeError('gone');
	};
	await openEditor(page, 'Anna lives in Trier');
	fill(page, 'form.edit', 'What is true', 'Anna lives in Mainz');
	await saved(page, 'an edit whose answer was lost');
	page.answers = (path, init, send) => send();
	assert.equal(lost, 2);
	assert.equal((await facts('?history=1')).filter((fact) => fact.text === 'Anna lives in Mainz').length, 1);
}

async function decides(page) {
	const { document } = page;
	const shown = () => Array.from(document.querySelectorAll('#proposals .fact'), (li) => li.textContent);
	assert.equal(text(page, '#tab-memory'), 'Memory (2)');
	assert.match(shown()[0], /^Works at the millProfile · proposed by phone on .*Takes the place of: Works at the quarry/);
	/* What it would replace is changed meanwhile: nothing is decided unseen. */
	await nodes(`import ## Profile|- Works at the docks #employer ^${await idOf(QUARRY)}`);
	press(page, '#proposals button', 'Accept');
	await until('the warning', () => text(page, '#told').startsWith('What it would replace was changed'));
	assert.match(shown()[0], /Takes the place of: Works at the docks/);
	press(page, '#proposals button', 'Accept');
	await until('accepted', () => text(page, '#told') === 'Accepted.' && shown().length === 1);
	assert.ok(known(page).includes('Works at the mill') && !known(page).includes('Works at the docks'));
	/* Refused by the owner elsewhere: it is not accepted here. */
	await nodes(`refuse ${(await api('/api/v1/memory/proposals')).proposals[0].id}`);
	press(page, '#proposals button', 'Accept');
	await until('refused', () => text(page, '#told') === 'It was refused already.');
	assert.ok(document.getElementById('waits').hidden && !known(page).includes('Ines sings'));
	assert.equal(text(page, '#tab-memory'), 'Memory');
}

/* Only the night's facts have moments; here one is told to have two, of which one is gone. */
async function seesMoments(page) {
	const { document } = page;
	const { events } = await api('/api/v1/events?source=phone');
	page.answers = async (path, init, send) => {
		const response = await send();
		if (path !== '/api/v1/memory')
			return response;
		const answer = await response.json();
		answer.facts[0].about = [events[0].obs_id, '0'.repeat(32)];
		return Response.json(answer);
	};
	await go(page, 'memory', () => document.querySelector('#known .from'));
	page.answers = (path, init, send) => send();
	press(page, '#known .from summary');
	await until('the moments', () => document.querySelectorAll('#known .from li:not(.meta)').length === 1);
	assert.equal(text(page, '#known .from summary'), 'Where it comes from: 2 moments');
	assert.match(text(page, '#known .from ol'),
		/^Nov 20, 2026, 1:30.AM · text · phonelunch with Ines was <b>pumpkin<.b> soup.*A moment that is not there any more.$/);
	assert.equal(document.querySelector('#known b'), null);
}

async function waitsForTheNode(page) {
	const { document } = page;
	await nodes('kill');
	document.getElementById('tab-memory').click();
	await until('the page says so', () => text(page, '#away').startsWith('The node does not answer'));
	document.querySelector('#known').replaceChildren();
	await nodes('start');
	await until('it goes on by itself', () => known(page).length > 0);
	assert.ok(document.getElementById('away').hidden);
	assert.equal(text(page, '#notice'), '');
}

/* ---- models elsewhere, status --------------------------------------------------------------- */

async function asksElsewhere(page) {
	const { document } = page;
	await go(page, 'elsewhere', () => text(page, '#ledger') === 'Nothing has left, and nothing was to.');
	assert.match(text(page, '#leave'), /machines of your ownNothing may leave.To anybody else'sNothing may leave/);
	assert.equal(text(page, '#rules'), 'hearth asks nobody elsewhere');
	assert.match(text(page, '#panel-elsewhere'), /data-node cloud allow question text --trust home/);
	await nodes('elsewhere 5000');
	const answer = async () => {
		press(page, '#fresh');
		await go(page, 'ask', () => true);
		fill(page, '#ask', 'Question', 'What was lunch with Ines?');
		press(page, '#send');
		await until('an answer', () => text(page, '.talk .route'));
		return Array.from(document.querySelectorAll('.talk .route > *'), (node) => node.textContent);
	};
	const [where, moments, about] = await answer();
	assert.equal(where, 'Answered elsewhere, by self: a rule of yours sends hearth there.');
	assert.match(moments, /^\d+ moments? went along; stayed here: .*1 \(its source is to stay\)\.$/);
	assert.match(about, /^0 facts about you went along, \d+ stayed\.$/);
	await go(page, 'elsewhere', () => text(page, '#ledger .left'));
	assert.match(text(page, '#leave'), /May leave: your question, moments of text. ?Always stays: anything from diary/);
	assert.equal(text(page, '#rules'), 'hearth asks self, always');
	assert.match(text(page, '#upstreams'), /^self.* tiny .*Tokens today\d+ of 5,000.*Money today0, no limit/);
	assert.match(text(page, '#ledger .left'),
		/· youself was asked \(a rule of yours .*\): \d+ moments? \(text \d+\), [\d,]+ bytes, about [\d,]+ tokens$/);
	await nodes('elsewhere 10');
	assert.deepEqual(await answer(), ['Answered at home. Nothing left.',
		'Not by self: its tokens for the day are used up.']);
	/* Whatever may stand in the way has words. */
	const { reasonWords } = await import(`${page.dir}/web/route.js`);
	const codes = Array.from(readFileSync('data-node/cloud/route.h', 'utf8')
		.matchAll(/^\tX\([A-Z_]+, "([a-z-]+)"/gm), (match) => match[1]);
	assert.ok(codes.length > 20);
	for (const code of codes)
		assert.notEqual(reasonWords(code), code);
}

async function seesStatus(page) {
	key(page, '#tab-elsewhere', 'End');
	assert.equal(page.document.activeElement.id, 'tab-status');
	await until('the nodes', () => text(page, '#compute').startsWith('box: up, idle'));
	assert.equal(text(page, '#night'), 'It has not run through yet.');
	await nodes('night');
	key(page, '#tab-status', 'Home');
	assert.equal(page.document.activeElement.id, 'tab-ask');
	key(page, '#tab-ask', 'ArrowLeft');
	await until('the night', () => /^Last finished .*The last run wrote \d+ labels?\./.test(text(page, '#night')));
}

/* ---- other tokens ----------------------------------------------------------------------------- */

async function asDevices() {
	let page = await openPage(served, deviceToken);
	await go(page, 'memory', () => known(page).length > 3);
	assert.match(text(page, '#owner-no'), /^Only the owner's own token/);
	assert.ok(page.document.getElementById('owner-yes').hidden);
	assert.equal(page.document.querySelector('#known button'), null);
	assert.equal(text(page, '#tab-memory'), 'Memory');
	await go(page, 'elsewhere', () => text(page, '#elsewhere-no').startsWith("Only the owner's own token"));
	assert.ok(page.document.getElementById('elsewhere-yes').hidden);
	assert.equal(text(page, '#notice'), '');
	page = await openPage(served, limitedToken);
	await go(page, 'memory', () => text(page, '#memory-no').includes('a device that may only send'));
	assert.equal(text(page, '#notice'), '');
	page = await openPage(served, 'none-of-ours');
	await until('the gate', () => !page.document.getElementById('gate').hidden);
	assert.equal(text(page, '#notice'), 'This token is not valid here.');
	fill(page, '#gate', 'Token', ownerToken);
	press(page, '#gate button');
	await until('the page', () => !page.document.getElementById('panel-ask').hidden);
	return page;
}

/* Nothing that the page showed stays in the browser. */
function keepsNothing(page) {
	assert.deepEqual(Object.keys(page.window.localStorage), ['hearth-token']);
	assert.equal(page.window.sessionStorage.length, 0);
	assert.equal(page.document.cookie, '');
}

async function run() {
	let page = await openPage(served, ownerToken);
	await until('the light', () => text(page, '#light') === 'model ready');
	assert.equal(text(page, '#tab-memory'), 'Memory (2)');
	checkNames(page.document);
	await asks(page);
	await seesMemory(page);
	await changesMemory(page);
	await isMetByAnother(page);
	await decides(page);
	await seesMoments(page);
	await waitsForTheNode(page);
	await asksElsewhere(page);
	await seesStatus(page);
	checkNames(page.document);
	keepsNothing(page);
	page = await asDevices();
	keepsNothing(page);
}

run().then(() => {
	console.log('done');
	process.exit(0);
}, (error) => {
	console.error(error);
	process.exit(1);
});
