/* The table behind type.h. */
#include "model/type.h"

static const struct type_info types[TYPE_NUMBER_MAX + 1] = {
#define X(name, number, block, bytes) [number] = { #name, block, bytes },
	TYPE_LIST(X)
#undef X
};

const struct type_info *type_info(uint32_t number)
{
	if (number > TYPE_NUMBER_MAX || types[number].name == NULL)
		return NULL;
	return &types[number];
}

size_t type_row_bytes(enum tensor_type type, size_t n)
{
	const struct type_info *info = &types[type];

	return n / info->block * info->block_bytes;
}
