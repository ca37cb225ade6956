#!/usr/bin/env bash
# The official npm client of the OpenAI API against both real nodes and a model of random
# weights: chat, streams, structured output, tools, embeddings, responses, and errors.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

npm_packages openai openai@6
start_with_models

cat >"$NPM/openai.mjs" <<'END'
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const [baseURL, apiKey, embeds] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is it?' }];
const base = { model: 'tiny', messages, seed: 5, max_tokens: 24 };
const done = (what) => console.log(what);

const whole = await client.chat.completions.create(base);
assert.equal(whole.choices[0].message.role, 'assistant');
assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
let text = '', last;
for await (const chunk of await client.chat.completions.create(
	{ ...base, stream: true, stream_options: { include_usage: true } })) {
	text += chunk.choices[0]?.delta?.content ?? '';
	last = chunk;
}
assert.equal(text, whole.choices[0].message.content);
assert.deepEqual(last.choices, []);
assert.ok(last.usage.completion_tokens > 0);
const several = await client.chat.completions.create({ ...base, n: 3, temperature: 1 });
assert.deepEqual(several.choices.map((choice) => choice.index), [0, 1, 2]);
assert.equal(new Set(several.choices.map((choice) => choice.message.content)).size, 3);
const sure = await client.chat.completions.create(
	{ ...base, max_tokens: 5, logprobs: true, top_logprobs: 3 });
assert.equal(sure.choices[0].logprobs.content.length, sure.usage.completion_tokens);
for (const token of sure.choices[0].logprobs.content) {
	assert.ok(token.logprob <= 0 && token.top_logprobs.length === 3);
	assert.ok(token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob);
}
assert.equal((await client.models.retrieve('tiny')).owned_by, 'compute-node');
await assert.rejects(client.models.retrieve('none/such'), (error) => error.status === 404);
const old = await client.completions.create(
	{ model: 'tiny', prompt: 'the day', max_tokens: 5, logprobs: 2 });
assert.equal(old.choices[0].logprobs.tokens.length, old.usage.completion_tokens);
assert.equal(old.choices[0].logprobs.text_offset[0], 0);
for (const top of old.choices[0].logprobs.top_logprobs) assert.ok(Object.keys(top).length >= 1);
done('chat');

const schema = { type: 'object', additionalProperties: false, required: ['city', 'days', 'kind'],
	properties: { city: { type: 'string', maxLength: 8 },
		days: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 31 }, maxItems: 3 },
		kind: { anyOf: [{ const: 'work' }, { type: 'null' }] } } };
const check = (value) => {
	assert.deepEqual(Object.keys(value), ['city', 'days', 'kind']);
	assert.ok([...value.city].length <= 8 && value.days.every((d) => d >= 0 && d <= 31));
	assert.ok(value.kind === null || value.kind === 'work');
};
const response_format = { type: 'json_schema', json_schema: { name: 'stay', strict: true, schema } };
const free = { ...base, max_tokens: 300, temperature: 1.2 };
for (let seed = 0; seed < 3; seed++) {
	const parsed = await client.chat.completions.parse({ ...free, seed, response_format });
	check(parsed.choices[0].message.parsed);
}
const runner = client.chat.completions.stream({ ...free, model: 'hearth', response_format });
check(JSON.parse((await runner.finalChatCompletion()).choices[0].message.content));
const short = await client.chat.completions.create(
	{ ...base, max_tokens: 3, response_format });
assert.equal(short.choices[0].finish_reason, 'length');
assert.ok(short.choices[0].message.content.startsWith('{'));
const any = await client.chat.completions.create(
	{ ...base, max_tokens: 200, response_format: { type: 'json_object' } });
assert.ok(any.choices[0].message.content.startsWith('{'));
if (any.choices[0].finish_reason === 'stop') JSON.parse(any.choices[0].message.content);
done('structured output');

const tools = [
	{ type: 'function', function: { name: 'get_weather', strict: true, parameters: schema } },
	{ type: 'function', function: { name: 'wait' } }];
