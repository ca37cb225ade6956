/* Bundle: the numbers that its writer and its reader share. */
#ifndef STORE_BUNDLE_INNER_H
#define STORE_BUNDLE_INNER_H

#include "store/bundle.h"

#define BUNDLE_VERSION 1
#define BUNDLE_VARINT_BYTES 10

/* Flags of a record; those with a value stand in this order. */
enum bundle_flag {
	BUNDLE_SPAN = 1,
	BUNDLE_SUPERSEDES = 2,
	BUNDLE_SOURCE_SEQ = 4,
	BUNDLE_PULSE = 8,
	BUNDLE_CLIENT_ID = 16,
	BUNDLE_TEXT = 32,
	BUNDLE_DATA = 64,
	BUNDLE_EXTRA = 128,
	BUNDLE_END = 256,
	BUNDLE_GAP = 512,
	BUNDLE_PLACED = 1024,
	BUNDLE_LIMBO = 2048,
};
#define BUNDLE_FLAGS_ALL 4095u

#endif
