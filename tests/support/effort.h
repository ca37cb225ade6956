/*
 * How much a long test does.  A build whose memory accesses are watched for races is
 * twenty times slower, and finds them in the first rounds or not at all.
 */
#ifndef SUPPORT_EFFORT_H
#define SUPPORT_EFFORT_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_THREAD__)
#define EFFORT_WATCHED true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EFFORT_WATCHED true
#endif
#endif
#ifndef EFFORT_WATCHED
#define EFFORT_WATCHED false
#endif

/* Rounds of `whole` that are worth it; at least one. */
static inline size_t effort(size_t whole)
{
	return EFFORT_WATCHED ? (whole + 7) / 8 : whole;
}

#endif
