/* Spend: prices, budgets, local days. */
#include "cloud/spend.h"

#include "base/clock.h"
#include "base/timestamp.h"

#define MILLION 1000000
#define TOKENS_MAX (INT64_C(1) << 40)

/* Rounded up.  Of prices up to CLOUD_PRICE_MAX nothing here overflows. */
static int64_t price(int64_t tokens, int64_t micros_per_million)
{
	int64_t n = tokens < TOKENS_MAX ? tokens : TOKENS_MAX;

	return n / MILLION * micros_per_million +
	       (n % MILLION * micros_per_million + MILLION - 1) / MILLION;
}

int64_t spend_micros(const struct cloud_budget *budget, int64_t in, int64_t out)
{
	return price(in, budget->in_micros) + price(out, budget->out_micros);
}

static bool over(int64_t limit, int64_t spent, int64_t more)
{
	return limit != 0 && (spent > limit || more > limit - spent);
}

enum spend_limit spend_check(const struct cloud_budget *budget, const struct spend *day,
    const struct spend *month, int64_t in, int64_t out)
{
	int64_t micros = spend_micros(budget, in, out);

	if (over(budget->day_tokens, day->in + day->out, in + out))
		return SPEND_DAY_TOKENS;
	if (over(budget->month_tokens, month->in + month->out, in + out))
		return SPEND_MONTH_TOKENS;
	if (over(budget->day_micros, day->micros, micros))
		return SPEND_DAY_MONEY;
	if (over(budget->month_micros, month->micros, micros))
		return SPEND_MONTH_MONEY;
	return SPEND_FITS;
}

int32_t spend_day(int64_t utc_ns, int32_t offset_s)
{
	struct civil civil;

	civil_of_ns(utc_ns + (int64_t)offset_s * NS_PER_S, &civil);
	return (int32_t)(civil.year * 10000 + civil.month * 100 + civil.day);
}

void spend_month(int32_t day, int32_t *first, int32_t *last)
{
	*first = day / 100 * 100;
	*last = *first + 99;
}
