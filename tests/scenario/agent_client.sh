#!/usr/bin/env bash
# An agent made with the AI SDK (npm: ai, @ai-sdk/openai-compatible) against both real nodes:
# streams, objects, a loop with tools whose long head is computed once, embeddings.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

npm_packages agent ai@6 @ai-sdk/openai-compatible@2 zod@4
start_with_models

cat >"$NPM/agent.mjs" <<'END'
import assert from 'node:assert/strict';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embed, generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

const [baseURL, apiKey, embeds] = process.argv.slice(2);
const station = createOpenAICompatible(
	{ name: 'hearth', baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const model = station('tiny');
const done = (what) => console.log(what);

const stream = streamText({ model, prompt: 'What is it?', maxOutputTokens: 16, seed: 5 });
let text = '';
for await (const piece of stream.textStream) text += piece;
const usage = await stream.usage;
assert.ok(text.length > 0 && usage.inputTokens > 0 && usage.outputTokens > 0);
done('stream');

const stay = z.object({ city: z.enum(['Graz', 'Linz']), nights: z.number().int().min(1).max(9) });
const { object } = await generateObject(
	{ model, schema: stay, prompt: 'Where to?', temperature: 1.3, seed: 7, maxOutputTokens: 200 });
stay.parse(object);
done('object');

const asked = [];
const head = 'You are an agent of a home. '.repeat(120);
const act = async (prompt) => await generateText({
	model, system: head, prompt, maxOutputTokens: 200, temperature: 1, seed: 11,
	tools: { book: tool({ description: 'Book a stay', inputSchema: stay,
		execute: async (input) => { asked.push(stay.parse(input)); return 'booked'; } }) },
	stopWhen: stepCountIs(2),
	prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }) });
const first = await act('Book something.');
assert.equal(first.steps.length, 2);
assert.equal(first.steps[0].finishReason, 'tool-calls');
assert.equal(first.steps[0].toolResults[0].output, 'booked');
const next = await act('Book something else.');
assert.equal(asked.length, 2);
const { cachedInputTokens, inputTokens } = next.steps[0].usage;
assert.ok(cachedInputTokens > inputTokens * 0.7, `${cachedInputTokens} of ${inputTokens}`);
done('tools');

const hearth = await generateText(
	{ model: station('hearth'), prompt: 'What did I say?', maxOutputTokens: 8 });
assert.equal(hearth.response.body.hearth.mode, 'full');
done('hearth');

if (embeds) {
	const { embedding } = await embed(
		{ model: station.textEmbeddingModel('bert-mean'), value: 'a small test' });
	assert.ok(embedding.length > 0);
}
done('embeddings');
END

want='stream
object
tools
hearth
embeddings'
got=$(timeout 100 node "$NPM/agent.mjs" "$(url /v1)" "$TOKEN" "${EMBEDDER:+yes}" 2>"$T/node.err") || {
	cat "$T/node.err"
	fail "the agent stopped after: $(tail -n 1 <<<"$got")"
}
expect 'what the agent did' "$got" "$want"
