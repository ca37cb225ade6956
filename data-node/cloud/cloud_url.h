/*
 * Cloud URL: which addresses an upstream may have.
 *
 * https anywhere; http for a server of the owner's own (trust "home") on loopback or a
 * private address that is written as one, since a name may come to mean another machine.
 */
#ifndef CLOUD_CLOUD_URL_H
#define CLOUD_CLOUD_URL_H

#include "cloud/cloud_policy.h"

/* RC_CONFIG says what is wrong.  Pure. */
enum rc cloud_url_check(const char *url, enum cloud_trust trust, struct errmsg *why) RC_CHECK;

#endif
