#!/usr/bin/env bash
# The official Model Context Protocol client reads the timeline, over HTTP with a
# token and over stdio through `data-node mcp`.
# shellcheck source=tests/support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

npm_packages mcp @modelcontextprotocol/sdk@1

data_init
data_start
post_json /api/v1/events '[{"source":"pen","id":"soup","layer":"text","kind":"note","start":"2026-11-19T12:00:00Z","text":"lentil soup at Ofelia"}]' >/dev/null

printf '## Preferences\n- Likes soup\n' | data_cli memory import - >/dev/null || fail 'memory import'

cat >"$NPM/client.mjs" <<'END'
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [way, target, extra] = process.argv.slice(2);
const transport = way === 'http'
	? new StreamableHTTPClientTransport(new URL(target), {
		requestInit: { headers: { Authorization: `Bearer ${extra}` } } })
	: new StdioClientTransport({ command: target, args: ['mcp', '--dir', extra] });
const client = new Client({ name: 'scenario', version: '1' });
await client.connect(transport);
const { tools } = await client.listTools();
console.log('tools', tools.map((tool) => tool.name).sort().join(' '));
const found = await client.callTool({ name: 'search_timeline', arguments: { query: 'soup' } });
console.log('found', JSON.parse(found.content[0].text).results[0].id);
const day = { from: '2026-11-19T00:00:00Z', to: '2026-11-20T00:00:00Z' };
const events = await client.callTool({ name: 'read_events', arguments: day });
console.log('events', JSON.parse(events.content[0].text).events.length);
await client.callTool({ name: 'memory_propose', arguments: { class: 'profile', text: `Is known over ${way}` } });
const known = await client.callTool({ name: 'memory_read', arguments: {} });
console.log('memory', JSON.parse(known.content[0].text).facts.map((fact) => fact.text).join());
const bad = await client.callTool({ name: 'read_events', arguments: { from: 'x', to: 'y' } });
console.log('bad', bad.isError);
await client.close();
END

want='tools memory_propose memory_read read_episodes read_events read_slices search_timeline
found soup
events 1
memory Likes soup
bad true'
expect 'over HTTP' "$(timeout 60 node "$NPM/client.mjs" http "http://127.0.0.1:$DATA_PORT/mcp" "$TOKEN")" "$want"
expect 'over stdio' "$(timeout 60 node "$NPM/client.mjs" stdio "$DATA" "$T/data")" "$want"

# What an agent proposes waits for the owner.
expect 'proposals' "$(data_cli memory proposals --json | jq -r '.proposals | map(.by + " " + .text) | join(", ")')" 'agent Is known over http, agent Is known over stdio'
data_cli memory accept f2 || fail 'memory accept'
data_cli memory refuse f3 || fail 'memory refuse'
data_cli memory | grep -q 'Is known over http' || fail 'what was accepted is not known'
data_cli memory | grep -q 'over stdio' && fail 'what was refused is known'

# One program for the agent's whole life, while the node comes and goes as it likes;
# it holds nothing, so the node starts beside it.
node_stop data
ask='{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"search_timeline","arguments":{"query":"soup"}}}\n'
mkfifo "$T/in"
"$DATA" mcp --dir "$T/data" <"$T/in" >"$T/answers" &
agent=$!
exec 5>"$T/in"
answered() { [ "$(wc -l <"$T/answers")" = "$1" ]; }
# shellcheck disable=SC2059
printf "$ask" 1 >&5
wait_until 20 'an answer while nothing serves' answered 1
data_start 5>&-
# shellcheck disable=SC2059
printf "$ask" 2 >&5
wait_until 20 'an answer of the node' answered 2
node_stop data
data_start 5>&-
# shellcheck disable=SC2059
printf "$ask" 3 >&5
wait_until 20 'an answer after its restart' answered 3
exec 5>&-
wait $agent || fail 'the end of its input is no failure'
expect 'answers' "$(jq -r '.result.content[0].text | fromjson | .results[0].id' "$T/answers" | sort -u)" soup
expect 'their ids' "$(jq .id "$T/answers" | paste -sd ' ')" '1 2 3'
# What does not get through is answered all the same.
none=$(echo '{"jsonrpc":"2.0","id":"x","method":"ping"}' | "$DATA" mcp --dir "$T/none")
expect 'no node at all' "$(jq -c '[.id, .error.code]' <<<"$none")" '["x",-32000]'

# Without a token, and with one that may only send events, nothing is said.
expect 'no token' "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:$DATA_PORT/mcp" -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}')" 401
LIMITED=$("$DATA" device add sensor --layers environment --dir "$T/data" | sed -n 's/.*token: //p' | head -n 1)
expect 'a limited token' "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:$DATA_PORT/mcp" -H "Authorization: Bearer $LIMITED" -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}')" 403
