/*
 * The owner's page as the node serves it, run by node over a DOM without a screen: each
 * page has its own window and its own copy of the modules.  Its requests go to the node;
 * a test may look at them, lose their answers or put something into them.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const realFetch = globalThis.fetch;

export async function until(what, condition, seconds = 20) {
	for (const end = Date.now() + seconds * 1000;;) {
		const value = await condition();
		if (value)
			return value;
		assert.ok(Date.now() < end, `waited too long: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
}

/* The modules that `text` imports, and theirs, as files of `dir`. */
async function fetchModules(base, path, dir, seen) {
	if (seen.has(path))
		return;
	seen.add(path);
	const response = await realFetch(base + path);
	assert.equal(response.status, 200, path);
	assert.match(response.headers.get('content-type'), /^text\/javascript/, path);
	const text = await response.text();
	mkdirSync(join(dir, 'web'), { recursive: true });
	writeFileSync(join(dir, path), text);
	for (const [, name] of text.matchAll(/^(?:import|export) .*from "\.\/([^"]+)";$/gm))
		await fetchModules(base, '/web/' + name, dir, seen);
}

/* What the policy of the page forbids, and what would make it hard to use. */
function checkMarkup(document, policy) {
	assert.match(policy, /script-src 'self'/);
	assert.doesNotMatch(policy, /unsafe/);
	for (const node of document.querySelectorAll('*')) {
		for (const { name } of node.attributes)
			assert.ok(!name.startsWith('on') && name !== 'style', `${node.outerHTML}: inline`);
	}
	for (const script of document.querySelectorAll('script, style'))
		assert.ok(script.src && !script.textContent.trim(), 'inline script or style');
}

export function checkNames(document) {
	const ids = Array.from(document.querySelectorAll('[id]'), (node) => node.id);
	assert.equal(new Set(ids).size, ids.length, `ids stand twice: ${ids}`);
	for (const control of document.querySelectorAll('input, select, textarea'))
		assert.ok(control.labels.length > 0 && control.labels[0].textContent.trim(),
			`no label: ${control.outerHTML}`);
	for (const control of document.querySelectorAll('button, summary'))
		assert.ok(control.textContent.trim() || control.getAttribute('aria-label'),
			`no name: ${control.outerHTML}`);
	for (const attribute of ['aria-controls', 'aria-labelledby', 'aria-describedby']) {
		for (const node of document.querySelectorAll(`[${attribute}]`))
			assert.ok(document.getElementById(node.getAttribute(attribute)), node.outerHTML);
	}
}

/*
 * Open the page of the node at `base`, with that token in the browser ("": none).
 * `npm`: the folder with jsdom; `room`: one for the modules.  In what it gives back, `answers` may be set to a function
 * of (path, init, send) that answers requests; `requests` are the paths so far.
 */
export async function openPage({ npm, room, base }, token) {
	const { JSDOM, VirtualConsole } = createRequire(npm + '/')('jsdom');
	const served = await realFetch(base + '/');
	const { window } = new JSDOM(await served.text(),
		{ url: base + '/', pretendToBeVisual: true, virtualConsole: new VirtualConsole() });
	const { document } = window;
	checkMarkup(document, served.headers.get('content-security-policy'));
	if (token)
		window.localStorage.setItem('hearth-token', token);
	window.Element.prototype.scrollIntoView = () => {};
	const page = { window, document, requests: [], answers: (path, init, send) => send() };
	Object.assign(globalThis, { window, document, localStorage: window.localStorage,
		location: window.location });
	globalThis.fetch = (path, init) => {
		page.requests.push(path);
		return page.answers(path, init, () => realFetch(base + path, init));
	};
	const dir = mkdtempSync(join(room, 'page-'));
	const source = document.querySelector('script').getAttribute('src');
	await fetchModules(base, source, dir, new Set());
	writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
	await import(join(dir, source));
	page.dir = dir;
	return page;
}

/* ---- what a person does ------------------------------------------------------------------ */

export function text(page, selector) {
	const node = page.document.querySelector(selector);
	return node ? node.textContent.replace(/\s+/g, ' ').trim() : '';
}

export function press(page, selector, words) {
	const nodes = Array.from(page.document.querySelectorAll(selector));
	const node = words ? nodes.find((one) => one.textContent === words) : nodes[0];
	assert.ok(node, `no ${selector} ${words || ''}`);
	node.click();
}

export function fill(page, form, label, value) {
	const wrap = Array.from(page.document.querySelectorAll(`${form} label`))
		.find((one) => one.textContent.startsWith(label) && !one.hidden);
	assert.ok(wrap, `no field ${label}`);
	wrap.control.value = value;
	wrap.control.dispatchEvent(new page.window.Event('change', { bubbles: true }));
}

export function key(page, selector, name) {
	const event = new page.window.KeyboardEvent('keydown',
		{ key: name, bubbles: true, cancelable: true });
	page.document.querySelector(selector).dispatchEvent(event);
}