const tool_choice = { type: 'function', function: { name: 'get_weather' } };
const called = await client.chat.completions.create({ ...free, tools, tool_choice });
const [call] = called.choices[0].message.tool_calls;
assert.equal(called.choices[0].finish_reason, 'tool_calls');
assert.equal(call.function.name, 'get_weather');
check(JSON.parse(call.function.arguments));
const calls = client.chat.completions.stream(
	{ ...free, tools, tool_choice: 'required', parallel_tool_calls: false });
const final = await calls.finalChatCompletion();
assert.ok(['get_weather', 'wait'].includes(final.choices[0].message.tool_calls[0].function.name));
assert.equal(final.choices[0].message.tool_calls.length, 1);
assert.equal(final.choices[0].finish_reason, 'tool_calls');
const again = await client.chat.completions.create({ ...base, tools, messages: [...messages,
	called.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' }],
	tool_choice: 'none' });
assert.equal(again.choices[0].message.tool_calls, undefined);
done('tools');

const answer = await client.responses.create({ model: 'tiny', input: 'What is it?',
	instructions: 'Be brief.', max_output_tokens: 16 });
assert.equal(answer.output[0].type, 'message');
assert.equal(typeof answer.output_text, 'string');
const typed = client.responses.stream({ model: 'tiny', input: messages, max_output_tokens: 300,
	text: { format: { type: 'json_schema', name: 'stay', strict: true, schema } } });
const types = new Set();
for await (const event of typed) types.add(event.type);
check(JSON.parse((await typed.finalResponse()).output_text));
for (const type of ['response.created', 'response.output_text.delta', 'response.completed'])
	assert.ok(types.has(type), type);
const flat = tools.map((tool) => ({ type: 'function', strict: false, parameters: {}, ...tool.function }));
const acted = await client.responses.create({ model: 'tiny', input: 'Go', tools: flat,
	tool_choice: { type: 'function', name: 'get_weather' }, max_output_tokens: 300 });
assert.equal(acted.output[0].type, 'function_call');
check(JSON.parse(acted.output[0].arguments));
await client.responses.create({ model: 'tiny', max_output_tokens: 8, tools: flat, input: [
	{ role: 'user', content: 'Go' }, acted.output[0],
	{ type: 'function_call_output', call_id: acted.output[0].call_id, output: 'sunny' }] });
done('responses');

const refused = async (promise, status, param) => {
	const error = await promise.then(() => assert.fail('not refused'), (e) => e);
	assert.equal(error.status, status, error.message);
	assert.equal(error.param, param);
};
const bad = (inner) => client.chat.completions.create({ ...base, response_format:
	{ type: 'json_schema', json_schema: { name: 'x', schema: inner } } });
await refused(bad({ type: 'object', patternProperties: {} }), 400, 'response_format');
await refused(bad({ $ref: '#' }), 400, 'response_format');
await refused(client.chat.completions.create({ ...base, tools: [{ type: 'function',
	function: { name: 'no good' } }] }), 400, 'tools[0].function.name');
await refused(client.responses.create({ model: 'tiny', input: 'x', previous_response_id: 'resp_1' }),
	400, 'previous_response_id');
done('errors');

if (embeds) {
	const one = await client.embeddings.create({ model: 'bert-mean', input: 'a small test' });
	const square = one.data[0].embedding.reduce((sum, x) => sum + x * x, 0);
	assert.ok(Math.abs(square - 1) < 1e-4); // base64 on the wire, floats here
}
done('embeddings');
END

want='chat
structured output
tools
responses
errors
embeddings'
got=$(timeout 100 node "$NPM/openai.mjs" "$(url /v1)" "$TOKEN" "${EMBEDDER:+yes}" 2>"$T/node.err") || {
	cat "$T/node.err"
	fail "the client stopped after: $(tail -n 1 <<<"$got")"
}
expect 'what the client did' "$got" "$want"

# Without a model there is no prose in place of a format.
node_stop box
asks_format='{"model":"hearth","messages":[{"role":"user","content":"soup"}],"response_format":{"type":"json_object"}}'
away() { [ "$(status_of POST /v1/chat/completions -H 'Content-Type: application/json' -d "$asks_format")" = 503 ]; }
wait_until 30 'a format without a model is 503' away
