/*
 * Is this libzmq fit for us: CURVE built in, and its primitives libsodium's
 * (a libzmq without libsodium brings a slow substitute of its own).  Asks the
 * dynamic section of the object that zmq_version() is in for what it needs.
 */
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <zmq.h>

#include "wire/key.h"

struct search {
	uintptr_t address; /* in the object that is meant */
	bool found;        /* the object */
	bool sodium;
};

static bool covers(const struct dl_phdr_info *info, uintptr_t address)
{
	for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + phdr->p_vaddr;
		if (phdr->p_type == PT_LOAD && address >= start && address - start < phdr->p_memsz)
			return true;
	}
	return false;
}

static bool needs_sodium(const ElfW(Dyn) * dynamic, uintptr_t base)
{
	uintptr_t strings = 0;

	for (const ElfW(Dyn) *dyn = dynamic; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_STRTAB)
			strings = (uintptr_t)dyn->d_un.d_ptr;
	}
	if (strings == 0)
		return false;
	if (strings < base)
		strings += base; /* not relocated by this loader */
	for (const ElfW(Dyn) *dyn = dynamic; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_NEEDED &&
		    strstr((const char *)(strings + dyn->d_un.d_val), "libsodium") != NULL)
			return true;
	}
	return false;
}

static int look(struct dl_phdr_info *info, size_t len, void *ctx)
{
	struct search *search = ctx;

	(void)len;
	if (!covers(info, search->address))
		return 0;
	search->found = true;
	for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		if (phdr->p_type == PT_DYNAMIC)
			search->sodium = needs_sodium(
			    (const ElfW(Dyn) *)(info->dlpi_addr + phdr->p_vaddr), info->dlpi_addr);
	}
	return 1;
}

enum rc wire_check_curve(struct errmsg *why)
{
	struct search search = { .address = (uintptr_t)&zmq_version };

	if (zmq_has("curve") != 1)
		return errmsg_rc(why, RC_CONFIG, "this libzmq was built without CURVE");
	(void)dl_iterate_phdr(look, &search);
	if (!search.found || !search.sodium)
		return errmsg_rc(why, RC_CONFIG, "this libzmq is not linked to libsodium");
	return RC_OK;
}
