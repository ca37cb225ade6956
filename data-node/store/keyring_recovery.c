/*
 * Recovery key: as it is written on paper.
 *
 * Crockford's base32 (no I, L, O, U; case and those that look alike do not
 * matter): 32 digits of the secret and 4 that check the typing, in groups of 4.
 */
#include <sodium.h>
#include <string.h>

#include "base/wipe.h"
#include "store/keyring_internal.h"

#define DIGITS (KEYRING_RECOVERY_BYTES * 8 / 5)
#define CHECK_DIGITS 4
#define GROUP 4

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

_Static_assert((DIGITS + CHECK_DIGITS) / GROUP * (GROUP + 1) == KEYRING_RECOVERY_TEXT_BYTES,
    "groups, dashes between them, NUL");

/* The first 20 bits of a hash. */
static uint32_t check_of(const uint8_t secret[KEYRING_RECOVERY_BYTES])
{
	static const uint8_t use[] = "recovery key check";
	uint8_t hash[crypto_generichash_BYTES_MIN];

	(void)crypto_generichash(
	    hash, sizeof(hash), secret, KEYRING_RECOVERY_BYTES, use, sizeof(use) - 1);
	return (uint32_t)hash[0] << 12 | (uint32_t)hash[1] << 4 | hash[2] >> 4;
}

static unsigned digit_at(const uint8_t *secret, unsigned i)
{
	unsigned bit = 5 * i, byte = bit / 8, shift = bit % 8;
	unsigned pair = (unsigned)secret[byte] << 8 |
			(byte + 1 < KEYRING_RECOVERY_BYTES ? secret[byte + 1] : 0);

	return pair >> (11 - shift) & 31;
}

void keyring_recovery_format(
    const uint8_t secret[KEYRING_RECOVERY_BYTES], char out[KEYRING_RECOVERY_TEXT_BYTES])
{
	uint32_t check = check_of(secret);

	for (unsigned i = 0; i < DIGITS + CHECK_DIGITS; i++) {
		unsigned digit = i < DIGITS ? digit_at(secret, i)
					    : check >> (5 * (DIGITS + CHECK_DIGITS - 1 - i)) & 31;
		if (i > 0 && i % GROUP == 0)
			*out++ = '-';
		*out++ = alphabet[digit];
	}
	*out = '\0';
}

/* -1: no digit. */
static int digit_of(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'I' || c == 'L')
		c = '1';
	if (c == 'O')
		c = '0';
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);
	return at == NULL ? -1 : (int)(at - alphabet);
}

enum rc keyring_recovery_parse(
    const char *text, size_t len, uint8_t secret[KEYRING_RECOVERY_BYTES], struct errmsg *why)
{
	uint32_t check = 0;
	unsigned n = 0;

	memset(secret, 0, KEYRING_RECOVERY_BYTES);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '-' || text[i] == ' ' || text[i] == '\t')
			continue;
		int digit = digit_of(text[i]);
		if (digit < 0 || n == DIGITS + CHECK_DIGITS) {
			n = 0;
			break;
		}
		if (n >= DIGITS)
			check = check << 5 | (uint32_t)digit;
		for (unsigned b = 0; b < 5 && n < DIGITS; b++) {
			unsigned bit = 5 * n + b;
			secret[bit / 8] |=
			    (uint8_t)(((unsigned)digit >> (4 - b) & 1) << (7 - bit % 8));
		}
		n++;
	}
	if (n == DIGITS + CHECK_DIGITS && check == check_of(secret))
		return RC_OK;
	wipe(secret, KEYRING_RECOVERY_BYTES);
	return errmsg_rc(why, RC_DENIED,
	    n == DIGITS + CHECK_DIGITS
		? "the recovery key is mistyped: its last digits do not fit the others"
		: "the recovery key is mistyped: it has nine groups of four digits and letters");
}
