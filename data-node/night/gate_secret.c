/*
 * Gate: what opens something is nobody's note, whoever said it.
 *
 * Passwords and one-time codes are known by the words around them, cards and accounts by
 * their check digits, keys by what they look like.
 */
#include "night/gate.h"

#include <string.h>

#define FOLDED_BYTES 4096
#define CARD_DIGITS_MIN 13
#define CARD_DIGITS_MAX 19
#define IBAN_CHARS_MIN 15
#define IBAN_CHARS_MAX 34
#define KEY_CHARS_MIN 20

/* Folded, between blanks. */
static const char *const words_of_secrets[] = { " password ", " passwords ", " passwd ", " pwd ",
	" passphrase ", " passcode ", " passwort ", " passworter ", " kennwort ", " contrasena ",
	" contrasenas ", " clave ", " mot de passe ", " senha ", " wachtwoord ", " parola ",
	" парол", " pin ", " pins ", " tan ", " cvv ", " cvc ", " otp ", " 2fa ", " totp ",
	" one time code ", " verification code ", " security code ", " access code ",
	" login code ", " door code ", " recovery code ", " recovery key ", " seed phrase ",
	" private key ", " secret key ", " api key ", " access token ", " bearer ", " geheimzahl ",
	" sicherheitscode ", " bestatigungscode ", " zugangscode ", " einmalcode ",
	" codigo de verificacion ", " code de verification ", " code secret ", " iban ",
	" kreditkarte ", " kreditkartennummer ", " credit card ", " card number ",
	" social security ", " ssn " };

/* In scripts without spaces, as they stand. */
static const char *const dense_secrets[] = { "密码", "密碼", "验证码", "驗證碼", "口令",
	"パスワード", "暗証番号", "비밀번호", "인증번호" };

static const char *const key_starts[] = { "sk-", "ghp_", "gho_", "github_pat_", "glpat-", "xox",
	"AKIA", "ASIA", "eyJ", "ya29.", "AIza", "ssh-rsa", "ssh-ed25519", "-----BEGIN", "npm_",
	"hf_" };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* ISO/IEC 7812: every second digit from the right counts twice. */
static bool luhn_holds(const char *digits, size_t len)
{
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(digits[len - 1 - i] - '0');
		if (i % 2 == 1)
			digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
		sum += digit;
	}
	return sum % 10 == 0;
}

/* A run of digits with single blanks, dots or dashes between, any part of which is a card's. */
static bool has_card(const char *text)
{
	char digits[64];
	size_t len = 0;

	for (;; text++) {
		if (is_digit(*text)) {
			if (len == sizeof digits)
				return true; /* no number that anybody says */
			digits[len++] = *text;
			continue;
		}
		if (len > 0 && *text != '\0' && strchr(" .-/", *text) != NULL && is_digit(text[1]))
			continue;
		for (size_t n = CARD_DIGITS_MIN; n <= CARD_DIGITS_MAX; n++) {
			for (size_t at = 0; at + n <= len; at++) {
				if (luhn_holds(digits + at, n))
					return true;
			}
		}
		len = 0;
		if (*text == '\0')
			return false;
	}
}

/* ISO 13616: the first four moved behind, letters as 10 to 35, 1 modulo 97. */
static bool iban_holds(const char *chars, size_t len)
{
	unsigned rest = 0;

	for (size_t i = 0; i < len; i++) {
		char c = chars[(i + 4) % len];
		if (is_digit(c))
			rest = (rest * 10 + (unsigned)(c - '0')) % 97;
		else
			rest = (rest * 100 + (unsigned)((c | 0x20) - 'a') + 10) % 97;
	}
	return rest == 1;
}

static bool has_iban(const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		char chars[IBAN_CHARS_MAX];
		size_t len = 0;
		bool begins = p == text || !is_alnum(p[-1]);
		if (!begins || !is_alnum(p[0]) || is_digit(p[0]) || !is_alnum(p[1]) ||
		    is_digit(p[1]) || !is_digit(p[2]) || !is_digit(p[3]))
			continue;
		for (const char *q = p; len < IBAN_CHARS_MAX; q++) {
			if (is_alnum(*q))
				chars[len++] = *q;
			else if (*q != ' ' || !is_alnum(q[1]))
				break;
			if (len >= IBAN_CHARS_MIN && iban_holds(chars, len))
				return true;
		}
	}
	return false;
}

static bool is_key_char(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("-_+=", c) != NULL);
}

/* A long run of letters and digits mixed, or a word that begins as keys do. */
static bool has_key(const char *text)
{
	for (const char *p = text; *p != '\0';) {
		size_t len = 0, digits = 0, letters = 0;
		for (; is_key_char(p[len]); len++) {
			digits += is_digit(p[len]);
			letters += is_alnum(p[len]) && !is_digit(p[len]);
		}
		if (len >= KEY_CHARS_MIN && digits >= 2 && letters >= 2)
			return true;
		for (size_t i = 0; i < sizeof key_starts / sizeof key_starts[0]; i++) {
			size_t n = strlen(key_starts[i]);
			if (strncmp(p, key_starts[i], n) == 0 && len > n + 3)
				return true;
		}
		p += len > 0 ? len : 1;
	}
	return strstr(text, "-----BEGIN") != NULL;
}

/* "my code is 482913": a code of four to eight digits beside the word. */
static bool has_code(const char *folded)
{
	if (strstr(folded, " code ") == NULL && strstr(folded, " codigo ") == NULL)
		return false;
	for (const char *p = folded; *p != '\0'; p += *p != '\0') {
		size_t len = strspn(p, "0123456789");
		if (len >= 4 && len <= 8 && p[len] == ' ' && p > folded && p[-1] == ' ')
			return true;
		p += len;
	}
	return false;
}

enum gate gate_secrets(struct words *words, const char *text)
{
	char folded[FOLDED_BYTES];

	if (has_card(text) || has_iban(text) || has_key(text) ||
	    words_fold(words, text, folded, sizeof folded) != RC_OK || has_code(folded))
		return GATE_SECRET;
	for (size_t i = 0; i < sizeof words_of_secrets / sizeof words_of_secrets[0]; i++) {
		if (strstr(folded, words_of_secrets[i]) != NULL)
			return GATE_SECRET;
	}
	for (size_t i = 0; i < sizeof dense_secrets / sizeof dense_secrets[0]; i++) {
		if (strstr(text, dense_secrets[i]) != NULL)
			return GATE_SECRET;
	}
	return GATE_PASSED;
}
