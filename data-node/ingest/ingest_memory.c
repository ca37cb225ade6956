/*
 * Ingest memory: JSON parsing that survives a failing allocation.
 *
 * jansson's lexer goes on after one with a token cut short and reads past its
 * end.  So its allocator is ours: while a text is parsed, blocks hang on a list
 * of the thread, and an allocation that fails leaves the parser for good and
 * frees the list.  At all other times it is malloc with a small head.
 */
#include <setjmp.h>
#include <stdalign.h>
#include <stdlib.h>

#include "ingest/ingest_internal.h"

struct block {
	alignas(max_align_t) struct block *next; /* NULL: on no list */
	struct block *prev;
};

static _Thread_local struct {
	struct block list; /* circular; next is NULL when nothing is parsed */
	jmp_buf out_of_memory;
} parsing;

static void *block_new(size_t size)
{
	struct block *list = &parsing.list;
	struct block *block =
	    size > SIZE_MAX - sizeof(*block) ? NULL : malloc(sizeof(*block) + size);

	if (block == NULL && list->next != NULL)
		longjmp(parsing.out_of_memory, 1);
	if (block == NULL)
		return NULL;
	block->next = block->prev = NULL;
	if (list->next != NULL) {
		block->next = list->next;
		block->prev = list;
		block->next->prev = list->next = block;
	}
	return block + 1;
}

static void block_free(void *pointer)
{
	if (pointer == NULL)
		return;
	struct block *block = (struct block *)pointer - 1;
	if (block->next != NULL) {
		block->next->prev = block->prev;
		block->prev->next = block->next;
	}
	free(block);
}

/* Before anything of jansson's is allocated. */
__attribute__((constructor)) static void allocator_set(void)
{
	json_set_alloc_funcs(block_new, block_free);
}

/* The list ends; its blocks are freed, or live on by themselves. */
static void list_end(bool release)
{
	struct block *list = &parsing.list, *block = list->next;

	while (block != list) {
		struct block *next = block->next;
		block->next = block->prev = NULL;
		if (release)
			free(block);
		block = next;
	}
	list->next = list->prev = NULL;
}

enum rc ingest_memory_load(const char *text, size_t len, json_t **out, json_error_t *error)
{
	parsing.list.next = parsing.list.prev = &parsing.list;
	if (setjmp(parsing.out_of_memory) != 0) {
		list_end(true);
		return RC_NOMEM;
	}
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, error);
	list_end(false);
	if (value == NULL)
		return RC_INVALID;
	*out = value;
	return RC_OK;
}
