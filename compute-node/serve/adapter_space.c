/* Places in one piece of memory, first fit. */
#include "serve/adapter_space.h"

#include <assert.h>
#include <string.h>

#include "base/wipe.h"
#include "model/adapter.h"
#include "os/pages.h"

enum rc adapter_space_init(struct adapter_space *space, size_t len)
{
	*space = (struct adapter_space){ .len = len / ADAPTER_ALIGN * ADAPTER_ALIGN };
	if (space->len == 0)
		return RC_OK;
	space->bytes = pages_take(space->len);
	return space->bytes != NULL ? RC_OK : RC_NOMEM;
}

void adapter_space_fini(struct adapter_space *space)
{
	if (space->bytes != NULL)
		wipe(space->bytes, space->len);
	pages_give(space->bytes, space->len);
	*space = (struct adapter_space){ 0 };
}

uint8_t *adapter_space_take(struct adapter_space *space, size_t len)
{
	size_t at = 0, i = 0;

	if (len > space->len || space->n == LEASES_MAX)
		return NULL;
	len = (len + ADAPTER_ALIGN - 1) / ADAPTER_ALIGN * ADAPTER_ALIGN;
	while (i < space->n && space->places[i].at - at < len) {
		at = space->places[i].at + space->places[i].len;
		i++;
	}
	if (space->len - at < len)
		return NULL;
	memmove(
	    space->places + i + 1, space->places + i, (space->n - i) * sizeof(space->places[0]));
	space->places[i] = (struct adapter_place){ at, len };
	space->n++;
	return space->bytes + at;
}

void adapter_space_give(struct adapter_space *space, const uint8_t *place)
{
	size_t i = 0;

	while (i < space->n && space->bytes + space->places[i].at != place)
		i++;
	assert(i < space->n);
	space->n--;
	memmove(
	    space->places + i, space->places + i + 1, (space->n - i) * sizeof(space->places[0]));
}
